"""Who a session is, and the secrets that open it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass


@dataclass(frozen=True)
class Identity:
    """A session's id, and the secrets that open it: `resume` to who talks, `view` to who only looks on."""

    session: str
    resume: str
    view: str

    @classmethod
    def new(cls) -> Identity:
        """One that nobody can guess."""
        return cls(secrets.token_urlsafe(12), secrets.token_urlsafe(18), secrets.token_urlsafe(18))

"""Who may use the service: whoever shows one of its keys, where it has any."""

from __future__ import annotations

import secrets

from fastapi import Depends
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import HTTPConnection

from service.errors import Unauthorised

SCHEMES = (
    Depends(HTTPBearer(auto_error=False, description="Authorization: Bearer KEY")),
    Depends(APIKeyHeader(name="X-API-Key", auto_error=False, description="X-API-Key: KEY")),
)
"""For the schema alone: what is checked is below."""


def same(one: str, other: str) -> bool:
    """Whether two secrets are the same; how long it takes tells nothing of either."""
    return secrets.compare_digest(one.encode(), other.encode())


def check_key(connection: HTTPConnection) -> None:
    """Of a request or a socket. Raises Unauthorised."""
    if not has_key(connection):
        raise Unauthorised("send one of the service's keys as `Authorization: Bearer KEY` or as `X-API-Key: KEY`")


def has_key(connection: HTTPConnection) -> bool:
    """Whether it shows one of the service's, or the service has none."""
    keys: list[str] = connection.app.state.house.settings.keys
    if not keys:
        return True
    scheme, _, bearer = connection.headers.get("authorization", "").partition(" ")
    shown = [connection.headers.get("x-api-key", ""), bearer.strip() if scheme.lower() == "bearer" else ""]
    fits = [same(key, one) for key in keys for one in shown]  # all of them, so that how long it takes tells nothing
    return True in fits


KEYED = [Depends(check_key), *SCHEMES]
"""Dependencies of a router whose calls take a key."""

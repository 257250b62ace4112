"""The real service in a process of its own, for whoever looks at it from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_READY = "signstream is ready: "


@contextmanager
def serving(models: Path | None = None) -> Iterator[str]:
    """URL of a warm service on loopback, stopped afterwards. Raises RuntimeError, with its log, if none starts.

    models: folder of the files that it serves, instead of the shipped ones.
    """
    with started({"SIGNSTREAM_MODELS_DIR": str(models.resolve())} if models else {}) as (url, _):
        yield url


@contextmanager
def started(settings: Mapping[str, str]) -> Iterator[tuple[str, int]]:
    """As `serving`, with settings of the environment; URL and process id."""
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            [sys.executable, "-m", "service", "--host", "127.0.0.1", "--port", "0"],
            cwd=ROOT,
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            said = next((line for line in process.stdout if line.startswith(_READY)), None)
            if said is None:
                log.seek(0)
                raise RuntimeError(f"the service did not start:\n{log.read()}")
            yield said.removeprefix(_READY).strip(), process.pid
        finally:
            process.terminate()

"""The real service in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_READY = "signstream is ready: "


@contextmanager
def running_service(log: Path) -> Iterator[str]:
    """Its address, once it says that it is ready; its log goes to `log`. RuntimeError if it does not start."""
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-m", "service", "--host", "127.0.0.1", "--port", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            said = next((line for line in process.stdout if line.startswith(_READY)), None)
            if said is None:
                raise RuntimeError(f"the service did not start:\n{log.read_text()}")
            yield said.removeprefix(_READY).strip()
        finally:
            process.terminate()

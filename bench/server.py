"""The real service in a process of its own, for a measurement from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def serving(**settings: str) -> Iterator[str]:
    """`host:port` of a warm service on loopback; stopped afterwards. Raises RuntimeError where it does not start."""
    environment = os.environ | {f"SIGNSTREAM_{name.upper()}": value for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "--host", "127.0.0.1", "--port", "0"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "is ready" in line:
                yield line.rsplit("/", 1)[1].strip()
                return
        raise RuntimeError(f"the service ended with {process.wait()} before it was ready; run `python -m service`")
    finally:
        process.terminate()
        process.wait(20)

"""`python -m export RUN OUT.onnx`: write a run's network as ONNX, if it agrees with torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from export.onnx import export
from models import checkpoint


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, made by `python -m training fit`")
    parser.add_argument("out", type=Path, help="the .onnx file to write")
    options = parser.parse_args(arguments)
    try:
        saved = checkpoint.load(options.run)
        difference = export(saved, options.out)
    except ValueError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    size = options.out.stat().st_size
    print(f"{options.out}: {saved.manifest.name} {saved.manifest.version}, {size / 1e3:.0f} kB, ", end="")
    print(f"largest difference to torch {difference:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

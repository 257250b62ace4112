"""`python -m export RUN OUT.onnx`: write a run's network as ONNX, if it agrees with torch."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from export.artefact import Target, export
from export.onnx import OPSET
from models import checkpoint


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m export", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a run, made by `python -m training fit`")
    parser.add_argument("out", type=Path, help="the .onnx file to write")
    parser.add_argument("--form", choices=("window", "stream"), default="window", help="default: %(default)s")
    parser.add_argument("--opset", type=int, default=OPSET, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=0, help="the only one that the graph takes; default: any")
    options = parser.parse_args(arguments)
    try:
        saved = checkpoint.load(options.run)
        difference = export(saved, options.out, Target(options.form, options.opset, options.batch))
    except ValueError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    size = options.out.stat().st_size
    print(f"{options.out}: {saved.manifest.name} {saved.manifest.version}, {size / 1e3:.0f} kB, ", end="")
    print(f"largest difference to torch {difference:.1e}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

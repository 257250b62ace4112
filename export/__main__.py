"""`python -m export RUN OUT.onnx`: write a run's network as ONNX, if it agrees with torch.

`python -m export RUN RUN ... OUT.onnx` writes an ensemble as one graph, `python -m export inspect FILE` says what a
file is. Beside OUT.onnx stands OUT.json: what was compared and found.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from export import clips, passport
from export.artefact import Evidence, Target, export
from export.onnx import OPSET
from landmarks import LandmarkError
from models import checkpoint


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        if arguments[:1] == ["inspect"]:
            return _inspect(arguments[1:])
        return _export(arguments)
    except (ValueError, LandmarkError, FileNotFoundError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _inspect(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m export inspect", description=passport.__doc__)
    parser.add_argument("file", type=Path, help="an .onnx file of ours")
    print(passport.read(parser.parse_args(arguments).file).to_json())
    return 0


def _export(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="folder made by `python -m training fit`")
    parser.add_argument("out", metavar="OUT.onnx", type=Path, help="the file to write")
    parser.add_argument("--form", choices=("window", "stream"), default="window", help="default: %(default)s")
    parser.add_argument("--precision", choices=("fp32", "fp16", "int8"), default="fp32", help="default: %(default)s")
    parser.add_argument("--opset", type=int, default=OPSET, help="default: %(default)s")
    parser.add_argument("--batch", type=int, default=0, help="the only one that the graph takes; default: any")
    parser.add_argument("--name", default="", help="of the model; default: the run's, of an ensemble all joined")
    parser.add_argument("--weights", type=float, nargs="+", default=[], help="of an ensemble's members; default: equal")
    parser.add_argument(
        "--clips", metavar="FILE", type=Path, nargs="+", default=[], help="landmark files, to be compared on too"
    )
    parser.add_argument("--calibrate", metavar="FILE.npz", type=Path, help="windows of training; int8 needs them")
    parser.add_argument(
        "--labelled",
        metavar="FILE.npz",
        type=Path,
        help="windows of test, on which accuracy must hold; int8 needs them",
    )
    options = parser.parse_args(arguments)
    target = Target(options.form, options.precision, options.opset, options.batch, options.name, tuple(options.weights))
    evidence = Evidence(
        tuple(options.clips),
        clips.labelled(options.calibrate).landmarks if options.calibrate else None,
        clips.labelled(options.labelled) if options.labelled else None,
    )
    said = export([checkpoint.load(run) for run in options.runs], options.out, target, evidence)
    print(
        f"{options.out}: {said.model} {said.version}, {said.form}, {said.precision}, {said.bytes / 1e3:.0f} kB, "
        f"{said.milliseconds:.2f} ms, largest difference to torch {said.difference:.1e}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())

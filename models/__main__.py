"""`python -m models import CHECKPOINT --as NAME`: published weights as a checkpoint of ours."""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any

from landmarks import Manifest, find_layout
from models.checkpoint import Checkpoint, CheckpointError
from models.reference import read, translate
from models.registry import NETWORKS


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m models", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser(
        "import", help="read a published checkpoint, whole or not at all", description=_import.__doc__
    )
    command.add_argument("checkpoint", type=Path, help="the published file; nothing in it is executed")
    command.add_argument(
        "--as",
        dest="name",
        metavar="NAME",
        required=True,
        help="what the model is to be called; the name of a network of ours also says that it must be one",
    )
    command.add_argument("--out", type=Path, help="folder to write (runs/NAME)")
    command.add_argument("--labels", type=Path, help="text file, one label a line (label-0, label-1, ...)")
    command.add_argument("--background", default="", help="the label that is no event (none)")
    command.add_argument("--layout", help="of its input, where the weights do not say")
    command.add_argument("--frames", type=int, help="frames in a window (as published)")
    command.add_argument("--fps", type=float, default=30.0, help="frames per second of its input (%(default)s)")
    command.add_argument("--licence", default="", help="of the weights (SPDX)")
    command.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="a field of the network's Config, as TOML"
    )
    command.set_defaults(run=_import)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (CheckpointError, ValueError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2


def _import(options: argparse.Namespace) -> int:
    """Reads a published checkpoint, whole or not at all, and writes it as ours, ready for `python -m export`."""
    known = {"fps": options.fps, **dict(_setting(text) for text in options.set)}
    if options.layout:
        known["layout"] = find_layout(options.layout)
    state = read(options.checkpoint)
    published = translate(state, options.name if options.name in NETWORKS else "", **known)
    name = published.network_name
    labels = _labels(options.labels, published.options["labels"])
    checkpoint = Checkpoint(
        manifest=Manifest(
            name=options.name,
            version="0",
            task="gesture",
            network=name,
            layout=published.layout.name,
            joints=published.layout.joints,
            window_frames=options.frames or published.window_frames,
            stride_frames=min(options.frames or published.window_frames, 4),
            fps=options.fps,
            labels=labels,
            background=options.background,
            licence=options.licence,
        ),
        layout=published.layout,
        options=published.options,
        weights=published.weights,
        recipe={"imported": options.checkpoint.name, "dropped": list(published.dropped)},
    )
    path = checkpoint.save(options.out or Path("runs") / options.name)
    print(f"{name} on {published.layout.name}: {len(state)} tensors read, none missing")
    print(f"dropped, without a part in the answer: {', '.join(published.dropped) or 'nothing'}")
    print("built as: " + ", ".join(f"{key}={value!r}" for key, value in sorted(published.options.items())))
    if published.expects:
        print(f"it expects {published.expects}")
    print(f"written: {path}")
    return 0


def _setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--set takes KEY=VALUE, got {text!r}")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    return key.strip(), tuple(parsed) if isinstance(parsed, list) else parsed


def _labels(path: Path | None, count: int) -> tuple[str, ...]:
    if path is None:
        return tuple(f"label-{i}" for i in range(count))
    labels = tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    if len(labels) != count:
        raise ValueError(f"{path} names {len(labels)} labels, the network has {count} outputs")
    return labels


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench NAME`: one measurement, one table."""

from __future__ import annotations

import argparse
import sys

from bench import (
    backends,
    batcher,
    clips,
    controls,
    decoding,
    export,
    extraction,
    files,
    frame,
    gating,
    live,
    memory,
    networks,
    online,
    parity,
    people,
    resting,
    roofline,
    scorecard,
    steady,
    training,
)

BENCHES = {
    "extraction": extraction,
    "backends": backends,
    "clips": clips,
    "controls": controls,
    "decoding": decoding,
    "export": export,
    "files": files,
    "frame": frame,
    "gating": gating,
    "live": live,
    "parity": parity,
    "people": people,
    "networks": networks,
    "online": online,
    "batcher": batcher,
    "memory": memory,
    "resting": resting,
    "roofline": roofline,
    "scorecard": scorecard,
    "steady": steady,
    "training": training,
}


def main(arguments: list[str] | None = None) -> int:
    """Returns 1 where a measurement misses its target."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="What we claim about speed, measured.")
    commands = parser.add_subparsers(required=True, metavar="NAME")
    for name, bench in BENCHES.items():
        command = commands.add_parser(name, help=bench.__doc__, description=bench.__doc__)
        bench.arguments(command)
        command.set_defaults(run=bench.run)
    options = parser.parse_args(arguments)
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())

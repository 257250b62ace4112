"""The training lab: accuracy of every network of a study, and samples/s of the fit beside plain torch."""

from __future__ import annotations

import argparse

from bench import accuracy, throughput

PARTS = {"accuracy": accuracy, "throughput": throughput}


def arguments(parser: argparse.ArgumentParser) -> None:
    """One command a part."""
    parts = parser.add_subparsers(required=True, metavar="PART")
    for name, part in PARTS.items():
        command = parts.add_parser(name, help=part.__doc__, description=part.__doc__)
        part.arguments(command)
        command.set_defaults(part=part)


def run(options: argparse.Namespace) -> int:
    """Print the tables of the part that is asked for."""
    return options.part.run(options)

"""The scorecard's models and people, for benches that ask them something else."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import scorecard
from bench.sections import Subject
from bench.studies import CONFIGS
from bench.table import check_place, write
from service.settings import Settings


def arguments(parser: argparse.ArgumentParser, names: Iterable[str], seconds: float, *, quick: bool) -> None:
    """Which models, on how much; the scorecard's own streams are not asked for.

    names: of the models, where nobody says which. seconds: of streams of each kind. quick: the least of the streams
    that a Subject comes with.
    """
    parser.add_argument("--models", type=Path, default=Settings().models_dir, help="folder; default: the shipped ones")
    parser.add_argument("--only", nargs="+", default=list(names), metavar="NAME", help="default: %(default)s")
    parser.add_argument("--recipes", type=Path, default=CONFIGS, help="NAME.toml of each; default: training/configs")
    parser.add_argument("--folder", default="../shared/data", help="of the data; default: %(default)s")
    parser.add_argument("--seconds", type=float, default=seconds, help="of streams of each kind; default: %(default)s")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into their marked place in a file")
    parser.set_defaults(beside=[], quick=quick)


def run(options: argparse.Namespace, place: str, measure: Callable[[list[Subject]], list[str]]) -> int:
    """Print what is measured of the models, part by part; 2 for what cannot be asked.

    place: of the tables in a file, and the bench's name.
    """
    try:
        if options.write:
            check_place(options.write, place)
        subjects = scorecard.find_subjects(options)
    except (ValueError, FileNotFoundError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 2
    text = "\n\n".join(measure(subjects))
    print(text)
    if options.write:
        write(options.write, place, f"python -m bench {place}", text)
    return 0

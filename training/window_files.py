"""`python -m training windows RUN OUT.npz`: a run's own windows with their truth, for those who cannot train."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from models import checkpoint
from training import config
from training.evaluate import make_split, make_task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whose windows, and which."""
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run")
    parser.add_argument("out", type=Path, metavar="OUT.npz", help="the file to write")
    parser.add_argument(
        "--side", choices=("train", "validation", "test"), required=True, help="of the run's split of persons"
    )
    parser.add_argument("--count", type=int, help="at most, drawn at random; default: all")


def run(options: argparse.Namespace, report: Callable[[str], None]) -> int:
    """Write landmarks (N, T, V, 3), truth (N,), take (N,) and labels. Raises what reading the data raises."""
    saved = checkpoint.load(options.run)
    recipe = config.from_dict(saved.recipe)
    task = make_task(recipe)
    windows = task.windows(getattr(make_split(recipe, task), options.side), recipe.window.stride)
    if options.count is not None and options.count < len(windows):
        chosen = np.random.default_rng(0).choice(len(windows), options.count, replace=False)
        windows = windows[np.sort(chosen)]
    options.out.parent.mkdir(parents=True, exist_ok=True)
    partial = options.out.with_name(options.out.name + ".partial.npz")
    labels = np.array(saved.manifest.labels)
    np.savez(partial, landmarks=windows.landmarks, truth=windows.truth, take=windows.take, labels=labels)
    partial.replace(options.out)
    report(f"written: {options.out}, {len(windows)} windows of the {options.side} persons")
    return 0

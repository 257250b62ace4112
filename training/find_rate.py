"""Which learning rate? One short fit whose rate rises from step to step, and what its loss does (Smith 2017)."""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from training import config, trainer

KEEP = 0.9
"""Share of the running loss that a step keeps."""


def smooth(losses: Sequence[float], keep: float = KEEP) -> list[float]:
    """A running mean, the first values not weighed down by the zero that it starts from."""
    running, smoothed = 0.0, []
    for i, loss in enumerate(losses):
        running = keep * running + (1 - keep) * loss
        smoothed.append(running / (1 - keep ** (i + 1)))
    return smoothed


def suggest(tried: Sequence[tuple[float, float]]) -> float:
    """A tenth of the rate at which the running loss is lowest: where it stops to fall is too high to train at.

    tried: (rate, loss) of each step. Raises ValueError where the loss never falls, or at too few rates to say.
    """
    finite = [(rate, loss) for rate, loss in tried if math.isfinite(loss)]
    smoothed = smooth([loss for _, loss in finite])
    lowest = min(range(len(smoothed)), key=smoothed.__getitem__, default=0)
    if not lowest or len(finite) < 10:
        raise ValueError(
            f"the loss never falls over {len(finite)} steps from {tried[0][0]:g} to {tried[-1][0]:g}; "
            "start lower (--lowest), or take more steps (--steps)"
        )
    return finite[lowest][0] / 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command `find-rate`, but for --set."""
    parser.add_argument("recipe", type=Path, help="TOML file, as in training/configs")
    parser.add_argument("--out", type=Path, help="CSV of the curve (default: runs/NAME-rates.csv)")
    parser.add_argument("--lowest", type=float, default=1e-6, help="first rate (default %(default)g)")
    parser.add_argument("--highest", type=float, default=1.0, help="last rate (default %(default)g)")
    parser.add_argument("--steps", type=int, default=150, help="batches (default %(default)s)")


def run(options: argparse.Namespace, report: Callable[[str], None]) -> int:
    """The command."""
    if not 0 < options.lowest < options.highest or options.steps < 10:
        raise ValueError(
            "need 0 < lowest < highest and at least 10 steps, "
            f"got {options.lowest:g}, {options.highest:g}, {options.steps}"
        )
    recipe = config.load(options.recipe, tuple(options.overrides))
    tried = trainer.find_rate(recipe, options.lowest, options.highest, options.steps, report)
    out = options.out or Path("runs") / f"{recipe.name}-rates.csv"
    out.parent.mkdir(parents=True, exist_ok=True)
    with out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("rate", "loss", "smoothed"))
        smoothed = smooth([loss for _, loss in tried])
        writer.writerows((rate, loss, mean) for (rate, loss), mean in zip(tried, smoothed, strict=True))
    report(f"curve: {out} ({len(tried)} of {options.steps} steps, up to a rate of {tried[-1][0]:.3g})")
    report(f"suggested: --set fit.rate={suggest(tried):.2g} (the recipe's is {recipe.fit.rate:g})")
    return 0

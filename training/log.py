"""What a fit tells while it runs: a CSV file, and TensorBoard's event files."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Log:
    """Rows of figures into RUN/log.csv and RUN/events.*; without a run, nowhere."""

    def __init__(self, run: Path | None = None) -> None:
        self._run = run
        self._writer: SummaryWriter | None = None

    def row(self, stage: str, epoch: int, history: Sequence[dict[str, float]]) -> None:
        """The newest row of a stage's history, epochs counted from 1; the whole file is written anew, so that a run
        that was taken up again has every epoch once."""
        if self._run is None:
            return
        self._run.mkdir(parents=True, exist_ok=True)
        path = self._run / f"log-{stage}.csv"
        names = list(dict.fromkeys(name for row in history for name in row))
        partial = path.with_suffix(".partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["epoch", *names])
            writer.writeheader()
            writer.writerows({"epoch": i + 1, **row} for i, row in enumerate(history))
        partial.replace(path)
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # takes seconds, and not every fit logs

            self._writer = SummaryWriter(str(self._run), purge_step=epoch)
        for name, value in history[-1].items():
            self._writer.add_scalar(f"{stage}/{name}", value, epoch)
        self._writer.flush()

    def close(self) -> None:
        """Write what is not written."""
        if self._writer is not None:
            self._writer.close()

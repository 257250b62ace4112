"""The fit of one network: batches, steps, now and then a validation, and a state from which it goes on unchanged.

Devices, precision and several processes are Lightning Fabric's: it wraps torch's own distributed code and leaves the
loop to us, so that a run can be taken up in mid-fit with the same result as if it had never stopped.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from tqdm import tqdm

from models import Continual, Network
from training.batches import Batch, Batches, seed_of
from training.config import Fit
from training.log import Log
from training.objective import Objective
from training.optimise import Mean, make_optimiser, make_schedule
from training.tasks.task import Sampler

Validate = Callable[[Network], dict[str, float]]
"""A network in evaluation mode -> name and value of each figure on the validation clips."""
PRECISIONS = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
VERSION = 2
"""Of a state, and of how windows are drawn: a fit goes on only with the draws that it began with."""


class StateError(ValueError):
    """A state that is not of this fit."""


@dataclass(eq=False)
class Progress:
    """How far a fit has come. epoch: done. history: one row of figures an epoch. best: its figure and weights."""

    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)
    best_score: float = -math.inf
    best_epoch: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)


class Loop:
    """Trains a network in place.

    sampler: draws training windows. loss: logits (B, labels) and truth (B,) -> a number. state: the file to go on from
    and to write after every epoch; none keeps nothing. stage: names the fit in logs. objective: what is added to the
    loss, for a network that describes its input. by_frame: the network is continual, the truth of a window (T,), and
    the loss one of (B, N, labels) and (B, N).
    """

    def __init__(
        self,
        network: Network,
        sampler: Sampler,
        config: Fit,
        loss: nn.Module,
        *,
        objective: Objective | None = None,
        by_frame: bool = False,
        validate: Validate | None = None,
        state: Path | None = None,
        log: Log | None = None,
        stage: str = "fit",
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.config, self._validate, self._path = config, validate, state
        self._objective = objective
        self._log, self._stage, self._report = log or Log(), stage, report
        self._fabric = Fabric(
            accelerator=config.device,
            devices=config.devices,
            strategy="ddp" if config.devices > 1 else "auto",
            precision=cast("Any", PRECISIONS[config.precision]),
        )
        self._fabric.launch()
        rank, ranks = self._fabric.global_rank, self._fabric.world_size
        if ranks > 1 and objective is not None:
            raise ValueError("[signers] is for one process: contrast and information compare the whole batch")
        self._batches = Batches(sampler, config.seed, config.batch, rank, ranks)
        self._steps = math.ceil(config.windows / config.batch)
        self.network = network.to(  # pyright: ignore[reportCallIssue]
            memory_format=torch.channels_last if network.channels_last else torch.contiguous_format
        )
        self._loss = self._fabric.to_device(loss)
        self._mean = Mean(self._fabric.to_device(self.network), config.ema) if config.ema else None
        optimiser = make_optimiser(self.network, config, fused=config.precision != "16")
        self._schedule = make_schedule(optimiser, config, math.ceil(self._steps / config.accumulate) * config.epochs)
        self._by_frame = by_frame
        self._forward = "predictions" if by_frame else "logits" if objective is None else "describe"
        if config.compile:
            setattr(self.network, self._forward, torch.compile(getattr(self.network, self._forward)))
        self._model, self._optimiser = self._fabric.setup(cast("nn.Module", self.network), optimiser)
        self._model.mark_forward_method(self._forward)
        if objective is not None:
            objective.to(self._fabric.device)
        self.progress = Progress()

    def run(self) -> Network:
        """Train to the end, from the state if there is one; the network in evaluation mode."""
        if self._path is not None and self._path.is_file():
            self._restore(self._path)
        self._fabric.barrier()  # nobody writes a state that another process has yet to read
        batches = self._drawn(self.progress.epoch * self._steps, self.config.epochs * self._steps)
        while self.progress.epoch < self.config.epochs and not self._stale():
            row = self._fabric.broadcast(self._epoch(batches))
            self.progress.epoch += 1
            self.progress.history.append(row)
            self._told(row)
            if self._fabric.is_global_zero:
                self._keep()
            self._fabric.barrier()
        return self._finish()

    def try_rates(self, lowest: float, highest: float, steps: int) -> list[tuple[float, float]]:
        """(rate, loss) of each step while the rate rises by equal factors (Smith 2017); spoils the network.

        Ends before `steps` where the loss is no number any more, or four times the lowest.
        """
        self._model.train()
        tried: list[tuple[float, float]] = []
        rates = np.geomspace(lowest, highest, steps).tolist()
        for rate, (windows, truth, signers) in zip(rates, self._drawn(0, steps), strict=True):
            for group in self._optimiser.param_groups:
                group["lr"] = rate
            _, loss, _ = self._losses(windows, self._due(truth), signers)
            tried.append((rate, loss.item()))
            if not math.isfinite(tried[-1][1]) or tried[-1][1] > 4 * min(value for _, value in tried):
                break
            self._fabric.backward(loss)
            self._learn()
        return tried

    def _drawn(self, first: int, last: int) -> Iterator[Batch]:
        """Batches of these numbers, on the device."""
        return map(self._fabric.to_device, self._batches.drawn(range(first, last), self.config.workers))

    def _epoch(self, batches: Iterator[Batch]) -> dict[str, float]:
        """One row of figures; those of training are of this process's share."""
        # What torch draws (dropout) depends on the number of the epoch, as windows on theirs: no random state is kept.
        seed = seed_of(self.config.seed, self.progress.epoch, self._fabric.global_rank)
        torch.manual_seed(int(seed.generate_state(1)[0]))
        began, waiting_s, parts = time.perf_counter(), 0.0, dict[str, float]()
        # Figures stay on the device until the end: to ask for one is to wait for a GPU.
        losses, hits, seen = list[Tensor](), list[Tensor](), list[Tensor]()
        self._model.train()
        steps = tqdm(
            range(self._steps), f"{self._stage} {self.progress.epoch + 1}", leave=False, disable=not _watched()
        )
        for step in steps:
            started = time.perf_counter()
            windows, truth, signers = next(batches)  # (B, T, V, 3), (B,) or (B, T), (B,)
            waiting_s += time.perf_counter() - started
            truth = self._due(truth)  # (B,), or (B, N) of frames
            due = (step + 1) % self.config.accumulate == 0 or step + 1 == self._steps
            with self._fabric.no_backward_sync(self._model, enabled=not due):
                logits, loss, told = self._losses(windows, truth, signers)  # (B, labels), or (B, N, labels)
                self._fabric.backward(loss / self.config.accumulate if self.config.accumulate > 1 else loss)
            if due:
                self._step()
            losses.append(loss.detach())
            hits.append((logits.argmax(dim=-1) == truth).sum())
            seen.append((truth >= 0).sum())
            for name, value in told.items():
                parts[name] = parts.get(name, 0.0) + value / self._steps
        row = {
            "loss": torch.stack(losses).mean().item(),
            "accuracy": int(sum(hits)) / max(1, int(sum(seen))),
            "rate": self._schedule.get_last_lr()[0],
        } | parts
        took_s = time.perf_counter() - began
        if self._validate is not None and self._fabric.is_global_zero:
            measured = cast("Network", self._mean.network if self._mean else self.network)
            row |= {f"validation_{name}": value for name, value in self._validate(measured.eval()).items()}
        return row | {
            "seconds": took_s,
            "windows_per_s": self._steps * self.config.batch / took_s,
            "waiting_s": waiting_s,
        }

    def _losses(self, windows: Tensor, truth: Tensor, signers: Tensor) -> tuple[Tensor, Tensor, dict[str, float]]:
        """(B, T, V, 3), (B,), (B,) -> logits (B, labels), the loss, and the parts that the objective added to it.

        By frame: truth (B, N), logits (B, N, labels).
        """
        if self._objective is None:
            logits = getattr(self._model, self._forward)(windows)  # (B, labels)
            return logits, self._loss(logits, truth), {}
        described = self._model.describe(self.network.features(windows))
        nobody = windows.isnan().flatten(1).all(dim=1)  # (B,)
        added, told = self._objective.terms(described, truth, signers.masked_fill(nobody, -1))
        loss = self._loss(described.logits, truth)
        return described.logits, loss + added, {"label_loss": loss.item(), **told}

    def _due(self, truth: Tensor) -> Tensor:
        """By frame, (B, T) -> (B, N) of the frames that bring a prediction."""
        if not self._by_frame:
            return truth
        due = list(cast("Continual", self.network).told_at(truth.shape[1]))
        return truth[:, due]  # (B, N)

    def _learn(self) -> None:
        """By the gradients that there are, which are then none."""
        if self.config.clip:
            self._fabric.clip_gradients(
                self._model, self._optimiser, max_norm=self.config.clip, error_if_nonfinite=False
            )
        self._optimiser.step()
        self._optimiser.zero_grad()

    def _step(self) -> None:
        self._learn()
        self._schedule.step()
        if self._mean:
            self._mean.update(self.network)

    def _told(self, row: dict[str, float]) -> None:
        if self.config.monitor:
            if f"validation_{self.config.monitor}" not in row:
                known = ", ".join(name.removeprefix("validation_") for name in row if name.startswith("validation_"))
                raise ValueError(f"no figure {self.config.monitor!r} to monitor; choose from {known or 'none'}")
            score = row[f"validation_{self.config.monitor}"] * (-1 if self.config.monitor == "loss" else 1)
            if score > self.progress.best_score:
                self.progress.best_score, self.progress.best_epoch = score, self.progress.epoch
                self.progress.best = {name: value.clone() for name, value in self._weights().items()}
        figures = ", ".join(
            f"{name} {value:.4g}" for name, value in row.items() if name not in ("seconds", "waiting_s")
        )
        self._report(f"epoch {self.progress.epoch}/{self.config.epochs}: {figures}, {row['seconds']:.1f} s")
        self._log.row(self._stage, self.progress.epoch, self.progress.history)

    def _stale(self) -> bool:
        """Has the monitored figure not risen for as long as patience lasts?"""
        waited = self.progress.epoch - self.progress.best_epoch
        return bool(self.config.patience and self.config.monitor and waited >= self.config.patience)

    def _weights(self) -> dict[str, Tensor]:
        return (self._mean.network if self._mean else self.network).state_dict()

    def _finish(self) -> Network:
        if self.config.compile:
            delattr(self.network, self._forward)
        weights = self.progress.best or self._weights()
        self.network.load_state_dict({name: value.clone() for name, value in weights.items()})
        network = self.network.to(memory_format=torch.contiguous_format)  # pyright: ignore[reportCallIssue]
        return network.cpu().eval()

    def _keep(self) -> None:
        every = self.config.keep_every
        if self._path is None:
            return
        self._write(self._path)
        if every and self.progress.epoch % every == 0:
            self._write(self._path.with_name(f"{self._path.stem}-{self.progress.epoch:03d}{self._path.suffix}"))

    def _same(self) -> dict[str, Any]:
        return self.config.same() | (self._objective.settings() if self._objective else {})

    def _write(self, path: Path) -> None:
        progress = self.progress
        state = {
            "version": VERSION,
            "fit": json.dumps(self._same()),
            "epoch": progress.epoch,
            "history": json.dumps(progress.history),
            "best": {"score": progress.best_score, "epoch": progress.best_epoch, "weights": progress.best},
            "network": self.network.state_dict(),
            "mean": self._mean.state() if self._mean else None,
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "objective": self._objective.state() if self._objective else None,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)

    def _restore(self, path: Path) -> None:
        state = torch.load(path, map_location=self._fabric.device, weights_only=True)
        if state.get("version") != VERSION:
            raise StateError(f"{path} is of a fit by another version, which drew other windows; take another folder")
        ours, theirs = self._same(), json.loads(state["fit"])
        if changed := sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)):
            told = ", ".join(f"{key} {theirs.get(key)!r} -> {ours.get(key)!r}" for key in changed)
            raise StateError(
                f"{path} is of a fit with other settings ({told}); take another folder, or the old settings"
            )
        progress = self.progress
        progress.epoch, progress.history = state["epoch"], json.loads(state["history"])
        progress.best_score, progress.best_epoch = state["best"]["score"], state["best"]["epoch"]
        progress.best = state["best"]["weights"]
        self.network.load_state_dict(state["network"])
        if self._mean:
            self._mean.restore(state["mean"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._schedule.load_state_dict(state["schedule"])
        if self._objective is not None:
            self._objective.restore(state["objective"])
        self._report(f"goes on after epoch {progress.epoch}/{self.config.epochs}, from {path}")


def _watched() -> bool:
    return sys.stderr.isatty()

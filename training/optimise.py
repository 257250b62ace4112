"""How a network is stepped towards fewer mistakes: optimiser, its rate over time, and the mean of its weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True)
class Optimise:
    """optimiser: adamw (weights decay by themselves), adam, or sgd with momentum (nesterov or not).

    rate: highest learning rate. decay: of the weights.
    schedule: `cosine` to 0; `steps`, where the rate is multiplied by `factor` after each share of the fit that
        `milestones` name; or `constant`. warmup: share of the fit in which the rate rises to its highest.
    clip: longest gradient; 0 lets any pass. accumulate: batches whose gradients make one step.
    ema: share of the old mean of the weights that a step keeps; the mean is what is measured and kept. 0 keeps the
        weights themselves.
    """

    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    rate: float = 2e-3
    decay: float = 0.01
    momentum: float = 0.9
    nesterov: bool = True
    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    milestones: tuple[float, ...] = (0.6, 0.8)
    factor: float = 0.1
    warmup: float = 0.05
    clip: float = 1.0
    accumulate: int = 1
    ema: float = 0.0

    def __post_init__(self) -> None:
        if self.optimiser not in ("adamw", "adam", "sgd") or self.schedule not in ("cosine", "steps", "constant"):
            raise ValueError(
                "optimiser is adamw, adam or sgd and schedule cosine, steps or constant, "
                f"got {self.optimiser!r} and {self.schedule!r}"
            )
        if not self.rate > 0 or self.decay < 0 or not 0 <= self.momentum < 1 or self.clip < 0 or self.accumulate < 1:
            raise ValueError(
                "need rate above 0, decay and clip of at least 0, 0 <= momentum < 1, accumulate of at least 1, got "
                f"{self.rate}, {self.decay}, {self.clip}, {self.momentum}, {self.accumulate}"
            )
        if not (0 <= self.warmup < 1 and 0 <= self.ema < 1 and 0 < self.factor <= 1):
            raise ValueError(f"warmup, ema and factor are shares, got {self.warmup}, {self.ema}, {self.factor}")
        if list(self.milestones) != sorted(self.milestones) or not all(0 < m < 1 for m in self.milestones):
            raise ValueError(f"milestones are rising shares of the fit, got {self.milestones}")


def make_optimiser(network: nn.Module, config: Optimise, *, fused: bool = True) -> Optimizer:
    """Over all of a network's parameters.

    fused: one pass over the weights a step, which is faster; a scaled gradient (precision 16) cannot be clipped then.
    """
    parameters = network.parameters()
    if config.optimiser == "sgd":
        return SGD(
            parameters,
            config.rate,
            config.momentum,
            weight_decay=config.decay,
            nesterov=config.nesterov and config.momentum > 0,
            fused=fused,
        )
    kind = AdamW if config.optimiser == "adamw" else Adam
    return kind(parameters, config.rate, weight_decay=config.decay, fused=fused)


def make_schedule(optimiser: Optimizer, config: Optimise, steps: int) -> LambdaLR:
    """The rate at each of `steps` steps."""
    return LambdaLR(optimiser, share_of_rate(config, steps))


def share_of_rate(config: Optimise, steps: int) -> Callable[[int], float]:
    """Step -> share of the highest rate."""
    warm = max(1, int(steps * config.warmup + 1e-9))

    def share(step: int) -> float:
        rising = (step + 1) / warm if config.warmup else 1.0
        done = min(1.0, step / steps)
        if config.schedule == "cosine":
            return min(rising, 0.5 * (1 + math.cos(math.pi * done)))
        if config.schedule == "steps":
            return min(rising, 1.0) * config.factor ** sum(done >= milestone for milestone in config.milestones)
        return min(rising, 1.0)

    return share


class Mean:
    """An exponential mean of a network's weights (Polyak averaging); buffers are the newest."""

    def __init__(self, network: nn.Module, keep: float) -> None:
        self.network = copy.deepcopy(network).eval()
        self._keep, self._steps = keep, 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take in the weights of one more step. Early on less is kept, so that the first weights do not linger."""
        self._steps += 1
        keep = min(self._keep, self._steps / (self._steps + 9))
        for mean, weight in zip(self.network.parameters(), network.parameters(), strict=True):
            mean.lerp_(weight, 1 - keep)
        for mean, newest in zip(self.network.buffers(), network.buffers(), strict=True):
            mean.copy_(newest)

    def state(self) -> dict[str, object]:
        """All that `restore` takes."""
        return {"steps": self._steps, "weights": self.network.state_dict()}

    def restore(self, state: dict[str, object]) -> None:
        """Go on from a state."""
        steps, weights = state["steps"], state["weights"]
        assert isinstance(steps, int)
        assert isinstance(weights, dict)
        self._steps = steps
        self.network.load_state_dict(weights)

"""What a fit asks of a network beside the labels: not to know who signs, and to bring clips of one label together.

Cyr-Ch/SCA-STGCN's three objectives, each right where the published code is not: the contrast counts every sample of the
same label and leaves an anchor's likeness to itself out; the information is a bound whose estimator learns in a step of
its own; guessed signers are clusters of what a body and a manner have, not a camera (training.signers).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Protocol, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from landmarks import Layout
from models import NETWORKS, Network
from models.sca_stgcn import Description
from training import losses, signers
from training.clip import Clip


class Describes(Protocol):
    """A network that tells more than its logits."""

    config: Any

    def describe(self, features: Tensor) -> Description:
        """(B, C, T, V) -> all that training needs."""
        ...


class NoDescription(ValueError):
    """The network gives labels only, and the objective needs more."""


def describing() -> tuple[str, ...]:
    """Names of the networks that have an embedding, a signer and an adversarial head to train by."""
    return tuple(
        sorted(
            name
            for name, (config, network) in NETWORKS.items()
            if hasattr(network, "describe") and "signers" in config.__dataclass_fields__
        )
    )


def check(network: str, config: Signers) -> None:
    """Raises NoDescription for a network that gives its labels only; it names those that give more."""
    if config.on and network not in describing():
        raise NoDescription(
            f"[signers] needs an embedding, a signer and a signer head, and {network} gives labels only; "
            f"choose from {', '.join(describing())}"
        )


@dataclass(frozen=True)
class Signers:
    """Weights of what is added to the loss of the labels; 0 leaves it out.

    adversary: cross-entropy of who signs, whose gradient the network's head turns round (`reversal` of its Config); the
        head gets an output a signer. contrast: supervised contrast of the embedding by label, at this `temperature`.
    information: bound on what the embedding tells of `about`: the signer's id (`identity`), or the network's own signer
        embedding (`embedding`). hidden, rate: of its estimator, and of that one's learning.
    ids: persons as the data names them (`true`), or `clusters` of the training clips' statistics (`pseudo`).
    """

    adversary: float = 0.0
    contrast: float = 0.0
    temperature: float = 0.07
    information: float = 0.0
    about: Literal["identity", "embedding"] = "identity"
    hidden: int = 64
    rate: float = 1e-3
    ids: Literal["true", "pseudo"] = "true"
    clusters: int = 4

    def __post_init__(self) -> None:
        if not (min(self.adversary, self.contrast, self.information) >= 0 and self.temperature > 0 and self.rate > 0):
            raise ValueError(
                "adversary, contrast and information are at least 0, temperature and rate above 0, got "
                f"{self.adversary}, {self.contrast}, {self.information}, {self.temperature}, {self.rate}"
            )
        if self.clusters < 2 or self.hidden < 1:
            raise ValueError(f"clusters is at least 2, hidden at least 1, got {self.clusters}, {self.hidden}")

    @property
    def on(self) -> bool:
        """Is anything added?"""
        return max(self.adversary, self.contrast, self.information) > 0

    @property
    def named(self) -> bool:
        """Must it be known who signs?"""
        return self.adversary > 0 or (self.information > 0 and self.about == "identity")


def name_signers(
    clips: Sequence[Clip],
    config: Signers,
    layout: Layout,
    fps: float,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> tuple[tuple[Clip, ...], int]:
    """The clips with their `signer`, and how many signers there are; as they were, and 0, where nobody asks.

    Pseudo-signers are of the clip, and `report` is told what they follow: persons are what they should.
    Raises ValueError for fewer than two, of whom there is nothing to be told.
    """
    if not config.named:
        return tuple(clips), 0
    persons = np.array([clip.person for clip in clips])
    if config.ids == "true":
        known = sorted({clip.person for clip in clips if clip.person > 0})
        if len(known) < 2:
            raise ValueError(f"need two persons or more to train on, got {known}; ids = 'pseudo' guesses them")
        place = {person: i for i, person in enumerate(known)}
        return tuple(replace(clip, signer=place.get(clip.person, -1)) for clip in clips), len(known)
    points = [clip.points(layout, fps) for clip in clips]
    values = np.stack([signers.statistics(xyz, layout, fps) for xyz in points])
    found = signers.cluster(values, config.clusters, seed)
    assigned = found.assign(values)
    framing = np.stack([signers.framing(xyz, layout) for xyz in points])
    about = {"person": persons, "source": np.array([clip.source for clip in clips])}
    about |= {name: framing[:, i].astype(np.float64) for i, name in enumerate(signers.FRAMING)}
    report(f"pseudo-signers: clips in each {np.bincount(assigned, minlength=config.clusters).tolist()}; they follow")
    for name, figures in signers.report(assigned, about).items():
        told = ", ".join(f"{figure} {value:.3f}" for figure, value in figures.items())
        report(f"  {name}: {told}")
    return tuple(replace(clip, signer=int(one)) for clip, one in zip(clips, assigned, strict=True)), config.clusters


class Objective:
    """What is added to the loss of the labels, and what it learns for itself.

    network: to be trained, one of `describing`. signers: how many. example: (1, T, V, 3) any window, for the sizes of
    what is described.
    """

    def __init__(self, network: Network, config: Signers, signers: int, example: Tensor) -> None:
        self.config = config
        self._information: losses.MutualInformation | None = None
        if config.information:
            network.eval()
            with torch.no_grad():
                described = cast("Describes", network).describe(network.features(example))
            kind = "categorical" if config.about == "identity" else "gaussian"
            targets = signers if kind == "categorical" else described.signer.shape[1]
            self._information = losses.MutualInformation(
                described.embedding.shape[1], targets, kind, config.hidden, config.rate
            )

    def to(self, device: torch.device) -> None:
        """Move what it learns to where the network is."""
        if self._information is not None:
            self._information.to(device)

    def terms(self, described: Description, truth: Tensor, signers: Tensor) -> tuple[Tensor, dict[str, float]]:
        """What is added to the loss, and each part before its weight, with `signer_accuracy` of the adversarial head.

        truth, signers: (B,); signers are -1 where unknown, and then count for the contrast only. The estimator of the
        information learns here, once a call.
        """
        config, embedding = self.config, described.embedding.float()  # (B, D)
        added, told = embedding.new_zeros(()), {}
        known = signers >= 0  # (B,)
        if config.adversary:
            logits = described.signer_logits
            assert logits is not None
            loss = losses.signer_loss(logits.float(), signers)
            right = (logits.argmax(dim=1) == signers)[known]  # (B',)
            told["adversary"], told["signer_accuracy"] = loss.item(), right.float().mean().item() if len(right) else 0.0
            added = added + config.adversary * loss
        if config.contrast:
            loss = losses.contrast(embedding, truth, config.temperature)
            told["contrast"] = loss.item()
            added = added + config.contrast * loss
        if self._information is not None:
            x, y = embedding, F.layer_norm(described.signer.float(), described.signer.shape[1:])  # (B, D), (B, E)
            if config.about == "identity":
                x, y = embedding[known], signers[known]  # (B', D), (B',)
            told["information"] = 0.0
            if len(x) > 1:
                self._information.learn(x, y)
                told["information"] = self._information.bound(x, y, clamp=False).item()
                added = added + config.information * self._information.bound(x, y)
        return added, told

    def settings(self) -> dict[str, Any]:
        """What must not change between the parts of one fit."""
        return {f"signers.{key}": value for key, value in asdict(self.config).items()}

    def state(self) -> dict[str, Any] | None:
        """All that `restore` takes; None where nothing is learnt."""
        information = self._information
        if information is None:
            return None
        return {"weights": information.state_dict(), "optimiser": information.optimiser.state_dict()}

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go on from a state."""
        if self._information is not None and state is not None:
            self._information.load_state_dict(state["weights"])
            self._information.optimiser.load_state_dict(state["optimiser"])

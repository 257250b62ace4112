"""What a fit makes small: losses of labels, embeddings, signers and frames.

All take logits, never probabilities, and stay finite with finite gradients for logits of any usual size.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F


@dataclass(frozen=True)
class LossConfig:
    """The loss of the labels, and its parameters.

    name: `cross_entropy`; `focal` (Lin et al. 2017, eq. 4, over the softmax); `class_balanced_focal` (Cui et al. 2019,
        over a sigmoid a label, as BABEL is trained), which brings its own `effective` weights.
    smoothing: of the labels; cross-entropy only.
    weights: of the labels, from their counts in the whole training set: `none`, `inverse` (as 1 / count) or `effective`
        (Cui et al. 2019).
    beta: of the effective number of samples; 0 weighs all labels the same, towards 1 as `inverse` does.
    gamma: how far a focal loss turns away from what is already right; 0 is not at all.
    dice: weight of the overlap with each label (Dice), added to the loss of the labels; 0 adds nothing.
    """

    name: Literal["cross_entropy", "focal", "class_balanced_focal"] = "cross_entropy"
    smoothing: float = 0.0
    weights: Literal["none", "inverse", "effective"] = "none"
    beta: float = 0.9999
    gamma: float = 2.0
    dice: float = 0.0

    def __post_init__(self) -> None:
        if not self.dice >= 0:
            raise ValueError(f"dice is a weight of at least 0, got {self.dice}")
        if self.name not in ("cross_entropy", "focal", "class_balanced_focal"):
            raise ValueError(f"name is cross_entropy, focal or class_balanced_focal, got {self.name!r}")
        if self.weights not in ("none", "inverse", "effective"):
            raise ValueError(f"weights is none, inverse or effective, got {self.weights!r}")
        if not (0 <= self.smoothing < 1 and 0 <= self.beta < 1 and self.gamma >= 0):
            raise ValueError(
                f"need 0 <= smoothing < 1, 0 <= beta < 1 and gamma >= 0, "
                f"got {self.smoothing}, {self.beta} and {self.gamma}"
            )
        if self.smoothing and self.name != "cross_entropy":
            raise ValueError(f"smoothing is for cross_entropy, got {self.smoothing} for {self.name}")
        if self.weights == "inverse" and self.name == "class_balanced_focal":
            raise ValueError("class_balanced_focal weighs by the effective number of samples, got weights = 'inverse'")


def make(config: LossConfig, counts: ArrayLike | None = None, frames: bool = False) -> nn.Module:
    """The loss as a module: (B, labels) logits and (B,) label positions -> a scalar.

    counts: (labels,) clips, windows or frames of each label in the whole training set; needed where labels are weighed.
    frames: logits are (B, T, labels), the truth (B, T) with -1 where unlabelled.
    Raises ValueError without counts that are needed, and for a label that has none.
    """
    loss = _of_labels(config, counts)
    return FrameLoss(loss, config.dice) if frames or config.dice else loss


def _of_labels(config: LossConfig, counts: ArrayLike | None) -> nn.Module:
    weighing = "effective" if config.name == "class_balanced_focal" else config.weights
    weights = None
    if weighing != "none":
        if counts is None:
            raise ValueError(f"{config.name} with weights {weighing} needs the counts of the labels")
        weights = inverse_frequency(counts) if weighing == "inverse" else effective_number(counts, config.beta)
    if config.name == "class_balanced_focal":
        assert weights is not None
        return ClassBalancedFocal(weights, config.gamma)
    if config.name == "focal":
        return Focal(config.gamma, weights)
    return nn.CrossEntropyLoss(weight=weights, label_smoothing=config.smoothing)


def inverse_frequency(counts: ArrayLike) -> Tensor:
    """(labels,) weights N / (labels x count): of mean 1 over the N samples. Raises ValueError for an empty label."""
    seen = _counts(counts)
    return torch.from_numpy(seen.sum() / (len(seen) * seen)).float()


def effective_number(counts: ArrayLike, beta: float = 0.9999) -> Tensor:
    """(labels,) weights (1 - beta) / (1 - beta^count), scaled to sum to the number of labels (Cui et al. 2019).

    Raises ValueError for an empty label.
    """
    seen = _counts(counts)
    weights = np.ones(len(seen)) if beta == 0 else (1 - beta) / -np.expm1(seen * np.log(beta))
    return torch.from_numpy(weights * len(seen) / weights.sum()).float()


def _counts(counts: ArrayLike) -> np.ndarray:
    seen = np.asarray(counts, dtype=np.float64)
    if seen.ndim != 1 or not len(seen) or not (seen > 0).all():
        empty = np.flatnonzero(~(seen > 0)).tolist()
        raise ValueError(f"every label needs samples to be weighed; the labels at {empty} have none")
    return seen


class Focal(nn.Module):
    """Cross-entropy x (1 - p)^gamma of the true label's probability p (Lin et al. 2017, eq. 4; eq. 5 with weights).

    weights: (labels,); the mean is then a weighted one, as torch's own cross-entropy takes it, so gamma = 0 is that.
    """

    weights: Tensor | None

    def __init__(self, gamma: float = 2.0, weights: Tensor | None = None) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """(B, labels), (B,) -> scalar."""
        log_p = F.log_softmax(logits, dim=1).gather(1, truth[:, None])[:, 0]  # (B,)
        # Below gamma = 1 the power has no slope at 0; a floor keeps the gradient finite there.
        miss = (-torch.expm1(log_p)).clamp(min=1e-12)  # (B,)
        losses = -log_p * miss**self.gamma  # (B,)
        if self.weights is None:
            return losses.mean()
        weights = self.weights[truth]  # (B,)
        return (weights * losses).sum() / weights.sum()


class ClassBalancedFocal(nn.Module):
    """A focal sigmoid loss a label, x the weight of the true one, summed over labels, over B (Cui et al. 2019).

    BABEL's recipe (beta 0.9999, gamma 2): binary cross-entropy x exp(-gamma y z - gamma log(1 + e^-z)) for logit z and
    y in {0, 1}. With s = 2y - 1 that is softplus(-s z) x exp(-gamma softplus(s z)), which cannot overflow.
    weights: (labels,), see `effective_number`.
    """

    weights: Tensor

    def __init__(self, weights: Tensor, gamma: float = 2.0) -> None:
        super().__init__()
        self.gamma = gamma
        self.register_buffer("weights", weights)

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """(B, labels), (B,) -> scalar."""
        signed = torch.where(F.one_hot(truth, logits.shape[1]) > 0, logits, -logits)  # (B, labels)
        losses = F.softplus(-signed) * torch.exp(-self.gamma * F.softplus(signed))  # (B, labels)
        return (self.weights[truth][:, None] * losses).sum() / len(logits)


def contrast(embeddings: Tensor, truth: Tensor, temperature: float = 0.07) -> Tensor:
    """Supervised contrast: every other sample of the same label is a positive (Khosla et al. 2020, eq. 2, L_out).

    embeddings: (B, D) of any length, compared by their cosine. truth: (B,). An anchor is not compared with itself; one
    without positives is left out, and a batch of such gives 0.
    """
    unit = F.normalize(embeddings, dim=1)  # (B, D)
    itself = torch.eye(len(unit), dtype=torch.bool, device=unit.device)  # (B, B)
    positives = (truth[:, None] == truth[None]) & ~itself  # (B, B)
    anchors = positives.any(dim=1)  # (B,)
    if not anchors.any():
        return embeddings.sum() * 0.0
    likeness = (unit @ unit.T / temperature).masked_fill(itself, -torch.inf)[anchors]  # (A, B)
    positives = positives[anchors]  # (A, B)
    log_p = likeness - likeness.logsumexp(dim=1, keepdim=True)  # (A, B)
    return -(torch.where(positives, log_p, 0.0).sum(dim=1) / positives.sum(dim=1)).mean()


def signer_loss(logits: Tensor, signers: Tensor) -> Tensor:
    """Cross-entropy of who signs; the network's signer head turns its gradient round, so add it, do not subtract it.

    logits: (B, signers). signers: (B,) positions, -1 where unknown: those are left out, and none at all gives 0.
    """
    known = (signers >= 0).sum().clamp(min=1)
    return F.cross_entropy(logits, signers, ignore_index=-1, reduction="sum") / known


class MutualInformation(nn.Module):
    """An upper bound on the mutual information of x and y: vCLUB (Cheng et al. 2020), in two steps.

    `learn` fits q(y|x) by maximum likelihood with an optimiser of its own and does not touch what gave x and y; `bound`
    is what the model minimises and does not touch q. Minimising both over q together, as published code does, has no
    lower end. The bound holds only while q follows the model: call `learn` at every step, before `bound`.

    Keep it out of the network (its parameters must not reach the network's optimiser); a run that resumes needs its
    state_dict and that of `optimiser`.

    features: D of x. targets: D of y, or the number of labels for `categorical`. kind: q is a `gaussian` with diagonal
    variance for y (B, targets), best about standardised, or `categorical` for y (B,) positions. rate: of learning.
    """

    def __init__(
        self,
        features: int,
        targets: int,
        kind: Literal["gaussian", "categorical"] = "gaussian",
        hidden: int = 64,
        rate: float = 1e-3,
    ) -> None:
        super().__init__()
        if kind not in ("gaussian", "categorical"):
            raise ValueError(f"kind is gaussian or categorical, got {kind!r}")
        if min(features, targets, hidden) < 1 or not rate > 0:
            raise ValueError(
                f"features, targets and hidden are at least 1, rate is above 0, got {features}, {targets}, {hidden}, "
                f"{rate}"
            )
        self.kind = kind
        outputs = targets if kind == "categorical" else 2 * targets
        self.layers = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, outputs))
        self.optimiser = torch.optim.Adam(self.layers.parameters(), lr=rate)

    def learn(self, x: Tensor, y: Tensor) -> float:
        """One step of q towards y given x, (B, features) and (B, targets) or (B,); gives its negative log-likelihood
        per sample (without the constant of a gaussian)."""
        with torch.enable_grad():
            own, _ = self._log_likelihoods(self.layers(x.detach()), y.detach())  # (B,)
            loss = -own.mean()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
        return loss.item()

    def bound(self, x: Tensor, y: Tensor, clamp: bool = True) -> Tensor:
        """Mean of log q(y_i|x_i) less its mean over all pairs (i, j), in nats; gradients reach x and y only.

        clamp: information is never negative, so an estimate below 0 is noise and gives 0 without a gradient; without
        it the model could go on downward by fooling q. Report the unclamped one.
        """
        frozen = {name: value.detach() for name, value in self.layers.named_parameters()}
        own, crossed = self._log_likelihoods(functional_call(self.layers, frozen, (x,)), y)  # (B,), (B,)
        bound = (own - crossed).mean()
        return bound.clamp(min=0) if clamp else bound

    def _log_likelihoods(self, said: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Of each sample's own y, and the mean over everybody's; (B,) each."""
        if self.kind == "categorical":
            log_q = F.log_softmax(said, dim=1)  # (B, targets)
            shares = F.one_hot(y, said.shape[1]).to(log_q.dtype).mean(dim=0)  # (targets,)
            return log_q.gather(1, y[:, None])[:, 0], log_q @ shares  # (B,), (B,)
        mean, spread = said.chunk(2, dim=1)  # (B, targets), (B, targets)
        log_variance = 6 * torch.tanh(spread / 6)  # (B, targets)
        # The mean of (y_j - mean_i)^2 over j, without the B x B pairs.
        centre = y.mean(dim=0)  # (targets,)
        everybody = (y - centre).square().mean(dim=0) + (centre - mean).square()  # (B, targets)
        precision = torch.exp(-log_variance)  # (B, targets)
        own = -0.5 * ((y - mean).square() * precision + log_variance).sum(dim=1)  # (B,)
        crossed = -0.5 * (everybody * precision + log_variance).sum(dim=1)  # (B,)
        return own, crossed


class Dice(nn.Module):
    """1 - soft Dice overlap of frame labels: 2 sum(p g) / (sum p + sum g) over all frames of a batch.

    Sums, not squares (Milletari et al. 2016 squares). Few true frames weigh as much as many, which cross-entropy
    over frames does not do.

    labels: positions that are one thing together, as the begin and the inside of a sign: their summed probability
        against the frames of any of them. None: the mean over all labels that the batch shows, each for itself.
    smooth: added above and below, so that nothing said of nothing there is no loss.
    """

    def __init__(self, labels: tuple[int, ...] | None = None, smooth: float = 1.0) -> None:
        super().__init__()
        if labels is not None and (not labels or min(labels) < 0):
            raise ValueError(f"labels are positions, at least one, got {labels}")
        if not smooth > 0:
            raise ValueError(f"smooth is above 0, got {smooth}")
        self.labels, self.smooth = labels, smooth

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """(..., labels), (...) with -1 where unlabelled -> scalar; 0 where no frame is labelled."""
        logits, truth = logits.flatten(0, -2), truth.flatten()  # (N, labels), (N,)
        known = truth >= 0  # (N,)
        p = F.softmax(logits, dim=1) * known[:, None]  # (N, labels)
        there = F.one_hot(truth.clamp(min=0), logits.shape[1]) * known[:, None]  # (N, labels)
        if self.labels is not None:
            chosen = list(self.labels)
            p, there = p[:, chosen].sum(dim=1, keepdim=True), there[:, chosen].sum(dim=1, keepdim=True)  # (N, 1) each
        overlap = (2 * (p * there).sum(dim=0) + self.smooth) / (p.sum(dim=0) + there.sum(dim=0) + self.smooth)  # (L,)
        if self.labels is not None:
            return 1 - overlap[0]
        shown = there.any(dim=0)  # (L,)
        return ((1 - overlap) * shown).sum() / shown.sum().clamp(min=1)


class FrameLoss(nn.Module):
    """The loss of the labels over all labelled frames of a batch, with `dice` times their Dice.

    A frame without a label counts nowhere, whatever is said of it, and has no gradient; nor has a batch of such, whose
    loss is 0.
    """

    def __init__(self, labels: nn.Module, dice: float = 0.0) -> None:
        super().__init__()
        self.labels, self.dice, self.overlap = labels, dice, Dice()

    def forward(self, logits: Tensor, truth: Tensor) -> Tensor:
        """(..., labels), (...) with -1 where unlabelled -> scalar."""
        known = truth >= 0  # (...)
        logits, truth = logits[known], truth[known]  # (N, labels), (N,)
        if not len(truth):
            return logits.sum()
        loss = self.labels(logits, truth)
        return loss + self.dice * self.overlap(logits, truth) if self.dice else loss

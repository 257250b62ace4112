"""How good predictions are, and how sure we may be of that."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics.functional.classification import (
    binary_accuracy,
    binary_auroc,
    binary_average_precision,
    binary_f1_score,
    multiclass_accuracy,
    multiclass_average_precision,
    multiclass_f1_score,
    multiclass_recall,
)

Scores = NDArray[np.floating]
Truth = NDArray[np.intp]


def binary(scores: Scores, truth: Truth, threshold: float) -> dict[str, float]:
    """accuracy, balanced_accuracy and f1 at a threshold; pr_auc (average precision) and roc_auc over all of them.

    scores: (N,), higher is more likely 1; any unit. truth: (N,) of 0 and 1.
    """
    chosen, target = torch.from_numpy((scores >= threshold).astype(np.int64)), torch.from_numpy(truth)
    return {
        "accuracy": float(binary_accuracy(chosen, target)),
        "balanced_accuracy": float(multiclass_recall(chosen, target, 2, average="macro")),
        "f1": float(binary_f1_score(chosen, target)),
        "pr_auc": average_precision(scores, truth),
        "roc_auc": float(binary_auroc(_ranks(scores), target)),
    }


def average_precision(scores: Scores, truth: Truth) -> float:
    """Area under precision over recall, for scores (N,) in any unit."""
    return float(binary_average_precision(_ranks(scores), torch.from_numpy(truth)))


def _ranks(scores: Scores) -> torch.Tensor:
    """In 0..1, for torchmetrics takes scores outside of that for logits."""
    _, ranks = np.unique(scores, return_inverse=True)
    return torch.from_numpy(ranks / max(1, ranks.max())).float()


def multiclass(probabilities: Scores, truth: Truth) -> dict[str, float]:
    """accuracy over windows, macro f1 and macro pr_auc over the labels that occur in the truth.

    probabilities: (N, labels). truth: (N,) label positions.
    """
    scores, target = torch.from_numpy(np.asarray(probabilities, dtype=np.float32)), torch.from_numpy(truth)
    labels, there = probabilities.shape[1], np.unique(truth)
    f1 = multiclass_f1_score(scores, target, labels, average="none")
    area = multiclass_average_precision(scores, target, labels, average="none")
    return {
        "accuracy": float(multiclass_accuracy(scores, target, labels, average="micro")),
        "f1_macro": float(f1[there].mean()),
        "pr_auc_macro": float(area[there].mean()),
    }


def intervals(
    measure: Callable[[NDArray[np.intp]], dict[str, float]], takes: NDArray[np.str_], draws: int = 200, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """95% bootstrap intervals of figures, takes drawn with replacement (windows of one take are not independent).

    measure: positions (M,) of windows -> name and value of each figure. takes: (N,) the take of each window.
    """
    random = np.random.default_rng(seed)
    _, take = np.unique(takes, return_inverse=True)
    order = np.argsort(take, kind="stable")
    groups = np.split(order, np.cumsum(np.bincount(take))[:-1])
    drawn = [
        measure(np.concatenate([groups[i] for i in random.integers(len(groups), size=len(groups))]))
        for _ in range(draws)
    ]
    found = {}
    for name in drawn[0]:
        low, high = np.percentile([figures[name] for figures in drawn], [2.5, 97.5])
        found[name] = (float(low), float(high))
    return found


def threshold_for(scores: Scores, truth: Truth, most_false: float) -> float:
    """The lowest threshold that at most a share of the negatives reaches.

    scores: (N,). truth: (N,) of 0 and 1. Raises ValueError without negatives.
    """
    negatives = np.sort(scores[truth == 0])[::-1]
    if not len(negatives):
        raise ValueError("no negative window to choose a threshold on; validation persons need idle takes")
    allowed = int(most_false * len(negatives))
    return float(np.nextafter(negatives[min(allowed, len(negatives) - 1)], np.inf))


def balanced_threshold(scores: Scores, truth: Truth) -> float:
    """The score that, as a threshold, gives the highest mean of hit rate and rejection rate.

    Raises ValueError without windows of both kinds.
    """
    if not 0 < truth.sum() < len(truth):
        raise ValueError("a threshold needs windows of both kinds; validation persons need signs and idle takes")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order]) / truth.sum()
    false = np.cumsum(1 - truth[order]) / (len(truth) - truth.sum())
    return float(scores[order[int(np.argmax(hits - false))]])


def best_f1_threshold(scores: Scores, truth: Truth) -> float:
    """The score that gives the highest F1 as a threshold."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + truth.sum())
    return float(scores[order[int(np.argmax(f1))]])

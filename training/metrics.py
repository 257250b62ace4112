"""How good predictions are, and how sure we may be of that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

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
    multiclass_calibration_error,
    multiclass_confusion_matrix,
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


def f1_macro(said: Truth, truth: Truth) -> float:
    """Mean F1 over the labels that occur in the truth. said, truth: (N,) positions."""
    labels = int(max(said.max(), truth.max())) + 1
    hits = np.bincount(truth[said == truth], minlength=labels)
    shown, named = np.bincount(truth, minlength=labels), np.bincount(said, minlength=labels)
    f1 = 2 * hits / np.maximum(shown + named, 1)
    return float(f1[shown > 0].mean())


def top_k(scores: Scores, truth: Truth, k: int) -> float:
    """Share of samples whose true label is among the k highest scores.

    scores: (N, labels) in any unit. truth: (N,). Of equal scores the higher position counts as higher, as in pyskl and
    mmaction2 (they sort upward and take the last); so a network that says the same of all labels is not always right.
    """
    best = np.argsort(scores, axis=1, kind="stable")[:, -k:]
    return float((best == np.asarray(truth)[:, None]).any(axis=1).mean())


def confusion(predicted: Truth, truth: Truth, labels: int) -> NDArray[np.intp]:
    """(labels, labels) counts: rows are the truth, columns what was said. predicted, truth: (N,) positions."""
    counts = multiclass_confusion_matrix(torch.from_numpy(np.asarray(predicted)), torch.from_numpy(truth), labels)
    return counts.numpy().astype(np.intp)


def mean_class_accuracy(
    predicted: Truth, truth: Truth, labels: int, over: Literal["truth", "union"] = "truth"
) -> float:
    """Mean over labels of the share of each that is found.

    over: `truth` takes the labels that occur in the truth; `union` those in the truth or among what was said, so that a
    label said but never true counts as 0 (mmaction2 and pyskl: never higher).
    """
    counts = confusion(predicted, truth, labels)
    true, said = counts.sum(axis=1), counts.sum(axis=0)
    found = np.diagonal(counts) / np.maximum(true, 1)
    return float(found[(true > 0) | (said > 0) if over == "union" else true > 0].mean())


def recalls(said: Truth, truth: Truth, persons: NDArray, labels: int) -> Callable[[NDArray[np.intp]], Scores]:
    """Positions (M,) of samples -> (labels,) share of each label that is found, NaN for one that they do not show.

    Each person who shows a label counts as much, however often; a person who is drawn twice counts twice. said, truth:
    (N,) positions of labels. persons: (N,).
    """
    weight = even(truth, persons)  # (N,)
    right = weight * (said == truth)

    def measured(at: NDArray[np.intp]) -> Scores:
        there, found = (np.bincount(truth[at], values[at], minlength=labels) for values in (weight, right))
        return np.where(there > 0, found / np.where(there > 0, there, 1), np.nan)

    return measured


def even(truth: Truth, persons: NDArray) -> Scores:
    """(N,) weights of samples by which all persons who show a label count as much. truth, persons: (N,)."""
    _, group, counts = np.unique(np.stack([truth, persons]), axis=1, return_inverse=True, return_counts=True)
    return 1 / counts[group.ravel()]


def roc_auc_macro(probabilities: Scores, truth: Truth) -> float:
    """Mean area under the ROC curve, each label against the rest, over labels that occur and do not fill the truth.

    probabilities: (N, labels). truth: (N,). NaN where there is no such label.
    """
    areas = [
        float(binary_auroc(_ranks(probabilities[:, label]), torch.from_numpy((truth == label).astype(np.int64))))
        for label in np.unique(truth)
        if not (truth == label).all()
    ]
    return float(np.mean(areas)) if areas else float("nan")


def calibration_error(probabilities: Scores, truth: Truth, bins: int = 15) -> float:
    """ECE: |share right - mean confidence| over equally wide bins of the highest probability, weighted by their samples
    (Guo et al. 2017, eq. 3). probabilities: (N, labels), rows of sum 1; a softmax of logits.
    """
    scores = torch.from_numpy(np.asarray(probabilities, dtype=np.float32)).clamp(0, 1)
    return float(multiclass_calibration_error(scores, torch.from_numpy(truth), scores.shape[1], bins, norm="l1"))


def reliability(
    probabilities: Scores, truth: Truth, bins: int = 15
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """What a calibration plot shows: mean confidence (bins,), share right (bins,), both NaN for an empty bin, and
    samples (bins,). The arguments are those of `calibration_error`."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    at = np.minimum((confidence * bins).astype(np.intp), bins - 1)
    samples = np.bincount(at, minlength=bins)
    held = np.where(samples > 0, samples, np.nan)
    return (
        np.bincount(at, confidence, minlength=bins) / held,
        np.bincount(at, right.astype(np.float64), minlength=bins) / held,
        samples,
    )


def accuracy_by(right: NDArray[np.bool_], groups: NDArray) -> dict[str, float]:
    """Share right of each group, in sorted order: of each person, set, label. right, groups: (N,)."""
    return {str(group): float(right[groups == group].mean()) for group in np.unique(groups)}


def accuracy_interval(
    right: NDArray[np.bool_], groups: NDArray, draws: int = 200, seed: int = 0
) -> tuple[float, float]:
    """95% bootstrap interval of the share right, groups drawn with replacement.

    groups: (N,) clip of each window, or its person. Over persons the interval says what new persons may expect; it
    needs more than a handful of them, and of one it has no width.
    """
    return intervals(lambda at: {"accuracy": float(right[at].mean())}, groups, draws, seed)["accuracy"]


def classification(
    probabilities: Scores, truth: Truth, clips: NDArray, persons: NDArray | None = None, draws: int = 200
) -> dict[str, float]:
    """Every figure of one label a sample, by name.

    probabilities: (N, labels). truth: (N,). clips, persons: (N,) where each is from; accuracy_low and _high draw clips,
    accuracy_persons_low and _high draw persons (left out for fewer than two).
    """
    labels, said = probabilities.shape[1], probabilities.argmax(axis=1)
    right = said == truth
    low, high = accuracy_interval(right, clips, draws)
    figures = {
        "samples": float(len(truth)),
        **multiclass(probabilities, truth),
        "accuracy_low": low,
        "accuracy_high": high,
        "top_5": top_k(probabilities, truth, min(5, labels)),
        "mean_class_accuracy": mean_class_accuracy(said, truth, labels),
        "mean_class_accuracy_union": mean_class_accuracy(said, truth, labels, over="union"),
        "roc_auc_macro": roc_auc_macro(probabilities, truth),
        "calibration_error": calibration_error(probabilities, truth),
    }
    if persons is not None and len(np.unique(persons)) > 1:
        low, high = accuracy_interval(right, persons, draws)
        figures |= {"accuracy_persons_low": low, "accuracy_persons_high": high}
        figures["accuracy_worst_person"] = min(accuracy_by(right, persons).values())
    return figures


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


def balanced_threshold(scores: Scores, truth: Truth, weights: Scores | None = None) -> float:
    """The score that, as a threshold, gives the highest mean of hit rate and rejection rate.

    weights: (N,) how much each window counts; none are equal ones. Raises ValueError without windows of both kinds.
    """
    if not 0 < truth.sum() < len(truth):
        raise ValueError("a threshold needs windows of both kinds; validation persons need signs and idle takes")
    order = np.argsort(-scores, kind="stable")
    counts = np.ones(len(truth)) if weights is None else weights
    shown, idle = (counts * truth)[order], (counts * (1 - truth))[order]
    hits, false = np.cumsum(shown) / shown.sum(), np.cumsum(idle) / idle.sum()
    return float(scores[order[int(np.argmax(hits - false))]])


def best_f1_threshold(scores: Scores, truth: Truth) -> float:
    """The score that gives the highest F1 as a threshold."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + truth.sum())
    return float(scores[order[int(np.argmax(f1))]])

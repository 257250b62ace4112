"""Measures a predictor on the test persons of a recipe: a fresh network and the shipped .onnx by the same code."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from landmarks import Manifest, ManifestError, find_layout
from landmarks.manifest import METADATA_KEY
from training import datasets, metrics
from training.config import Recipe
from training.motion import wrist_energy
from training.splits import Split, by_person, official
from training.tasks import Actions, Gesture, Signing, find_task
from training.windows import Windows

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N, T, V, 3) landmarks -> (N, labels) probabilities."""


@dataclass(frozen=True, eq=False)
class Bench:
    """Who is tested, on which windows; made once, asked many times.

    split: the persons. task: what is asked. validation, test: their windows.
    """

    split: Split
    task: Signing | Gesture | Actions
    validation: Windows
    test: Windows


def make_task(recipe: Recipe) -> Signing | Gesture | Actions:
    """The recipe's task, ready to draw and cut windows."""
    window = recipe.window
    config = getattr(recipe, recipe.task)
    return find_task(recipe.task)(config, find_layout(recipe.network.layout), window.frames, window.fps, window.centre)


def make_bench(recipe: Recipe) -> Bench:
    """Read the data, split it, cut the windows. Raises what those raise."""
    clips = datasets.load(Path(recipe.data.folder), recipe.data.sets)
    task = make_task(recipe)
    clips = [clip for clip in clips if task.truth(clip) is not None]
    sides = recipe.split
    split = (
        official(sides.protocol, clips, sides.share)
        if sides.protocol
        else by_person(clips, validation=sides.validation, test=sides.test)
    )
    stride = recipe.window.stride
    return Bench(split, task, task.windows(split.validation, stride), task.windows(split.test, stride))


def of_network(network: nn.Module, batch: int = 256) -> Predict:
    """A torch network as a predictor."""

    def predict(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            parts = [network(torch.from_numpy(part)).numpy() for part in _batches(landmarks, batch)]
        return np.concatenate(parts)

    network.eval()
    return predict


def of_onnx(path: Path, batch: int = 256, threads: int = 1) -> tuple[Predict, Manifest]:
    """A shipped file as a predictor, on the CPU, and its manifest. Raises ManifestError where it has none."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ManifestError(f"{path} carries no manifest; `python -m export RUN {path}` writes one")

    def predict(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        parts = [session.run(["probabilities"], {"landmarks": part})[0] for part in _batches(landmarks, batch)]
        return np.concatenate([np.asarray(part) for part in parts])

    return predict, Manifest.from_json(text)


def milliseconds(predict: Predict, manifest: Manifest, runs: int = 1000) -> tuple[float, float]:
    """Median and 90th percentile of the time that one window takes, in milliseconds."""
    window = np.random.default_rng(0).random((1, manifest.window_frames, len(manifest.joints), 3), dtype=np.float32)
    times = []
    for _ in range(runs + 50):
        began = time.perf_counter()
        predict(window)
        times.append(time.perf_counter() - began)
    median, slow = np.percentile(times[50:], [50, 90]) * 1e3  # the first ones warm up
    return float(median), float(slow)


def _batches(landmarks: NDArray[np.float32], batch: int) -> list[NDArray[np.float32]]:
    return [landmarks[i : i + batch] for i in range(0, len(landmarks), batch)]


def measure(predict: Predict, bench: Bench, threshold: float) -> dict[str, float]:
    """Every figure of the card: name -> value.

    threshold: start_above of the manifest, chosen on the validation persons. Accuracy and F1 are those of the likelier
    label; found_share and false_share those of windows that reach the threshold, where an event would start.
    """
    if isinstance(bench.task, Signing):
        return _signing(predict, bench, bench.task, threshold)
    if isinstance(bench.task, Actions):
        return _actions(predict, bench)
    return _gesture(predict, bench, bench.task, threshold)


def clip_probabilities(predict: Predict, windows: Windows) -> tuple[NDArray[np.float32], Windows]:
    """(N clips, labels) means over each clip's windows, which follow one another; and each clip's first window."""
    _, first, clip = np.unique(windows.take, return_index=True, return_inverse=True)
    said = predict(windows.landmarks)
    mean = np.stack([said[clip == i].mean(axis=0) for i in range(len(first))])
    return mean, windows[first]


def _actions(predict: Predict, bench: Bench) -> dict[str, float]:
    probabilities, clips = clip_probabilities(predict, bench.test)
    figures = {"clips": float(len(clips))}
    return figures | metrics.classification(probabilities, clips.truth, clips.take, clips.person)


def _signing(predict: Predict, bench: Bench, task: Signing, threshold: float) -> dict[str, float]:
    test, validation = bench.test, bench.validation
    scores = predict(test.landmarks)[:, task.labels.index("signing")]
    motion, validation_motion = (
        np.array([wrist_energy(window, task.layout, task.fps) for window in windows.landmarks])
        for windows in (test, validation)
    )
    motion_threshold = metrics.best_f1_threshold(validation_motion, validation.truth)
    figures = {"windows": float(len(test)), "signing_share": float(test.truth.mean())}
    visible = test.hands >= 0.5
    predictors = {
        "": (scores, 0.5),
        "baseline_hand_": (test.hands, 0.5),
        "baseline_motion_": (motion, motion_threshold),
    }
    for suffix, chosen in (("", np.ones(len(test), dtype=bool)), ("_hands_visible", visible)):
        for prefix, (values, limit) in predictors.items():
            for name, value in metrics.binary(values[chosen], test.truth[chosen], limit).items():
                figures[f"{prefix}{name}{suffix}"] = value
    visible_test, visible_scores = test[visible], scores[visible]
    figures["windows_hands_visible"] = float(len(visible_test))
    figures["signing_share_hands_visible"] = float(visible_test.truth.mean())
    fires, signs = visible_scores >= threshold, visible_test.truth == 1
    figures["found_share_hands_visible"] = float(fires[signs].mean()) if signs.any() else 0.0
    figures["false_share_hands_visible"] = float(fires[~signs].mean()) if not signs.all() else 0.0
    spread = metrics.intervals(
        lambda at: metrics.binary(visible_scores[at], visible_test.truth[at], 0.5), visible_test.take
    )
    for name, (low, high) in spread.items():
        figures[f"{name}_hands_visible_low"], figures[f"{name}_hands_visible_high"] = low, high
    return figures


def _gesture(predict: Predict, bench: Bench, task: Gesture, threshold: float) -> dict[str, float]:
    test, none = bench.test, task.labels.index(task.background)
    probabilities = predict(test.landmarks)
    figures = {"windows": float(len(test)), **metrics.multiclass(probabilities, test.truth)}
    words = test.truth != none
    only = np.delete(probabilities[words], none, axis=1)
    truth = test.truth[words] - (test.truth[words] > none)
    figures["windows_words"] = float(words.sum())
    figures["accuracy_words"] = float((only.argmax(axis=1) == truth).mean())
    right = only.argmax(axis=1) == truth
    takes = test.take[words]
    spread = metrics.intervals(lambda at: {"accuracy": float(right[at].mean())}, takes)
    figures["accuracy_words_low"], figures["accuracy_words_high"] = spread["accuracy"]
    hits = probabilities.argmax(axis=1) == test.truth
    spread = metrics.intervals(lambda at: {"accuracy": float(hits[at].mean())}, test.take)
    figures["accuracy_low"], figures["accuracy_high"] = spread["accuracy"]
    # As the service decides: a word counts when its probability reaches the threshold.
    loudest = np.delete(probabilities, none, axis=1)
    fires = loudest.max(axis=1) >= threshold
    figures["found_share"] = float((fires[words] & right).mean())
    if not words.all():
        figures["false_share"] = float(fires[~words].mean())
        idle = ~words & np.array([f"/{task.background}/" in take for take in test.take])
        figures["false_share_idle"] = float(fires[idle].mean()) if idle.any() else 0.0
    return figures

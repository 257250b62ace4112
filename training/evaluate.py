"""Measures a predictor on the test persons of a recipe: a fresh network and the shipped .onnx by the same code."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import nn

from landmarks import Manifest, ManifestError, find_layout
from landmarks.manifest import METADATA_KEY
from models import Continual
from training import datasets, metrics
from training.clip import Clip
from training.config import Persons, Recipe
from training.motion import wrist_energy
from training.splits import Split, by_fold, by_person, official
from training.stream import whole
from training.tasks import Actions, AnyTask, Controls, Frames, Gesture, Signing, find_task
from training.tasks.task import labelled
from training.windows import Windows

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(N, T, V, 3) landmarks -> (N, labels) probabilities."""


@dataclass(frozen=True, eq=False)
class Bench:
    """Who is tested, on which windows; made once, asked many times.

    split: the persons. task: what is asked. validation, test: their windows.
    """

    split: Split
    task: AnyTask
    validation: Windows
    test: Windows


def make_task(recipe: Recipe) -> AnyTask:
    """The recipe's task, ready to draw and cut windows."""
    window = recipe.window
    config = getattr(recipe, recipe.task)
    return find_task(recipe.task)(config, find_layout(recipe.network.layout), window.frames, window.fps, window.centre)


def make_bench(recipe: Recipe) -> Bench:
    """Read the data, split it, cut the windows. Raises what those raise."""
    task, stride = make_task(recipe), recipe.window.stride
    split = make_split(recipe, task)
    return Bench(split, task, task.windows(split.validation, stride), task.windows(split.test, stride))


def make_split(recipe: Recipe, task: AnyTask) -> Split:
    """Read the data and split it: all that is asked of a fit which nobody measures. Raises what those raise."""
    split = _split(recipe.split, _recordings(recipe, task))
    if isinstance(task, Frames):
        singles = datasets.load(Path(recipe.data.folder), recipe.data.clips)
        shown = tuple(whole(clip) for clip, _ in labelled(task, singles))
        split = replace(split, train=(*split.train, *shown))
    return split


def _recordings(recipe: Recipe, task: AnyTask) -> Sequence[Clip]:
    """All that the sides are made of."""
    folder, sets = Path(recipe.data.folder), recipe.data.sets
    if isinstance(task, Frames):
        return datasets.load_streams(folder, sets)
    return [clip for clip, _ in labelled(task, datasets.load(folder, sets))]


def _split(sides: Persons, clips: Sequence[Clip]) -> Split:
    if sides.protocol:
        return official(sides.protocol, clips, sides.share)
    if sides.folds:
        return by_fold(clips, sides.fold, sides.folds, sides.over)
    return by_person(clips, validation=sides.validation, test=sides.test)


def of_network(network: nn.Module, batch: int = 256) -> Predict:
    """A torch network as a predictor."""

    def predict(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        with torch.inference_mode():
            parts = [network(torch.from_numpy(part)).numpy() for part in _batches(landmarks, batch)]
        return np.concatenate(parts)

    network.eval()
    return predict


def of_onnx(path: Path, batch: int = 256, threads: int = 1) -> tuple[Predict, Manifest]:
    """A file as a predictor, on the CPU, and its manifest; a stream's is what it says of a window's last frame when the
    stream begins with the window's first.

    Raises ManifestError where it has none.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        raise ManifestError(f"{path} carries no manifest; `python -m export RUN {path}` writes one")
    manifest = Manifest.from_json(text)
    names = [node.name for node in session.get_inputs()]

    def window(part: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(session.run(["probabilities"], {"landmarks": part})[0])

    def steps(part: NDArray[np.float32]) -> NDArray[np.float32]:
        said = np.zeros((len(part), len(manifest.labels)), np.float32)
        states = [np.zeros((len(part), *shape), np.float32) for shape in manifest.states]
        for frame in part.swapaxes(0, 1):
            said, *states = session.run(None, dict(zip(names, [frame, *states], strict=True)))
        return np.asarray(said)

    answer = steps if manifest.form == "stream" else window

    def predict(landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([answer(part) for part in _batches(landmarks, batch)])

    return predict, manifest


def milliseconds(predict: Predict, manifest: Manifest, runs: int = 1000) -> tuple[float, float]:
    """Median and 90th percentile of the time that one window takes, or a stream's step, in milliseconds."""
    frames = 1 if manifest.form == "stream" else manifest.window_frames
    window = np.random.default_rng(0).random((1, frames, len(manifest.joints), 3), dtype=np.float32)
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
    if isinstance(bench.task, Frames):
        return _frames(predict, bench, bench.task, threshold)
    if isinstance(bench.task, Controls):
        return controls(predict(bench.test.landmarks), bench.test, bench.task, threshold)
    return _gesture(predict, bench, bench.task, threshold)


def measure_network(network: nn.Module, bench: Bench, threshold: float) -> dict[str, float]:
    """Every figure of a network: `measure`, and of a continual one on streams `streamed`, too."""
    figures = measure(of_network(network), bench, threshold)
    if isinstance(network, Continual) and isinstance(bench.task, Frames):
        figures |= streamed(network, bench.task, bench.split.test)
    return figures


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


def _frames(predict: Predict, bench: Bench, task: Frames, threshold: float) -> dict[str, float]:
    """Each window is the frame that it speaks of."""
    test, none = bench.test, task.labels.index(task.background)
    probabilities = predict(test.landmarks)
    figures = {"frames": float(len(test)), **metrics.multiclass(probabilities, test.truth)}
    figures |= _spread(probabilities.argmax(axis=1), test.truth, test.take)
    loudest, events = np.delete(probabilities, none, axis=1), test.truth != none
    fires, named = loudest.max(axis=1) >= threshold, np.delete(np.arange(len(task.labels)), none)
    right = named[loudest.argmax(axis=1)] == test.truth
    figures["found_share"] = float((fires & right)[events].mean()) if events.any() else 0.0
    figures["false_share"] = float(fires[~events].mean()) if not events.all() else 0.0
    return figures


def controls(
    probabilities: NDArray[np.float32],
    windows: Windows,
    task: Controls,
    threshold: float | NDArray[np.floating],
    draws: int = 200,
) -> dict[str, float]:
    """Figures of windows (N,) by their probabilities (N, labels) and a threshold, or one each; intervals draw persons.

    recall_macro is over the controls, at the likeliest label, which may be the background; every person counts as much.
    found_macro counts only what reaches the threshold besides. false_share: windows of no control in which one does.
    """
    none = task.labels.index(task.background)
    said = probabilities.argmax(axis=1)
    loudest = np.delete(probabilities, none, axis=1)
    fires = loudest.max(axis=1) >= threshold
    heard = np.where(fires, loudest.argmax(axis=1), none)  # the background is the last label
    of_labels, of_heard = (
        metrics.recalls(one, windows.truth, windows.person, len(task.labels)) for one in (said, heard)
    )

    def measured(at: NDArray[np.intp]) -> dict[str, float]:
        likeliest, reached = of_labels(at), of_heard(at)
        found = {"recall_macro": _mean(np.delete(likeliest, none)), "found_macro": _mean(np.delete(reached, none))}
        return found | {"recall_none": float(likeliest[none]), "false_share": float(1 - reached[none])}

    everything = np.arange(len(windows))
    figures = {"windows": float(len(windows)), "persons": float(len(np.unique(windows.person))), **measured(everything)}
    for name, (low, high) in metrics.intervals(measured, windows.person.astype(str), draws).items():
        figures[f"{name}_low"], figures[f"{name}_high"] = low, high
    figures |= {
        f"recall_{label}": float(found) for label, found in zip(task.labels, of_labels(everything), strict=True)
    }
    return {name: value for name, value in figures.items() if np.isfinite(value)}


def _mean(values: NDArray[np.floating]) -> float:
    """Of those that are known; NaN of none."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _spread(said: NDArray[np.intp], truth: NDArray[np.intp], takes: NDArray[np.str_]) -> dict[str, float]:
    """Intervals of frame accuracy and macro F1 over streams."""

    def measured(at: NDArray[np.intp]) -> dict[str, float]:
        return {"accuracy": float((said[at] == truth[at]).mean()), "f1_macro": metrics.f1_macro(said[at], truth[at])}

    found = {}
    for name, (low, high) in metrics.intervals(measured, takes).items():
        found[f"{name}_low"], found[f"{name}_high"] = low, high
    return found


def streamed(network: Continual, task: Frames, streams: Sequence[Clip]) -> dict[str, float]:
    """What a continual network says of streams from their first frame to their last, as no window of theirs does:
    accuracy and macro F1 of the frames that it speaks of, with their intervals over streams."""
    said, truths, takes = [], [], []
    network.eval()
    for stream in streams:
        points, truth = task.line(stream, ignoring=False)
        at = np.array([frame for frame in network.told_at(len(points)) if frame >= task.behind], dtype=np.intp)
        with torch.inference_mode():
            logits = network.predictions(torch.from_numpy(points)[None])[0]  # (N, labels)
        chosen = logits.argmax(dim=1).numpy()
        said.append(chosen[len(chosen) - len(at) :])
        truths.append(truth[at - task.behind])
        takes.append(np.full(len(at), stream.take))
    said, truth, take = np.concatenate(said), np.concatenate(truths), np.concatenate(takes)
    figures = {"frames": float(len(said)), "accuracy": float((said == truth).mean())}
    figures |= {"f1_macro": metrics.f1_macro(said, truth)} | _spread(said, truth, take)
    return {f"stream_{name}": value for name, value in figures.items()}


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

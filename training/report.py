"""One page about a run: RUN/report.html, which takes nothing from anywhere else when it is opened.

Curves, figures, thresholds, confusion, calibration, persons, and the clips that it does worst on, as skeletons.
"""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from numpy.typing import NDArray

from landmarks import Layout
from models import Checkpoint, checkpoint
from training import config, metrics
from training.evaluate import Bench, clip_probabilities, make_bench, of_network
from training.tasks import Actions
from training.windows import Windows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FILE = "report.html"
WORST = 8
"""Clips that are drawn."""
POSES = 8
"""Frames of each of them."""
MOST_LABELS = 40
"""A confusion matrix of more labels is a list of what is mistaken most often."""
_COLOURS = {"left_hand_": "tab:red", "right_hand_": "tab:blue", "": "0.35"}


@dataclass(frozen=True, eq=False)
class Said:
    """What a run says of its test samples: clips where the task judges whole clips, else windows.

    probabilities: (N, labels). samples: N, the first window of each. windows: all of them. of_windows: (W, labels).
    """

    probabilities: NDArray[np.float32]
    samples: Windows
    of_windows: NDArray[np.float32]
    windows: Windows

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) is the likeliest label the true one?"""
        return self.probabilities.argmax(axis=1) == self.samples.truth


def write(run: Path) -> Path:
    """The page of a finished run, from its checkpoint, its logs and its data; returns the file.

    Raises what reading these raises.
    """
    saved = checkpoint.load(run)
    bench = make_bench(config.from_dict(saved.recipe))
    path = run / FILE
    path.write_text(page(saved, bench, read_logs(run)), encoding="utf-8")
    return path


def read_logs(run: Path) -> dict[str, list[dict[str, float]]]:
    """Stage -> its rows, one an epoch, from RUN/log-STAGE.csv; what is not a number is left out."""
    stages = {}
    for path in sorted(run.glob("log-*.csv"), key=lambda path: (path.stem != "log-select", path.stem)):
        with path.open(newline="") as file:
            rows = [{name: _number(value) for name, value in row.items()} for row in csv.DictReader(file)]
        stages[path.stem.removeprefix("log-")] = [{n: v for n, v in row.items() if v is not None} for row in rows]
    return stages


def _number(text: Any) -> float | None:
    try:
        return float(text)
    except (TypeError, ValueError):
        return None


def page(saved: Checkpoint, bench: Bench, logs: dict[str, list[dict[str, float]]]) -> str:
    """The page as text: HTML without scripts, links or addresses. Whatever a label says is shown as it is."""
    said = _ask(saved, bench)
    manifest, labels, samples = saved.manifest, bench.task.labels, said.samples
    background = bench.task.background
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(_PAGE).render(
        manifest=manifest,
        parameters=sum(value.numel() for value in saved.network().parameters()),
        what="clips" if isinstance(bench.task, Actions) else "windows",
        figures=manifest.metrics,
        curves={stage: _picture(_curves(rows)) for stage, rows in logs.items() if rows},
        decoding=dataclasses.asdict(manifest.decoding) if background else {},
        threshold=_picture(_threshold(said, labels.index(background), manifest.decoding.start_above))
        if background
        else "",
        labels=labels,
        confusion=_confusion(said, labels) if len(labels) <= MOST_LABELS else [],
        mistakes=_mistakes(said, labels),
        calibration=_picture(_calibration(said)),
        error=metrics.calibration_error(said.probabilities, samples.truth),
        persons=_persons(said),
        worst=[_clip(said, take, labels, saved.layout) for take in _worst(said)],
        recipe=json.dumps(saved.recipe, indent=1, ensure_ascii=False),
        options=json.dumps(saved.options, indent=1, ensure_ascii=False),
    )


def _ask(saved: Checkpoint, bench: Bench) -> Said:
    of_windows = of_network(saved.network())(bench.test.landmarks)
    if not isinstance(bench.task, Actions):
        return Said(of_windows, bench.test, of_windows, bench.test)
    return Said(*clip_probabilities(lambda _: of_windows, bench.test), of_windows, bench.test)


def _confusion(said: Said, labels: Sequence[str]) -> list[dict[str, Any]]:
    """A row a true label: how often each was said, and that as a share of the row."""
    counts = metrics.confusion(said.probabilities.argmax(axis=1), said.samples.truth, len(labels))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return [
        {"label": label, "samples": int(row.sum()), "cells": list(zip(row.tolist(), share.tolist(), strict=True))}
        for label, row, share in zip(labels, counts, shares, strict=True)
    ]


def _mistakes(said: Said, labels: Sequence[str], most: int = 20) -> list[tuple[str, str, int]]:
    """(true, said, how often), most frequent first."""
    wrong = ~said.right
    pairs = np.stack([said.samples.truth, said.probabilities.argmax(axis=1)], axis=1)[wrong]
    if not len(pairs):
        return []
    found, counts = np.unique(pairs, axis=0, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:most]
    return [(labels[int(found[i, 0])], labels[int(found[i, 1])], int(counts[i])) for i in order]


def _persons(said: Said) -> list[dict[str, Any]]:
    """Samples and share right of each person, with its interval over clips; the worst first."""
    rows = []
    for person in np.unique(said.samples.person):
        chosen = said.samples.person == person
        right, takes = said.right[chosen], said.samples.take[chosen]
        low, high = metrics.accuracy_interval(right, takes)
        clips = len(np.unique(takes))
        rows.append({"person": int(person), "samples": len(right), "clips": clips, "low": low, "high": high})
        rows[-1]["right"] = float(right.mean())
    return sorted(rows, key=lambda row: row["right"])


def _worst(said: Said) -> list[str]:
    """Takes whose truth is held least likely, over all their windows; the worst first."""
    true = said.of_windows[np.arange(len(said.windows)), said.windows.truth]
    takes, place = np.unique(said.windows.take, return_inverse=True)
    means = np.bincount(place, true) / np.bincount(place)
    return [str(takes[i]) for i in np.argsort(means, kind="stable")[:WORST]]


def _clip(said: Said, take: str, labels: Sequence[str], layout: Layout) -> dict[str, Any]:
    """Of a take the window whose truth is held least likely."""
    mine = np.flatnonzero(said.windows.take == take)
    true = said.of_windows[mine, said.windows.truth[mine]]
    at = mine[true.argmin()]
    chances = said.of_windows[at]
    return {
        "take": take,
        "person": int(said.windows.person[at]),
        "truth": labels[int(said.windows.truth[at])],
        "true_chance": float(chances[said.windows.truth[at]]),
        "said": labels[int(chances.argmax())],
        "chance": float(chances.max()),
        "windows": len(mine),
        "picture": _picture(strip(said.windows.landmarks[at], layout)),
    }


def strip(window: NDArray[np.float32], layout: Layout, poses: int = POSES) -> Figure:
    """Frames of a window (T, V, 3), evenly from its first to its last that sees anything, side by side.

    Bones of the left hand are red, of the right one blue, the others grey; a bone with an unseen end is left out.
    """
    from matplotlib.collections import LineCollection

    points = window[..., :2]
    seen = np.isfinite(points).all(axis=-1)  # (T, V)
    there = np.flatnonzero(seen.any(axis=1))
    figure, axes = _figure(1.15 * poses, 1.5)
    axes.set_axis_off()
    if not len(there):
        axes.text(0.5, 0.5, "nothing seen", ha="center", va="center", transform=axes.transAxes)
        return figure
    low, high = points[seen].min(axis=0), points[seen].max(axis=0)
    size = max(float((high - low).max()), 1e-6)
    chosen = there[np.linspace(0, len(there) - 1, min(poses, len(there))).round().astype(int)]
    ends = layout.indices(*(joint for bone in layout.bones for joint in bone)).reshape(-1, 2)
    colours = [next(c for side, c in _COLOURS.items() if child.startswith(side)) for child, _ in layout.bones]
    for place, frame in enumerate(chosen):
        pose = (points[frame] - (low + high) / 2) / size + [1.1 * place, 0]
        whole = seen[frame][ends].all(axis=1)  # (bones,)
        lines = [pose[pair] for pair, ok in zip(ends, whole, strict=True) if ok]
        axes.add_collection(
            LineCollection(lines, colors=[c for c, ok in zip(colours, whole, strict=True) if ok], linewidths=1.2)
        )
        lone = seen[frame].copy()
        lone[ends[whole].ravel()] = False
        axes.plot(*pose[lone].T, ".", color="0.35", markersize=2)
    axes.set(xlim=(-0.6, 1.1 * poses - 0.5), ylim=(0.55, -0.55), aspect="equal")
    return figure


def _curves(rows: Sequence[dict[str, float]]) -> Figure:
    names = list(dict.fromkeys(name for row in rows for name in row))
    losses = [name for name in names if name.endswith("loss")]
    shares = [name for name in names if name.removeprefix("validation_") in ("accuracy", "f1_macro", "pr_auc_macro")]
    figure, _ = _figure(9, 3, panels=2)
    for axes, title, chosen in zip(figure.axes, ("loss", "share"), (losses, shares), strict=True):
        for name in chosen:
            epochs = [i for i, row in enumerate(rows, 1) if name in row]
            axes.plot(epochs, [row[name] for row in rows if name in row], marker=".", label=name)
        axes.set(xlabel="epoch", title=title)
        axes.grid(alpha=0.3)
        if chosen:
            axes.legend(fontsize="small", frameon=False)
    return figure


def _calibration(said: Said, bins: int = 15) -> Figure:
    confidence, right, samples = metrics.reliability(said.probabilities, said.samples.truth, bins)
    figure, axes = _figure(4.2, 4.2)
    axes.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    held = samples > 0
    axes.bar((np.arange(bins) + 0.5) / bins, np.nan_to_num(right), 0.9 / bins, color="tab:blue", alpha=0.35)
    axes.plot(confidence[held], right[held], "o-", color="tab:blue", markersize=4)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share right", aspect="equal")
    return figure


def _threshold(said: Said, none: int, start: float) -> Figure:
    loudest = np.delete(said.probabilities, none, axis=1).max(axis=1)
    shown = said.samples.truth != none
    figure, axes = _figure(5, 3)
    limits = np.linspace(0, 1, 101)
    for name, chosen in (("windows with a label", shown), ("windows without", ~shown)):
        if chosen.any():
            axes.plot(limits, [float((loudest[chosen] >= limit).mean()) for limit in limits], label=name)
    axes.axvline(start, color="0.4", linestyle="--", linewidth=1, label=f"start_above {start:g}")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="threshold", ylabel="share that reaches it")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", frameon=False)
    return figure


def _figure(width: float, height: float, panels: int = 1) -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, panels)
    return figure, axes


def _picture(figure: Figure) -> str:
    """An address that holds the picture itself; the same figure gives the same one."""
    from matplotlib import rc_context

    kept = io.BytesIO()
    with rc_context({"svg.hashsalt": "signstream"}):
        figure.savefig(kept, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(kept.getvalue()).decode("ascii")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{{ manifest.name }}: report</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .15rem .6rem; text-align: left; } td.n { text-align: right; }
.scroll { overflow-x: auto; } .confusion td, .confusion th { border: 1px solid #eee; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: 12px; } img { max-width: 100%; }
figure { margin: 1rem 0; } .bar { display: inline-block; height: .7rem; background: #7aa6d6; }
</style>
</head>
<body>
<h1>{{ manifest.name }} {{ manifest.version }}</h1>
<p>{{ manifest.network }}, {{ "{:,}".format(parameters) }} parameters; {{ labels | length }} labels;
{{ manifest.window_frames }} frames of {{ manifest.layout }} at {{ "%g" | format(manifest.fps) }} a second.
Everything below is of the test side, by {{ what }}, but for the curves.</p>

<h2 id="figures">Figures</h2>
<table>
{% for name, value in figures.items() %}
<tr><td>{{ name }}</td><td class="n">{{ "%.4g" | format(value) }}</td></tr>
{% endfor %}
</table>

<h2 id="curves">Curves</h2>
{% for stage, picture in curves.items() %}
<figure><figcaption>{{ stage }}</figcaption><img alt="curves of {{ stage }}" src="{{ picture }}"></figure>
{% else %}
<p>The run's folder holds no log.</p>
{% endfor %}

<h2 id="thresholds">Thresholds</h2>
{% if decoding %}
<table>
{% for name, value in decoding.items() %}
<tr><td>{{ name }}</td><td class="n">{{ "%g" | format(value) if value is number else value or "none" }}</td></tr>
{% endfor %}
</table>
<img alt="share of windows that reach a threshold" src="{{ threshold }}">
{% else %}
<p>None: the labels have no background, so there are no events.</p>
{% endif %}

<h2 id="confusion">Confusion</h2>
{% if confusion %}
<div class="scroll"><table class="confusion">
<tr><th>true \\ said</th>{% for label in labels %}<th>{{ label }}</th>{% endfor %}<th>all</th></tr>
{% for row in confusion %}
<tr><th>{{ row.label }}</th>
{% for count, share in row.cells %}
<td class="n" style="background: rgba(31, 119, 180, {{ '%.2f' | format(0.8 * share) }})">{{ count or "" }}</td>
{% endfor %}
<td class="n">{{ row.samples }}</td></tr>
{% endfor %}
</table></div>
{% endif %}
{% if mistakes %}
<p>Most often mistaken:</p>
<table><tr><th>true</th><th>said</th><th>{{ what }}</th></tr>
{% for actual, told, count in mistakes %}
<tr><td>{{ actual }}</td><td>{{ told }}</td><td class="n">{{ count }}</td></tr>
{% endfor %}
</table>
{% else %}
<p>Nothing is mistaken.</p>
{% endif %}

<h2 id="calibration">Calibration</h2>
<p>Expected calibration error {{ "%.4f" | format(error) }}.</p>
<img alt="share right by confidence" src="{{ calibration }}">

<h2 id="persons">Persons</h2>
<table><tr><th>person</th><th>clips</th><th>{{ what }}</th><th>right</th><th>95% over clips</th><th></th></tr>
{% for row in persons %}
<tr><td>{{ row.person }}</td><td class="n">{{ row.clips }}</td><td class="n">{{ row.samples }}</td>
<td class="n">{{ "%.3f" | format(row.right) }}</td>
<td>{{ "%.3f" | format(row.low) }} to {{ "%.3f" | format(row.high) }}</td>
<td><span class="bar" style="width: {{ '%.1f' | format(12 * row.right) }}rem"></span></td></tr>
{% endfor %}
</table>

<h2 id="worst">Worst clips</h2>
<p>Least likely truth first; of each clip the window that is told worst.</p>
{% for clip in worst %}
<figure><figcaption><b>{{ clip.take }}</b>, person {{ clip.person }}: true is {{ clip.truth }}
({{ "%.2f" | format(clip.true_chance) }}), said is {{ clip.said }} ({{ "%.2f" | format(clip.chance) }}){% if
clip.windows > 1 %}, the worst of {{ clip.windows }} windows{% endif %}</figcaption>
<img alt="frames of {{ clip.take }}" src="{{ clip.picture }}"></figure>
{% endfor %}

<h2 id="recipe">Recipe</h2>
<pre>{{ recipe }}</pre>
<p>The network's options:</p>
<pre>{{ options }}</pre>
</body>
</html>
"""

"""What an export found out, beside its file."""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from export.graph import Graph
from export.parity import Clips

PATIENCE_S = 1.0
TURNS = 30


@dataclass(frozen=True)
class Report:
    """model, version, form, precision: as in the manifest. opset, batch: of the graph; 0 is any batch.

    differences: kind of input -> largest difference of a probability between torch and onnxruntime.
    bytes: of the file. milliseconds: median of a run of the smallest batch, on one thread of this machine's CPU.
    operators: how many nodes of each kind. accuracy: on labelled windows, where given: how many `windows`, the share
    that torch and that the `file` get right.
    """

    model: str
    version: str
    form: str
    precision: str
    opset: int
    batch: int
    differences: dict[str, float]
    bytes: int
    milliseconds: float
    operators: dict[str, int]
    accuracy: dict[str, float]

    @property
    def difference(self) -> float:
        """The largest of all."""
        return max(self.differences.values())

    def to_json(self) -> str:
        """As it stands beside the file."""
        return json.dumps(dataclasses.asdict(self), indent=1) + "\n"


def place(path: Path) -> Path:
    """Where the report of a file stands."""
    return path.with_suffix(".json")


def milliseconds(graph: Graph, clips: Clips) -> float:
    """Median time of a run on the first of clips (B, T, V, 3)."""
    if graph.manifest.form == "window":
        given = {"landmarks": clips[:1]}
    else:
        given = {"frame": clips[:1, 0]} | {f"state_{i}": state for i, state in enumerate(graph.start(1))}
    times, began = [], time.perf_counter()
    graph.run(given)
    while len(times) < TURNS and (not times or time.perf_counter() - began < PATIENCE_S):
        started = time.perf_counter()
        graph.run(given)
        times.append((time.perf_counter() - started) * 1e3)
    return statistics.median(times)

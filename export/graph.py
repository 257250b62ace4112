"""A graph as clips are put to it: in whole windows, or frame by frame with its states carried."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from landmarks import Manifest
from landmarks.manifest import METADATA_KEY

CHUNK = 64
"""Most clips in one run of a graph that takes any number."""
AGES = 3
"""Frames between the beginnings of streams that step together, so that their ages differ."""

Array = NDArray[np.float32]
Given = dict[str, Array]
"""Name of an input -> its values, the batch first."""


class Graph:
    """An exported model in onnxruntime, on the CPU.

    model: serialised. threads: of onnxruntime. watch: is shown all that the graph is given.
    batch: the only one that the graph takes; 0 is any.
    """

    def __init__(self, model: bytes, threads: int = 1, watch: Callable[[Given], None] | None = None) -> None:
        self._watch = watch
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.manifest = Manifest.from_json(self.session.get_modelmeta().custom_metadata_map[METADATA_KEY])
        size = self.session.get_inputs()[0].shape[0]
        self.batch = size if isinstance(size, int) else 0

    def __call__(self, clips: Array) -> Array:
        """(B, T, V, 3) -> probabilities (B, N, labels): N is 1 for windows, T for streams of these frames.

        Streams begin AGES frames apart, so that those of one batch are of different ages.
        """
        if self.manifest.form == "window":
            return self.run({"landmarks": clips})[0][:, None]
        count, frames = clips.shape[:2]
        states, said = self.start(count), np.empty((count, frames, len(self.manifest.labels)), np.float32)
        begins = np.arange(count) * AGES % frames
        for now in range(frames + int(begins.max())):
            live = np.flatnonzero((begins <= now) & (now < begins + frames))
            at = now - begins[live]
            given = {"frame": clips[live, at], **{f"state_{i}": state[live] for i, state in enumerate(states)}}
            said[live, at], *after = self.run(given)
            for state, new in zip(states, after, strict=True):
                state[live] = new
        return said

    def start(self, count: int) -> list[Array]:
        """The states of streams that have seen nothing, each (B, ...)."""
        return [np.zeros((count, *shape), np.float32) for shape in self.manifest.states]

    def run(self, given: Given) -> list[Array]:
        """The graph's outputs for any number of clips or frames, in runs of the size that it takes."""
        size = self.batch or CHUNK
        count = len(next(iter(given.values())))
        parts = [self._run({name: x[i : i + size] for name, x in given.items()}) for i in range(0, count, size)]
        return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _run(self, given: Given) -> list[Array]:
        count = len(next(iter(given.values())))
        if missing := self.batch and self.batch - count:
            given = {name: np.concatenate([x, np.zeros((missing, *x.shape[1:]), x.dtype)]) for name, x in given.items()}
        if self._watch is not None:
            self._watch(given)
        return [np.asarray(output)[:count] for output in self.session.run(None, given)]

"""Windows and steps to probabilities: onnxruntime in production, a script in tests."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, cast

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from landmarks.cutter import cutters
from landmarks.errors import LandmarkError, UnknownJoint
from landmarks.hands import watched
from landmarks.layout import HOLISTIC_75
from landmarks.manifest import METADATA_KEY, Manifest
from service.errors import ModelError
from service.resident import KINDS, Resident
from service.settings import Settings
from service.states import BEGINNING, HostStates, Place, Places

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"


@dataclass(frozen=True)
class Step:
    """Whose step a frame is. fresh: the stream begins with it, at states of 0."""

    place: Place
    fresh: bool


class Engine(Protocol):
    """One model, ready to judge; shared by all streams."""

    @property
    def manifest(self) -> Manifest:
        """What the model says about itself."""
        ...

    @property
    def provider(self) -> str:
        """What it runs on."""
        ...

    @property
    def wanted(self) -> str:
        """What it was to run on."""
        ...

    @property
    def places(self) -> Places | None:
        """Where its streams' states may lie; None for a model of windows."""
        ...

    @property
    def together(self) -> bool:
        """Whether rows of one run cost less than each alone."""
        ...

    def read(self, place: Place) -> list[NDArray[np.generic]]:
        """A stream's states (1, ...), between its steps."""
        ...

    def write(self, place: Place, states: Sequence[NDArray[np.generic]]) -> None:
        """Go on from these states (1, ...) of another stream, of this model anywhere."""
        ...

    def predict(self, inputs: NDArray[np.float32], steps: Sequence[Step] = ()) -> NDArray[np.float32]:
        """Landmarks to probabilities (B, labels): windows (B, T, V, 3), or each a stream's next frame (B, V, 3).

        steps: (B,) whose the frames are, no stream twice; none for windows.
        """
        ...


def batch_sizes(largest: int) -> list[int]:
    """The only batch sizes that a device ever runs, so that all of them can be warmed: 1, 2, 4 ... up to `largest`."""
    sizes = [1]
    while sizes[-1] < largest:
        sizes.append(min(2 * sizes[-1], largest))
    return sizes


@dataclass(frozen=True)
class Runtime:
    """How models are run.

    device: where. threads: of one run on a CPU. batch: most rows in one run on a device. streams: how many may have a
    state, or one a hand. cuda_graphs: replay each batch size as a CUDA graph. tensorrt_cache: folder of built TensorRT
    engines.
    """

    device: Literal["cpu", "cuda", "tensorrt"] = "cpu"
    threads: int = 1
    batch: int = 16
    streams: int = 16
    cuda_graphs: bool = False
    tensorrt_cache: Path | None = None

    def providers(self) -> list[Any]:
        """onnxruntime's providers with their options, the wanted one first."""
        found: list[Any] = [CPU]
        if self.device != "cpu":
            # Few shapes, all of them warmed: the heuristic's choice comes close to the search's, which takes seconds.
            graphs = str(int(self.cuda_graphs and self.device == "cuda"))
            options = {"cudnn_conv_algo_search": "HEURISTIC", "enable_cuda_graph": graphs}
            found.insert(0, (CUDA, options))
        if self.device == "tensorrt":
            cache = {"trt_engine_cache_enable": "1", "trt_engine_cache_path": str(self.tensorrt_cache)}
            found.insert(0, (TENSORRT, cache if self.tensorrt_cache else {}))
        return found


class OnnxEngine:
    """A model file in onnxruntime: one session, never changed.

    On a CPU a stream's answers are its own to the bit, whoever else is served. A row's last digits depend on whether it
    is alone in a run, and, of the networks seen so far, on nothing else about its company. So steps are run together,
    and never alone: that is up to three times as fast; where a model's rows do not agree so (`_agrees`) each is run
    alone. So is every window, as a run of several is no faster for those by more than a tenth.

    Raises ModelError for a file that is no model of ours, or whose graph does not fit its manifest.
    """

    def __init__(self, path: Path, runtime: Runtime = Runtime()) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = runtime.threads
        options.inter_op_num_threads = 1
        # Idle streams must not cost CPU: waiting threads sleep instead of spinning.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = runtime.providers()
        try:
            self._session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=providers)
        except Exception as error:  # onnxruntime raises a different class for every way to fail
            raise ModelError(f"{path.name}: onnxruntime cannot load it: {error}") from error
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise ModelError(f"{path.name}: no {METADATA_KEY} in its metadata; export it with `python -m export`")
        try:
            self.manifest = Manifest.from_json(metadata[METADATA_KEY])
        except LandmarkError as error:
            raise ModelError(f"{path.name}: {error}") from error
        self._check_graph(path)
        self._names = [node.name for node in self._session.get_inputs()]
        self.wanted: str = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}[runtime.device]
        self.provider: str = self._session.get_providers()[0]
        fixed = self._session.get_inputs()[0].shape[0]
        fixed = [fixed] if isinstance(fixed, int) else []
        if self.provider == CPU and fixed not in ([], [1]):
            raise ModelError(f"{path.name}: it takes {fixed[0]} rows at a time; on a CPU each is run alone")
        places = runtime.streams * len(watched(self.manifest.joints, HOLISTIC_75)) if self.manifest.states else 0
        self.places = Places(places) if places else None
        if self.provider == CPU:
            kinds = [KINDS[node.type][0] for node in self._session.get_inputs()[1:]]
            self._states, self._resident = HostStates(self.manifest.states, kinds, places), None
            self.together = places > 0 and not fixed and self._agrees(runtime.batch)
        else:
            self.together = fixed != [1]
            sizes = fixed or batch_sizes(runtime.batch)
            graphs = runtime.cuda_graphs and runtime.device == "cuda"
            # What moves the states is bound to other buffers from run to run, which a CUDA graph cannot be.
            movers = replace(runtime, device="cuda", cuda_graphs=False).providers()
            self._resident = Resident(self._session, "cuda", movers, sizes, places, graphs)

    def _check_graph(self, path: Path) -> None:
        manifest = self.manifest
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        given, said = [manifest.input_shape, *manifest.states], [(len(manifest.labels),), *manifest.states]
        if manifest.form == "window":
            names = True
        else:
            count = range(len(manifest.states))
            names = [node.name for node in (*inputs, *outputs)] == [
                "frame",
                *(f"state_{i}" for i in count),
                "probabilities",
                *(f"next_{i}" for i in count),
            ]
        fits = (
            names
            and [tuple(node.shape[1:]) for node in inputs] == given
            and [tuple(node.shape[1:]) for node in outputs] == said
            and inputs[0].type == outputs[0].type == "tensor(float)"
            and all(node.type in KINDS for node in (*inputs, *outputs))
        )
        if not fits:
            shapes = [f"{node.name} {node.shape}" for node in (*inputs, *outputs)]
            wanted = ", ".join(str(list(shape)) for shape in given)
            raise ModelError(f"{path.name}: its manifest says {wanted} in, its graph {', '.join(shapes)}")

    def predict(self, inputs: NDArray[np.float32], steps: Sequence[Step] = ()) -> NDArray[np.float32]:
        """See Engine. A window's or a step's answer does not depend on what else is asked at the same time."""
        if self._resident is not None:
            rows = [(BEGINNING if step.fresh else step.place.row, step.place.row) for step in steps]
            return self._resident.run(inputs, rows)
        if steps and self.together:
            return self._step(inputs, steps)
        alone = [slice(i, i + 1) for i in range(len(inputs))]
        if steps:
            return np.concatenate([self._step(inputs[row], steps[row]) for row in alone])
        return np.concatenate([self._run(inputs[row])[0] for row in alone])

    def read(self, place: Place) -> list[NDArray[np.generic]]:
        """See Engine."""
        return self._resident.read(place.row) if self._resident is not None else self._states.read([place.row])

    def write(self, place: Place, states: Sequence[NDArray[np.generic]]) -> None:
        """See Engine."""
        if self._resident is not None:
            self._resident.write(place.row, states)
        else:
            self._states.write([place.row], states)

    def _step(self, frames: NDArray[np.float32], steps: Sequence[Step]) -> NDArray[np.float32]:
        """Streams' next frames (B, V, 3) in one run; who is alone there has itself for company."""
        before = [BEGINNING if step.fresh else step.place.row for step in steps]
        count = len(before)
        if count == 1 and self.together:
            frames, before = frames.repeat(2, axis=0), before * 2
        said, *after = self._run(frames, *self._states.read(before))
        self._states.write([step.place.row for step in steps], [state[:count] for state in after])
        return said[:count]

    def _agrees(self, batch: int) -> bool:
        """Whether a row's answer is the same, to the bit, in runs of any number of rows from two on.

        onnxruntime chooses its kernels by the shapes that they are given; and where activations are rounded by the
        greatest of a whole run, one row's answer depends on the others.
        """
        random = np.random.default_rng(0)
        most = max(3, batch)
        rows = [
            random.normal(0, 0.3, (most, *node.shape[1:])).astype(KINDS[node.type][0])
            for node in self._session.get_inputs()
        ]
        rows[0][::3, ::2] = np.nan  # joints that some do not see
        whole = self._run(*rows)
        for size in (2, 3):
            for first in range(0, most - size + 1, size):
                part = self._run(*(one[first : first + size] for one in rows))
                if not all(np.array_equal(a, b[first : first + size], True) for a, b in zip(part, whole, strict=True)):
                    return False
        return True

    def _run(self, *given: NDArray[Any]) -> list[NDArray[Any]]:
        return cast("list[NDArray[Any]]", self._session.run(None, dict(zip(self._names, given, strict=True))))


def load_engines(settings: Settings) -> list[Engine]:
    """Every *.onnx in the models' folder, by name. Raises ModelError where there is none or two share a name.

    Also for a model that asks for joints which no live stream has, and where CUDA is required and there is no device.
    """
    runtime = _runtime(settings)
    if runtime.device != "cpu":
        onnxruntime.preload_dlls()
    engines: dict[str, Engine] = {}
    for path in sorted(settings.models_dir.glob("*.onnx")):
        engine = OnnxEngine(path, runtime)
        name = engine.manifest.name
        try:
            cutters(engine.manifest, HOLISTIC_75)  # the joints that live streams have
        except UnknownJoint as error:
            raise ModelError(f"{path.name}: {error}") from error
        if name in engines:
            raise ModelError(f"{path.name}: another file in {settings.models_dir} is also named {name!r}")
        engines[name] = engine
    if not engines:
        raise ModelError(f"no *.onnx in {settings.models_dir}")
    return list(engines.values())


def _runtime(settings: Settings) -> Runtime:
    """What the settings ask for. CUDA is never asked for without a device."""
    device = settings.device
    if device != "cpu" and cuda_devices() == 0:
        if settings.cuda_asked_by:
            raise ModelError(f"{settings.cuda_asked_by}, but there is no CUDA device here")
        device = "cpu"
    return Runtime(
        "cuda" if device == "auto" else device,
        settings.threads,
        settings.max_batch,
        settings.max_streams * settings.max_people + settings.replays,
        settings.cuda_graphs,
        settings.tensorrt_cache,
    )


def cuda_devices() -> int:
    """How many CUDA devices the driver shows; 0 without a driver. onnxruntime's own lists claim CUDA without one."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value

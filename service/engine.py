"""Windows to probabilities: onnxruntime in production, a script in tests."""

from __future__ import annotations

import ctypes
import logging
import sys
from pathlib import Path
from typing import Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from landmarks.errors import LandmarkError
from landmarks.joint_map import JointMap
from landmarks.layout import HOLISTIC_75
from landmarks.manifest import METADATA_KEY, Manifest
from service.errors import ModelError
from service.settings import Settings

logger = logging.getLogger("signstream")


class Engine(Protocol):
    """One model, ready to judge windows; immutable, shared by all streams."""

    @property
    def manifest(self) -> Manifest:
        """What the model says about itself."""
        ...

    @property
    def provider(self) -> str:
        """What it runs on."""
        ...

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, T, V, 3) landmarks to (B, labels) probabilities."""
        ...


class OnnxEngine:
    """A model file in onnxruntime.

    Raises ModelError for a file that is no model of ours, or whose graph does not fit its manifest.
    """

    def __init__(self, path: Path, *, cuda: bool = False, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Idle streams must not cost CPU: waiting threads sleep instead of spinning.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = ["CUDAExecutionProvider", "CPUExecutionProvider"] if cuda else ["CPUExecutionProvider"]
        try:
            self._session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=providers)
        except Exception as error:  # onnxruntime raises a different class for every way to fail
            raise ModelError(f"{path.name}: onnxruntime cannot load it: {error}") from error
        metadata = self._session.get_modelmeta().custom_metadata_map
        if METADATA_KEY not in metadata:
            raise ModelError(f"{path.name}: no {METADATA_KEY} in its metadata; export it with `python -m export`")
        try:
            self.manifest = Manifest.from_json(metadata[METADATA_KEY])
            JointMap(HOLISTIC_75, self.manifest.joints)
        except LandmarkError as error:
            raise ModelError(f"{path.name}: {error}") from error
        self._input = self._fitting_input(path)
        self.provider: str = self._session.get_providers()[0]

    def _fitting_input(self, path: Path) -> str:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        window = [self.manifest.window_frames, len(self.manifest.joints), 3]
        fits = (
            len(inputs) == len(outputs) == 1
            and inputs[0].shape[1:] == window
            and outputs[0].shape[1:] == [len(self.manifest.labels)]
        )
        if not fits:
            shapes = [f"{node.name} {node.shape}" for node in (*inputs, *outputs)]
            raise ModelError(f"{path.name}: its manifest says {window} in, its graph {', '.join(shapes)}")
        return inputs[0].name

    def predict(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, T, V, 3) landmarks to (B, labels) probabilities."""
        return self._session.run(None, {self._input: windows})[0]  # type: ignore[return-value]


def load_engines(settings: Settings) -> list[Engine]:
    """Every *.onnx in the models' folder, by name. Raises ModelError where there is none or two share a name."""
    cuda = settings.device != "cpu" and cuda_devices() > 0
    if settings.device == "cuda" and not cuda:
        raise ModelError("device is cuda, but there is no CUDA device here")
    if cuda:
        onnxruntime.preload_dlls()
    engines: dict[str, Engine] = {}
    for path in sorted(settings.models_dir.glob("*.onnx")):
        engine = OnnxEngine(path, cuda=cuda, threads=settings.threads)
        name = engine.manifest.name
        if name in engines:
            raise ModelError(f"{path.name}: another file in {settings.models_dir} is also named {name!r}")
        if cuda and engine.provider != "CUDAExecutionProvider":
            if settings.device == "cuda":
                raise ModelError(f"{path.name}: CUDA was asked for, but onnxruntime runs it on {engine.provider}")
            logger.warning("%s runs on %s although a CUDA device is there", name, engine.provider)
        engines[name] = engine
    if not engines:
        raise ModelError(f"no *.onnx in {settings.models_dir}")
    return list(engines.values())


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

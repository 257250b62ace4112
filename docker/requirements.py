"""What the image installs, from pyproject.toml's own pins: `python requirements.py cpu|cuda`.

Writes requirements.txt and, for `pip install --no-deps`, bare.txt. Four things differ from a developer's install:
OpenCV comes without windows (so the image needs no libGL), onnxruntime without CUDA's kernels where there is no
CUDA, mediapipe without what only its other solutions import (jax, scipy, sentencepiece, sounddevice), and pose-format
without what it draws videos with.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

MEDIAPIPE_IMPORTS = ("attrs", "matplotlib")
"""What `mediapipe.python.solutions` imports and the project does not pin; numpy, protobuf and cv2 it does."""


def requirements(project: dict[str, object], runtime: str) -> tuple[list[str], list[str]]:
    """Requirements to install with their dependencies, and those to install bare.

    project: the [project] table. runtime: `cpu` or `cuda`.
    Raises ValueError for another runtime, KeyError where a package is not pinned any more.
    """
    if runtime not in ("cpu", "cuda"):
        raise ValueError(f"no runtime {runtime!r}; choose from cpu, cuda")
    pins = {}
    for requirement in project["dependencies"]:  # type: ignore[attr-defined]
        name, version = re.fullmatch(r"([\w-]+)==([\w.]+)(?:;.*)?", requirement).groups()  # type: ignore[union-attr]
        pins[name] = version
    opencv, onnxruntime = (pins.pop(name) for name in ("opencv-contrib-python", "onnxruntime"))
    bare = [f"{name}=={pins.pop(name)}" for name in ("mediapipe", "pose-format")]
    del pins["opencv-python"], pins["onnxruntime-gpu"]
    network = f"onnxruntime=={onnxruntime}" if runtime == "cpu" else f"onnxruntime-gpu[cuda,cudnn]=={onnxruntime}"
    whole = [f"{name}=={version}" for name, version in pins.items()]
    whole += [f"opencv-contrib-python-headless=={opencv}", network, *MEDIAPIPE_IMPORTS]
    return whole, bare


if __name__ == "__main__":
    files = requirements(tomllib.loads(Path("pyproject.toml").read_text())["project"], sys.argv[1])
    for name, lines in zip(("requirements.txt", "bare.txt"), files, strict=True):
        Path(name).write_text("\n".join(lines) + "\n")

"""The image installs the project's own pins, and neither torch nor a second onnxruntime or OpenCV."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def written(tmp_path: Path, runtime: str) -> tuple[list[str], list[str]]:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [sys.executable, ROOT / "docker" / "requirements.py", runtime]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    whole, bare = ((tmp_path / name).read_text().splitlines() for name in ("requirements.txt", "bare.txt"))
    return whole, bare


@pytest.mark.parametrize(("runtime", "expected"), [("cpu", "onnxruntime"), ("cuda", "onnxruntime-gpu[cuda,cudnn]")])
def test_one_onnxruntime_and_one_opencv_without_windows(tmp_path: Path, runtime: str, expected: str):
    whole, bare = written(tmp_path, runtime)
    names = [line.split("==")[0] for line in (*whole, *bare)]
    assert [name for name in names if "onnxruntime" in name] == [expected]
    assert [name for name in names if "opencv" in name] == ["opencv-contrib-python-headless"]
    assert not {"torch", "jax", "scipy"} & set(names)


def test_every_pin_is_the_projects(tmp_path: Path):
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    versions = dict(re.match(r"([\w-]+)==([\w.]+)", line).groups() for line in dependencies)
    whole, bare = written(tmp_path, "cpu")
    pinned = dict(line.replace("-headless", "").split("==") for line in (*whole, *bare) if "==" in line)
    # Of the two packages of OpenCV and of onnxruntime the image takes one.
    assert pinned == {name: versions[name] for name in versions if name not in ("opencv-python", "onnxruntime-gpu")}


def test_an_unknown_runtime_is_refused(tmp_path: Path):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        written(tmp_path, "rocm")
    assert "choose from cpu, cuda" in refused.value.stderr

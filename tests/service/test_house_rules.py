import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

IMPORT_WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
sys.modules["onnx"] = None
import service.app, service.__main__
ours = {name.split(".")[0] for name in sys.modules}
assert not ours & {"models", "training", "export", "signstream_client"}, ours
assert "mediapipe" not in ours, "mediapipe is loaded at import"
"""


def python(*arguments, **kwargs):
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, **kwargs
    )


def test_the_service_imports_without_torch_and_does_nothing_heavy_at_import():
    done = python("-c", IMPORT_WITHOUT_TORCH)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_taken_port_is_told_in_one_line():
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = python("-m", "service", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert done.stderr.startswith("cannot listen on 127.0.0.1:")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_an_impossible_setting_is_refused_in_words():
    done = python("-m", "service", "--port", "99999")
    assert done.returncode == 2
    assert "port" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_service_without_models_and_a_misspelt_setting_are_told(tmp_path):
    done = python(
        "-m",
        "service",
        "--port",
        "0",
        env=os.environ | {"SIGNSTREAM_MODELS_DIR": str(tmp_path), "SIGNSTREAM_MAX_STREAM": "3"},
    )
    assert done.returncode == 1
    assert "SIGNSTREAM_MAX_STREAM is set, but there is no such setting" in done.stderr
    assert f"signstream cannot start: no *.onnx in {tmp_path}" in done.stderr
    assert "Traceback" not in done.stderr

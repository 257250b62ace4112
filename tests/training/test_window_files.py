import numpy as np
import pytest

from landmarks import SIGN_27, Manifest
from models import Checkpoint, build
from training import config
from training.__main__ import main
from training.evaluate import make_bench


@pytest.fixture(scope="module")
def run(recipe_file, tmp_path_factory):
    """An unfitted run of the tiny recipe."""
    recipe = config.load(recipe_file)
    options = {"labels": 2, "fps": recipe.window.fps, "widths": (8,), "strides": (1,)}
    network = build("stgcn", SIGN_27, **options)
    manifest = Manifest(
        name="tiny",
        version="1",
        task="signing",
        network="stgcn",
        layout="sign_27",
        joints=SIGN_27.joints,
        window_frames=8,
        stride_frames=4,
        fps=recipe.window.fps,
        labels=("none", "signing"),
        background="none",
    )
    folder = tmp_path_factory.mktemp("run")
    plain = recipe.to_dict()
    Checkpoint(manifest, SIGN_27, options, network.state_dict(), plain).save(folder)
    return folder


def test_a_runs_test_windows_are_those_it_is_measured_on(run, recipe_file, tmp_path, capsys):
    out = tmp_path / "deep" / "test.npz"
    assert main(["windows", str(run), str(out), "--side", "test"]) == 0
    measured = make_bench(config.load(recipe_file)).test
    assert f"{len(measured)} windows of the test persons" in capsys.readouterr().out
    with np.load(out, allow_pickle=False) as saved:
        np.testing.assert_array_equal(saved["landmarks"], measured.landmarks)
        np.testing.assert_array_equal(saved["truth"], measured.truth)
        assert saved["labels"].tolist() == ["none", "signing"]
    assert [path.name for path in out.parent.iterdir()] == ["test.npz"]


def test_so_many_are_drawn_and_always_the_same(run, tmp_path):
    for name in ("one.npz", "other.npz"):
        assert main(["windows", str(run), str(tmp_path / name), "--side", "train", "--count", "5"]) == 0
    with np.load(tmp_path / "one.npz") as one, np.load(tmp_path / "other.npz") as other:
        assert one["landmarks"].shape[:2] == (5, 8)
        np.testing.assert_array_equal(one["landmarks"], other["landmarks"])


def test_no_run_is_no_windows(tmp_path, capsys):
    assert main(["windows", str(tmp_path), str(tmp_path / "x.npz"), "--side", "test"]) == 2
    assert "no checkpoint" in capsys.readouterr().err

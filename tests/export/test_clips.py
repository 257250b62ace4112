import numpy as np
import pytest

from export import clips
from export.clips import NotLabelled
from landmarks import HAND_21, HOLISTIC_75, LandmarkSequence, Manifest, holistic
from landmarks.formats import npz


def manifest(**fields):
    return Manifest(
        **{
            "name": "made",
            "version": "1",
            "task": "gesture",
            "network": "stgcn",
            "layout": "holistic_75",
            "joints": HOLISTIC_75.joints,
            "window_frames": 5,
            "stride_frames": 2,
            "fps": 10.0,
            "labels": ("x", "y"),
            "background": "",
            **fields,
        }
    )


@pytest.fixture
def recorded(tmp_path):
    """A landmark file of 20 frames, and its frames as a network takes them."""
    xyz = np.random.default_rng(0).random((20, 75, 3), dtype=np.float32)
    sequence = LandmarkSequence.of(HOLISTIC_75, xyz, fps=10.0)
    path = tmp_path / "clip.npz"
    path.write_bytes(npz.write(sequence))
    return path, sequence.square().xyz


def test_windows_of_a_file_are_those_a_service_cuts(recorded):
    path, frames = recorded
    ((name, windows),) = clips.real([path], manifest())
    assert (name, windows.shape) == ("clip.npz", (10, 5, 75, 3))
    # The third window speaks of frame 4, in its middle.
    np.testing.assert_allclose(windows[2], frames[2:7], atol=1e-5)


def test_a_stream_of_a_file_is_all_of_its_frames_and_what_is_waited_for(recorded):
    path, frames = recorded
    streaming = manifest(form="stream", states=((1,),), window_frames=3, stride_frames=1, centre=0.0)
    ((_, stream),) = clips.real([path], streaming)
    assert stream.shape == (1, 22, 75, 3)
    np.testing.assert_allclose(stream[0, :20], frames, atol=1e-5)
    assert np.isnan(stream[0, 20:]).all()


def test_a_model_of_one_hand_is_given_both_hands_of_a_file(recorded):
    path, frames = recorded
    model = manifest(layout="hand_21", joints=HAND_21.joints, window_frames=1, stride_frames=1)
    ((_, windows),) = clips.real([path], model)
    both = np.concatenate([frames[:, holistic.PARTS[part]] for part in ("left_hand", "right_hand")])
    np.testing.assert_allclose(windows[:, 0], both, atol=1e-5)


@pytest.mark.parametrize("form", ["window", "stream"])
def test_a_model_is_not_compared_where_it_would_rest(form, tmp_path):
    xyz = np.full((20, 75, 3), 0.5, np.float32)
    xyz[10:, 33:] = np.nan
    path = tmp_path / "clip.npz"
    path.write_bytes(npz.write(LandmarkSequence.of(HOLISTIC_75, xyz, fps=10.0)))
    stream = {"form": "stream", "states": ((1,),), "centre": 0.0}
    resting = {"background": "y", "rest_after_s": 0.2, "window_frames": 3, "stride_frames": 1, "centre": 1.0}
    model = manifest(**resting | (stream if form == "stream" else {}))
    ((_, given),) = clips.real([path], model)
    # Its last frame with hands is the tenth, and it rests two frames later.
    assert given.shape[:2] == ((11, 3) if form == "window" else (1, 11))
    nobody = tmp_path / "nobody.npz"
    nobody.write_bytes(npz.write(LandmarkSequence.of(HOLISTIC_75, xyz[12:], fps=10.0)))
    assert list(clips.real([nobody], model)) == []


def test_labelled_windows_come_back(tmp_path):
    windows, truth = np.zeros((3, 5, 27, 3), np.float64), np.array([0, 1, 1])
    np.savez(tmp_path / "test.npz", landmarks=windows, truth=truth)
    found = clips.labelled(tmp_path / "test.npz")
    assert found.landmarks.dtype == np.float32
    np.testing.assert_array_equal(found.truth, truth)


@pytest.mark.parametrize(
    "arrays",
    [
        {"landmarks": np.zeros((3, 5, 27, 3))},
        {"landmarks": np.zeros((3, 5, 27, 3)), "truth": np.zeros(2, int)},
        {"landmarks": np.zeros((3, 5, 27)), "truth": np.zeros(3, int)},
        {"landmarks": np.zeros((0, 5, 27, 3)), "truth": np.zeros(0, int)},
        {"landmarks": np.array([{}], dtype=object), "truth": np.zeros(1, int)},
    ],
    ids=["no truth", "other truth", "no joints", "none", "a pickle"],
)
def test_other_files_are_no_labelled_windows(arrays, tmp_path):
    np.savez(tmp_path / "test.npz", **arrays)
    with pytest.raises(NotLabelled, match=r"test\.npz"):
        clips.labelled(tmp_path / "test.npz")
    (tmp_path / "text.npz").write_text("not at all")
    with pytest.raises(NotLabelled):
        clips.labelled(tmp_path / "text.npz")

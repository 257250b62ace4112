import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from landmarks import HOLISTIC_75, formats, holistic
from landmarks.__main__ import main
from landmarks.extract import BACKENDS, Extractor, chosen, open_extractors, read_video
from landmarks.onnx_tracker import Networks, OnnxTracker
from landmarks.together import Together


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def networks(cache):
    return Networks()


def pictures(path, start, count):
    return [picture for _, picture in itertools.islice(read_video(path), start, start + count)]


def frames(tracker, shown):
    xyz, confidence = zip(*(tracker.frame(picture) for picture in shown), strict=True)
    return np.stack(xyz), np.stack(confidence)


def test_noise_shows_nobody(networks):
    noise = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    xyz, confidence = OnnxTracker(networks).frame(noise)
    assert xyz.shape == (75, 3)
    assert np.isnan(xyz).all()
    assert not confidence.any()


def test_networks_run_even_where_the_cache_cannot_be_written_to(tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "file"
    blocked.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    assert Networks().provider == "CPUExecutionProvider"
    assert "not kept" in caplog.text


def test_auto_is_onnxruntime_and_the_others_are_themselves():
    assert [chosen(backend) for backend in BACKENDS] == ["onnx", "mediapipe", "onnx"]


@pytest.mark.slow
@pytest.mark.parametrize("clip", ["asl_want.mkv", "asl_thanks.mkv"])
def test_landmarks_are_mediapipes_to_a_fiftieth_of_hand_and_body(clip, clips, networks):
    shown = pictures(clips / clip, 8, 24)
    height, width = shown[0].shape[:2]
    with Extractor("mediapipe") as mediapipe:
        theirs, their_confidence = frames(mediapipe, shown)
    ours, our_confidence = frames(OnnxTracker(networks), shown)
    assert np.abs(our_confidence - their_confidence)[:, holistic.PARTS["pose"]].max() < 0.02
    for where in holistic.PARTS.values():
        seen = ~np.isnan(theirs[:, where.start, 0])
        assert np.mean(~np.isnan(ours[:, where.start, 0])) >= np.mean(seen) - 0.05
        both = seen & ~np.isnan(ours[:, where.start, 0])
        assert both.mean() > 0.5
        a, b = (xyz[both][:, where] * (width, height, width) for xyz in (ours, theirs))
        size = np.ptp(b[..., :2], axis=1).max(axis=1)[:, None]
        assert np.median(np.linalg.norm((a - b)[..., :2], axis=2) / size) < 0.02
        assert np.median(np.abs((a - b)[..., 2]) / size) < 0.02


@pytest.mark.slow
def test_streams_that_share_networks_and_runs_do_not_see_each_other(clips, networks, monkeypatch):
    shown = [
        pictures(clips / clip, start, 6)
        for clip, start in (
            ("asl_want.mkv", 8),
            ("asl_thanks.mkv", 12),
            ("nosign_head-pose-face-detection-female.mp4", 0),
        )
    ]
    alone = [frames(OnnxTracker(networks), pictures) for pictures in shown]
    together = Networks()
    monkeypatch.setattr(together, "_runs", {name: Together(run) for name, run in together._runs.items()})
    with ThreadPoolExecutor(len(shown)) as pool:
        at_once = list(pool.map(frames, [OnnxTracker(together) for _ in shown], shown))
    for (xyz, confidence), (expected_xyz, expected_confidence) in zip(at_once, alone, strict=True):
        np.testing.assert_allclose(xyz, expected_xyz, atol=1e-4)
        np.testing.assert_allclose(confidence, expected_confidence, atol=1e-4)


@pytest.mark.slow
def test_a_stream_that_is_reset_and_one_whose_picture_changes_size_start_afresh(clips, networks):
    first, second = pictures(clips / "asl_want.mkv", 8, 4), pictures(clips / "asl_thanks.mkv", 12, 3)
    tracker = OnnxTracker(networks)
    expected = frames(tracker, second)
    frames(tracker, first)
    tracker.reset()
    np.testing.assert_array_equal(frames(tracker, second)[0], expected[0])
    cut = [picture[:, 40:600] for picture in first]
    frames(tracker, cut)
    np.testing.assert_array_equal(frames(tracker, second)[0], expected[0])


@pytest.mark.slow
def test_who_left_is_looked_for_again(clips, networks):
    shown = pictures(clips / "asl_want.mkv", 8, 3)
    tracker = OnnxTracker(networks)
    black = np.zeros_like(shown[0])
    xyz, confidence = frames(tracker, [*shown, black, black, *shown])
    seen = ~np.isnan(xyz[:, HOLISTIC_75.indices("nose")[0], 0])
    assert seen.tolist() == [True] * 3 + [False] * 2 + [True] * 3
    assert not confidence[3:5].any()


@pytest.mark.slow
def test_extractors_share_networks_and_the_command_takes_a_backend(clips, tmp_path):
    extractors = open_extractors(2, "onnx")
    picture = pictures(clips / "asl_want.mkv", 20, 1)[0]
    (a, _), (b, _) = (extractor.frame(picture) for extractor in extractors)
    np.testing.assert_array_equal(a, b)
    assert main(["extract", str(clips / "asl_eat.mkv"), "--out", str(tmp_path), "--backend", "onnx"]) == 0
    clip = formats.read((tmp_path / "asl_eat.mkv.npz").read_bytes())
    assert clip.seen[:, HOLISTIC_75.indices("nose")].all()


class Blinks:
    """Networks of which the one for hands sees none in its next answer, once told so."""

    def __init__(self, networks):
        self.networks, self.blind, self.looks = networks, False, 0

    def run(self, name, pictures):
        answers = self.networks.run(name, pictures)
        if name == "hand_landmarks":
            self.looks += 1
            if self.blind:
                self.blind = False
                return [answers[0], np.zeros_like(answers[1])]
        return answers


@pytest.mark.slow
def test_a_hand_not_seen_where_it_was_is_looked_for_where_the_pose_tells(clips, networks):
    shown = pictures(clips / "asl_please.mkv", 30, 3)
    eye = Blinks(networks)
    tracker = OnnxTracker(eye)
    hands = [HOLISTIC_75.indices(f"{side}_hand_wrist")[0] for side in ("left", "right")]
    steady = frames(tracker, shown[:2])[0]
    assert not np.isnan(steady[:, hands]).any(), "both hands are followed"
    assert eye.looks == 2, "one look a frame, for both"
    eye.blind = True
    (blinked,) = frames(tracker, shown[2:])[0]
    assert eye.looks == 4
    tracker.reset()
    undisturbed = frames(tracker, shown)[0][2]
    np.testing.assert_allclose(blinked[hands], undisturbed[hands], atol=0.02)

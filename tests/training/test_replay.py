from dataclasses import replace

import numpy as np
import pytest

from landmarks import HOLISTIC_75, INDEX_TIP, SIGN_27, LandmarkSequence, Manifest
from landmarks.formats import npz
from service.session import Session
from service.session import replay as serve
from training.__main__ import main
from training.replay import replay


class Echo:
    """Says how much of its window it saw, so that a wrong window shows."""

    provider = "script"
    manifest = Manifest(
        "echo", "1", "signing", "none", "sign_27", SIGN_27.joints, 8, 3, 15.0, ("no", "yes"), "no", centre=0.7
    )

    def predict(self, windows):
        seen = np.isfinite(windows[..., 0]).mean(axis=(1, 2))
        return np.stack([1 - seen, np.nanmean(np.abs(windows[..., 0]), axis=(1, 2)) / 10], axis=1)


@pytest.mark.parametrize("fps", [12.0, 30.0])
def test_a_replay_judges_the_windows_that_the_service_judges(fps):
    random = np.random.default_rng(0)
    xyz = random.uniform(0, 1, (40, 75, 3)).astype(np.float32)
    xyz[10:20, 33:] = np.nan
    at_s = np.arange(40) / fps
    at_s[25:] += 2  # a gap: the stream starts again
    sequence = LandmarkSequence.of(HOLISTIC_75, xyz, at_s=at_s, aspect=1.5)
    engine = Echo()
    scored, _ = serve(Session([engine], aspect=1.5), sequence)
    said = replay(sequence, engine.predict, engine.manifest)
    np.testing.assert_allclose(said.at_s, [one.window.at_s for one in scored], atol=1e-6)
    np.testing.assert_allclose(said.probabilities, [one.probabilities for one in scored], atol=1e-6)


def test_a_model_of_one_hand_is_replayed_on_each():
    xyz = np.random.default_rng(0).uniform(0, 1, (6, 75, 3)).astype(np.float32)
    manifest = replace(Echo.manifest, joints=INDEX_TIP.joints, window_frames=1, stride_frames=1)
    said = replay(LandmarkSequence.of(HOLISTIC_75, xyz, fps=15.0), Echo().predict, manifest)
    assert said.hands == ("left", "right") * 6
    tips = xyz[:, HOLISTIC_75.indices("left_hand_index_tip", "right_hand_index_tip"), 0]
    np.testing.assert_allclose(said.probabilities[:, 1] * 10, tips.ravel(), atol=1e-5)


def test_the_command_takes_a_shipped_model_and_a_landmark_file(tmp_path, capsys):
    nobody = LandmarkSequence.of(HOLISTIC_75, np.full((30, 75, 3), np.nan), fps=30)
    (tmp_path / "nobody.npz").write_bytes(npz.write(nobody))
    assert main(["replay", "models/pretrained/signs.onnx", str(tmp_path / "nobody.npz")]) == 0
    assert "nobody.npz: 0 of" in capsys.readouterr().out

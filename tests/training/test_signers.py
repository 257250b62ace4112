import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import HOLISTIC_75, SIGN_27
from training.signers import FRAMING, STATISTICS, PseudoSigners, cluster, framing, report, statistics


def person(arm=0.9, palm=0.3, pace=1.0, frames=24, seed=0, layout=SIGN_27):
    """(T, V, 3) shoulders 0.3 wide, hands that swing; `arm` and `palm` in shoulder widths."""
    random = np.random.default_rng(seed)
    xyz = 0.5 + 0.01 * random.standard_normal((1, len(layout), 3)).repeat(frames, axis=0)

    def put(joint, x, y):
        if joint in layout:
            xyz[:, layout.indices(joint)[0], 0], xyz[:, layout.indices(joint)[0], 1] = x, y

    swing = 0.1 * np.sin(pace * np.arange(frames) * 0.5)
    put("nose", 0.5, 0.3)
    for side, sign in (("left", 1), ("right", -1)):
        x = 0.5 + 0.15 * sign
        put(f"{side}_shoulder", x, 0.5)
        put(f"{side}_elbow", x, 0.5 + 0.3 * arm)
        put(f"{side}_wrist", x, 0.9 + swing)
        put(f"{side}_hand_wrist", x, 0.9 + swing)
        put(f"{side}_hand_middle_mcp", x, 0.9 + swing + 0.3 * palm)
        put(f"{side}_hand_middle_tip", x, 0.9 + swing + 0.6 * palm)
        put(f"{side}_hand_thumb_tip", x + 0.3 * palm, 0.9 + swing)
        put(f"{side}_hand_index_mcp", x - 0.1 * palm, 0.95 + swing)
        put(f"{side}_hand_pinky_mcp", x + 0.2 * palm, 0.95 + swing)
    return xyz.astype(np.float32)


def of(xyz, layout=SIGN_27):
    return dict(zip(STATISTICS, statistics(xyz, layout, fps=15), strict=True))


def test_proportions_are_in_shoulder_widths():
    found = of(person(arm=0.9, palm=0.4))
    assert found["upper_arm"] == pytest.approx(0.9, abs=0.01)
    assert found["palm"] == pytest.approx(0.4, abs=0.01)
    assert found["middle_finger"] == pytest.approx(0.4, abs=0.01)
    assert found["palm_breadth"] == pytest.approx(0.4, abs=0.01)
    assert found["head_height"] == pytest.approx(0.2 / 0.3, abs=0.01)
    assert found["right_share"] == pytest.approx(0.5, abs=0.01)
    assert np.isnan(found["torso"])  # sign_27 has no hips
    assert np.isfinite(of(person(layout=HOLISTIC_75), HOLISTIC_75)["torso"])


def test_who_moves_faster_has_more_pace():
    slow, fast = of(person(pace=0.5)), of(person(pace=1.5))
    assert fast["pace"] > 1.5 * slow["pace"]
    assert fast["upper_arm"] == pytest.approx(slow["upper_arm"])


@settings(deadline=None)
@given(
    scale=st.floats(0.3, 3), x=st.floats(-2, 2), y=st.floats(-2, 2), missing=st.floats(0, 0.7), seed=st.integers(0, 99)
)
def test_the_camera_changes_no_statistic(scale, x, y, missing, seed):
    xyz = person(seed=seed)
    xyz[np.random.default_rng(seed).random(xyz.shape[:2]) < missing] = np.nan
    seen = xyz * np.float32(scale) + np.array([x, y, 0], np.float32)
    np.testing.assert_allclose(statistics(seen, SIGN_27, 15), statistics(xyz, SIGN_27, 15), atol=2e-3)


def test_without_shoulders_there_is_no_unit_and_so_no_statistic():
    xyz = person()
    xyz[:, SIGN_27.indices("left_shoulder")[0]] = np.nan
    assert np.isnan(statistics(xyz, SIGN_27, 15)).all()


def test_the_framing_is_the_cameras():
    xyz = person()
    moved = xyz + np.array([0.2, -0.1, 0], np.float32)
    near, far = (dict(zip(FRAMING, framing(points, SIGN_27), strict=True)) for points in (xyz, moved))
    assert far["centre_x"] - near["centre_x"] == pytest.approx(0.2, abs=1e-3)
    assert far["centre_y"] - near["centre_y"] == pytest.approx(-0.1, abs=1e-3)
    assert near["shoulder_width"] == pytest.approx(0.3, abs=1e-3)
    xyz[6:, SIGN_27.indices("nose")[0] + 7 :] = np.nan
    assert framing(xyz, SIGN_27)[FRAMING.index("hand_share")] == pytest.approx(0.25)


def test_nobody_has_no_statistics_and_does_no_harm():
    nobody = np.full((10, 27, 3), np.nan, np.float32)
    assert np.isnan(statistics(nobody, SIGN_27, 15)).all()
    assert framing(nobody, SIGN_27)[FRAMING.index("hand_share")] == 0


def crowd():
    """(N, F) statistics of three people, seen by cameras that have nothing to do with who is seen."""
    random = np.random.default_rng(0)
    values, persons, cameras = [], [], []
    for clip in range(60):
        who, camera = clip % 3, random.integers(2)
        arm, palm = ((0.7, 0.25), (0.9, 0.3), (1.1, 0.4))[who] * random.normal(1, 0.02, 2)
        xyz = person(arm, palm, seed=clip) * (1 + camera) + np.float32(0.3 * camera)
        values.append(np.concatenate([statistics(xyz, SIGN_27, 15), framing(xyz, SIGN_27)]))
        persons.append(who)
        cameras.append(camera)
    table = np.array(values)
    return table[:, : len(STATISTICS)], table[:, len(STATISTICS) :], np.array(persons), np.array(cameras)


def test_clusters_follow_persons_and_not_cameras():
    values, frames, persons, cameras = crowd()
    signers = cluster(values, 3)
    told = report(
        signers.assign(values),
        {"person": persons, "camera": cameras, "width": frames[:, FRAMING.index("shoulder_width")]},
    )
    assert told["person"]["mutual_information"] > 0.95
    assert told["person"]["purity"] > 0.95
    assert told["camera"]["mutual_information"] < 0.1
    assert told["width"]["mutual_information"] < 0.1
    assert told["camera"]["purity"] < told["camera"]["baseline"] + 0.15


def test_raw_framing_follows_cameras():
    _, frames, persons, cameras = crowd()
    found = cluster(frames, 2, names=FRAMING)
    told = report(found.assign(frames), {"person": persons, "camera": cameras})
    assert told["camera"]["mutual_information"] > 0.95
    assert told["person"]["mutual_information"] < 0.1


def test_new_clips_go_where_their_like_are_after_a_round_trip_through_json():
    values, _, persons, _ = crowd()
    signers = cluster(values[:30], 3)
    again = PseudoSigners.from_dict(json.loads(json.dumps(signers.to_dict())))
    assert again == signers
    assigned = again.assign(values)
    for who in range(3):
        assert len(set(assigned[persons == who])) == 1


def test_clusters_are_the_same_twice_and_numbered_by_size():
    values, _, _, _ = crowd()
    assert cluster(values, 4, seed=3) == cluster(values, 4, seed=3)
    sizes = np.bincount(cluster(values, 4).assign(values))
    assert (np.diff(sizes) <= 0).all()


def test_what_was_not_seen_makes_no_cluster():
    values, _, persons, _ = crowd()
    holes = values.copy()
    blind = np.random.default_rng(0).random(len(values)) < 0.4
    holes[blind, STATISTICS.index("palm") : STATISTICS.index("pace")] = np.nan
    told = report(cluster(holes, 3).assign(holes), {"person": persons, "blind": blind})
    assert told["person"]["mutual_information"] > 0.6
    assert told["blind"]["mutual_information"] < 0.1


def test_report_of_numbers_that_are_missing_or_all_the_same():
    assigned = np.array([0, 0, 1, 1])
    told = report(
        assigned, {"there": np.array([1.0, 1.0, np.nan, np.nan]), "same": np.ones(4), "never": np.full(4, np.nan)}
    )
    assert told["there"]["mutual_information"] == pytest.approx(1)
    assert told["same"]["mutual_information"] == 0
    assert told["never"]["purity"] == 1


def test_too_many_clusters_and_wrong_shapes_are_refused():
    values, frames, _, _ = crowd()
    with pytest.raises(ValueError, match="differ"):
        cluster(np.repeat(values[:2], 5, axis=0), 3)
    with pytest.raises(ValueError, match="statistics"):
        cluster(frames, 2)

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import BODY_25, COCO_17, HAND_21, HOLISTIC_75, POSE_33, SIGN_27
from models import build

FPS = 10.0


def made(layout=SIGN_27, **options):
    torch.manual_seed(0)
    network = build("signing-lstm", layout, **{"labels": 2, "fps": FPS, "hidden": 8, **options})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return network.eval()


def flow(layout=SIGN_27, **options):
    return made(layout, **options).features


def still(layout=SIGN_27, frames=6):
    """(1, T, V, 3) a body that does not move, its shoulders 0.2 apart."""
    xyz = np.random.default_rng(0).uniform(0.3, 0.7, (1, 1, len(layout), 3)).repeat(frames, axis=1)
    for side, x in (("left", 0.6), ("right", 0.4)):
        if f"{side}_shoulder" in layout:
            xyz[:, :, layout.indices(f"{side}_shoulder")[0]] = x, 0.4, 0.0
    return torch.from_numpy(xyz.astype(np.float32))


def moving(layout=SIGN_27, frames=9, batch=2, seed=0, missing=0.0):
    random = np.random.default_rng(seed)
    xyz = still(layout, frames).numpy().repeat(batch, axis=0)
    xyz = xyz + random.normal(0, 0.03, xyz.shape)
    xyz[random.random(xyz.shape[:3]) < missing] = np.nan
    return torch.from_numpy(xyz.astype(np.float32))


def test_flow_is_in_shoulder_widths_a_second():
    xyz = still()
    wrist = SIGN_27.indices("left_wrist")[0]
    xyz[0, :, wrist, 0] = torch.tensor([0.1, 0.1, 0.2, 0.2, 0.2, 0.2])
    xyz[0, :, wrist, 1] = torch.tensor([0.1, 0.1, 0.1, 0.1, 0.4, 0.4])
    flows = flow()(xyz)
    assert flows.shape == (1, 1, 6, 27)
    torch.testing.assert_close(flows[0, 0, :, wrist], torch.tensor([0.0, 0.0, 5.0, 0.0, 15.0, 0.0]), atol=1e-4, rtol=0)
    flows[..., wrist] = 0
    assert flows.abs().max() == 0


def test_what_is_lost_and_found_again_has_not_moved():
    xyz = moving(frames=6, batch=1)
    xyz[0, 3, 5] = float("nan")
    flows = flow()(xyz)[0, 0]
    assert (flows[:, 5] > 0).tolist() == [False, True, True, False, False, True]
    assert (flows[:, 6] > 0).tolist() == [False, True, True, True, True, True]


def test_depth_counts_only_where_asked():
    xyz = still()
    xyz[0, 1, 5, 2] += 0.1
    assert flow()(xyz).abs().max() == 0
    assert flow(axes=3)(xyz).abs().max() == pytest.approx(5.0, abs=1e-4)


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        (SIGN_27, {}),
        (SIGN_27, {"layers": 2, "wrist_flow": True, "axes": 3, "memory_s": 0.3}),
        (HAND_21, {}),
        (HOLISTIC_75, {"points": "body_25"}),
        (POSE_33, {"points": "body_25", "hands": False}),
    ],
    ids=["default", "all", "hand", "both hands", "body"],
)
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 99), missing=st.sampled_from([0.0, 0.3, 1.0]))
def test_a_stream_is_answered_like_the_clip_up_to_its_frame(layout, options, seed, missing):
    network, xyz = made(layout, **options), moving(layout, seed=seed, missing=missing)
    with torch.inference_mode():
        every = network.predictions(xyz)  # (B, T, labels)
        assert list(network.told_at(xyz.shape[1])) == list(range(xyz.shape[1]))
        state = network.start(len(xyz))
        for t in range(xyz.shape[1]):
            said, state = network.step(xyz[:, t], state)
            assert network.exact(state)
            assert state.frames == t + 1
            torch.testing.assert_close(said, every[:, t], atol=1e-6, rtol=1e-6)
        torch.testing.assert_close(said, network.logits(xyz), atol=1e-6, rtol=1e-6)


def test_a_step_leaves_the_state_before_as_it_was():
    network, xyz = made(), moving()
    _, before = network.step(xyz[:, 0], network.start(2))
    kept = [tensor.clone() for tensor in before.tensors]
    one, _ = network.step(xyz[:, 1], before)
    other, _ = network.step(xyz[:, 1], before)
    assert torch.equal(one, other)
    assert all(torch.equal(a, b) for a, b in zip(kept, before.tensors, strict=True))
    assert all(tensor.shape[0] == 2 for tensor in before.tensors)


@pytest.mark.parametrize(
    ("options", "looks_ahead"), [({}, False), ({"width": "clip"}, True), ({"bidirectional": True}, True)]
)
def test_what_comes_later_changes_nothing_unless_it_looks_ahead(options, looks_ahead):
    network, xyz = made(**options), moving()
    other = xyz.clone()
    other[:, 6:] *= 1.5
    before, after = (network.classify_frames(network.features(x))[:, :6] for x in (xyz, other))
    assert (not torch.allclose(before, after, atol=1e-5)) == looks_ahead
    if looks_ahead:
        with pytest.raises(ValueError, match="to come"):
            network.start(1)


def test_a_long_memory_ends_on_the_mean_of_the_clip():
    xyz = moving(missing=0.1)
    running, whole = flow(memory_s=1e6)(xyz), flow(width="clip")(xyz)
    torch.testing.assert_close(running[:, :, -1], whole[:, :, -1], atol=1e-4, rtol=1e-4)
    assert (running[:, :, 2] - whole[:, :, 2]).abs().max() > 1e-2


def test_a_short_memory_follows_a_body_that_comes_nearer():
    xyz = moving(frames=30)
    xyz[:, 20:] *= 2
    flows = [flow(memory_s=memory_s)(xyz)[:, :, -1].mean() for memory_s in (0.3, 100.0)]
    assert flows[0] < 0.8 * flows[1]


def test_openposes_body_is_made_of_mediapipes():
    pose = moving(POSE_33, missing=0.05)
    made_of = {"neck": ("left_shoulder", "right_shoulder"), "mid_hip": ("left_hip", "right_hip")}
    body = torch.full((*pose.shape[:2], 25, 3), float("nan"))
    for i, joint in enumerate(BODY_25.joints[:19]):
        body[:, :, i] = pose[:, :, POSE_33.indices(*made_of.get(joint, (joint,)))].mean(dim=2)
    flows = flow(POSE_33, points="body_25", hands=False)(pose)
    assert flows.shape[-1] == 25
    torch.testing.assert_close(flows, flow(BODY_25)(body), atol=1e-5, rtol=1e-5)
    assert flows[..., 19:].abs().max() == 0, "the published demo sees no feet"
    assert flows[..., :19].amax(dim=(0, 1, 2)).min() > 0


def test_feet_that_openpose_saw_move():
    assert flow(BODY_25, points="body_25", hands=False)(moving(BODY_25))[..., 19:].max() > 0


def test_body_and_hands_are_as_many_points_as_published():
    assert flow(HOLISTIC_75, points="body_25").points == 67
    assert flow(HOLISTIC_75, points="body_25", hands=False).points == 25
    assert flow(SIGN_27, hands=False).points == 7
    assert flow(COCO_17, points="body_25")(moving(COCO_17)).shape == (2, 1, 9, 67)


def test_without_hands_fingers_say_nothing():
    xyz = moving()
    other = xyz.clone()
    fingers = [joint.startswith("left_hand_") for joint in SIGN_27.joints]
    other[:, :, fingers] = float("nan")
    assert torch.equal(made(hands=False)(xyz), made(hands=False)(other))
    assert (made()(xyz) - made()(other)).abs().max() > 1e-3


def test_wrist_flow_tells_fingers_from_a_hand_that_moves_as_a_whole():
    xyz = still()
    hand = torch.tensor([joint.startswith("left_hand_") for joint in SIGN_27.joints])
    tip = SIGN_27.indices("left_hand_index_tip")[0]
    xyz[:, 2:, hand, 0] += 0.1
    xyz[:, 4:, tip, 0] += 0.1
    flows = flow(wrist_flow=True)(xyz)
    assert flows.shape[1] == 2
    torch.testing.assert_close(flows[0, 0, 2, hand], torch.full((10,), 5.0), atol=1e-3, rtol=0)
    assert flows[0, 1, 2].abs().max() < 1e-4
    assert flows[0, 1, 4, tip] == pytest.approx(5.0, abs=1e-3)
    xyz[:, 4, SIGN_27.indices("left_hand_wrist")[0]] = float("nan")
    flows = flow(wrist_flow=True)(xyz)
    assert flows[0, 0, 4, tip] > 0
    assert flows[0, 1, 4].abs().max() == 0


def test_it_starts_as_published():
    network = build("signing-lstm", BODY_25, labels=2, fps=25.0)
    assert sum(p.numel() for p in network.parameters()) == 23_170, "one bias a gate, not torch's two"
    lstm = network.layers[0].lstm
    bias = lstm.weight_ih_l0[:, -1]
    assert bias.tolist() == [0.0] * 64 + [1.0] * 64 + [0.0] * 128
    torch.testing.assert_close(lstm.weight_hh_l0.T @ lstm.weight_hh_l0, torch.eye(64), atol=1e-5, rtol=0)
    assert lstm.weight_ih_l0[:, :-1].abs().max() <= (6 / (25 + 256)) ** 0.5
    assert lstm.weight_ih_l0[:, :-1].std() > 0.05


def test_training_hides_inputs():
    network, xyz = made(input_dropout=0.5).train(), moving()
    assert not torch.equal(network(xyz), network(xyz))
    network = made(input_dropout=0.0).train()
    assert torch.equal(network(xyz), network(xyz))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"hidden": 0}, "hidden"),
        ({"layers": 0}, "layers"),
        ({"fps": 0.0}, "fps"),
        ({"memory_s": 0.0}, "memory_s"),
        ({"input_dropout": 1.0}, "input_dropout"),
        ({"axes": 1}, "axes"),
        ({"points": "face"}, "own, body_25"),
        ({"width": "ring"}, "running, clip"),
    ],
)
def test_impossible_values_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        made(**options)


def test_a_layout_that_gives_no_point_is_refused():
    with pytest.raises(ValueError, match="hand_21 gives no point"):
        made(HAND_21, points="body_25")

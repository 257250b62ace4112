"""Every network passes these by being listed."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import HAND_21, SIGN_27
from models import NETWORKS, Normalise, UnknownNetwork, build
from tests.networks import FRAMES, SMALL

LABELS = 4
every_network = pytest.mark.parametrize("name", sorted(NETWORKS))


def network(name, layout=SIGN_27, seed=0):
    torch.manual_seed(seed)
    made = build(name, layout, labels=LABELS, fps=15.0, **SMALL[name])
    with torch.no_grad():
        for parameter in made.parameters():  # so that no part is a no-op by its start values
            parameter += 0.1 * torch.randn_like(parameter)
    return made.eval()


def body(batch, layout=SIGN_27, seed=0):
    """(B, T, V, 3) joints that move about a pose whose shoulders are apart."""
    random = np.random.default_rng(seed)
    xyz = random.uniform(0.2, 0.8, (batch, 1, len(layout), 3)) + random.normal(0, 0.02, (batch, FRAMES, len(layout), 3))
    return torch.from_numpy(xyz.astype(np.float32))


def test_every_network_has_its_small_form_here():
    assert set(SMALL) == set(NETWORKS)


def test_an_unknown_network_names_the_known_ones():
    with pytest.raises(UnknownNetwork, match="stgcn"):
        build("stgnc", SIGN_27, labels=2, fps=15.0)


@every_network
@pytest.mark.parametrize("layout", [SIGN_27, HAND_21], ids=lambda layout: layout.name)
def test_probabilities_sum_to_one(name, layout):
    said = network(name, layout)(body(3, layout))
    assert said.shape == (3, LABELS)
    torch.testing.assert_close(said.sum(dim=1), torch.ones(3))
    assert said.std(dim=0).max() > 1e-4, "says the same of every body"


@every_network
@settings(max_examples=15, deadline=None)
@given(
    scale=st.floats(0.3, 3),
    dx=st.floats(-1, 1),
    dy=st.floats(-1, 1),
    seed=st.integers(0, 100),
)
def test_camera_shift_and_scale_change_nothing(name, scale, dx, dy, seed):
    made, xyz = network(name), body(2, seed=seed)
    moved = xyz * scale + torch.tensor([dx, dy, 0.1])
    torch.testing.assert_close(made(moved), made(xyz), atol=2e-4, rtol=0)


@every_network
@settings(max_examples=15, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 100))
def test_anything_may_be_missing(name, share, seed):
    xyz = body(2, seed=seed)
    xyz[torch.rand(xyz.shape[:3], generator=torch.Generator().manual_seed(seed)) < share] = float("nan")
    assert torch.isfinite(network(name)(xyz)).all()


@every_network
def test_a_missing_hand_a_late_start_and_nobody_at_all_are_finite(name):
    xyz = body(4)
    left = [joint.startswith("left_hand_") for joint in SIGN_27.joints]
    xyz[0, :, left] = float("nan")
    xyz[1, : FRAMES // 2] = float("nan")
    xyz[2] = float("nan")
    xyz[3] = 0.5
    assert torch.isfinite(network(name)(xyz)).all()


@every_network
def test_what_one_window_says_does_not_depend_on_its_neighbours(name):
    made, xyz = network(name), body(5)
    alone = torch.cat([made(one[None]) for one in xyz])
    torch.testing.assert_close(made(xyz), alone, atol=1e-5, rtol=0)


@pytest.mark.slow
@every_network
def test_learns_four_clips_by_heart(name):
    made, xyz, truth = build(name, SIGN_27, labels=4, fps=15.0, **SMALL[name]), body(4), torch.arange(4)
    torch.manual_seed(0)
    optimiser = torch.optim.Adam(made.parameters(), lr=0.01)
    for _ in range(60):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(made.logits(xyz), truth).backward()
        optimiser.step()
    assert made.eval()(xyz).argmax(dim=1).tolist() == truth.tolist()


@every_network
def test_missing_parts_leave_gradients_finite(name):
    made, xyz = network(name).train(), body(2)
    xyz[0] = float("nan")
    made.logits(xyz).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in made.parameters() if p.grad is not None)


@every_network
def test_state_dict_round_trip(name):
    one, other, xyz = network(name, seed=1), network(name, seed=2), body(2)
    assert not torch.equal(one(xyz), other(xyz))
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(xyz), other(xyz))


def test_normalise_gives_shoulder_widths_and_what_was_seen():
    normalise = Normalise(SIGN_27, fps=15.0, axes=2)
    xyz = torch.full((1, 2, len(SIGN_27), 3), float("nan"))
    left, right, wrist = SIGN_27.indices("left_shoulder", "right_shoulder", "left_wrist").tolist()
    xyz[0, :, left] = torch.tensor([0.6, 0.5, 0.0])
    xyz[0, :, right] = torch.tensor([0.4, 0.5, 0.0])
    xyz[0, 0, wrist] = torch.tensor([0.7, 0.5, 0.0])
    xyz[0, 1, wrist] = torch.tensor([0.7, 0.7, 0.0])
    features = normalise(xyz)[0, :, :, wrist]  # (C, T)
    torch.testing.assert_close(features[:2], torch.tensor([[1.0, 1.0], [0.0, 1.0]]))
    assert features[2:4].abs().max() == 0, "the pose's wrist is no joint of a hand"
    torch.testing.assert_close(features[4:6], torch.tensor([[0.0, 0.0], [0.0, 7.5]]))  # one width a frame at 15 fps
    assert features[6].tolist() == [1, 1]
    assert Normalise(SIGN_27, fps=15.0, axes=2, hand_depth=True)(xyz).shape[1] == 8
    nose = normalise(xyz)[0, :, :, 0]
    assert nose.abs().max() == 0

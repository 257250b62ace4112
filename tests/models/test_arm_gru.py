import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import HAND_21, SIGN_27
from models import build
from tests.models.test_signing_lstm import moving
from training.augment import mirror

FPS = 10.0


def made(layout=SIGN_27, **options):
    torch.manual_seed(0)
    small = {"members": 3, "inner": 12, "embed": 10, "hidden": 8}
    network = build("arm-gru", layout, **{"labels": 2, "fps": FPS, **small, **options})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    return network.eval()


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 99),
    missing=st.sampled_from([0.0, 0.3]),
    depth=st.sampled_from([{"axes": 2}, {"axes": 3}, {"hand_depth": True}]),
)
def test_a_mirrored_picture_says_the_same(seed, missing, depth):
    network, xyz = made(**depth), moving(seed=seed, missing=missing)
    turned = torch.stack([torch.from_numpy(mirror(each.numpy(), SIGN_27)) for each in xyz])
    assert not torch.allclose(network.features(turned), network.features(xyz), atol=1e-2)
    torch.testing.assert_close(network.predictions(turned), network.predictions(xyz), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layout", [SIGN_27, HAND_21], ids=["body", "hand"])
@settings(max_examples=4, deadline=None)
@given(seed=st.integers(0, 99), missing=st.sampled_from([0.0, 0.3, 1.0]))
def test_a_stream_is_answered_like_the_clip_up_to_its_frame(layout, seed, missing):
    network, xyz = made(layout), moving(layout, seed=seed, missing=missing)
    with torch.inference_mode():
        every = network.predictions(xyz)  # (B, T, labels)
        state = network.start(len(xyz))
        for t in range(xyz.shape[1]):
            said, state = network.step(xyz[:, t], state)
            assert network.exact(state)
            torch.testing.assert_close(said, every[:, t], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(said, network.logits(xyz), atol=1e-5, rtol=1e-5)


def test_members_answer_by_their_mean_before_softmax():
    network, xyz = made(), moving()
    alone = [member(network.features(xyz))[0] for member in network.members]
    assert (alone[0] - alone[1]).abs().max() > 1e-2
    torch.testing.assert_close(network.predictions(xyz), torch.stack(alone).mean(dim=0))


def test_in_training_a_sample_is_one_members_own():
    network, xyz = made(dropout=0.0, input_dropout=0.0).train(), moving(batch=3)
    every = network.logits(xyz)  # (B, labels)
    taught = []
    for one in every:
        network.zero_grad()
        one.sum().backward(retain_graph=True)
        taught += [
            i
            for i, member in enumerate(network.members)
            if member.head.weight.grad is not None and member.head.weight.grad.abs().sum() > 0
        ]
    assert sorted(taught) == [0, 1, 2]


def test_what_comes_later_changes_nothing():
    network, xyz = made(), moving()
    other = xyz.clone()
    other[:, 6:] *= 1.5
    torch.testing.assert_close(network.predictions(other)[:, :6], network.predictions(xyz)[:, :6])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"members": 0}, "members"),
        ({"hidden": 0}, "hidden"),
        ({"fps": 0.0}, "fps"),
        ({"memory_s": 0.0}, "memory_s"),
        ({"input_dropout": 1.0}, "input_dropout"),
        ({"dropout": -0.1}, "dropout"),
        ({"axes": 1}, "axes"),
    ],
)
def test_impossible_values_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        made(**options)

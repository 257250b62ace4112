import pickle

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from export import parity
from export.onnx import to_onnx
from landmarks import HAND_21, HOLISTIC_75, SIGN_27, Manifest, numbered
from models import build
from models.sca_stgcn import Statistics, links

FRAMES = 8
TINY = {
    "labels": 3,
    "fps": 15.0,
    "widths": (6, 12, 12),
    "dilations": (1, 2, 1),
    "signer_width": 6,
    "heads": 2,
    "hidden": 5,
}
PUBLISHED = {"inputs": "given", "statistics": "all", "edges": "chain", "pool": "last"}


def made(layout=SIGN_27, seed=0, **options):
    torch.manual_seed(seed)
    network = build("sca-stgcn", layout, **{**TINY, **options})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return network.eval()


def person(batch=2, layout=SIGN_27, seed=0, frames=FRAMES):
    """(B, T, V, 3) joints that move about a pose."""
    random = np.random.default_rng(seed)
    pose = random.uniform(0.2, 0.8, (batch, 1, len(layout), 3))
    return torch.from_numpy((pose + random.normal(0, 0.03, (batch, frames, len(layout), 3))).astype(np.float32))


def coordinates(joints, seed=0):
    """(B, 2, T, V) as published networks take them."""
    return torch.randn(2, 2, FRAMES, joints, generator=torch.Generator().manual_seed(seed))


def test_bones_make_a_symmetric_graph_and_the_chain_links_what_is_no_bone():
    bones, chain = links(HOLISTIC_75, "bones"), links(HOLISTIC_75, "chain")
    assert torch.equal(bones, bones.T)
    assert torch.linalg.eigvalsh(bones.double()).max() == pytest.approx(1, abs=1e-6)
    wrist, hand, heel, nose = HOLISTIC_75.indices("left_wrist", "left_hand_wrist", "right_foot_index", "nose")
    assert bones[wrist, hand] > 0, "hands hang on their arms"
    assert bones[heel, hand] == 0
    assert chain[heel, hand] > 0, "the published chain ties the right foot to the left hand"
    assert bones[nose, nose] == pytest.approx(1 / (1 + (HOLISTIC_75.edges == nose).sum()))


def test_a_link_weighs_by_the_degrees_of_its_ends():
    path = numbered(3, [(1, 0), (2, 1)])
    ends, middle = 1 / 2, 1 / 3
    mixed = 1 / np.sqrt(6)
    want = torch.tensor([[ends, mixed, 0], [mixed, middle, mixed], [0, mixed, ends]], dtype=torch.float32)
    torch.testing.assert_close(links(path, "bones"), want)
    torch.testing.assert_close(links(path, "chain"), want, atol=1e-6, rtol=0)
    assert not torch.equal(links(path, "chain"), want), "1e-6 in the degree"


def test_the_same_weights_answer_another_layout_by_its_graph():
    here, there = made(**PUBLISHED), made(HAND_21, seed=1, **PUBLISHED)
    there.load_state_dict(here.state_dict())
    x = coordinates(len(HAND_21))
    assert torch.equal(here.describe(x, adjacency=there.adjacency).logits, there.classify(x))


@pytest.mark.parametrize(
    ("attention", "heeds"), [("film", True), ("gate", True), ("hierarchical", True), ("additive", False)]
)
def test_every_attention_heeds_the_signer_but_the_published_additive_one(attention, heeds):
    network, features = made(attention=attention), made().features(person())
    one, other = torch.randn(2, 1, network.statistics(features).shape[1], generator=torch.Generator().manual_seed(0))
    said = [network.describe(features, statistics.expand(2, -1)) for statistics in (one, other)]
    assert (said[0].signer - said[1].signer).abs().max() > 0.1
    moved = (said[0].frames - said[1].frames).abs().max()
    assert moved > 1e-2 if heeds else moved < 1e-5


def test_with_nothing_to_say_of_the_signer_all_attend_alike():
    networks = {attention: made(attention=attention) for attention in ("film", "gate", "additive")}
    plain = networks["gate"].state_dict()
    with torch.no_grad():
        for network in networks.values():
            ours = network.state_dict()
            ours.update(
                {name: value for name, value in plain.items() if name in ours and ours[name].shape == value.shape}
            )
            ours["attention.key.weight"][:, :12] = plain["attention.key.weight"]
            network.load_state_dict(ours)
            for name, parameter in network.named_parameters():
                if "film" in name or "gate" in name:
                    parameter.zero_()
    film, gate, additive = (network(person()) for network in networks.values())
    torch.testing.assert_close(film, gate)
    torch.testing.assert_close(additive, gate)


def test_joints_are_attended_to_before_frames_in_a_hierarchy():
    features = made().features(person())
    flat, deep = made(), made(attention="hierarchical")
    assert deep.joint_attention is not None
    deep.load_state_dict({**deep.state_dict(), **flat.state_dict()})
    assert (deep.classify(features) - flat.classify(features)).abs().max() > 1e-3
    with torch.no_grad():
        for parameter in deep.joint_attention.parameters():
            parameter.zero_()
    nothing = deep.describe(features).frames
    torch.testing.assert_close(nothing, nothing[:, :1].expand_as(nothing))  # there is no way around the attention


def test_joints_may_come_in_any_order_and_only_bones_tell():
    order = torch.randperm(len(SIGN_27), generator=torch.Generator().manual_seed(0))
    network = made(attention="hierarchical", signer="hybrid", **PUBLISHED)
    x = coordinates(len(SIGN_27))
    shuffled = network.describe(x[..., order], adjacency=network.adjacency[order][:, order])
    torch.testing.assert_close(shuffled.logits, network.classify(x), atol=1e-5, rtol=1e-4)
    assert (network.classify(x[..., order]) - network.classify(x)).abs().max() > 1e-3


def test_the_last_frame_leaves_out_what_the_backward_direction_has_seen():
    features = made().features(person())
    for pool, matters in (("last", False), ("mean", True), ("attention", True)):
        network = made(pool=pool)
        before = network.classify(features)
        with torch.no_grad():
            network.aggregator.gru.weight_hh_l0_reverse.add_(1.0)
        assert ((network.classify(features) - before).abs().max() > 1e-4) == matters


def test_pools_agree_on_one_frame_and_attention_that_prefers_none_is_a_mean():
    x, frame = torch.randn(2, FRAMES, 12), torch.randn(2, 1, 12)
    mean, last, learned = (made(pool=pool).aggregator for pool in ("mean", "last", "attention"))
    learned.load_state_dict({**learned.state_dict(), **mean.state_dict()})
    last.load_state_dict(mean.state_dict())
    torch.testing.assert_close(mean(frame), last(frame))
    torch.testing.assert_close(mean(frame), learned(frame))
    assert (mean(x) - learned(x)).abs().max() > 1e-3
    assert (mean(x) - last(x)).abs().max() > 1e-3
    with torch.no_grad():
        learned.pool.score[2].weight.zero_()
    torch.testing.assert_close(mean(x), learned(x))


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0, 1), seed=st.integers(0, 100))
def test_statistics_of_what_is_seen_leave_out_what_is_not(share, seed):
    network, xyz = made(axes=3), person(seed=seed)
    xyz[torch.rand(xyz.shape[:3], generator=torch.Generator().manual_seed(seed)) < share] = float("nan")
    features = network.features(xyz)
    found = network.statistics(features).numpy()
    hands = np.array([joint.startswith(("left_hand_", "right_hand_")) for joint in SIGN_27.joints])
    for clip, got in zip(features.numpy(), found, strict=True):
        for channel in range(9):
            seen = (clip[-1] > 0) & (hands if 3 <= channel < 6 else np.ones_like(hands))
            values = clip[channel][seen].astype(np.float64)
            mean, deviation = (values.mean(), values.std()) if values.size else (0.0, 0.0)
            assert got[channel] == pytest.approx(mean, abs=1e-4, rel=1e-4)
            assert got[9 + channel] == pytest.approx(deviation + 1e-6, abs=1e-4, rel=1e-4)


def test_statistics_of_everything_are_the_published_ones():
    x = coordinates(5).numpy()
    flat = x.transpose(0, 2, 3, 1).reshape(2, -1, 2).astype(np.float64)
    want = np.concatenate([flat.mean(axis=1), flat.std(axis=1) + 1e-6], axis=1)
    np.testing.assert_allclose(Statistics()(torch.from_numpy(x)).numpy(), want, atol=1e-6)
    np.testing.assert_allclose(Statistics()(torch.zeros(1, 2, 3, 4)).numpy(), [[0, 0, 1e-6, 1e-6]], rtol=1e-4)


def test_a_camera_moves_statistics_as_published_and_not_ours():
    ours, theirs, xyz = made(), made(**PUBLISHED), person()
    moved = 1.5 * xyz + 0.2
    torch.testing.assert_close(
        ours.statistics(ours.features(moved)), ours.statistics(ours.features(xyz)), atol=1e-3, rtol=0
    )
    assert (theirs.statistics(theirs.features(moved)) - theirs.statistics(theirs.features(xyz))).abs().min() > 1e-3


def test_each_signer_encoder_reads_what_it_says():
    features = made().features(person())
    other = made().features(person(seed=5))
    statistics = made().statistics(other)
    for signer, of_statistics, of_features in (
        ("statistics", True, False),
        ("adaptive", False, True),
        ("hybrid", True, True),
    ):
        network = made(signer=signer)
        usual = network.describe(features).signer
        assert usual.shape == (2, 6)
        assert torch.equal(usual, network.describe(features, statistics).signer) != of_statistics
        assert (
            torch.equal(network.describe(features, statistics).signer, network.describe(other, statistics).signer)
            != of_features
        )


def test_a_description_has_all_that_training_needs():
    network, features = made(signers=4), made().features(person())
    said = network.describe(features)
    assert torch.equal(said.logits, network.classify(features))
    assert said.embedding.shape == (2, 10)
    assert said.signer.shape == (2, 6)
    assert said.signer_logits.shape == (2, 4)
    assert said.joints.shape == (2, 12, FRAMES, len(SIGN_27))
    assert said.frames.shape == (2, FRAMES, 12)
    assert made().describe(features).signer_logits is None


@pytest.mark.parametrize("reversal", [0.0, 0.5, 2.0])
def test_the_signer_head_learns_signers_and_the_rest_unlearns_them(reversal):
    features = made().features(person())
    gradients = []
    for strength in (reversal, 1.0):
        network = made(signers=4, reversal=strength)
        said = network.describe(features)
        torch.nn.functional.cross_entropy(said.signer_logits, torch.tensor([1, 3])).backward()
        gradients.append((network.adversary.layers[4].weight.grad, network.aggregator.gru.weight_ih_l0.grad))
    (head, body), (head_by_one, body_by_one) = gradients
    torch.testing.assert_close(head, head_by_one)
    torch.testing.assert_close(body, reversal * body_by_one)
    assert body_by_one.abs().max() > 0


def test_the_reversal_turns_gradients_and_leaves_values():
    network = made(signers=4, reversal=0.5)
    x = torch.randn(2, 10, requires_grad=True)
    said, plain = network.adversary(x), network.adversary.layers(x)
    assert torch.equal(said, plain)
    (turned,), (straight,) = torch.autograd.grad(said.sum(), x), torch.autograd.grad(plain.sum(), x)
    torch.testing.assert_close(turned, -0.5 * straight)


def test_a_network_with_a_signer_head_can_be_pickled():
    network = made(signers=4)
    again = pickle.loads(pickle.dumps(network))  # noqa: S301
    features = network.features(person())
    assert torch.equal(again.describe(features).signer_logits, network.describe(features).signer_logits)


@pytest.mark.parametrize("signer", ["statistics", "adaptive", "hybrid"])
@pytest.mark.parametrize("attention", ["film", "gate", "additive", "hierarchical"])
def test_nothing_seen_and_nothing_moving_leave_gradients_finite(attention, signer):
    network = made(attention=attention, signer=signer, pool="attention", signers=2)
    for xyz in (torch.full((2, FRAMES, 27, 3), float("nan")), person()[:, :1].repeat(1, FRAMES, 1, 1)):
        landmarks = xyz.clone().requires_grad_()
        said = network.describe(network.features(landmarks))
        (said.logits.sum() + said.signer_logits.sum() + said.signer.sum()).backward()
        assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)
        assert torch.isfinite(landmarks.grad).all()


def test_given_statistics_are_asked_for():
    network = made(statistics="given", statistics_width=5)
    features = network.features(person())
    with pytest.raises(ValueError, match="needs 5 statistics"):
        network.classify(features)
    assert network.describe(features, torch.zeros(2, 5)).logits.shape == (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {**PUBLISHED, "attention": "additive"},
        {"attention": "hierarchical", "signer": "adaptive", "pool": "attention"},
        {"attention": "gate", "signer": "hybrid", "statistics": "all", "axes": 3, "hand_depth": True},
    ],
)
def test_every_option_is_exported_but_the_signer_head(options):
    network = made(signers=4, **options)
    manifest = Manifest(
        name="made",
        version="1",
        task="gesture",
        network="sca-stgcn",
        layout="sign_27",
        joints=SIGN_27.joints,
        window_frames=FRAMES,
        stride_frames=2,
        fps=15.0,
        labels=("a", "b", "none"),
        background="none",
        licence="Apache-2.0",
    )
    graph = to_onnx(network, manifest)
    assert parity.check(network, graph, FRAMES, len(SIGN_27)) <= parity.TOLERANCE
    weights = {weight.name for weight in onnx.load_from_string(graph).graph.initializer}
    assert any(".head." in name for name in weights)
    assert not any("adversary" in name for name in weights)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"dilations": (1,)}, "one dilation a block"),
        ({"widths": (), "dilations": ()}, "one dilation a block"),
        ({"widths": (0, 4, 4)}, "at least 1"),
        ({"fps": 0.0}, "fps"),
        ({"kernel": 4}, "odd kernel, got 4"),
        ({"dropout": 1.0}, "dropout"),
        ({"attention_dropout": -0.1}, "dropout"),
        ({"heads": 5}, "5 heads for 12"),
        ({"signers": -1}, "at least 0"),
        ({"reversal": -0.5}, "at least 0"),
        ({"signer": "hybrid", "signer_width": 5}, "two halves"),
        ({"edges": "star"}, "bones, chain"),
        ({"signer": "oracle"}, "statistics, adaptive, hybrid"),
        ({"statistics": "some"}, "seen, all, given"),
        ({"attention": "none"}, "film, gate, additive, hierarchical"),
        ({"pool": "max"}, "mean, attention, last"),
        ({"inputs": "raw"}, "normalised, given"),
        ({"inputs": "given"}, "what was seen"),
        ({"statistics": "given"}, "statistics_width"),
        ({"statistics_width": 3}, "statistics_width"),
        ({"axes": 4}, "axes is 2 or 3"),
    ],
)
def test_impossible_values_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        made(**options)

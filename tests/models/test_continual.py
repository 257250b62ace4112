import io
import warnings
from contextlib import redirect_stdout

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode

from landmarks import HAND_21, NTU_25_CHAIN, SIGN_27
from landmarks.layout import Layout
from models import CausalNormalise, Normalise, State, build, continual
from models.reference import PartialLoad, translate
from models.reference.costgcn import FAMILY

STRIDES = [(1, 1), (1, 2), (2, 2), (3, 1)]
BEGINNINGS = ["causal", "padded", "valid"]
forms = st.fixed_dictionaries(
    {
        "strides": st.sampled_from(STRIDES),
        "kernel": st.sampled_from([3, 5, 9]),
        "time": st.sampled_from(["plain", "branches"]),
        "dilations": st.sampled_from([(1, 2), (1, 2, 3, 4)]),
        "persons": st.sampled_from([1, 2]),
        "beginning": st.sampled_from(BEGINNINGS),
        "pool_size": st.sampled_from([1, 2, 5]),
        "pool": st.sampled_from(["mean", "parts"]),
        "around_first": st.booleans(),
        "inputs": st.sampled_from(["normalised", "given"]),
    }
)


def network(layout=SIGN_27, seed=0, **options):
    torch.manual_seed(seed)
    options = {"labels": 3, "fps": 15.0, "widths": (6, 8), "strides": (1, 1), **options}
    made = build("costgcn", layout, **options)
    with torch.no_grad():
        for name, tensor in made.state_dict().items():  # so that batch normalisation is not the identity
            if "norm" in name or "scale" in name or "around" in name:
                tensor += 0.3 * torch.rand(tensor.shape) if tensor.is_floating_point() else 0
    return made.eval()


def body(*shape, layout=SIGN_27, seed=0, missing=0.0):
    """(*shape, V, 3) joints that move about a pose; the last of `shape` is frames."""
    generator = torch.Generator().manual_seed(seed)
    pose = torch.rand(*shape[:-1], 1, len(layout), 3, generator=generator)
    xyz = pose + 0.05 * torch.randn(*shape, len(layout), 3, generator=generator)
    return xyz.masked_fill(torch.rand(*xyz.shape[:-1], 1, generator=generator) < missing, torch.nan)


def stream(made, xyz, state=None):
    """What a stream is told, by frame; and its state. xyz: (B, T, V, 3) or (B, M, T, V, 3)."""
    told, state = {}, state or made.start(len(xyz))
    with torch.inference_mode():
        for frame in range(xyz.shape[-3]):
            seen = state.frames
            said, state = made.step(xyz[..., frame, :, :], state)
            assert state.frames == seen + 1
            if said is not None:
                told[seen] = said
    return told, state


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(form=forms, seed=st.integers(0, 1000), missing=st.sampled_from([0.0, 0.3, 1.0]))
def test_a_stream_is_told_frame_by_frame_what_its_clip_is_told(form, seed, missing):
    made = network(seed=seed, **form)
    xyz = body(2, form["persons"], made.delay + 2 * made.stride + 3, seed=seed, missing=missing)
    told, _ = stream(made, xyz)
    with torch.inference_mode():
        at_once = made.predictions(xyz)
        assert sorted(told) == list(made.told_at(xyz.shape[2]))
        torch.testing.assert_close(torch.stack(list(told.values()), dim=1), at_once, atol=1e-5, rtol=0)
        torch.testing.assert_close(made.logits(xyz), at_once[:, -1], atol=1e-5, rtol=0)


@settings(max_examples=25, deadline=None)
@given(form=forms, seed=st.integers(0, 1000))
def test_once_exact_a_stream_is_told_what_an_unpadded_clip_is_told(form, seed):
    made = network(seed=seed, **form)
    frames = made.receptive_field + made.stride + 1
    xyz = body(2, form["persons"], frames, seed=seed)
    with torch.inference_mode():
        features = made.features(xyz.flatten(0, 1)).unflatten(0, (2, form["persons"]))
        told = made.predictions(xyz)
        exact = [at for at in range(made.delay, frames, made.stride) if made.exact(State(at + 1, ()))]
        assert exact
        for at in exact:
            clip = features[:, :, :, at + 1 - made.receptive_field : at + 1]
            valid = made.embed(clip, padded=False)  # (B, M, D, S, V): ST-GCN's own blocks, without padding
            assert valid.shape[3] == made.pool_size
            said = told[:, (at - made.delay) // made.stride]
            torch.testing.assert_close(said, made.decide(valid.mean(dim=3)), atol=1e-5, rtol=0)


@pytest.mark.parametrize("strides", STRIDES)
def test_a_causal_stream_is_answered_from_its_first_frame_on(strides):
    made = network(strides=strides, kernel=3)
    told, _ = stream(made, body(1, 7))
    assert (made.delay, next(iter(told))) == (0, 0)


def test_before_it_is_exact_a_stream_depends_on_where_it_began():
    made, xyz = network(kernel=5, pool_size=3, inputs="given"), body(1, 40)
    field = made.receptive_field
    assert field == 1 + 4 + 4 + 2
    with torch.inference_mode():
        for frames, same in ((field, True), (field - 1, False)):
            late = made.logits(xyz[:, 20 - frames : 20])
            assert torch.allclose(late, made.logits(xyz[:, :20]), atol=1e-5) is same


@pytest.mark.parametrize("time", ["plain", "branches"])
@pytest.mark.parametrize("strides", STRIDES)
def test_a_padded_stream_has_the_features_of_the_padded_st_gcn_from_its_first_frame_on(strides, time):
    made = network(strides=strides, time=time, beginning="padded", pool_size=3)
    xyz = body(2, made.delay + 5 * made.stride)
    with torch.inference_mode():
        features = made.embed(made.features(xyz), padded=True)  # (B, M, D, T', V)
        told = made.predictions(xyz)
        assert told.shape[1] == 5
        for n in range(5):
            mean = features[:, :, :, max(0, n - 2) : n + 1].mean(dim=3)
            torch.testing.assert_close(told[:, n], made.decide(mean), atol=1e-5, rtol=0)


@settings(max_examples=20, deadline=None)
@given(form=forms, seed=st.integers(0, 1000), cuts=st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_any_cutting_of_a_stream_is_told_the_same(form, seed, cuts):
    made, xyz = network(seed=seed, **form), body(2, sum(cuts), seed=seed, missing=0.2)
    state, said = made.start(2), []
    with torch.inference_mode():
        for chunk in xyz.split(cuts, dim=1):
            some, state = made.advance(chunk, state)
            said.append(some)
        torch.testing.assert_close(torch.cat(said, dim=1), made.predictions(xyz), atol=1e-5, rtol=0)


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_interleaved_streams_are_told_what_separate_ones_are_to_the_bit(beginning):
    made = network(strides=(1, 2), kernel=3, beginning=beginning, pool_size=4)
    clips = [body(1, 14, seed=seed) for seed in range(3)]
    states, told = [made.start(1) for _ in clips], [[] for _ in clips]
    with torch.inference_mode():
        for frame in range(14):
            for i, clip in enumerate(clips):
                said, states[i] = made.step(clip[:, frame], states[i])
                told[i].append(said)
    for clip, mine in zip(clips, told, strict=True):
        alone, _ = stream(made, clip)
        assert [at for at, said in enumerate(mine) if said is not None] == list(alone)
        assert all(torch.equal(mine[at], said) for at, said in alone.items())


def test_a_state_is_never_changed_and_may_be_taken_up_again():
    made, xyz = network(kernel=3, pool_size=4), body(2, 12)
    _, state = stream(made, xyz[:, :6])
    before = [tensor.clone() for tensor in state.tensors]
    first, _ = stream(made, xyz[:, 6:], state)
    assert all(torch.equal(tensor, was) for tensor, was in zip(state.tensors, before, strict=True))
    again, _ = stream(made, xyz[:, 6:], state)
    assert all(torch.equal(said, again[at]) for at, said in first.items())


@pytest.mark.parametrize("beginning", ["causal", "valid"])
def test_with_stride_1_streams_of_any_age_share_a_batch(beginning):
    """As in a graph: its steps cannot count, and run as late ones do."""
    made = network(kernel=3, pool_size=4, beginning=beginning)
    old, young = body(1, 15, seed=1), body(1, 9, seed=2)
    told_old, _ = stream(made, old)
    told_young, _ = stream(made, young)
    _, first = stream(made, old[:, :6])
    blank = made.start(1)
    state = State(10_000, tuple(torch.cat(pair) for pair in zip(first.tensors, blank.tensors, strict=True)))
    for at in range(9):
        with torch.inference_mode():
            said, state = made.step(torch.cat([old[:, at + 6], young[:, at]]), state)
        assert said is not None
        torch.testing.assert_close(said[:1], told_old[at + 6], atol=1e-5, rtol=0)
        if at >= made.delay:
            torch.testing.assert_close(said[1:], told_young[at], atol=1e-5, rtol=0)


def test_all_tensors_of_a_state_begin_at_zero_have_the_batch_first_and_keep_their_shape():
    made = network(persons=2, strides=(1, 2), kernel=5, pool_size=3)
    start = made.start(3)
    _, later = stream(made, body(3, 2, 9))
    assert later.frames == 9
    assert [tensor.shape for tensor in later.tensors] == [tensor.shape for tensor in start.tensors]
    assert all(len(tensor) == 3 and not tensor.any() for tensor in start.tensors)


@pytest.mark.parametrize(
    ("strides", "beginning", "pool_size", "numbers"),
    [
        ((1, 1, 1, 1, 2, 1, 1, 2, 1, 1), "padded", 1, (153, 76, 4)),
        ((1,) * 10, "valid", 1, (81, 80, 1)),
        ((1,) * 10, "valid", 220, (300, 80, 1)),
        ((1,) * 10, "causal", 220, (300, 0, 1)),
        ((1, 1, 1, 1, 2, 1, 1, 2, 1, 1), "padded", 75, (153 + 74 * 4, 76, 4)),
    ],
)
@pytest.mark.parametrize("name", ["costgcn", "costgcn++"])
def test_receptive_field_delay_and_stride_are_the_published(name, strides, beginning, pool_size, numbers):
    """Hedegaard et al. 2023, for the blocks of ST-GCN; those of ST-GCN++ look as far."""
    made = build(
        name,
        HAND_21,
        labels=2,
        fps=30.0,
        widths=(6,) * 10,
        strides=strides,
        beginning=beginning,
        pool_size=pool_size,
    )
    assert (made.receptive_field, made.delay, made.stride) == numbers


def test_the_defaults_are_cost_gcn_star():
    with torch.device("meta"):
        made = build("costgcn", NTU_25_CHAIN, labels=60, fps=30.0, persons=2, scale="persons", inputs="given")
    # As counted in tests/models/reference/test_packs.py.
    assert sum(p.numel() for p in made.parameters()) == 3_144_508 - 18_750 - 2_816 + 300 + 15_420
    assert (made.receptive_field, made.stride) == (300, 1)


@pytest.mark.parametrize("name", ["costgcn", "costgcn++"])
def test_a_step_takes_at_most_a_20th_of_the_work_of_its_window(name):
    with torch.device("meta"):
        made = build(name, NTU_25_CHAIN, labels=60, fps=30.0).eval()
        clip, state = torch.zeros(1, made.receptive_field, 25, 3), made.start(1)
        with FlopCounterMode(display=False) as window:
            made.logits(clip)
        with FlopCounterMode(display=False) as step:
            made.step(clip[:, 0], state)
    assert step.get_total_flops() * 20 <= window.get_total_flops()


@pytest.mark.parametrize("time", ["plain", "branches"])
def test_the_continual_form_of_a_network_shares_its_weights(time):
    torch.manual_seed(0)
    clip_form = build("stgcn", SIGN_27, labels=3, fps=15.0, widths=(6, 8), strides=(1, 2), time=time, inputs="given")
    made = continual.of(clip_form.eval(), pool_size=4)
    assert (made.delay, made.stride, made.pool_size) == (8, 2, 4)
    assert {p.data_ptr() for p in made.parameters()} == {p.data_ptr() for p in clip_form.parameters()}
    assert made.state_dict().keys() == clip_form.state_dict().keys()
    xyz = body(1, 30)
    with torch.inference_mode():
        features = clip_form.embed(clip_form.features(xyz))[:, :, :, : made.predictions(xyz).shape[1]]
        torch.testing.assert_close(made.logits(xyz), clip_form.decide(features[:, :, :, -4:].mean(dim=3)))
        said = made.logits(xyz)
        clip_form.head[1].bias += 1.0
        torch.testing.assert_close(made.logits(xyz), said + 1.0)


def test_another_pool_is_another_mean_of_the_same_features():
    made, xyz = network(kernel=3, inputs="given", pool_size=1), body(1, 20)
    with torch.inference_mode():
        each = made.predictions(xyz)
        mean = continual.of(made, pool_size=5).predictions(xyz)
    torch.testing.assert_close(mean[:, -1], each[:, -5:].mean(dim=1), atol=1e-5, rtol=0)
    torch.testing.assert_close(mean[:, 2], each[:, :3].mean(dim=1), atol=1e-5, rtol=0)


def test_a_person_not_given_is_absent():
    made, xyz = network(persons=2), body(1, 1, 10)
    absent = torch.cat([xyz, torch.full_like(xyz, torch.nan)], dim=1)
    with torch.inference_mode():
        torch.testing.assert_close(made.predictions(xyz[:, 0]), made.predictions(absent))
    one, _ = stream(made, xyz[:, 0])
    both, _ = stream(made, absent)
    assert all(torch.equal(said, both[at]) for at, said in one.items())
    with pytest.raises(ValueError, match="takes 2 persons, got 3"):
        made.step(body(1, 3, 1)[:, :, 0], made.start(1))


@pytest.mark.parametrize("beginning", ["padded", "valid"])
def test_a_clip_that_ends_before_the_first_prediction_says_so(beginning):
    made = network(beginning=beginning)
    assert made.predictions(body(2, made.delay)).shape == (2, 0, 3)
    with pytest.raises(ValueError, match=f"takes {made.delay + 1} frames, got {made.delay}"):
        made.logits(body(2, made.delay))
    assert made.logits(body(2, made.delay + 1)).shape == (2, 3)


@pytest.mark.parametrize(
    "options", [{"pool_size": 0}, {"beginning": "late"}, {"memory_s": 0.0}, {"kernel": 4}, {"unit": "picture"}]
)
def test_impossible_values_are_refused(options):
    with pytest.raises(ValueError, match=r"need|one of|measures by the body"):
        network(**options)


def test_every_prediction_of_a_stream_is_trained_in_one_pass():
    made, xyz = network(kernel=3, pool_size=3), body(2, 12)
    made.train().predictions(xyz).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in made.parameters())


# Published checkpoints.


def published(made):
    """The state dict of a network in the names of continual-skeletons' clip networks."""
    names = {
        "space.norm": "gcn.bn",
        "space.around.0": "gcn.gcn_residual.0",
        "space.around.1": "gcn.gcn_residual.1",
        "time.conv": "tcn.t_conv",
        "time.norm": "tcn.bn",
        "around.0": "residual.t_conv",
        "around.1": "residual.bn",
    }
    state = {}
    for name, tensor in made.state_dict().items():
        if name.startswith(("scale.", "head.1.")):
            state[name.replace("scale", "data_bn").replace("head.1", "fc")] = tensor
            continue
        _, block, rest = name.split(".", 2)
        place, (part, leaf) = f"layers.layer{int(block) + 1}.", rest.rsplit(".", 1)
        if leaf == "adjacency":
            state[f"{place}gcn.A"] = tensor
        elif leaf == "importance":
            state[f"{place}gcn.graph_attn"] = tensor
        elif part == "space.conv.project":
            for kind in range(3):  # its three biases are only ever summed
                share = tensor.chunk(3, dim=1)[kind] if leaf == "weight" else tensor / 3
                state[f"{place}gcn.g_conv.{kind}.{leaf}"] = share
        else:
            state[f"{place}{names[part]}.{leaf}"] = tensor
    return state


def small_published(**options):
    # Their first block has a way around its graph convolution, and none around the whole.
    widths = {"widths": (6, 6, 8), "strides": (1, 1, 2)}
    return network(
        NTU_25_CHAIN, inputs="given", persons=2, scale="persons", **{**widths, "beginning": "padded", **options}
    )


def test_a_published_checkpoint_steps_over_frames_unless_it_is_told_not_to():
    made = small_published()
    state = published(made)
    assert FAMILY.recognises(state)
    found = translate(state)
    assert found.network_name == "costgcn"
    assert (found.options["strides"], found.options["beginning"]) == ((1, 1, 2), "padded")
    assert found.options["pool_size"] == 150  # as many features as a clip of 300 frames has, padded at both ends
    star = translate(state, strides=(1, 1, 1), frames=100)
    assert (star.options["beginning"], star.options["pool_size"]) == ("valid", 100 - 24)
    assert translate(state, pool_size=7, beginning="causal").options["pool_size"] == 7


def test_a_published_checkpoint_answers_as_clip_and_as_stream():
    made = small_published(pool_size=5)
    found = translate(published(made), pool_size=5).network()
    xyz = body(1, 2, 40, layout=NTU_25_CHAIN)
    with torch.inference_mode():
        torch.testing.assert_close(found.logits(xyz), made.logits(xyz), atol=1e-5, rtol=0)
    told, _ = stream(found, xyz)
    torch.testing.assert_close(told[max(told)], made.logits(xyz), atol=1e-5, rtol=0)


def test_names_of_the_continual_containers_are_read():
    state = published(small_published())
    wrapped = {}
    for name, tensor in state.items():
        layer, _, rest = name.removeprefix("layers.").partition(".")
        inside = "0.0." if rest.startswith("residual") else "0.1."
        wrapped[f"layers.{layer}.{inside}{rest}" if name.startswith("layers.") else name] = tensor
    assert wrapped.keys() != state.keys()
    ours, theirs = translate(state), translate(wrapped)
    assert all(torch.equal(theirs.weights[name], weight) for name, weight in ours.weights.items())
    with pytest.raises(PartialLoad, match="no place"):
        translate({**wrapped, "layers.layer1.0.1.gcn.extra": torch.zeros(1)})


# CausalNormalise.


@settings(max_examples=20, deadline=None)
@given(
    layout=st.sampled_from([SIGN_27, HAND_21, NTU_25_CHAIN]),
    scale=st.floats(0.3, 3),
    dx=st.floats(-1, 1),
    seed=st.integers(0, 100),
    missing=st.sampled_from([0.0, 0.3]),
)
def test_the_camera_of_a_stream_does_not_matter(layout, scale, dx, seed, missing):
    normalise, xyz = CausalNormalise(layout, 15.0, 2.0), body(1, 10, layout=layout, seed=seed, missing=missing)
    moved = normalise(xyz * scale + torch.tensor([dx, -dx, 0.1]))
    torch.testing.assert_close(moved, normalise(xyz), atol=2e-3, rtol=1e-3)


@settings(max_examples=20, deadline=None)
@given(
    layout=st.sampled_from([SIGN_27, HAND_21, NTU_25_CHAIN]),
    cuts=st.lists(st.integers(1, 20), min_size=1, max_size=6),
    seed=st.integers(0, 100),
    missing=st.sampled_from([0.0, 0.3, 0.9]),
)
def test_any_cutting_of_a_stream_has_the_same_features(layout, cuts, seed, missing):
    normalise = CausalNormalise(layout, 15.0, 1.0, axes=2, hand_depth=True)
    xyz = body(2, sum(cuts), layout=layout, seed=seed, missing=missing)
    state, found = normalise.start(2), []
    for chunk in xyz.split(cuts, dim=1):
        features, state = normalise.advance(chunk, state)
        found.append(features)
    whole = normalise(xyz)
    torch.testing.assert_close(torch.cat(found, dim=2), whole, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("missing", [0.0, 0.5, 0.97, 1.0])
@pytest.mark.parametrize("layout", [SIGN_27, HAND_21, Layout("dots", ("a", "b"), ())], ids=lambda x: x.name)
def test_features_and_gradients_are_finite_whatever_is_missing(layout, missing):
    xyz = body(3, 8, layout=layout, missing=missing)
    xyz[1] = 0.5
    xyz.requires_grad_()
    features = CausalNormalise(layout, 15.0, 2.0)(xyz)
    features.square().sum().backward()
    assert torch.isfinite(features).all()
    assert xyz.grad is not None
    assert torch.isfinite(xyz.grad).all()


def test_a_body_whose_shoulders_stand_still_is_described_as_by_the_window():
    xyz = body(2, 12)
    shoulders = SIGN_27.indices("left_shoulder", "right_shoulder").tolist()
    xyz[:, :, shoulders] = xyz[:, :1, shoulders]
    xyz[0, 5, 9] = torch.nan
    causal, window = CausalNormalise(SIGN_27, 15.0, 2.0), Normalise(SIGN_27, 15.0)
    assert causal.channels == window.channels
    torch.testing.assert_close(causal(xyz), window(xyz), atol=1e-4, rtol=1e-4)


def test_no_frame_is_told_by_a_later_one():
    normalise, xyz = CausalNormalise(SIGN_27, 15.0, 2.0), body(1, 12)
    other = xyz.clone()
    other[:, 6:] *= 3
    torch.testing.assert_close(normalise(other)[:, :, :6], normalise(xyz)[:, :, :6])
    assert not torch.allclose(normalise(other)[:, :, 6:], normalise(xyz)[:, :, 6:], atol=0.1)


def upright(frames, width=0.2):
    """(1, T, V, 3) shoulders about (0.5, 0.5), a wrist one shoulder width beside the left one, nothing else seen."""
    xyz = torch.full((1, frames, len(SIGN_27), 3), torch.nan)
    left, right, wrist = SIGN_27.indices("left_shoulder", "right_shoulder", "left_wrist").tolist()
    xyz[:, :, left] = torch.tensor([0.5 + width / 2, 0.5, 0.0])
    xyz[:, :, right] = torch.tensor([0.5 - width / 2, 0.5, 0.0])
    xyz[:, :, wrist] = torch.tensor([0.5 + width * 1.5, 0.5, 0.0])
    return xyz, left, right, wrist


def test_the_centre_is_each_frames_own_and_speed_is_the_joints_own():
    xyz, _, _, wrist = upright(4)
    xyz[:, 2:] += 0.1  # the whole body moves half a shoulder width
    features = CausalNormalise(SIGN_27, 15.0, 2.0, axes=2)(xyz)[0, :, :, wrist]
    torch.testing.assert_close(features[0], torch.full((4,), 1.5))
    torch.testing.assert_close(features[4], torch.tensor([0.0, 0.0, 0.5 * 7.5, 0.0]))


def test_an_unseen_centre_stands_where_it_usually_does():
    xyz, left, _, wrist = upright(5)
    xyz[:, 3:, left] = torch.nan
    features = CausalNormalise(SIGN_27, 15.0, 2.0)(xyz)[0, :, :, wrist]
    torch.testing.assert_close(features[0], torch.full((5,), 1.5))
    assert features[6:9].abs().max() < 1e-4, "a wrist that lies still has no speed, wherever the centre is"


def test_the_unit_follows_slowly_and_forgets():
    near, _, _, wrist = upright(2000, width=0.4)
    far = upright(30, width=0.2)[0]
    found = CausalNormalise(SIGN_27, 15.0, 2.0)(torch.cat([far, near], dim=1))[0, 0, :, wrist]
    torch.testing.assert_close(found[29], torch.tensor(1.5))
    assert 2.5 < found[30] < 3.0, "a body twice as large is at first measured by what it was"
    assert (found[31:] <= found[30:-1] + 1e-5).all()
    # A mean over e-folding times of 30 frames: the old frames' weight, with 30 of them, falls below a tenth.
    assert found[30 + 60] < 1.65
    torch.testing.assert_close(found[-1], torch.tensor(1.5))


def test_shoulders_long_unseen_are_forgotten():
    xyz, left, right, wrist = upright(400)
    xyz[:, 1:, [left, right]] = torch.nan
    features = CausalNormalise(SIGN_27, 15.0, 1.0)(xyz)[0, :, :, wrist]
    assert features[0, 100] == pytest.approx(1.5, abs=1e-3)
    assert features[0, 300] == 0, "the only joint left is its own centre"
    assert torch.isfinite(features).all()


def test_a_hand_is_seen_from_its_wrist_in_lengths_of_its_palm():
    xyz = body(1, 1, layout=HAND_21)
    wrist, knuckle, tip = HAND_21.indices("wrist", "middle_mcp", "index_tip").tolist()
    features = CausalNormalise(HAND_21, 15.0, 2.0)(xyz)[0, :, 0]
    assert features[:3, wrist].abs().max() == 0
    assert features[:2, knuckle].norm() == pytest.approx(1, abs=1e-4)
    palm = (xyz[0, 0, knuckle] - xyz[0, 0, wrist])[:2].norm()
    torch.testing.assert_close(features[:3, tip], (xyz[0, 0, tip] - xyz[0, 0, wrist]) / palm)


def test_shoulders_in_one_point_are_no_measure():
    normalise, xyz = CausalNormalise(SIGN_27, 15.0, 2.0), body(1, 6)
    left, right = SIGN_27.indices("left_shoulder", "right_shoulder").tolist()
    xyz[:, :, right] = xyz[:, :, left]
    torch.testing.assert_close(normalise(3 * xyz), normalise(xyz), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("memory_s", [0.0, -1.0])
def test_a_memory_that_is_none_is_refused(memory_s):
    with pytest.raises(ValueError, match="above 0"):
        CausalNormalise(SIGN_27, 15.0, memory_s)


class Step(torch.nn.Module):
    """A step as a graph has it: tensors in, tensors out."""

    def __init__(self, made):
        super().__init__()
        self.made = made

    def forward(self, frame, tensors):
        said, state = self.made.step(frame, State(self.made.delay, tuple(tensors)))
        return said, list(state.tensors)


@pytest.mark.slow
@pytest.mark.parametrize("time", ["plain", "branches"])
def test_a_step_is_a_graph_that_says_what_torch_says(time, tmp_path):
    made = network(time=time, pool_size=4, persons=2)
    tensors = list(made.start(2).tensors)
    batch = torch.export.Dim("batch")
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Step(made),
            (torch.zeros(2, 2, len(SIGN_27), 3), tensors),
            tmp_path / "step.onnx",
            dynamic_shapes=({0: batch}, [{0: batch}] * len(tensors)),
            opset_version=18,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    session = ort.InferenceSession(tmp_path / "step.onnx", providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    xyz = body(3, 2, 12, missing=0.1)
    told, _ = stream(made, xyz)
    carried = [tensor.numpy() for tensor in made.start(3).tensors]
    for at in range(12):
        given = dict(zip(names, [xyz[:, :, at].numpy(), *carried], strict=True))
        said, *carried = session.run(None, given)
        np.testing.assert_allclose(said, told[at].numpy(), atol=1e-4)

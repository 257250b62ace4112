import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from landmarks import HAND_21, SHREC_20, SHREC_22, SIGN_27, UnknownJoint, numbered
from models import build
from models.reference import PartialLoad, translate
from models.reference.st_sgcn import arguments
from models.st_sgcn import (
    HAND_CONNECTIONS,
    Config,
    Moments,
    joint_prior,
    link_shares,
    positions,
    sparse_softmax,
    time_prior,
)

TINY = {"frames": 6, "embed": 6, "heads": 2, "masks": 2, "width": 3, "hidden": (8, 5), "dropout": 0.5}
MEDIAPIPE_EDGES = [
    *([0, 1], [0, 5], [0, 17], [1, 2], [2, 3], [3, 4], [5, 6], [5, 9], [6, 7], [7, 8], [9, 10], [9, 13]),
    *([10, 11], [11, 12], [13, 14], [13, 17], [14, 15], [15, 16], [17, 18], [18, 19], [19, 20]),
]


def config(**options):
    return Config(**{"labels": 3, "fps": 15.0, **options})


def made(layout=HAND_21, noise=0.3, **options):
    torch.manual_seed(0)
    network = build("st-sgcn", layout, labels=3, fps=15.0, **{**TINY, **options})
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += noise * torch.randn_like(parameter)
        network.graphs.over_frames.mix[1].running_mean.normal_()
        network.graphs.over_frames.around[1].running_var.uniform_(0.5, 2)
    return network.eval()


def hand(frames=6, batch=2, layout=HAND_21):
    random = np.random.default_rng(0)
    return torch.from_numpy(random.uniform(0, 1, (batch, frames, len(layout), 3)).astype(np.float32))


def published_names(network, blocks=1):
    """Our weights by the names of the published code, with all that it keeps without use."""
    masks = "sparse_weighted_adjacency_matrices.interaction_mask"
    names = {
        "graphs.joints.": "sparse_weighted_adjacency_matrices.spatial_attention.",
        "graphs.frames.": "sparse_weighted_adjacency_matrices.temporal_attention.",
        "graphs.over_frames.mix.": "sparse_weighted_adjacency_matrices.spa_fusion.conv.",
        "graphs.over_frames.around.": "sparse_weighted_adjacency_matrices.spa_fusion.shortcut.",
        "graphs.joint_mask.layers.": f"{masks}.spatial_asymmetric_convolutions.",
        "graphs.frame_mask.layers.": f"{masks}.temporal_asymmetric_convolutions.",
        "space.": f"stsgcn.{blocks - 1}.spatial_temporal_sparse_gcn.",
        "time.": f"stsgcn.{blocks - 1}.temporal_spatial_sparse_gcn.",
        "merge.": "fusion_.",
        "head.": "mlp.",
    }
    leaves = {".embed.": ".embedding.", ".looking.": ".conv1.", ".looked_at.": ".conv2."}
    leaves |= {".slope.": ".activation.", ".project.": ".embedding."}
    state = {}
    for name, weight in network.state_dict().items():
        place = next(place for place in names if name.startswith(place))
        theirs = names[place] + name.removeprefix(place)
        for ours, leaf in leaves.items():
            theirs = theirs.replace(ours, leaf)
        state[theirs] = weight.clone()
    last = f"stsgcn.{blocks - 1}."
    for block in range(blocks - 1):
        unused = {name: weight for name, weight in state.items() if name.startswith(last)}
        state |= {name.replace(last, f"stsgcn.{block}."): weight + 1 for name, weight in unused.items()}
    table = positions(network.config).expand(-1, len(network.layout), -1)
    state["sparse_weighted_adjacency_matrices.pet.pe"] = table
    state["sparse_weighted_adjacency_matrices.pes.pe"] = table + 1
    state["temporal_edge_weights.0.weight"] = torch.ones(4, network.config.channels)
    state["spatial_edge_weights.1.bias"] = torch.ones(4)
    return state


def softmax(x):
    x = np.exp(x - x.max(axis=-1, keepdims=True))
    return x / x.sum(axis=-1, keepdims=True)


def by_the_book(network, x):
    """Logits (labels,) of one clip (C, T, V), graph by graph in float64."""
    net, cfg = {name: w.double().numpy() for name, w in network.state_dict().items()}, network.config
    frames, joints, heads = cfg.frames, x.shape[2], cfg.heads
    x = x.transpose(1, 2, 0).astype(np.float64)  # (T, V, C)

    def slope(name, y):
        return np.where(y > 0, y, net[f"{name}.weight"] * y)

    def attention(name, nodes):  # (N, C) -> (H, N, N)
        e = nodes @ net[f"{name}.embed.weight"].T + net[f"{name}.embed.bias"]
        q, k = (e @ net[f"{name}.{part}.weight"].T + net[f"{name}.{part}.bias"] for part in ("query", "key"))
        size = cfg.embed // heads
        cut = [slice(h * size, (h + 1) * size) for h in range(heads)]
        return np.stack([softmax(q[:, c] @ k[:, c].T / np.sqrt(cfg.embed)) for c in cut])

    def mask(name, links):  # (H, S, S)
        for i in range(cfg.masks):
            place = f"{name}.layers.{i}"
            tall, wide = net[f"{place}.looking.weight"][..., 0], net[f"{place}.looked_at.weight"][:, :, 0]
            padded = np.pad(links, ((0, 0), (1, 1), (1, 1)))
            size = links.shape[1]
            y = net[f"{place}.looked_at.bias"][:, None, None] + sum(
                np.tensordot(tall[:, :, d], padded[:, d : d + size, 1:-1], 1)
                + np.tensordot(wide[:, :, d], padded[:, 1:-1, d : d + size], 1)
                for d in range(3)
            )
            links = slope(f"{place}.slope", y) + links
        weight = 1 / (1 + np.exp(-links))
        return np.where(weight > 0.5, weight, 0)

    def batch_norm(name, y):  # (T, ...)
        mean, var, gain, bias = (
            net[f"{name}.{part}"].reshape(-1, 1, 1, 1) for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (y - mean) / np.sqrt(var + 1e-5) * gain + bias

    def over_frames(name, y):  # (T, H, V, V)
        place = f"graphs.over_frames.{name}"
        return np.tensordot(net[f"{place}.weight"][..., 0, 0], y, 1) + net[f"{place}.bias"].reshape(-1, 1, 1, 1)

    def cut(links):
        z = (np.exp(links) - 1) ** 2
        return z / (z.sum(axis=-1, keepdims=True) + 1e-5)

    where = positions(cfg).double().numpy()
    space = np.stack([attention("graphs.joints", x[t] + where[t]) for t in range(frames)])  # (T, H, V, V)
    time = np.stack([attention("graphs.frames", x[:, v]) for v in range(joints)])  # (V, H, T, T)
    mixed = slope("graphs.over_frames.mix.2", batch_norm("graphs.over_frames.mix.1", over_frames("mix.0", space)))
    mixed = batch_norm("graphs.over_frames.mix.4", over_frames("mix.3", mixed))
    mixed = np.maximum(mixed + batch_norm("graphs.over_frames.around.1", over_frames("around.0", space)), 0)
    hands = joint_prior(network.layout, cfg).double().numpy()
    later = time_prior(cfg).double().numpy()
    space = cut(space * np.stack([mask("graphs.joint_mask", mixed[t]) + hands for t in range(frames)]))
    time = cut(time * np.stack([mask("graphs.frame_mask", time[v]) + later for v in range(joints)]))

    told = np.zeros((heads, frames, joints, cfg.width))
    for h in range(heads):
        from_space, from_time = x, x  # (T, V, C)
        for hop in range(cfg.cross_hops + 1):
            over = (space, time) if hop == 0 else (time, space)
            for branch, (name, graph) in enumerate(zip(("space", "time"), over, strict=True)):
                y = from_space if branch == 0 else from_time
                if graph is space:
                    y = np.stack([space[t, h] @ y[t] for t in range(frames)])
                else:
                    y = np.stack([time[v, h] @ y[:, v] for v in range(joints)], axis=1)
                y = slope(f"{name}.{hop}.slope", y @ net[f"{name}.{hop}.project.weight"].T)
                from_space, from_time = (y, from_time) if branch == 0 else (from_space, y)
        told += net["merge.weight"][:, h].reshape(-1, 1, 1, 1) * from_space
        told[h] += from_time
    nodes = told.mean(axis=0).transpose(1, 0, 2).ravel()  # (V, T, D)
    first = slope("head.2", net["head.1.weight"] @ nodes + net["head.1.bias"])
    second = slope("head.5", net["head.4.weight"] @ first + net["head.4.bias"])
    return net["head.7.weight"] @ second + net["head.7.bias"]


@pytest.mark.parametrize("cross_hops", [0, 1, 2])
@pytest.mark.parametrize("form", ["ours", "published"])
def test_it_is_what_the_equations_say(cross_hops, form):
    options = {"time_prior": "later", "positions": "published", "inputs": "given"} if form == "published" else {}
    network = made(numbered(5, [(1, 0), (2, 1), (3, 1)]), cross_hops=cross_hops, **options)
    x = torch.randn(3, network.config.channels, 6, 5)
    with torch.inference_mode():
        np.testing.assert_allclose(network.classify(x)[1], by_the_book(network, x[1].numpy()), atol=1e-4)


def test_only_with_cross_hops_does_a_branch_reach_along_both_axes():
    graph, other = torch.rand(1, 6, 2, 21, 21), torch.rand(1, 21, 2, 6, 6)  # of joints, of frames
    x, moved = torch.zeros(1, 6, 1, 21, 11), torch.zeros(1, 6, 1, 21, 11)
    moved[:, 2] = 1.0
    for hops, frames in ((0, [2]), (1, [0, 1, 2, 3, 4, 5])):
        branch = made(cross_hops=hops).space
        changed = (branch(graph, other, moved) - branch(graph, other, x)).abs().amax(dim=(0, 1, 2, 4))  # (T,)
        assert changed.nonzero().flatten().tolist() == frames


def test_the_connections_are_those_of_mediapipe():
    pairs = HAND_21.indices(*(joint for link in HAND_CONNECTIONS for joint in link)).reshape(-1, 2)
    assert sorted([parent, child] for child, parent in pairs.tolist()) == MEDIAPIPE_EDGES
    with pytest.raises(UnknownJoint, match="thumb_cmc"):
        made(SIGN_27, links="connections")


@pytest.mark.parametrize("own", [1.0, 2.0, 0.0])
def test_the_prior_of_joints_links_both_ways_and_each_joint_to_itself(own):
    prior = joint_prior(HAND_21, config(links="connections", self_links=own))
    wanted = np.zeros((21, 21))
    for a, b in MEDIAPIPE_EDGES:
        wanted[a, b] = wanted[b, a] = 1
    np.testing.assert_array_equal(prior, wanted + own * np.eye(21))
    bones = joint_prior(HAND_21, config(links="bones"))
    assert bones[0].nonzero().flatten().tolist() == [0, 1, 5, 9, 13, 17]


@pytest.mark.parametrize(
    ("layout", "options", "counts"),
    [
        (
            HAND_21,
            {"links": "connections", "link_count": "outward"},
            [3, 1, 1, 1, 0, 2, 1, 1, 0, 2, 1, 1, 0, 2, 1, 1, 0, 1, 1, 1, 0],
        ),
        (SHREC_22, {"link_count": "both-and-self"}, [3, 6, *[3, 3, 3, 2] * 5]),
        (SHREC_20, {"link_count": "outward-and-self"}, [6, 2, 2, 1, *[2, 2, 2, 1] * 4]),
    ],
    ids=["Briareo and IPN Hand", "SHREC'17", "SHREC'21"],
)
def test_connectivity_is_the_published_feature(layout, options, counts):
    shares = link_shares(layout, config(**options)).flatten()
    np.testing.assert_allclose(shares, np.array(counts) / max(counts), atol=1e-7)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("later", [0, 0, 1, 1]),
        ("self-and-later", [0, 1, 1, 1]),
        ("self-and-earlier", [1, 1, 0, 0]),
        ("self", [0, 1, 0, 0]),
    ],
)
def test_the_prior_of_frames_by_its_name(name, row):
    assert time_prior(config(frames=4, time_prior=name))[1].tolist() == row


def test_the_last_frame_of_the_published_prior_links_to_nothing_not_even_itself():
    assert time_prior(config(time_prior="later"))[-1].max() == 0
    assert time_prior(config())[-1, -1] == 1


def test_published_positions_have_one_frequency_and_a_true_sinusoid_one_for_each_pair():
    options = {"inputs": "given", "columns": ("x", "y", "z", "links", "speed", "acceleration"), "frames": 9}
    published, true = (positions(config(**options, positions=name))[:, 0] for name in ("published", "sinusoid"))
    t = torch.arange(9.0)
    for channel in range(6):
        wave = torch.cos if channel % 2 else torch.sin
        torch.testing.assert_close(published[:, channel], wave(t * 10_000 ** (-2 / 6)))
        torch.testing.assert_close(true[:, channel], wave(t * 10_000 ** (-(channel - channel % 2) / 6)))
    assert positions(config(positions="none")).abs().max() == 0


def test_an_odd_number_of_channels_has_a_sinusoid_but_no_published_positions():
    assert config().channels == 11
    assert torch.isfinite(made().logits(hand())).all()
    with pytest.raises(ValueError, match=r"even number of channels.* make 11"):
        config(positions="published")


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0, 1), scale=st.floats(0, 3))
def test_sparse_softmax_keeps_zeros_and_makes_rows_of_at_most_one(seed, share, scale):
    random = np.random.default_rng(seed)
    x = random.uniform(0, scale, (4, 5, 5)) * (random.random((4, 5, 5)) >= share)
    said = sparse_softmax(torch.from_numpy(x.astype(np.float32)))
    assert (said[torch.from_numpy(x.astype(np.float32)) == 0] == 0).all()
    assert (said >= 0).all()
    assert said.sum(dim=-1).max() <= 1 + 1e-6
    order = torch.from_numpy(x).argmax(dim=-1)
    assert torch.equal(said.gather(-1, order[..., None])[..., 0], said.amax(dim=-1))


@pytest.mark.parametrize("kept", [True, False])
def test_cut_links_are_exactly_zero_and_those_of_the_priors_are_never_cut(kept):
    network = made(links="connections", noise=0.1)  # little enough that all look at all
    with torch.no_grad():
        for mask in (network.graphs.joint_mask, network.graphs.frame_mask):
            mask.layers[-1].looked_at.bias.fill_(5.0 if kept else -50.0)
    with torch.inference_mode():
        said = network.explain(network.features(hand()))
    assert said.joints.shape == (2, 6, 2, 21, 21)
    assert said.frames.shape == (2, 21, 2, 6, 6)
    assert said.nodes.shape == (2, 21, 6, 3)
    for graph, prior in ((said.joints, network.graphs.joint_prior), (said.frames, network.graphs.time_prior)):
        linked = (prior > 0).expand_as(graph)
        assert (graph[linked] > 0).all()
        assert ((graph[~linked] > 0) == kept).all()
        assert graph.sum(dim=-1).max() <= 1 + 1e-6
    torch.testing.assert_close(said.logits, network.logits(hand()))


def test_another_prior_may_be_asked_about():
    network, features = made(), torch.randn(2, 11, 6, 21)
    same = network.explain(features, network.graphs.joint_prior)
    assert torch.equal(same.logits, network.classify(features))
    other = network.explain(features, torch.zeros(21, 21))
    assert (other.joints - same.joints).abs().max() > 0.01


def test_published_code_drops_in_evaluation_and_this_does_not():
    network, xyz = made(), hand()
    assert torch.equal(network(xyz), network(xyz))
    network.train()
    assert (network.logits(xyz) - network.logits(xyz)).abs().max() > 1e-3


@settings(max_examples=50, deadline=None)
@given(given=st.integers(1, 40), wanted=st.integers(2, 40), slope=st.floats(-3, 3))
def test_moments_are_even_linear_and_keep_both_ends(given, wanted, slope):
    ramp = (slope * torch.arange(given) + 1.0).view(1, 1, -1, 1)  # (B, C, T', V)
    said = Moments(wanted)(ramp).flatten()
    np.testing.assert_allclose(said, np.linspace(1.0, 1.0 + slope * (given - 1), wanted), atol=1e-4, rtol=1e-5)


def test_a_window_of_another_length_says_what_its_even_moments_say():
    network = made()
    features = torch.randn(2, 11, 11, 21)
    torch.testing.assert_close(network.classify(features), network.classify(features[:, :, ::2]), atol=1e-5, rtol=0)


def test_normalised_columns_are_the_wanted_ones_and_nothing_where_unseen():
    xyz = hand()
    xyz[0, 2, 4] = float("nan")
    whole = made().features(xyz)  # (B, C, T, V)
    assert whole.shape == (2, 11, 6, 21)
    assert whole[0, :, 2, 4].abs().max() == 0
    assert whole[0, 9, 3, 4] == 1
    torch.testing.assert_close(whole[1, 10, 0], link_shares(HAND_21, config()).flatten())
    some = made(columns=("seen", "position"), axes=2).features(xyz)
    torch.testing.assert_close(some, torch.cat([whole[:, 9:10], whole[:, :2]], dim=1))
    assert made(axes=2, hand_depth=True).features(xyz).shape[1] == 2 + 3 + 2 + 1 + 1


def test_given_columns_are_as_published_for_briareo():
    columns = ("links", "x", "y", "z", "speed", "acceleration")
    network = made(inputs="given", columns=columns, links="connections", link_count="outward")
    xyz = hand()
    xyz[1, 3, 20] = float("nan")
    said = network.features(xyz).numpy()
    links = np.array([3, 1, 1, 1, 0, 2, 1, 1, 0, 2, 1, 1, 0, 2, 1, 1, 0, 1, 1, 1, 0]) / 3
    told = np.concatenate([np.broadcast_to(links[:, None], (6, 21, 1)), xyz[0].numpy()], axis=-1)  # (T, V, 4)
    speed = np.zeros((6, 21))
    speed[:, 1:] = np.linalg.norm(told[:, 1:] - told[:, :-1], axis=-1)
    acceleration = np.zeros((6, 21))
    acceleration[:, 2:] = speed[:, 2:] - speed[:, 1:-1]
    np.testing.assert_allclose(said[0], [*told.transpose(2, 0, 1), speed, acceleration], atol=1e-5)
    assert (said[1, :, 3, 20] == -1).all()


def test_columns_that_no_landmark_gives_are_refused_but_can_be_classified():
    network = made(SHREC_20, inputs="given", columns=("links", "x", "y", "z", *["other"] * 4))
    with pytest.raises(ValueError, match=r"8 columns a joint, of which 4"):
        network(hand(layout=SHREC_20))
    assert network.classify(torch.randn(2, 8, 6, 20)).shape == (2, 3)


def published(layout, **options):
    as_published = {"cross_hops": 0, "time_prior": "later", "positions": "published", "inputs": "given"}
    return made(layout, **as_published | options)


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_of_several_published_blocks_the_last_one_counts(blocks):
    network = published(HAND_21, cross_hops=blocks - 1, links="connections")
    state = published_names(network, blocks)
    read = translate(state)
    assert sum(name.startswith("stsgcn.") for name in read.dropped) == (blocks - 1) * blocks * 4
    assert read.options["cross_hops"] == blocks - 1
    x = torch.randn(2, 4, 6, 21)
    torch.testing.assert_close(read.network().classify(x), network.classify(x))


@pytest.mark.parametrize(
    ("layout", "columns", "own"),
    [
        (HAND_21, ("links", "x", "y", "z", "speed", "acceleration"), 1.0),
        (HAND_21, ("x", "y", "z", "links"), 1.0),
        (SHREC_22, ("links", "x", "y", "z"), 2.0),
        (SHREC_20, ("links", "x", "y", "z", "other", "other", "other", "other"), 2.0),
    ],
)
def test_a_checkpoint_alone_says_its_joints_prior_and_columns(layout, columns, own):
    links = "connections" if layout is HAND_21 else "bones"
    network = published(layout, columns=columns, self_links=own, links=links)
    read = translate(published_names(network))
    assert (read.layout, read.options["columns"], read.window_frames) == (layout, columns, 6)
    x = torch.randn(2, len(columns), 6, len(layout))
    torch.testing.assert_close(read.network().classify(x), network.classify(x))
    assert ("not be served" in read.expects) == ("other" in columns)


def test_other_sizes_and_graphs_are_read_from_weights_and_config():
    edges = [[0, 1], [1, 2], [1, 3], [0, 4]]
    layout = numbered(5, [(b, a) for a, b in edges])
    network = published(layout, embed=10, heads=5, width=4, frames=7, masks=1, self_links=2.0, columns=("x", "y"))
    known = arguments({"joints": 5, "edges": [*edges, [2, 2]], "prior_diagonal": 2, "dropout": 0.25})
    read = translate(published_names(network), **known)
    x = torch.randn(2, 2, 7, 5)
    torch.testing.assert_close(read.network().classify(x), network.classify(x))
    assert read.options["dropout"] == 0.25


@pytest.mark.parametrize(
    ("layout", "links"), [(HAND_21, "connections"), (HAND_21, "bones"), (SHREC_22, "bones"), (SHREC_20, "bones")]
)
def test_layouts_are_known_by_their_edges_in_any_order(layout, links):
    edges = MEDIAPIPE_EDGES if links == "connections" else layout.edges.tolist()
    known = arguments({"joints": len(layout), "edges": [edge[::-1] for edge in reversed(edges)]})
    assert (known["layout"], known["links"]) == (layout, links)


def test_a_hand_of_unknown_joints_needs_a_layout():
    state = published_names(published(numbered(5), columns=("x", "y")))
    with pytest.raises(PartialLoad, match="5 joints needs a layout"):
        translate(state)
    assert translate(state, layout=numbered(5)).options["columns"] == ("x", "y")


def test_a_table_of_positions_may_be_absent_but_not_another():
    network = published(HAND_21, links="connections")
    state, table = published_names(network), "sparse_weighted_adjacency_matrices.pet.pe"
    x = torch.randn(2, 4, 6, 21)
    older = {
        name: weight for name, weight in state.items() if name != table and not name.endswith("num_batches_tracked")
    }
    torch.testing.assert_close(translate(older).network().classify(x), network.classify(x))
    for other in (state[table] + 0.1, state[table][:, :, :2], state[table][0]):
        with pytest.raises(PartialLoad, match="table of positions 'published'"):
            translate({**state, table: other})
    true = positions(dataclasses.replace(network.config, positions="sinusoid")).expand(-1, 21, -1)
    assert translate({**state, table: true}, positions="sinusoid").options["positions"] == "sinusoid"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"heads": 4}, "multiple of heads, got 6 and 4"),
        ({"frames": 1}, "frames >= 2.* got 1"),
        ({"cross_hops": -1}, "cross_hops >= 0.*-1"),
        ({"self_links": -1.0}, "self_links"),
        ({"dropout": 1.0}, "dropout"),
        ({"masks": 0}, "masks"),
        ({"hidden": (8,)}, "two hidden widths"),
        ({"fps": 0.0}, "fps"),
        ({"axes": 1}, "axes is 2 or 3, got 1"),
        ({"links": "tendons"}, "bones, connections"),
        ({"link_count": "all"}, "both-and-self"),
        ({"time_prior": "future"}, "later"),
        ({"positions": "learned"}, "sinusoid"),
        ({"inputs": "raw"}, "normalised, given"),
        ({"columns": ("x",)}, "columns of normalised inputs"),
        ({"columns": ("seen", "seen")}, "once each"),
        ({"inputs": "given", "columns": ("velocity",)}, "columns of given inputs"),
    ],
)
def test_impossible_values_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        Config(**{"labels": 3, "fps": 15.0, **TINY, **options})

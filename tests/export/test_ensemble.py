import dataclasses

import numpy as np
import pytest
import torch

from export import CannotExport, Target, ensemble, export
from export.graph import Graph
from tests.export.test_export import made
from tests.networks import FRAMES


def member(**fields):
    one = made("stgcn")
    return dataclasses.replace(one, manifest=dataclasses.replace(one.manifest, **fields))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"layout": "other"}, "one layout: 'made' has sign_27, 'made' other"),
        ({"window_frames": 13}, "one window_frames: 'made' has 12, 'made' 13"),
        ({"fps": 30.0}, "one fps"),
        ({"labels": ("b", "a", "none")}, "one labels"),
        ({"centre": 1.0}, "one centre"),
    ],
)
def test_members_that_do_not_fit_are_refused_in_words(fields, why, tmp_path):
    with pytest.raises(CannotExport, match=why):
        export([made("stgcn"), member(**fields)], tmp_path / "made.onnx")
    assert not any(tmp_path.iterdir())


def test_an_ensemble_says_whose_it_is_and_claims_no_figures():
    bone = member(name="bone", licence="CC-BY-4.0", sources=("a", "b"))
    joint = member(name="joint", sources=("b", "c"))
    found = ensemble.describe([joint, bone])
    assert (found.name, found.version, found.network) == ("joint+bone", "1.2.3", "stgcn")
    assert (found.licence, found.sources, found.metrics) == ("Apache-2.0 AND CC-BY-4.0", ("b", "c", "a"), {})
    assert ensemble.describe([joint, bone], "both").name == "both"
    alone = ensemble.describe([joint])
    assert alone.metrics == joint.manifest.metrics
    assert alone.weights_sha256 != found.weights_sha256


def test_the_sha256_is_of_the_weights():
    one, other = made("stgcn"), made("stgcn")
    assert ensemble.describe([one]).weights_sha256 == ensemble.describe([other]).weights_sha256
    next(iter(other.weights.values())).view(-1)[0] += 1e-3
    assert ensemble.describe([one]).weights_sha256 != ensemble.describe([other]).weights_sha256


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 2.0, 3.0), (1.0, 0.0), (1.0, -1.0), (1.0, float("inf"))])
def test_weights_are_one_a_member_and_above_0(weights):
    with pytest.raises(ValueError, match="one weight above 0 for each of 2"):
        ensemble.share(weights, 2)


def test_weights_are_shares():
    assert ensemble.share((), 4) == [0.25] * 4
    assert ensemble.share((1.0, 3.0), 2) == [0.25, 0.75]


@pytest.mark.slow
def test_an_ensemble_is_the_weighted_mean_in_one_graph(tmp_path):
    runs = [made("stgcn"), made("sgn")]
    export(runs, tmp_path / "made.onnx", Target(name="both", weights=(3.0, 1.0)))
    graph = Graph((tmp_path / "made.onnx").read_bytes())
    assert (graph.manifest.name, graph.manifest.network) == ("both", "stgcn+sgn")
    windows = np.random.default_rng(0).random((3, FRAMES, 27, 3), dtype=np.float32)
    with torch.inference_mode():
        one, other = (run.network()(torch.from_numpy(windows)).numpy() for run in runs)
    np.testing.assert_allclose(graph(windows)[:, 0], 0.75 * one + 0.25 * other, atol=1e-5)

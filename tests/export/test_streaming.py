"""Continual networks as a step's graph: what can be one, and that a step's graph says what torch says of streams."""

import dataclasses

import numpy as np
import pytest
import torch

from export import CannotExport, Target, export
from export.artefact import make_source
from export.graph import Graph
from landmarks import SIGN_27, LandmarkSequence, ManifestError
from models import Continual, build
from tests.export.test_export import made
from tests.networks import SMALL
from training.evaluate import of_onnx
from training.replay import replay


def continual(name, **options):
    one = made("stgcn")
    torch.manual_seed(0)
    options = {"labels": 3, "fps": 15.0, **SMALL[name], **options}
    network = build(name, SIGN_27, **options)
    manifest = dataclasses.replace(one.manifest, network=name, centre=0.75)
    return dataclasses.replace(one, manifest=manifest, options=options, weights=network.state_dict())


@pytest.mark.parametrize(
    ("run", "why"),
    [
        (lambda: made("stgcn"), "whole windows only.*costgcn, costgcn\\+\\+, signing-lstm"),
        (lambda: continual("costgcn"), "every 2 frames"),
        (lambda: continual("costgcn++", beginning="valid"), "from frame 16 on"),
        (lambda: continual("signing-lstm", bidirectional=True), "frames to come"),
        (lambda: continual("signing-lstm", width="clip"), "frames to come"),
    ],
)
def test_what_cannot_be_a_stream_is_refused_with_the_reason(run, why, tmp_path):
    with pytest.raises(CannotExport, match=why):
        export(run(), tmp_path / "made.onnx", Target("stream"))
    assert not any(tmp_path.iterdir())


def test_the_manifest_of_a_stream_says_what_it_carries():
    run = continual("signing-lstm")
    found = make_source([run], Target("stream")).manifest
    network = run.network()
    assert isinstance(network, Continual)
    assert found.form == "stream"
    assert found.states == tuple(tuple(each.shape[1:]) for each in network.start(1).tensors)
    # Of 12 frames, the moment at 0.75 lies 3 behind the newest.
    assert (found.window_frames, found.stride_frames, found.centre) == (4, 1, 0.0)
    kept = ("name", "version", "labels", "fps", "licence", "metrics", "decoding")
    assert all(getattr(found, field) == getattr(run.manifest, field) for field in kept)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "batch"), [("signing-lstm", 0), ("costgcn++", 0), ("signing-lstm", 3)])
def test_streams_of_any_age_say_together_what_torch_says_of_each(name, batch, tmp_path):
    run, path = continual(name), tmp_path / "made.onnx"
    export(run, path, Target("stream", batch=batch))
    graph = Graph(path.read_bytes())
    assert graph.batch == batch
    network = run.network()
    assert isinstance(network, Continual)
    random = np.random.default_rng(1)
    clips = random.normal(0.5, 0.2, (4, 30, 27, 3)).astype(np.float32)
    clips[random.random(clips.shape[:3]) < 0.2] = np.nan
    with torch.inference_mode():
        told = torch.softmax(network.predictions(torch.from_numpy(clips)), dim=-1).numpy()
    np.testing.assert_allclose(graph(clips), told, atol=1e-5)
    one_by_one = np.concatenate([graph(clip[None]) for clip in clips])
    np.testing.assert_allclose(graph(clips), one_by_one, atol=1e-6)
    given = {value.name: value.shape for value in graph.session.get_inputs()}
    assert list(given) == ["frame", *(f"state_{i}" for i in range(len(graph.manifest.states)))]
    assert [tuple(shape[1:]) for shape in given.values()] == [(27, 3), *graph.manifest.states]
    outputs = [value.name for value in graph.session.get_outputs()]
    assert outputs == ["probabilities", *(f"next_{i}" for i in range(len(graph.manifest.states)))]
    predict, manifest = of_onnx(path)
    if not batch:
        np.testing.assert_allclose(predict(clips), told[:, -1], atol=1e-5)
    with pytest.raises(ManifestError, match="one step of a stream"):
        replay(LandmarkSequence.of(SIGN_27, clips[0], fps=15.0), predict, manifest)

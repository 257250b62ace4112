import dataclasses
import json

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from export import Disagreement, Evidence, LessAccurate, Target, export, fold, parity, passport
from export.__main__ import main
from export.clips import Labelled
from export.onnx import to_onnx
from landmarks import SIGN_27, Manifest
from landmarks.manifest import METADATA_KEY
from models import NETWORKS, Checkpoint, build
from service.engine import OnnxEngine
from service.session import Session, replay
from tests.fakes import signer
from tests.networks import FRAMES, SMALL
from training.evaluate import of_onnx


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=() if name == "stgcn" else pytest.mark.slow) for name in sorted(NETWORKS)],
)
def saved(request):
    return made(request.param)


@pytest.fixture(scope="module")
def one():
    """For what does not depend on the network."""
    return made("stgcn")


def made(name):
    torch.manual_seed(0)
    options = {"labels": 3, "fps": 15.0, **SMALL[name]}
    network = build(name, SIGN_27, **options)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    manifest = Manifest(
        name="made",
        version="1.2.3",
        task="gesture",
        network=name,
        layout="sign_27",
        joints=SIGN_27.joints,
        window_frames=FRAMES,
        stride_frames=2,
        fps=15.0,
        labels=("a", "b", "none"),
        background="none",
        licence="Apache-2.0",
        metrics={"accuracy": 0.5},
    )
    return Checkpoint(manifest, SIGN_27, options, network.state_dict(), {})


@pytest.fixture(scope="module")
def written(saved, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "deep" / "made.onnx"
    assert export(saved, path).difference <= parity.TOLERANCE
    return path


@pytest.mark.slow
def test_the_graph_is_the_contract(written):
    session = ort.InferenceSession(str(written), providers=["CPUExecutionProvider"])
    (given,), (answer,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape[1:]) == ("landmarks", "tensor(float)", [FRAMES, 27, 3])
    assert isinstance(given.shape[0], str), "the batch is dynamic"
    assert (answer.name, answer.type, answer.shape[1:]) == ("probabilities", "tensor(float)", [3])


def test_the_manifest_comes_back_from_the_file(written, saved):
    _, manifest = of_onnx(written)
    assert dataclasses.replace(manifest, weights_sha256="") == saved.manifest
    assert len(manifest.weights_sha256) == 64


def test_nothing_is_left_to_fold(written):
    model = onnx.load(written)
    assert "Einsum" not in fold.operators(model)
    assert fold.constants(model) == []
    again = fold.fold(onnx.load(written))
    assert fold.operators(again) == fold.operators(model)
    makers = {output: node.op_type for node in model.graph.node for output in node.output}
    before = [makers[node.input[0]] for node in model.graph.node if node.op_type == "BatchNormalization"]
    assert not {"Conv", "MatMul", "Gemm"}.intersection(before)


def test_the_report_stands_beside_the_file(written, saved):
    said = json.loads(written.with_suffix(".json").read_text())
    assert (said["model"], said["form"], said["precision"]) == ("made", "window", "fp32")
    assert said["bytes"] == written.stat().st_size
    assert said["milliseconds"] > 0
    assert set(said["differences"]) == set(parity.inputs(FRAMES, 27, 1))
    assert max(said["differences"].values()) <= parity.TOLERANCE
    assert said["operators"] == passport.read(written).operators


def test_nothing_of_this_machine_travels(written):
    assert str(onnx.__file__).encode()[:12] not in written.read_bytes()
    model = onnx.load(written)
    assert [entry.key for entry in model.metadata_props] == [METADATA_KEY]


@pytest.mark.parametrize("batch", [1, 3, 17])
def test_onnxruntime_says_what_torch_says(written, saved, batch):
    predict, _ = of_onnx(written)
    for windows in parity.inputs(FRAMES, 27, batch, seed=5).values():
        with torch.inference_mode():
            ours = saved.network()(torch.from_numpy(windows)).numpy()
        np.testing.assert_allclose(predict(windows), ours, atol=1e-4)


def test_the_service_serves_it(written, saved):
    session = Session([OnnxEngine(written)], aspect=4 / 3)
    scores, _ = replay(session, signer([False] * 10 + [True] * 20, fps=15))
    assert len(scores) >= 5
    for scored in scores:
        assert len(scored.probabilities) == 3
        assert sum(scored.probabilities) == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_a_graph_of_other_weights_is_refused(one):
    other = one.network()
    for parameter in other.parameters():
        parameter.data.mul_(1.1)
    with pytest.raises(Disagreement, match="differ by"):
        parity.check(other, to_onnx(one.network(), one.manifest), FRAMES, 27)


@pytest.mark.slow
def test_a_network_that_gives_nan_is_refused_and_leaves_the_file_as_it_was(one, tmp_path):
    weights = dict(one.weights)
    name = next(key for key in weights if key.endswith("bias"))
    weights[name] = torch.full_like(weights[name], float("nan"))
    broken = dataclasses.replace(one, weights=weights)
    path = tmp_path / "made.onnx"
    path.write_bytes(b"as it was")
    with pytest.raises(Disagreement, match="not finite"):
        export(broken, path)
    assert path.read_bytes() == b"as it was"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
def test_a_disagreement_leaves_no_file(one, tmp_path):
    path = tmp_path / "made.onnx"
    with pytest.raises(Disagreement, match="Nothing was written"):
        export(one, path, tolerance=-1.0)
    assert list(tmp_path.iterdir()) == []


def test_int8_takes_windows_to_go_by_and_to_be_measured_on(one, tmp_path):
    with pytest.raises(LessAccurate, match="python -m training windows"):
        export(one, tmp_path / "made.onnx", Target(precision="int8"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("wrong", [{"form": "clip"}, {"precision": "int4"}, {"batch": -1}])
def test_a_target_that_does_not_exist_is_refused(wrong):
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        Target(**wrong)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_lower_precision_is_written_if_it_is_as_accurate(one, tmp_path, precision):
    windows = np.concatenate([*parity.inputs(FRAMES, 27, 20, seed=1).values()])
    with torch.inference_mode():
        truth = one.network()(torch.from_numpy(windows)).numpy().argmax(axis=1)
    evidence = Evidence(calibration=windows, labelled=Labelled(windows, truth))
    path = tmp_path / "made.onnx"
    found = export(one, path, Target(precision=precision), evidence)
    assert found.accuracy["windows"] == 140
    assert (found.accuracy["torch"], found.accuracy["file"] >= 0.99) == (1.0, True)
    manifest = passport.read(path).manifest
    assert manifest.precision == precision
    assert manifest.metrics == {"windows": 140.0, "accuracy": found.accuracy["file"]}, "the fit's are of other weights"
    before = path.read_bytes()
    # As if it had to be better than torch.
    strict = dataclasses.replace(evidence, most_lost=-0.02)
    with pytest.raises(LessAccurate, match=f"{precision} gets .* may be lost. Nothing was written"):
        export(one, path, Target(precision=precision), strict)
    assert path.read_bytes() == before


@pytest.mark.slow
def test_the_command(one, tmp_path, capsys):
    one.save(tmp_path / "run")
    assert main([str(tmp_path / "run"), str(tmp_path / "out.onnx")]) == 0
    assert "made 1.2.3" in capsys.readouterr().out
    assert main(["inspect", str(tmp_path / "out.onnx")]) == 0
    assert json.loads(capsys.readouterr().out)["manifest"]["name"] == "made"
    assert main([str(tmp_path / "nowhere"), str(tmp_path / "none.onnx")]) == 2
    assert "no checkpoint" in capsys.readouterr().err
    assert not (tmp_path / "none.onnx").exists()
    assert main([str(tmp_path / "run"), str(tmp_path / "out.pt")]) == 2
    assert "ends in .onnx" in capsys.readouterr().err

import dataclasses
import json

import onnx
import pytest
from onnx import TensorProto, helper, parser

from export import NoModel, passport
from export.__main__ import main
from export.onnx import seal
from landmarks import Manifest

MANIFEST = Manifest(
    name="made",
    version="1",
    task="gesture",
    network="stgcn",
    layout="two",
    joints=("a", "b"),
    window_frames=4,
    stride_frames=1,
    fps=10.0,
    labels=("x", "y"),
    background="",
    licence="Apache-2.0",
    weights_sha256="0" * 64,
)


def model():
    return parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]> made (float[batch, 4, 2, 3] landmarks) => '
        "(float[batch, 2] probabilities) <float[1] half = {0.5}, int64[2] axes = {1, 2}, int64[1] to = {2}> {"
        "a = ReduceMean <keepdims = 0> (landmarks, axes)  p = Softmax(a)"
        " zero = Constant <value_ints = [0]> () probabilities = Slice(p, zero, to, to_one) }".replace(
            "to_one", "axis"
        ).replace("int64[1] to = {2}", "int64[1] to = {2}, int64[1] axis = {1}")
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "made.onnx"
    path.write_bytes(seal(model(), MANIFEST))
    return path


def test_a_file_says_what_it_is(file, capsys):
    found = passport.read(file)
    assert found.manifest == MANIFEST
    assert (found.opset, found.bytes) == (18, file.stat().st_size)
    assert found.inputs == {"landmarks": "float (batch, 4, 2, 3)"}
    assert found.outputs == {"probabilities": "float (batch, 2)"}
    assert found.operators == {"Constant": 1, "ReduceMean": 1, "Slice": 1, "Softmax": 1}
    assert main(["inspect", str(file)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["manifest"]["licence"] == "Apache-2.0"
    assert said["manifest"]["weights_sha256"] == "0" * 64


def outside(made):
    made.graph.node.append(helper.make_node("Anything", ["p"], ["q"], domain="some.where"))


def outside_and_inside(made):
    body = helper.make_graph([helper.make_node("Anything", ["p"], ["q"], domain="some.where")], "body", [], [])
    made.graph.node.append(helper.make_node("If", ["c"], ["q"], then_branch=body, else_branch=body))


def function(made):
    made.functions.append(helper.make_function("some.where", "Softmax", ["x"], ["y"], [], []))


def weights_elsewhere(made):
    tensor = made.graph.initializer[0]
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def constant_elsewhere(made):
    tensor = TensorProto(name="away", data_location=TensorProto.EXTERNAL, data_type=TensorProto.FLOAT, dims=[1])
    tensor.external_data.add(key="location", value="weights.bin")
    made.graph.node.append(helper.make_node("Constant", [], ["away"], value=tensor))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (outside, "some.where.Anything"),
        (outside_and_inside, "some.where.Anything"),
        (function, "functions of its own: Softmax"),
        (weights_elsewhere, "other files: half"),
        (constant_elsewhere, "other files: away"),
        (lambda made: made.metadata_props.pop(), "carries no manifest"),
    ],
)
def test_what_reaches_outside_the_file_is_refused(file, change, why, capsys):
    made = onnx.load_from_string(file.read_bytes())
    if not made.graph.initializer:
        made.graph.initializer.append(helper.make_tensor("half", TensorProto.FLOAT, [1], [0.5]))
    change(made)
    file.write_bytes(made.SerializeToString())
    with pytest.raises(NoModel, match=why):
        passport.read(file)
    assert main(["inspect", str(file)]) == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\x03\x04", b"\x80\x04K*."])
def test_another_file_is_refused(file, content):
    file.write_bytes(content)
    with pytest.raises(NoModel):
        passport.read(file)


def test_a_manifest_of_another_time_is_refused(file):
    made = onnx.load_from_string(file.read_bytes())
    text = json.dumps(dataclasses.asdict(MANIFEST) | {"format_version": 99})
    made.metadata_props[0].value = text
    file.write_bytes(made.SerializeToString())
    with pytest.raises(NoModel, match="format 99"):
        passport.read(file)


def test_no_file_is_no_model(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "nothing.onnx")]) == 2
    assert "nothing.onnx" in capsys.readouterr().err

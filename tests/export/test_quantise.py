import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, parser

from export import quantise

GIVEN = np.random.default_rng(0).normal(size=(8, 3, 6, 4)).astype(np.float32)
LINES = """
    inside = Sub(landmarks, middle)
    mixed = MatMul(inside, mixing)
    a = Conv(mixed, weights)
    b = Relu(a)
    c = MatMul(b, square)
    next_0 = Add(c, state_0)
    d = ReduceMean <keepdims = 0> (next_0, axes)
    probabilities = Softmax(d)
"""
"""Normalisation of landmarks, a network, and a state that it carries."""


@pytest.fixture(scope="module")
def model():
    made = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]> made (float[B, 3, 6, 4] landmarks, float[B, 5, 6, 4] state_0)'
        f" => (float[B, 5] probabilities, float[B, 5, 6, 4] next_0) {{ {LINES} }}"
    )
    random = np.random.default_rng(1)
    shapes = {"middle": (3, 1, 1), "mixing": (4, 4), "square": (4, 4), "weights": (5, 3, 1, 1)}
    for name, shape in shapes.items():
        made.graph.initializer.append(onnx.numpy_helper.from_array(random.normal(size=shape).astype("f"), name))
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array([2, 3]), "axes"))
    for node in made.graph.node:
        node.name = f"makes_{node.output[0]}"
    onnx.checker.check_model(made, full_check=True)
    return made


def given(batch=8):
    return {"landmarks": GIVEN[:batch], "state_0": np.zeros((batch, 5, 6, 4), np.float32)}


def answers(model):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, given())


def test_half_precision_is_inside_and_float32_outside(model):
    halved = quantise.half(model)
    kinds = {value.name: value.type.tensor_type.elem_type for value in (*halved.graph.input, *halved.graph.output)}
    assert kinds == dict.fromkeys(["landmarks", "state_0", "probabilities", "next_0"], TensorProto.FLOAT)
    weights = {one.name: one.data_type for one in halved.graph.initializer}
    assert weights.pop("axes") == TensorProto.INT64
    # The first MatMul mixes raw landmarks, and so keeps its weights.
    assert weights == {
        "middle": TensorProto.FLOAT,
        "mixing": TensorProto.FLOAT,
        "weights_half": TensorProto.FLOAT16,
        "square_half": TensorProto.FLOAT16,
    }


def test_half_precision_rounds_and_no_more(model):
    for one, half in zip(answers(model), answers(quantise.half(model)), strict=True):
        np.testing.assert_allclose(half, one, atol=1e-2, rtol=1e-2)
        assert not np.array_equal(half, one)


def test_the_model_that_is_halved_stays_as_it_was(model):
    before = model.SerializeToString()
    quantise.half(model)
    assert model.SerializeToString() == before


def test_weights_beyond_half_precision_stay_finite(model):
    large = onnx.ModelProto()
    large.CopyFrom(model)
    (weights,) = (one for one in large.graph.initializer if one.name == "weights")
    weights.CopyFrom(onnx.numpy_helper.from_array(np.full((5, 3, 1, 1), 1e6, np.float32), "weights"))
    (halved,) = (one for one in quantise.half(large).graph.initializer if one.name == "weights_half")
    assert np.isfinite(onnx.numpy_helper.to_array(halved)).all()


def test_integers_are_in_the_network_alone(model):
    rounded = quantise.int8(model, [given()])
    makers = {output: node for node in rounded.graph.node for output in node.output}
    fed = {
        node.name: [makers[name].op_type for name in node.input if name in makers]
        for node in rounded.graph.node
        if node.op_type in ("Conv", "MatMul")
    }
    assert fed == {
        "makes_mixed": ["Sub"],
        "makes_a": ["DequantizeLinear", "DequantizeLinear"],
        "makes_c": ["DequantizeLinear", "DequantizeLinear"],
    }
    for one, other in zip(answers(model), answers(rounded), strict=True):
        np.testing.assert_allclose(other, one, atol=0.05 * np.abs(one).max())


def test_integers_need_something_to_go_by(model):
    with pytest.raises(ValueError, match="ranges"):
        quantise.int8(model, [])

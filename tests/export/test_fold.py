import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import parser

from export import fold

GIVEN = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
"""(B, C, T, V)."""
NORM = "BatchNormalization <epsilon = 0.001> ({}, gain, shift, middle, spread)"
SHAPES = {
    "weights": (3, 3, 3, 1),
    "more": (3, 3, 1, 1),
    "bias": (3,),
    "added": (3, 1, 4),
    "graph": (3, 4, 4),
    "square": (4, 4),
    **dict.fromkeys(("gain", "shift", "middle", "spread"), (3,)),
}


def graph(*lines, constants=SHAPES):
    """`x` -> `y`, with constants by their shapes."""
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]> made (float[B, 3, 5, 4] x) => (float[B, 3, S, 4] y) {'
        + "\n".join(lines)
        + "}"
    )
    random = np.random.default_rng(1)
    for name, shape in constants.items():
        values = random.uniform(0.2, 1.5, shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    for i, node in enumerate(model.graph.node):
        node.name = f"n{i}"
    return model


def answer(model):
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": GIVEN})[0]


@pytest.mark.parametrize(
    "lines",
    [
        ("a = Conv(x, weights)", f"y = {NORM.format('a')}"),
        ("a = Conv(x, weights, bias)", f"y = {NORM.format('a')}"),
        ("a = Conv(x, weights, bias)", "b = Add(a, added)", f"y = {NORM.format('b')}"),
        ("a = Conv(x, more)", "b = Conv(x, more, bias)", "c = Add(a, b)", f"y = {NORM.format('c')}"),
        ("a = MatMul(x, graph)", f"n = {NORM.format('a')}", "y = Relu(n)"),
        ("a = MatMul(x, graph)", "b = Add(added, a)", f"y = {NORM.format('b')}"),
    ],
    ids=["conv", "conv with bias", "a bias a joint", "two convs", "matmul", "matmul with a bias a joint"],
)
def test_normalisation_goes_into_the_weights_before_it(lines):
    before = answer(graph(*lines))
    folded = fold.fold(graph(*lines))
    assert "BatchNormalization" not in fold.operators(folded)
    np.testing.assert_allclose(answer(folded), before, atol=1e-5)
    assert {"gain", "middle", "spread"}.isdisjoint(one.name for one in folded.graph.initializer)


@pytest.mark.parametrize(
    "lines",
    [
        (f"y = {NORM.format('x')}",),
        ("a = Relu(x)", f"y = {NORM.format('a')}"),
        ("a = MatMul(x, square)", f"y = {NORM.format('a')}"),
        ("a = Conv(x, more)", f"b = {NORM.format('a')}", "y = Add(a, b)"),
        ("a = Conv(x, more)", "b = Add(a, x)", f"y = {NORM.format('b')}"),
    ],
    ids=["nothing before", "after an edge", "weights without channels", "somebody else takes it", "added to a value"],
)
def test_normalisation_stays_where_nothing_can_take_it(lines):
    before = answer(graph(*lines))
    folded = fold.fold(graph(*lines))
    assert fold.operators(folded)["BatchNormalization"] == 1
    np.testing.assert_allclose(answer(folded), before, atol=1e-6)


def test_weights_that_two_share_are_left_to_the_other():
    lines = ("a = Conv(x, more)", f"b = {NORM.format('a')}", "c = Conv(b, more)", "y = Relu(c)")
    before = answer(graph(*lines))
    np.testing.assert_allclose(answer(fold.fold(graph(*lines))), before, rtol=1e-5)


def test_constants_are_worked_out_even_large_ones():
    lines = ("a = Mul(links, importance)", "b = MatMul(big, a)", "s = ReduceMean(b)", "y = Mul(x, s)")
    made = graph(*lines, constants={"links": (3, 75, 75), "importance": (3, 75, 75), "big": (75, 75)})
    before = answer(made)
    assert fold.constants(made) == ["a", "b", "s"]
    folded = fold.fold(made)
    assert fold.constants(folded) == []
    assert fold.operators(folded) == {"Mul": 1}
    np.testing.assert_allclose(answer(folded), before, rtol=1e-5)

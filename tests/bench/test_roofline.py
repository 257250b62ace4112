import numpy as np
import onnx
import pytest
from onnx import parser

from bench import roofline
from bench.__main__ import main


def test_the_bytes_are_those_of_products_alone():
    model = parser.parse_model(
        '<ir_version: 10, opset_import: ["" : 18]> made (float[B, 4] landmarks) => (float[B, 2] probabilities) {'
        " a = Relu(landmarks) b = MatMul(a, wide) c = Relu(b) d = MatMul(c, narrow) probabilities = Softmax(d) }"
    )
    for name, shape in (("wide", (4, 8)), ("narrow", (8, 2))):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(shape, np.float32), name))
    windows = np.ones((3, 4), np.float32)
    first, second = 3 * 4 + 4 * 8 + 3 * 8, 3 * 8 + 8 * 2 + 3 * 2
    assert roofline.moved_bytes(model.SerializeToString(), windows) == 4 * (first + second)


@pytest.mark.slow
def test_no_network_is_above_the_roof(capsys):
    assert main(["roofline", "--only", "signing-lstm", "--batches", "1", "4", "--turns", "3"]) == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    networks = [row for row in rows if row and row[0] == "signing-lstm"]
    assert [row[1] for row in networks] == ["1", "4"]
    assert all(0 < float(row[7].rstrip("%")) < 100 for row in networks)
    streams = {row[0]: row for row in rows if row and row[0] in ("windows", "steps")}
    assert float(streams["steps"][1]) == 30
    assert all(float(row[4]) > 0 for row in streams.values())

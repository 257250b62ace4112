"""The way that a device takes, on the one device that is always there."""

import numpy as np
import onnx
import onnxruntime
import pytest

from service import transfer
from service.engine import CPU, OnnxEngine, Runtime, Step
from service.resident import Resident
from service.states import BEGINNING
from tests.fakes import manifest
from tests.graphs import leaky, leaky_manifest, leaky_sums, recurrent
from tests.service.test_engine import graph_file

JOINTS = 27


def resident(path, sizes, rows=0):
    return Resident(onnxruntime.InferenceSession(path, providers=[CPU]), "cpu", [CPU], sizes, rows)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 3, 4, 11])
def test_windows_of_any_number_are_answered_in_fixed_sizes(tmp_path, batch):
    path = graph_file(tmp_path / "one.onnx", manifest(), labels=2)
    said = resident(path, [1, 2, 4]).run(np.zeros((batch, 4, JOINTS, 3), np.float32))
    np.testing.assert_array_equal(said, np.full((batch, 2), 0.5, np.float32))


def test_each_stream_goes_on_from_its_own_row_whatever_fills_the_batch_up(tmp_path):
    """Three streams of other ages, one of which begins anew, in runs of one to three and sizes of 1, 2 and 4."""
    device = resident(leaky(tmp_path / "leaky.onnx", leaky_manifest(manifest())), [1, 2, 4], rows=3)
    random = np.random.default_rng(0)
    seen, said = {1: [], 2: [], 3: []}, {1: [], 2: [], 3: []}
    for turn in range(12):
        rows = random.permutation([1, 2, 3])[: 1 + turn % 3]
        values = random.integers(0, 9, len(rows)) / 8
        frames = np.zeros((len(rows), JOINTS, 3), np.float32)
        frames[:, 0, 0] = values
        for row, value in zip(rows, values, strict=True):
            if turn == 7:
                seen[row], said[row] = [], []
            seen[row].append(value)
        origins = [row if len(seen[row]) > 1 else BEGINNING for row in rows]
        answers = device.run(frames, [(int(a), int(b)) for a, b in zip(origins, rows, strict=True)])
        for row, answer in zip(rows, answers, strict=True):
            said[row].append(answer[1])
    for row in (1, 2, 3):
        assert len(seen[row]) > 2
        np.testing.assert_array_equal(said[row], leaky_sums(np.array(seen[row])))


def test_a_device_says_what_the_cpu_says_of_streams_in_any_order(tmp_path):
    path = recurrent(tmp_path / "net.onnx", leaky_manifest(manifest()))
    host, device = OnnxEngine(path, Runtime(streams=5)), resident(path, [1, 2, 4], rows=5)
    places = [host.places.take() for _ in range(5)]
    random = np.random.default_rng(1)
    known = set()
    for _ in range(15):
        chosen = [int(i) for i in random.permutation(5)[: random.integers(1, 6)]]
        frames = random.random((len(chosen), JOINTS, 3), np.float32)
        steps = [Step(places[i], i not in known) for i in chosen]
        rows = [(BEGINNING if step.fresh else step.place.row, step.place.row) for step in steps]
        known |= set(chosen)
        np.testing.assert_allclose(device.run(frames, rows), host.predict(frames, steps), atol=1e-5)


def test_the_graphs_that_move_states_are_what_onnx_says_a_graph_is():
    for graph in (transfer.gather, transfer.scatter):
        model = onnx.load_from_string(graph([(1,), (2, 300)], [1, 10], rows=70_000))
        onnx.checker.check_model(model, full_check=True)
        shape = model.graph.input[1].type.tensor_type.shape
        assert [axis.dim_value for axis in shape.dim] == [70_000, 2, 300]

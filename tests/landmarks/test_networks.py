import cv2
import flatbuffers
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st

from landmarks import tflite
from landmarks.__main__ import main
from landmarks.errors import FormatError, UnknownNetwork
from landmarks.extract import read_video
from landmarks.networks import HOLISTIC, NETWORKS, converted, source
from landmarks.tflite_to_onnx import convert
from tests import mediapipe_graph

SMALL = "hand_region"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("networks")


def open_session(content):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def noise(side, count=2):
    return np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)


def agree(found, expected):
    """To a thousandth of what the network's numbers span; of 1 where it gives a single one."""
    for ours, theirs in zip(found, expected, strict=True):
        ours = ours.reshape(theirs.shape)
        span = max(np.ptp(theirs), 1.0 if theirs.shape[1] == 1 else 0.0)
        assert span > 0
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3 * span)


def whole(name):
    """The network with every output of its file, wanted by extraction or not."""
    network, data = NETWORKS[name], source(name)
    return convert(data, network.pixels, range(len(tflite.read(data).outputs)), {})


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_answers_noise_as_mediapipes_interpreter_does(name):
    pictures = noise(NETWORKS[name].side)
    found = open_session(whole(name)).run(None, {"pictures": pictures})
    agree(found, mediapipe_graph.answers(NETWORKS[name], pictures, len(found)))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_answers_real_pictures_as_mediapipes_interpreter_does(name, clips):
    side, pictures = NETWORKS[name].side, []
    for clip in ("asl_book.mkv", "asl_eat.mkv", "nosign_head-pose-face-detection-female.mp4"):
        picture = next(picture for i, (_, picture) in enumerate(read_video(clips / clip)) if i == 24)
        height, width = picture.shape[:2]
        cuts = [
            picture,
            picture[: height // 2],
            picture[height // 3 :, : width // 2],
            picture[height // 3 :, width // 2 :],
        ]
        pictures += [cv2.resize(cut, (side, side)) for cut in cuts]
    found = open_session(whole(name)).run(None, {"pictures": np.stack(pictures)})
    agree(found, mediapipe_graph.answers(NETWORKS[name], pictures, len(found)))


@pytest.mark.parametrize("name", [SMALL, *(pytest.param(n, marks=pytest.mark.slow) for n in HOLISTIC if n != SMALL)])
def test_pictures_do_not_see_each_other_and_unwanted_outputs_change_nothing(name, folder):
    network = NETWORKS[name]
    pictures = noise(network.side, 3)
    session = open_session(converted(name, folder).read_bytes())
    together = session.run(None, {"pictures": pictures})
    alone = [session.run(None, {"pictures": pictures[i : i + 1]}) for i in range(3)]
    everything = open_session(whole(name)).run(None, {"pictures": pictures})
    for i, answer in enumerate(together):
        span = np.ptp(answer)
        np.testing.assert_allclose(answer, np.concatenate([one[i] for one in alone]), rtol=0, atol=1e-5 * span)
        np.testing.assert_allclose(answer, everything[network.outputs[i]], rtol=0, atol=1e-5 * span)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_file_is_sound_onnx_and_says_what_it_was_made_of(name, folder):
    model = onnx.load(converted(name, folder))
    onnx.checker.check_model(model, full_check=True)
    assert {entry.key: entry.value for entry in model.metadata_props}["source"] == NETWORKS[name].source
    (pictures,) = model.graph.input
    side = NETWORKS[name].side
    assert [axis.dim_param or axis.dim_value for axis in pictures.type.tensor_type.shape.dim] == [
        "batch",
        side,
        side,
        3,
    ]
    assert [output.name for output in model.graph.output] == [f"output_{i}" for i in range(len(NETWORKS[name].outputs))]


def test_a_network_is_converted_once_and_named_after_its_source(tmp_path):
    path = converted(SMALL, tmp_path)
    written = path.stat().st_mtime_ns
    path.with_name(f"{path.name}unfinished").touch()  # of a process that was killed
    assert converted(SMALL, tmp_path) == path
    assert path.stat().st_mtime_ns == written
    assert converted("hand_landmarks_lite", tmp_path) != path


def test_the_cache_lies_where_the_system_says(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert converted(SMALL).parent == tmp_path / "signstream" / "networks"


def test_the_command_converts_what_is_named(tmp_path, capsys):
    assert main(["convert-models", SMALL, "hand_landmarks_lite", "--out", str(tmp_path)]) == 0
    expected = [converted(name, tmp_path) for name in (SMALL, "hand_landmarks_lite")]
    assert capsys.readouterr().out.split() == [str(path) for path in expected]
    assert sorted(tmp_path.iterdir()) == sorted(expected)
    assert main(["convert-models", "face", "--out", str(tmp_path)]) == 1
    assert "no network 'face'" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_converts_what_extraction_runs(tmp_path, capsys):
    assert main(["convert-models", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [str(converted(name, tmp_path)) for name in HOLISTIC]


def test_a_name_that_is_none_shows_the_right_ones():
    with pytest.raises(UnknownNetwork, match=r"no network 'face'.*hand_region"):
        converted("face")


def test_an_operator_that_we_do_not_convert_is_named():
    data = bytearray(source(SMALL))
    code = next(tflite.Table.root(bytes(data)).tables(1))
    for field in (0, 3):
        if at := code._place(field):
            data[at] = 99
    with pytest.raises(FormatError, match="operator 99"):
        tflite.read(bytes(data))


def test_what_is_no_tflite_file_says_so():
    with pytest.raises(FormatError, match="no TFLite file"):
        tflite.read(b"hello, this is text")


@given(st.floats(0, 0.999))
def test_a_file_that_is_cut_off_anywhere_says_so(share):
    data = source(SMALL)
    with pytest.raises(FormatError, match=r"cut off|no TFLite"):
        tflite.read(data[: int(share * len(data))])


def sparsity(order, blocks, axes):
    """The flatbuffer table of a sparse constant. axes: a size each, or (starts, indices) of a sparse one."""
    build = flatbuffers.Builder()

    def numbers(values):
        vector = build.CreateNumpyVector(np.array(values, np.int32))
        build.StartObject(1)
        build.PrependUOffsetTRelativeSlot(0, vector, 0)
        return build.EndObject()

    tables = []
    for axis in axes:
        vectors = [] if isinstance(axis, int) else [numbers(part) for part in axis]
        build.StartObject(6)
        build.PrependInt8Slot(0, 1 if vectors else 0, 0)
        if isinstance(axis, int):
            build.PrependInt32Slot(1, axis, 0)
        for field, vector in zip((2, 4), vectors, strict=False):
            build.PrependUint8Slot(field, 1, 0)
            build.PrependUOffsetTRelativeSlot(field + 1, vector, 0)
        tables.append(build.EndObject())
    build.StartVector(4, len(tables), 4)
    for table in reversed(tables):
        build.PrependUOffsetTRelative(table)
    axes_vector = build.EndVector()
    order_vector, blocks_vector = (build.CreateNumpyVector(np.array(values, np.int32)) for values in (order, blocks))
    build.StartObject(3)
    build.PrependUOffsetTRelativeSlot(0, order_vector, 0)
    build.PrependUOffsetTRelativeSlot(1, blocks_vector, 0)
    build.PrependUOffsetTRelativeSlot(2, axes_vector, 0)
    build.Finish(build.EndObject())
    return tflite.Table.root(bytes(build.Output()))


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**16))
def test_a_sparse_constant_gets_its_zeros_back(rows, columns, block, seed):
    random = np.random.default_rng(seed)
    kept = random.random((rows, columns)) < 0.5
    blocks = random.normal(size=(rows, columns, block)).astype(np.float32) * kept[..., None]
    starts = [0, *np.cumsum(kept.sum(axis=1)).tolist()]
    indices = [int(column) for row in kept for column in np.flatnonzero(row)]
    table = sparsity([0, 1, 2], [1], [rows, (starts, indices), block])  # columns in blocks, of which some are there
    found = tflite.dense(blocks[kept].ravel(), (rows, columns * block), table)
    np.testing.assert_array_equal(found, blocks.reshape(rows, columns * block))


def test_a_sparse_constant_may_be_stored_columns_first():
    expected = np.array([[1, 0, 2], [0, 3, 0]], np.float32)
    table = sparsity([1, 0], [], [3, ([0, 1, 2, 3], [0, 1, 0])])
    np.testing.assert_array_equal(tflite.dense(np.array([1, 3, 2], np.float32), (2, 3), table), expected)
    with pytest.raises(FormatError, match="3 places"):
        tflite.dense(np.array([1, 3], np.float32), (2, 3), table)

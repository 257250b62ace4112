from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from landmarks import SIGN_27, Layout
from landmarks.manifest import METADATA_KEY
from service.engine import OnnxEngine, Runtime, Step, cuda_devices, load_engines
from service.errors import Busy, ModelError
from service.settings import Settings
from service.states import Places
from tests.fakes import manifest
from tests.graphs import leaky_manifest, recurrent

JOINTS = len(SIGN_27)


def graph_file(path, of=None, frames=4, labels=2):
    """A model that always says the same probabilities, with a manifest if one is given."""
    said = np.full((1, labels), 1 / labels, np.float32)
    nodes = [
        helper.make_node("ReduceSum", ["landmarks", "axes"], ["sum"], keepdims=0),
        helper.make_node("Unsqueeze", ["sum", "last"], ["column"]),
        helper.make_node("Mul", ["column", "zero"], ["nothing"]),
        helper.make_node("Add", ["nothing", "said"], ["probabilities"]),
    ]
    weights = {"axes": np.array([1, 2, 3]), "last": np.array([1]), "zero": np.zeros((), np.float32), "said": said}
    graph = helper.make_graph(
        nodes,
        "fixed",
        [helper.make_tensor_value_info("landmarks", TensorProto.FLOAT, ["batch", frames, JOINTS, 3])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", labels])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if of is not None:
        entry = model.metadata_props.add()
        entry.key, entry.value = METADATA_KEY, of if isinstance(of, str) else of.to_json()
    onnx.save(model, path)
    return path


def test_a_model_file_answers_any_batch(tmp_path):
    engine = OnnxEngine(graph_file(tmp_path / "a.onnx", manifest()))
    assert engine.manifest == manifest()
    assert engine.provider == "CPUExecutionProvider"
    for batch in (1, 3):
        np.testing.assert_allclose(engine.predict(np.zeros((batch, 4, JOINTS, 3), np.float32)), 0.5)


@pytest.mark.parametrize(
    ("of", "frames", "says"),
    [
        (None, 4, "no signstream.manifest in its metadata"),
        ("{}", 4, "the manifest is wrong"),
        (manifest(frames=9), 4, r"says \[9, 27, 3\] in, its graph landmarks"),
        (manifest(labels=("a", "b", "c")), 4, "its graph"),
    ],
)
def test_a_file_that_cannot_be_served_says_why(tmp_path, of, frames, says):
    with pytest.raises(ModelError, match=rf"bad\.onnx: .*{says}"):
        OnnxEngine(graph_file(tmp_path / "bad.onnx", of, frames))


def test_a_model_of_joints_that_no_live_stream_has_is_not_served(tmp_path):
    strange = manifest(layout=Layout("tailed", (*SIGN_27.joints[:-1], "tail"), ()))
    graph_file(tmp_path / "bad.onnx", strange)
    with pytest.raises(ModelError, match=r"bad\.onnx: .*no joint tail"):
        load_engines(Settings(models_dir=tmp_path, device="cpu"))


@pytest.mark.parametrize(("batch", "taken"), [(1, True), (8, False)])
def test_on_a_cpu_a_file_of_one_batch_size_is_taken_if_that_is_one(tmp_path, batch, taken):
    path = graph_file(tmp_path / "fixed.onnx", manifest())
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = batch
    onnx.save(model, path)
    if taken:
        assert OnnxEngine(path).predict(np.zeros((3, 4, JOINTS, 3), np.float32)).shape == (3, 2)
    else:
        with pytest.raises(ModelError, match="takes 8 rows at a time"):
            OnnxEngine(path)


def test_what_is_no_model_says_so(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"hello")
    with pytest.raises(ModelError, match="cannot load it"):
        OnnxEngine(tmp_path / "bad.onnx")


def test_all_models_of_a_folder_are_loaded_and_names_must_differ(tmp_path):
    settings = Settings(models_dir=tmp_path, device="cpu")
    with pytest.raises(ModelError, match=r"no \*\.onnx in"):
        load_engines(settings)
    graph_file(tmp_path / "one.onnx", manifest("one"))
    graph_file(tmp_path / "two.onnx", manifest("two"))
    assert [engine.manifest.name for engine in load_engines(settings)] == ["one", "two"]
    graph_file(tmp_path / "three.onnx", manifest("two"))
    with pytest.raises(ModelError, match="also named 'two'"):
        load_engines(settings)


@pytest.mark.parametrize("frames", [1, 5])
def test_a_window_and_a_step_are_answered_to_the_bit_alone_or_in_company(tmp_path, frames):
    of = leaky_manifest(manifest())
    engine = OnnxEngine(recurrent(tmp_path / "net.onnx", of), Runtime(streams=20))
    seen = np.random.default_rng(0).random((10, frames, JOINTS, 3), np.float32)
    one_by_one, together = ([engine.places.take() for _ in range(10)] for _ in range(2))
    for i in range(frames):
        said = engine.predict(seen[:, i], [Step(place, i == 0) for place in together])
        for place, frame, row in zip(one_by_one, seen[:, i], said, strict=True):
            np.testing.assert_array_equal(engine.predict(frame[None], [Step(place, i == 0)])[0], row)


@pytest.mark.parametrize("strange", [{"states": ((47,),)}, {"states": ((48,), (1,))}, {"labels": ("a", "b", "c")}])
def test_a_step_whose_graph_is_not_what_its_manifest_says_is_refused(tmp_path, strange):
    path, of = recurrent(tmp_path / "bad.onnx", leaky_manifest(manifest())), leaky_manifest(manifest())
    model = onnx.load(path)
    model.metadata_props[0].value = replace(of, **{"states": ((48,),), **strange, "background": ""}).to_json()
    onnx.save(model, path)
    with pytest.raises(ModelError, match=r"bad\.onnx: its manifest says \[27, 3\], .* in, its graph frame"):
        OnnxEngine(path)


def test_places_are_as_many_as_streams_and_free_again_once_nothing_names_them():
    places = Places(2)
    one, other = places.take(), places.take()
    assert {one.row, other.row} == {1, 2}
    with pytest.raises(Busy, match="all 2 places"):
        places.take()
    row = other.row
    del other
    assert places.free == 1
    assert places.take().row == row


@pytest.mark.skipif(cuda_devices() > 0, reason="there is a CUDA device here")
def test_cuda_is_never_claimed_without_a_device(tmp_path):
    graph_file(tmp_path / "one.onnx", manifest())
    with pytest.raises(ModelError, match="no CUDA device"):
        load_engines(Settings(models_dir=tmp_path, device="cuda"))
    with pytest.raises(ModelError, match="REQUIRE_CUDA is set, but there is no CUDA device"):
        load_engines(Settings(models_dir=tmp_path, require_cuda=True))
    (engine,) = load_engines(Settings(models_dir=tmp_path, device="auto"))
    assert engine.provider == "CPUExecutionProvider"

import json

import h5py
import numpy as np
import pytest
import torch

from landmarks import HAND_21
from models import CheckpointError, build, checkpoint
from models.__main__ import main
from models.reference import UnknownCheckpoint, find_family, read, recognise

RAN = []


class Runs:
    """Pickles to a call."""

    def __reduce__(self):
        return (RAN.append, ("executed",))


def test_nothing_in_a_file_is_executed(tmp_path):
    torch.save({"state_dict": {"a": torch.zeros(1)}, "meta": Runs()}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="could run code"):
        read(tmp_path / "a.pth")
    assert not RAN


@pytest.mark.parametrize("wrapper", ["state_dict", "model", "weights", None])
def test_weights_are_found_where_training_scripts_put_them(tmp_path, wrapper):
    weights = {"module.a": torch.ones(2), "module.b": torch.zeros(1)}
    torch.save({wrapper: weights, "epoch": 3} if wrapper else weights, tmp_path / "a.pth")
    assert set(read(tmp_path / "a.pth")) == {"a", "b"}


def test_what_is_no_checkpoint_is_told(tmp_path):
    (tmp_path / "text.pth").write_text("hello")
    for suffix in ("safetensors", "h5", "npz", "json"):
        (tmp_path / f"text.{suffix}").write_text("hello")
    torch.save({"epoch": 3}, tmp_path / "none.pth")
    torch.save(np.zeros(3).tolist(), tmp_path / "list.pth")
    for name in (
        "text.pth",
        "text.safetensors",
        "text.h5",
        "text.npz",
        "text.json",
        "none.pth",
        "list.pth",
        "nowhere.pth",
    ):
        with pytest.raises(CheckpointError, match=name.split(".")[0]):
            read(tmp_path / name)


def test_names_of_no_family_are_told():
    with pytest.raises(UnknownCheckpoint, match=r"layer\.weight"):
        recognise({"layer.weight": torch.zeros(1)})
    with pytest.raises(UnknownCheckpoint, match="choose from"):
        find_family("stgnc")


def test_our_own_weights_are_not_taken_for_published_ones():
    with pytest.raises(UnknownCheckpoint):
        recognise(build("stgcn", HAND_21, labels=2, fps=15.0, widths=(8,), strides=(1,)).state_dict())


def test_the_command_refuses_in_words(tmp_path, capsys):
    torch.save({"layer.weight": torch.zeros(1)}, tmp_path / "a.pth")
    assert main(["import", str(tmp_path / "a.pth"), "--as", "x", "--out", str(tmp_path / "run")]) == 2
    assert "UnknownCheckpoint" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def detector():
    """A small published detector of signing, by Keras' names."""
    random = np.random.default_rng(0)
    shapes = {
        "dense/kernel": (4, 2),
        "dense/bias": (2,),
        "lstm/lstm_cell/kernel": (25, 16),
        "lstm/lstm_cell/recurrent_kernel": (4, 16),
        "lstm/lstm_cell/bias": (16,),
    }
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def as_h5(path, weights, group="model_weights", model="", suffix=":0"):
    with h5py.File(path, "w") as file:
        for name, values in weights.items():
            layer = name.split("/")[0]
            file[f"{group}/{layer}/{model}{name}{suffix}"] = values
        file.create_group(f"{group}/dropout")
        file["optimizer_weights/Adam/iter:0"] = 3
    return path


def as_shards(folder, weights, shards=2, quantise=None, model=""):
    """TensorFlow.js: model.json, and the bytes of all weights cut anywhere into shards."""
    entries, data = [], b""
    for name, values in weights.items():
        entry = {"name": model + name, "shape": list(values.shape), "dtype": "float32"}
        if quantise == "float16":
            entry["quantization"] = {"dtype": "float16", "original_dtype": "float32"}
            values = values.astype("<f2")
        elif quantise:
            steps = np.iinfo(quantise).max
            low, scale = float(values.min()), float(np.ptp(values)) / steps
            entry["quantization"] = {"dtype": quantise, "min": low, "scale": scale, "original_dtype": "float32"}
            values = np.round((values - low) / scale).astype(np.dtype(quantise).newbyteorder("<"))
        entries.append(entry)
        data += values.tobytes()
    names = [f"group1-shard{i + 1}of{shards}.bin" for i in range(shards)]
    for i, name in enumerate(names):
        (folder / name).write_bytes(data[i * len(data) // shards : (i + 1) * len(data) // shards])
    path = folder / "model.json"
    path.write_text(json.dumps({"format": "layers-model", "weightsManifest": [{"paths": names, "weights": entries}]}))
    return path


def edited(path, change):
    """The model.json after a change to its only group of weights."""
    model = json.loads(path.read_text())
    change(model["weightsManifest"][0])
    path.write_text(json.dumps(model))
    return path


def assert_read(path, weights, atol=0.0):
    found = read(path)
    assert set(found) == set(weights)
    for name, values in weights.items():
        assert found[name].dtype == torch.float32
        assert found[name].shape == values.shape
        np.testing.assert_allclose(found[name].numpy(), values, atol=atol, rtol=0)


@pytest.mark.parametrize(
    "saved",
    [{}, {"model": "tgt/"}, {"suffix": ""}, {"group": "/"}],
    ids=["keras 2", "with the model's name", "keras 3", "weights alone"],
)
def test_keras_weights_are_found_by_their_names(tmp_path, saved):
    weights, path = detector(), tmp_path / "model.h5"
    as_h5(path, weights, **saved)
    if saved.get("group"):
        with h5py.File(path, "a") as file:
            del file["optimizer_weights"]
    assert_read(path, weights)


def test_keras_leaves_that_are_named_without_their_layer_get_it(tmp_path):
    with h5py.File(tmp_path / "model.h5", "w") as file:
        file["model_weights/lstm/kernel"], file["model_weights/dense/kernel"] = np.zeros(2), np.ones(3)
    assert set(read(tmp_path / "model.h5")) == {"lstm/kernel", "dense/kernel"}


@pytest.mark.parametrize(
    ("saved", "atol"),
    [
        ({}, 0),
        ({"shards": 5, "model": "sequential/"}, 0),
        ({"quantise": "uint16"}, 1e-4),
        ({"quantise": "uint8"}, 0.02),
    ],
    ids=["float32", "many shards", "uint16", "uint8"],
)
def test_tensorflow_js_weights_are_cut_from_their_shards(tmp_path, saved, atol):
    weights = detector()
    assert_read(as_shards(tmp_path, weights, **saved), weights, atol)


def test_tensorflow_js_halves_become_floats(tmp_path):
    weights = {name: values.astype(np.float16).astype(np.float32) for name, values in detector().items()}
    assert_read(as_shards(tmp_path, weights, quantise="float16"), weights)


def test_the_list_of_tensorflow_js_weights_may_stand_alone(tmp_path):
    path = as_shards(tmp_path, detector())
    path.write_text(json.dumps(json.loads(path.read_text())["weightsManifest"]))
    assert_read(path, detector())


def test_numpy_archives(tmp_path):
    weights = {**detector(), "steps": np.array(3)}
    np.savez(tmp_path / "a.npz", **{f"{name}:0": values for name, values in weights.items()})
    found = read(tmp_path / "a.npz")
    assert found.pop("steps").shape == ()
    assert set(found) == set(detector())
    np.savez(tmp_path / "run.npz", a=np.array([Runs()], dtype=object))
    with pytest.raises(CheckpointError, match="run"):
        read(tmp_path / "run.npz")
    assert not RAN


def test_a_published_detector_is_imported_from_any_of_its_files(tmp_path, capsys):
    weights = detector()
    np.savez(tmp_path / "a.npz", **weights)
    states = []
    for path in (as_h5(tmp_path / "model.h5", weights), as_shards(tmp_path, weights), tmp_path / "a.npz"):
        assert main(["import", str(path), "--as", "signing-lstm", "--out", str(tmp_path / "run")]) == 0
        assert "5 tensors read, none missing" in capsys.readouterr().out
        states.append(checkpoint.load(tmp_path / "run").weights)
    assert states[0]["layers.0.lstm.weight_ih_l0"].shape == (16, 26)
    assert all(torch.equal(states[0][name], other[name]) for other in states[1:] for name in states[0])


@pytest.mark.parametrize("shard", ["../secret.bin", "/etc/hostname", "link.bin", "nowhere.bin"])
def test_shards_lie_beside_their_model(tmp_path, shard):
    (tmp_path / "secret.bin").write_bytes(b"\0" * 4096)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = edited(as_shards(folder, detector()), lambda group: group.update(paths=[shard]))
    with pytest.raises(CheckpointError, match="nowhere" if shard == "nowhere.bin" else "outside"):
        read(path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda group: group["weights"].pop(), "bytes too many"),
        (lambda group: group["paths"].pop(), "are left"),
        (lambda group: group["weights"][0].update(dtype="string"), "of type string"),
        (lambda group: group["weights"][0].update(shape=[-4, -2]), "are left"),
        (lambda group: group["weights"][0].update(shape=None), "TensorFlow.js"),
        (lambda group: group["weights"][0].pop("name"), "has no 'name'"),
        (lambda group: group.pop("paths"), "has no 'paths'"),
        (lambda group: group.update(weights=[]), "bytes too many"),
    ],
)
def test_a_tensorflow_js_model_that_does_not_fit_its_shards_is_told(tmp_path, change, named):
    with pytest.raises(CheckpointError, match=named):
        read(edited(as_shards(tmp_path, detector()), change))


@pytest.mark.parametrize("text", ["", "{", "3", "{}", '{"weightsManifest": 3}', "[1]", "[" * 100_000])
def test_any_other_json_is_told(tmp_path, text):
    (tmp_path / "model.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"model\.json"):
        read(tmp_path / "model.json")


def test_hdf5_that_points_elsewhere_or_claims_too_much_is_told(tmp_path):
    as_h5(tmp_path / "other.h5", detector())
    (tmp_path / "raw.bin").write_bytes(b"\0" * 64)
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["model_weights/dense/linked"] = h5py.ExternalLink("other.h5", "/model_weights/dense/dense/bias:0")
    with pytest.raises(CheckpointError, match="no weights"):
        read(tmp_path / "links.h5")
    with h5py.File(tmp_path / "outside.h5", "w") as file:
        file.create_group("model_weights/a").create_dataset(
            "a", (4,), "f4", external=[(str(tmp_path / "raw.bin"), 0, 16)]
        )
    with pytest.raises(CheckpointError, match="another file"):
        read(tmp_path / "outside.h5")
    with h5py.File(tmp_path / "huge.h5", "w") as file:
        file.create_group("model_weights/a").create_dataset("a", (10**12,), "f4", chunks=(1024,))
    with pytest.raises(CheckpointError, match="claims 4000000000000 bytes"):
        read(tmp_path / "huge.h5")
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file["model_weights/a/a"] = "hello"
    with pytest.raises(CheckpointError, match=r"text\.h5"):
        read(tmp_path / "text.h5")

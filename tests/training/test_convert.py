import io
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest

from training import datasets
from training.__main__ import main
from training.convert import RefusedPickle, UnknownPickle, samples_of, samples_of_arrays, unpickle
from training.datasets import archives
from training.split_files import from_file

RANDOM = np.random.default_rng(0)


def annotation(name, label=0, people=1, frames=4, joints=17, channels=2, **more):
    keypoint = RANDOM.uniform(1, 100, (people, frames, joints, channels)).astype(np.float16)
    score = {"keypoint_score": np.ones((people, frames, joints), np.float16)} if channels == 2 else {}
    return {"frame_dir": name, "label": label, "total_frames": frames, "keypoint": keypoint, **score, **more}


PICTURE = {"img_shape": (480, 640), "original_shape": (480, 640)}
NEW = {
    "split": {"xsub_train": ["a"], "xsub_val": ["b"], "notes": []},
    "annotations": [annotation("a", 3, **PICTURE), annotation("b", 4, people=2, **PICTURE)],
}
OLD = [annotation("a", 3, **PICTURE), annotation("b", 4, **PICTURE)]


def pickled(tmp_path, content, protocol=4):
    path = tmp_path / "made.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("content", [NEW, OLD], ids=["pyskl and mmaction2 1.x", "mmaction2 0.x"])
def test_published_forms_become_archives(tmp_path, capsys, content, protocol):
    out = tmp_path / "archives" / "made.npz"
    out.parent.mkdir()
    assert main(["convert", str(pickled(tmp_path, content, protocol)), str(out)]) == 0
    assert "is a pickle: it is unpickled here" in capsys.readouterr().out
    annotations = content["annotations"] if isinstance(content, dict) else content
    for sample, want in zip(archives.read(out), annotations, strict=True):
        assert (sample.name, sample.label, sample.size) == (want["frame_dir"], want["label"], (640, 480))
        np.testing.assert_array_equal(sample.keypoint, want["keypoint"])
    clips = datasets.load(tmp_path, ("archives",))
    assert [clip.label for clip in clips] == ["3", "4"]


def test_a_protocols_split_goes_beside_the_archive(tmp_path):
    (tmp_path / "archives").mkdir()
    main(["convert", str(pickled(tmp_path, NEW)), str(tmp_path / "archives" / "made.npz")])
    split = from_file(tmp_path / "archives" / "made.xsub.json", datasets.load(tmp_path, ("archives",)))
    assert [[c.take for c in side] for side in (split.train, split.validation, split.test)] == [
        ["made/a"],
        [],
        ["made/b"],
    ]
    assert [path.name for path in (tmp_path / "archives").glob("*.json")] == ["made.xsub.json"]


def test_names_and_labels_beside_arrays_become_an_archive(tmp_path):
    data = np.zeros((2, 3, 10, 25, 2), np.float32)
    data[0, :, :6, :, 0] = RANDOM.normal(size=(3, 6, 25))
    data[1, :, :, :, :] = RANDOM.normal(size=(3, 10, 25, 2))
    np.save(tmp_path / "data.npy", data)
    path = pickled(tmp_path, (["S001C001P001R001A001.skeleton", "S001C001P002R001A002.skeleton"], [0, 1]), 2)
    out = tmp_path / "archives" / "ntu.npz"
    out.parent.mkdir()
    assert main(["convert", str(path), str(out), "--data", str(tmp_path / "data.npy")]) == 0
    one, two = archives.read(out)
    assert (one.keypoint.shape, two.keypoint.shape) == ((1, 6, 25, 3), (2, 10, 25, 3))
    np.testing.assert_array_equal(two.keypoint[1, 7, 4], data[1, :, 7, 4, 1])
    assert [clip.person for clip in datasets.load(tmp_path, ("archives",))] == [1001, 1002]
    with pytest.raises(UnknownPickle, match=r"must be \(2, C, T, V, M\)"):
        samples_of_arrays((["a", "b"], [0, 1]), data[:1])


class Ran(Exception):
    pass


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit",))


class Opens:
    def __reduce__(self):
        return (io.open, ("/tmp/never", "w"))


@pytest.mark.parametrize(
    ("content", "asks"),
    [
        (Bomb(), "exec"),
        ([{"keypoint": Opens()}], "open"),
        (Path("a"), "PosixPath"),
        (Ran, "Ran"),
        (np.random.default_rng(0), "numpy"),
        (getattr, "getattr"),
    ],
)
def test_code_is_refused_and_not_run(tmp_path, content, asks):
    with pytest.raises(RefusedPickle, match=f"is refused: it asks for .*{asks}.*only numpy arrays"):
        unpickle(pickled(tmp_path, content))


@pytest.mark.parametrize(
    "stream",
    [
        b"cos\nsystem\n(S'true'\ntR.",
        b"c__builtin__\neval\n(S'1'\ntR.",
        b"cnumpy.testing._private.utils\nrunstring\n(S'1'\nS'{}'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"c_codecs\nencode\n(S'x'\nS'zip'\ntR.",
        b"(S'x'\nQ.",
        b"\x80\x05\x95rubbish",
        b"",
    ],
)
def test_hand_made_pickles_are_refused(tmp_path, stream):
    (tmp_path / "made.pkl").write_bytes(stream)
    with pytest.raises(RefusedPickle):
        unpickle(tmp_path / "made.pkl")


@pytest.mark.parametrize("protocol", range(6))
def test_plain_content_comes_back(tmp_path, protocol):
    content = OrderedDict(
        a=[1, 2.5, None, True], b=({"x"}, b"\xff\x00", "ü"), c=np.float32(3), d=np.array([["a", "b"]])
    )
    back = unpickle(pickled(tmp_path, content, protocol))
    assert {k: back[k] for k in "abc"} == {k: content[k] for k in "abc"}
    np.testing.assert_array_equal(back["d"], content["d"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"a": 1}, "neither annotations"),
        ([1, 2], "neither annotations"),
        ([{"keypoint": np.ones((1, 2, 17, 2))}], "neither frame_dir nor filename"),
        ([{"frame_dir": "a", "keypoint": np.array(["x"])}], "must hold numbers"),
    ],
)
def test_plain_content_of_another_form_says_so(content, says):
    with pytest.raises(UnknownPickle, match=says):
        samples_of(content)


def test_a_sample_of_one_person_may_lack_that_axis():
    (sample,), _ = samples_of({"filename": "a", "keypoint": np.ones((4, 17, 2)), "keypoint_score": np.ones((4, 17))})
    assert (sample.keypoint.shape, sample.label) == ((1, 4, 17, 2), -1)


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    assert main(["convert", str(pickled(tmp_path, Bomb())), str(tmp_path / "out.npz")]) == 2
    assert "RefusedPickle" in capsys.readouterr().err
    assert not (tmp_path / "out.npz").exists()
    assert main(["convert", str(tmp_path / "none.pkl"), str(tmp_path / "out.npz")]) == 2

import json
import pickle

import numpy as np
import pytest

from training import ensemble
from training.__main__ import main
from training.ensemble_runs import EnsembleError, as_logits, kind_of, of_files, of_runs, read_labels
from training.trainer import SELECTED

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(recipe_file, tmp_path_factory):
    """Two streams of the tiny recipe, one trained on the validation person too."""
    folder = tmp_path_factory.mktemp("runs")
    for stream, refit in (("joint", "true"), ("bone", "false")):
        settings = (f"network.options.stream={stream}", f"split.refit={refit}", "fit.epochs=1", "fit.windows=32")
        overrides = [part for setting in settings for part in ("--set", setting)]
        assert main(["fit", str(recipe_file), "--out", str(folder / stream), *overrides]) == 0
    return folder


def made(folder, name, scores, form="dsta_slr", names=("a", "b", "c")):
    ensemble.write(folder / name, ensemble.Result(np.array(scores, np.float32), names), form)
    return str(folder / name)


ONE = [[3, 0], [3, 0], [0, 3]]
OTHER = [[0, 2], [2, 0], [2, 0]]


def test_runs_are_combined_by_weights_that_validation_clips_gave(runs, tmp_path, capsys):
    sources = [str(runs / "joint"), str(runs / "bone")]
    assert main(["ensemble", *sources, "--out", str(tmp_path), "--results", "dsta_slr"]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in ("joint", "bone", "equal weights", "searched weights", "interval"))
    about = json.loads((tmp_path / "ensemble.json").read_text())
    rows = {row["name"]: row for row in about["rows"]}
    assert about["searched"]
    assert rows["searched weights"]["weights"] == about["weights"]
    assert rows["searched weights"]["validation"] >= max(rows[n]["validation"] for n in ("joint", "bone"))
    # A stream alone is tested as its own run was.
    figures = json.loads((runs / "bone" / "metrics.json").read_text())
    assert rows["bone"]["test"]["accuracy"] == pytest.approx(figures["accuracy"], abs=1e-5)
    # The files say the same again.
    files = [str(tmp_path / name) for name in ("joint.pkl", "bone.pkl")]
    again = ["--validation", *(path.replace(".pkl", "-validation.pkl") for path in files)]
    again += ["--validation-labels", str(tmp_path / "labels-validation.json")]
    arguments = ["ensemble", "--from", *files, "--labels", str(tmp_path / "labels.json"), *again]
    assert main([*arguments, "--out", str(tmp_path / "again")]) == 0
    repeated = {r["name"]: r for r in json.loads((tmp_path / "again" / "ensemble.json").read_text())["rows"]}
    assert repeated["joint"]["test"]["accuracy"] == rows["joint"]["test"]["accuracy"]
    assert repeated["bone"]["validation"] == rows["bone"]["validation"]


def test_a_refitted_run_answers_validation_clips_as_it_was_before(runs, tmp_path, recipe_file):
    both, alone = of_runs([runs / "joint", runs / "bone"])[0], of_runs([runs / "bone", runs / "bone"])[0]
    np.testing.assert_array_equal(both.streams[1], alone.streams[0])
    unrefitted = tmp_path / "unrefitted"
    settings = ("network.options.stream=joint", "split.refit=false", "fit.epochs=1", "fit.windows=32")
    overrides = [part for setting in settings for part in ("--set", setting)]
    main(["fit", str(recipe_file), "--out", str(unrefitted), *overrides])
    same, tested = of_runs([unrefitted, runs / "joint"])
    np.testing.assert_array_equal(same.streams[0], same.streams[1])
    assert np.abs(tested.streams[0] - tested.streams[1]).max() > 0
    (runs / "joint" / SELECTED).rename(tmp_path / "kept")
    try:
        with pytest.raises(EnsembleError, match=r"joint was trained on its validation persons too \(split.refit\)"):
            of_runs([runs / "joint", runs / "bone"])
    finally:
        (tmp_path / "kept").rename(runs / "joint" / SELECTED)


def test_runs_of_other_samples_are_refused(runs, recipe_file, tmp_path, capsys):
    other = ["--set", "split.validation=[1]", "--set", "fit.epochs=1", "--set", "fit.windows=32"]
    assert main(["fit", str(recipe_file), "--out", str(tmp_path / "other"), *other]) == 0
    assert main(["ensemble", str(runs / "bone"), str(tmp_path / "other"), "--out", str(tmp_path)]) == 2
    assert "validation samples of" in capsys.readouterr().err


def test_files_are_put_in_the_order_of_the_labels_and_measured(tmp_path, capsys):
    files = [made(tmp_path, "one.pkl", ONE), made(tmp_path, "other.pkl", OTHER[::-1], names=("c", "b", "a"))]
    (tmp_path / "labels.csv").write_text("b,0\na,0\nc,1\n")
    arguments = ["ensemble", "--from", *files, "--labels", str(tmp_path / "labels.csv"), "--out", str(tmp_path)]
    assert main([*arguments, "--weights", "0", "2"]) == 0
    rows = {row["name"]: row for row in json.loads((tmp_path / "ensemble.json").read_text())["rows"]}
    found = {name: round(row["test"]["accuracy"], 3) for name, row in rows.items()}
    assert found == {"one": 1.0, "other": 0.333, "equal weights": 1.0, "given weights": 0.333}
    assert "searched" not in capsys.readouterr().out


def test_weights_are_searched_only_on_other_files(tmp_path, capsys):
    test = [made(tmp_path, "one.pkl", ONE), made(tmp_path, "other.pkl", OTHER)]
    seen = [made(tmp_path, f"{n}-val.pkl", s, names=("x", "y", "z")) for n, s in (("one", OTHER), ("other", ONE))]
    (tmp_path / "labels.json").write_text('{"a": 0, "b": 0, "c": 1}')
    (tmp_path / "val.json").write_text('{"x": 0, "y": 0, "z": 1}')
    start = ["ensemble", "--out", str(tmp_path), "--from", *test, "--labels", str(tmp_path / "labels.json")]
    assert main([*start, "--validation", *seen, "--validation-labels", str(tmp_path / "val.json")]) == 0
    about = json.loads((tmp_path / "ensemble.json").read_text())
    assert about["weights"][0] < about["weights"][1]
    searched = next(row for row in about["rows"] if row["name"] == "searched weights")
    assert searched["validation"] == 1.0
    capsys.readouterr()
    for wrong, told in (
        (["--validation", *test, "--validation-labels", str(tmp_path / "labels.json")], "not searched on what is"),
        (["--validation", *seen], "go together"),
        (["--validation", seen[0], "--validation-labels", str(tmp_path / "val.json")], "as many files"),
        (["--mix", "probabilities"], "hold logits"),
        (["RUN"], "give runs, or --from"),
        (["--weights", "1"], "a weight a stream"),
    ):
        arguments = [wrong[0], *start[1:]] if wrong == ["RUN"] else [*start[1:], *wrong]
        assert main(["ensemble", *arguments]) == 2
        assert told in capsys.readouterr().err


def test_the_same_samples_under_another_file_name_are_refused(tmp_path, capsys):
    files = [made(tmp_path, "one.pkl", ONE), made(tmp_path, "other.pkl", OTHER)]
    copies = [made(tmp_path, "copy.pkl", ONE), made(tmp_path, "another.pkl", OTHER)]
    (tmp_path / "labels.json").write_text('{"a": 0, "b": 0, "c": 1}')
    labels = str(tmp_path / "labels.json")
    arguments = ["--from", *files, "--labels", labels, "--validation", *copies, "--validation-labels", labels]
    assert main(["ensemble", *arguments, "--out", str(tmp_path)]) == 2
    assert "3 samples are validated and tested on" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("l.json", b"[0, 1, 2]", ()),
        ("l.json", b'{"a": 0, "b": 1, "c": 2}', ("a", "b", "c")),
        ("l.txt", b"0\n1\n2\n", ()),
        ("l.csv", b'"a,1",0\nb,1\n\nc,2\n', ("a,1", "b", "c")),
        ("l.pkl", pickle.dumps((["a", "b", "c"], [0, 1, 2])), ("a", "b", "c")),
    ],
)
def test_labels_come_in_these_forms(tmp_path, name, content, names):
    (tmp_path / name).write_bytes(content)
    found, truth = read_labels(tmp_path / name)
    assert found == names
    assert truth.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "content"),
    [("l.json", b"{"), ("l.json", b"[]"), ("l.csv", b"a,one\n"), ("l.csv", b"a,0\na,1\n"), ("l.json", b'{"a": [1]}')],
)
def test_what_is_no_file_of_labels_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EnsembleError):
        read_labels(tmp_path / name)


def test_labels_beyond_the_answers_and_answers_without_labels_are_refused(tmp_path):
    path = tmp_path / "one.pkl"
    made(tmp_path, "one.pkl", ONE, "pyskl")
    (tmp_path / "l.json").write_text("[0, 1, 2]")
    with pytest.raises(EnsembleError, match="length 2, got 0 to 2"):
        of_files([path], tmp_path / "l.json")
    (tmp_path / "l.json").write_text("[0, 1]")
    with pytest.raises(EnsembleError, match="for 2 labels"):
        of_files([path], tmp_path / "l.json")


def test_probabilities_and_logits_are_not_mixed():
    chances = np.array([[0.25, 0.75], [1.0, 0.0]])
    assert kind_of([chances, chances]) == "probabilities"
    assert kind_of([as_logits(chances)]) == "logits"
    assert np.isfinite(as_logits(chances)).all()
    with pytest.raises(EnsembleError, match="probabilities and others logits"):
        kind_of([chances, as_logits(chances)])

"""Studies: what a file asks for, what is fitted and read again, what the tables and their place in the docs say."""

import argparse
import re

import pytest

from bench import accuracy, studies, table, throughput
from bench.__main__ import main
from models import NETWORKS, checkpoint
from training import sweep

STUDY = """
recipe = "{recipe}"
[rows.stgcn]
streams = ["joint", "bone"]
[rows.small]
network.name = "stgcn"
network.options.widths = [4, 4]
fit.rate = 0.02
[ensembles]
both = ["stgcn", "small"]
bones = ["stgcn/bone", "small"]
[targets]
stgcn = 0.01
both = 0.02
best = 0.03
"""
QUICK = ("fit.epochs=1", "fit.windows=32", "split.refit=false")
MARKED = "# Results\n\n<!-- bench training accuracy tiny-study -->\nBEFORE\n<!-- end -->\n\nafter\n"


def command(study, out, *more):
    sets = [part for value in QUICK for part in ("--set", value)]
    return ["training", "accuracy", str(study), "--out", str(out), *sets, *more]


def cells(text, name):
    """The cells of the first row of a table that begins with this name."""
    row = next(line for line in text.splitlines() if re.match(rf"\| {re.escape(name)} ", line))
    return [cell.strip() for cell in row.split("|")[1:-1]]


@pytest.fixture(scope="module")
def study_file(recipe_file):
    path = recipe_file.with_name("tiny-study.toml")
    path.write_text(STUDY.format(recipe=recipe_file.name))
    return path


@pytest.fixture(scope="module")
def fitted(study_file, tmp_path_factory):
    """The runs of the study, its three fits done."""
    out = tmp_path_factory.mktemp("runs")
    assert main(command(study_file, out)) == 0
    return out


def made(**changes):
    raw = {"recipe": "a.toml", "rows": {"stgcn": {"streams": ("joint", "bone")}, "sgn": {}}}
    return accuracy.Study(**{**raw, **changes})


def test_a_study_is_fits_by_row_and_stream():
    study = made(ensembles={"all": (), "two": ("sgn", "stgcn/bone", "sgn")})
    found = {one.name: one.values["network"] for one in study.variations(["network.options.dropout=0.5"])}
    assert found == {
        "stgcn/joint": {"name": "stgcn", "options": {"stream": "joint", "dropout": 0.5}},
        "stgcn/bone": {"name": "stgcn", "options": {"stream": "bone", "dropout": 0.5}},
        "sgn": {"name": "sgn", "options": {"dropout": 0.5}},
    }
    assert study.members("all") == ("stgcn/joint", "stgcn/bone", "sgn")
    assert study.members("two") == ("sgn", "stgcn/bone")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rows": {}}, "has rows"),
        ({"rows": {"sgn": {"streams": ("joint", "bones")}}}, "streams are of"),
        ({"rows": {"sgn": {"streams": ("bone", "bone")}}}, "once each"),
        ({"ensembles": {"a": ("sgn", "stgcn/motion")}}, "stgcn/motion, which is no row"),
        ({"ensembles": {"sgn": ()}}, "called as a row"),
        ({"targets": {"stgcn/bone": 0.9}}, "target of stgcn/bone"),
        ({"ensembles": {"best": ()}}, "none is called so"),
    ],
)
def test_what_is_no_study_is_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        made(**changes)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('recipe = "nowhere.toml"\n[rows.sgn]\n', "no recipe nowhere.toml"),
        ('recipe = "nw-ucla.toml"\n[row.sgn]\n', "unknown key study.row"),
        ('recipe = "nw-ucla.toml"\n[rows.sgn]\n[targets]\nstgcn = 0.9\n', "no row or ensemble"),
        (
            'recipe = "nw-ucla.toml"\n[rows.sgn]\nnetwork.options.stream = "bone"\n',
            "unknown key network.options.stream",
        ),
    ],
)
def test_a_file_that_is_no_study_is_told_before_anything_is_fitted(tmp_path, capsys, text, told):
    path = tmp_path / "s.toml"
    path.write_text(text)
    assert main(command(path, tmp_path / "out")) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_shipped_studies_are_recipes():
    for path in sorted(set(studies.STUDIES.glob("*.toml")) - set(studies.STUDIES.glob("*-online.toml"))):
        study, base = accuracy.read_study(path)
        for variation in study.variations():
            assert sweep.vary(base, variation).fit.threads == 1, path.name


def test_a_study_like_another_has_its_rows_and_what_it_says_itself():
    path = studies.STUDIES / "asl-words-2-1.toml"
    (one, base), (like, _) = accuracy.read_study(path), accuracy.read_study(path.with_name("asl-words-1-2.toml"))
    assert list(one.rows) == list(like.rows)
    assert one.targets != like.targets
    for study, protocol in ((one, "asl-words-2-1"), (like, "asl-words-1-2")):
        assert {sweep.vary(base, each).split.protocol for each in study.variations()} == {protocol}


@pytest.mark.slow
def test_finished_fits_are_read_and_put_into_the_docs(fitted, study_file, tmp_path, capsys):
    runs = {name: fitted / "tiny-study" / name for name in ("stgcn-joint", "stgcn-bone", "small")}
    before = {name: (run / checkpoint.FILE).stat().st_mtime_ns for name, run in runs.items()}
    docs = tmp_path / "results.md"
    docs.write_text(MARKED)
    assert main(command(study_file, fitted, "--read", "--write", str(docs))) == 0
    told = capsys.readouterr().out
    assert {name: (run / checkpoint.FILE).stat().st_mtime_ns for name, run in runs.items()} == before
    figures = {name: checkpoint.load(run).manifest.metrics["accuracy"] for name, run in runs.items()}
    row, small = cells(told, "stgcn"), cells(told, "small")
    assert row[1].startswith(f"joint {figures['stgcn-joint']:.3f} (")
    assert row[2] == f"{figures['stgcn-bone']:.3f}"
    assert small[1].startswith(f"{figures['small']:.3f} (")
    assert small[2:5] == ["", "", ""]
    assert int(row[5].replace(",", "")) > int(small[5].replace(",", ""))
    assert cells(told, "both")[1] == "stgcn, small"
    assert "| yes" in told
    searched = {"small": small[1], "stgcn": row[4], **{name: cells(told, name)[3] for name in ("both", "bones")}}
    best, reached = re.findall(r"\| best: (\S+) +\| .* \| (0\.\d+) +\| 0\.03", told)[0]
    assert searched[best].startswith(max(text.split()[0] for text in searched.values()))
    assert float(reached) == pytest.approx(float(searched[best].split()[0]), abs=1e-3)
    written = docs.read_text()
    assert told.split("\n\nwritten:")[0].strip() in written
    assert f"`python -m bench training accuracy {study_file} --set fit.epochs=1" in written
    assert written.startswith("# Results\n\n<!-- bench")
    assert written.endswith("<!-- end -->\n\nafter\n")
    assert "BEFORE" not in written


@pytest.mark.slow
def test_a_missing_or_failed_fit_and_a_missed_target_are_told(fitted, study_file, capsys):
    runs = fitted / "tiny-study"
    (runs / "small").rename(runs / "away")
    try:
        assert main(command(study_file, fitted, "--read")) == 1
    finally:
        (runs / "away").rename(runs / "small")
    told = capsys.readouterr().out
    assert cells(told, "small")[1] == "not fitted"
    assert cells(told, "both")[2:4] == ["-", "-"]
    assert "not measured" in told
    assert "Failed" not in told
    assert main(command(study_file, fitted, "--read", "--set", "fit.rate=0.5")) == 1
    told = capsys.readouterr().out
    assert "small holds a fit of another recipe" in told
    assert cells(told, "stgcn")[1] == "joint failed"
    study = study_file.with_name("missed.toml")
    study.write_text(study_file.read_text().replace("stgcn = 0.01", "stgcn = 1.01"))
    runs.rename(fitted / "missed")
    try:
        assert main(command(study, fitted, "--read")) == 1
    finally:
        (fitted / "missed").rename(runs)
    told = capsys.readouterr().out
    assert re.search(r"^\| stgcn .*\| 1\.01 .*\| no", told, re.M)


@pytest.mark.slow
def test_a_row_that_there_is_not_is_refused(fitted, study_file, capsys):
    assert main(command(study_file, fitted, "--only", "sgn")) == 2
    assert "choose from stgcn, small, or one of stgcn/joint" in capsys.readouterr().err


def test_docs_without_their_place_are_refused_before_anything_is_fitted(study_file, tmp_path, capsys):
    docs = tmp_path / "results.md"
    for text in ("# Results\n", MARKED.replace("<!-- end -->", ""), MARKED + MARKED):
        docs.write_text(text)
        assert main(command(study_file, tmp_path / "out", "--write", str(docs))) == 2
        assert "needs one line <!-- bench training accuracy tiny-study -->" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_putting_twice_leaves_one(tmp_path):
    docs = tmp_path / "a.md"
    docs.write_text(MARKED)
    for text in ("one", "two"):
        table.put(docs, "training accuracy tiny-study", text)
    assert docs.read_text() == MARKED.replace("BEFORE", "\ntwo\n")


@pytest.mark.slow
def test_fits_side_by_side_come_to_the_same(fitted, study_file, tmp_path, capsys):
    study = study_file.with_name("tiny-study.toml")
    assert main(command(study, tmp_path, "--jobs", "2", "--only", "stgcn")) == 1  # for `small` is not there
    told = capsys.readouterr()
    assert "stgcn/bone: epoch 1/1" in told.err
    for name in ("stgcn-joint", "stgcn-bone"):
        one, other = (checkpoint.load(out / "tiny-study" / name).weights for out in (fitted, tmp_path))
        assert all((one[key] == other[key]).all() for key in one)


@pytest.mark.slow
def test_a_fit_whose_process_dies_leaves_the_others_alone(study_file, tmp_path, monkeypatch):
    study, base = accuracy.read_study(study_file)
    variations = study.variations(QUICK)
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / checkpoint.FILE).write_text("no checkpoint")
    monkeypatch.setattr(sweep, "_tell", dies_of_bones)
    outcomes = {one.name: one for one in sweep.sweep(base, variations, tmp_path, jobs=2)}
    assert not outcomes["stgcn/joint"].error
    assert "ended by itself, with exit code 3" in outcomes["stgcn/bone"].error
    assert outcomes["small"].error


_TELL = sweep._tell


def dies_of_bones(pipe, variation, recipe, run):
    if variation.name == "stgcn/bone":
        raise SystemExit(3)
    _TELL(pipe, variation, recipe, run)


def test_every_network_has_a_size_to_train_here():
    assert set(throughput.SIZES) == set(NETWORKS)


def test_a_fit_and_the_plain_loop_take_turns(tmp_path, capsys):
    docs = tmp_path / "results.md"
    docs.write_text("<!-- bench training throughput -->\n<!-- end -->\n")
    quick = ["--only", "signing-lstm", "--turns", "2", "--steps", "3", "--batch", "4", "--write", str(docs)]
    code = main(["training", "throughput", *quick])
    told = capsys.readouterr().out
    row = cells(told, "signing-lstm")
    assert row[2] == "3"
    assert all(float(rate) > 0 for rate in row[3:6])
    assert code == int("no" in (row[6], row[10]))
    written = docs.read_text()
    assert "`python -m bench training throughput --batch 4`" in written
    table, _, place = told.partition("written: ")
    assert place.strip() == str(docs)
    assert table.strip() in written


@pytest.mark.parametrize(
    ("ours", "waiting", "said"),
    [(100.0, 0.01, ("yes", "yes")), (99.0, 0.01, ("no", "yes")), (101.0, 0.5, ("yes", "no"))],
)
def test_the_verdicts_of_throughput(ours, waiting, said, capsys):
    one = throughput.Measured("sgn", 8, 1000, [ours] * 3, [100.0, 100.0, 50.0], waiting, 0.1, 1.1)
    options = argparse.Namespace(batch=8, precision="32", device="cpu", threads=1, workers=1, turns=3)
    row = cells(throughput.table([one], options), "sgn")
    assert (row[6], row[10]) == said

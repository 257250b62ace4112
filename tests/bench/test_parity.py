"""`python -m bench parity`: a line a pack, and 1 where one is not ours."""

import json

import numpy as np
import pytest

from bench import packs
from bench.__main__ import main
from tests.golden import PARITY, needs_packs

PACK = PARITY / "stgcnpp-pyskl-handmp"


@pytest.fixture
def about():
    needs_packs()
    return json.loads((PACK / "pack.json").read_text())


def write(folder, about):
    folder.mkdir(parents=True)
    (folder / "pack.json").write_text(json.dumps(about))
    return folder


def test_a_folder_of_packs_is_told_line_by_line(about, tmp_path, capsys):
    write(tmp_path / "one", about)
    write(tmp_path / "two", {**about, "name": "the-same-again"})
    assert main(["parity", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [about["name"], "the-same-again"]
    assert all(line.split("|")[-2].strip() == "yes" for line in lines[2:])


def test_a_pack_whose_answers_are_others_is_out_of_tolerance(about, tmp_path, capsys):
    values = about["runs"]["main"]["outputs"]["logits"]["values"]
    values[0] += 0.001
    assert main(["parity", str(PACK), str(write(tmp_path / "other", about))]) == 1
    assert [line.split("|")[-2].strip() for line in capsys.readouterr().out.splitlines()[2:]] == ["yes", "no"]


@pytest.mark.parametrize("what", ["nowhere", "not json", "another format", "no weights", "another family"])
def test_what_is_no_pack_is_told_and_the_others_are_still_measured(about, tmp_path, capsys, what):
    folder = tmp_path / "bad"
    if what == "not json":
        folder.mkdir()
        (folder / "pack.json").write_text("{")
    elif what != "nowhere":
        changes = {
            "another format": {"format": "skeleton-parity-9"},
            "no weights": {"state": []},
            "another family": {"config": {**about["config"], "family": "resnet"}},
        }
        write(folder, {**about, **changes[what]})
    assert main(["parity", str(folder), str(PACK)]) == 1
    printed = capsys.readouterr()
    assert [line.split("|")[-2].strip() for line in printed.out.splitlines()[2:]] == ["no", "yes"]
    assert str(folder) in printed.err


def test_an_output_that_is_missing_or_not_finite_is_out_of_tolerance(about):
    pack = packs.load(PACK)
    right = {run: dict(outputs) for run, outputs in pack.outputs.items()}
    assert pack.error(right) == 0
    assert pack.error({"main": right["main"]}) == np.inf
    assert pack.error({**right, "main": {"logits": np.full_like(right["main"]["logits"], np.nan)}}) == np.inf
    assert pack.error({**right, "main": {"logits": right["main"]["logits"][:1]}}) == np.inf

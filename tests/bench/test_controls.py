import pytest

from bench.__main__ import main


@pytest.mark.slow
def test_every_recorder_is_tested_once_by_a_network_that_has_not_seen_them(shapes_recipe, tmp_path, capsys):
    command = ["controls", str(shapes_recipe), "--folds", "3", "--out", str(tmp_path / "out")]
    command += ["--folder", str(tmp_path), "--set", "fit.epochs=1", "--set", "fit.windows=64"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "288 windows of 8 recorders" in said
    assert sum(line.startswith(f"| {person} ") for person in range(31, 39) for line in said.splitlines()) == 8
    tested = [line.split("tests ")[1].split(" (")[0].split(", ") for line in said.splitlines() if "- fold-" in line]
    assert sorted(person for persons in tested for person in persons) == [str(person) for person in range(31, 39)]
    assert main([*command, "--words"]) == 0  # nothing is fitted again


def test_a_recipe_of_something_else_is_refused(capsys):
    assert main(["controls", "signing"]) == 2
    assert "no recipe of controls" in capsys.readouterr().err

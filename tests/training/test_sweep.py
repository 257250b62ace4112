"""Variations of one recipe: what varies, one table, runs that are finished, killed or failed."""

import csv
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models import checkpoint
from tests.training.test_loop import DIES
from training import config, sweep, trainer
from training.__main__ import main
from training.config import ConfigError
from training.sweep import Outcome, Variation

CONFIGS = Path(config.__file__).parent / "configs"
QUICK = ("fit.epochs=1", "fit.windows=32", "split.refit=false")


def rows(out):
    return list(csv.DictReader((out / "table.csv").read_text().splitlines()))


def test_every_value_with_every_other():
    found = sweep.every(["fit.rate=0.1,0.01", "network.options.pool=mean,parts"])
    assert [one.name for one in found] == [
        "rate=0.1,pool=mean",
        "rate=0.1,pool=parts",
        "rate=0.01,pool=mean",
        "rate=0.01,pool=parts",
    ]
    assert found[1].values == {"fit": {"rate": 0.1}, "network": {"options": {"pool": "parts"}}}
    lists = sweep.every(["network.options.widths=[8, 8],[4, 4]"])
    assert [one.values["network"]["options"]["widths"] for one in lists] == [[8, 8], [4, 4]]


@pytest.mark.parametrize("given", ["fit.rate", "fit.rate="])
def test_nothing_to_vary_is_refused(given):
    with pytest.raises(ConfigError, match="VALUE,VALUE"):
        sweep.every([given])


def test_the_shipped_variations_are_recipes_of_their_base():
    base = config.load(CONFIGS / "sca-stgcn.toml").to_dict()
    variations = sweep.from_file(CONFIGS / "variations" / "sca-stgcn.toml")
    names = ["basic", "binary", "pseudo", "supcon", "film", "mi", "film_pseudo", "supcon_film"]
    assert [one.name for one in variations] == names
    recipes = [config.from_dict(sweep.merged(base, one.values)) for one in variations]
    assert len({repr(recipe) for recipe in recipes}) == len(names)
    by_name = dict(zip(names, recipes, strict=True))
    assert (by_name["binary"].task, by_name["basic"].task) == ("signing", "gesture")
    assert by_name["film_pseudo"].network.options["attention"] == "film"
    assert [by_name[name].signers.on for name in ("basic", "film", "pseudo", "supcon", "mi")] == [False] * 2 + [
        True
    ] * 3


def test_variations_that_are_no_tables_are_refused(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text("rate = 0.1")
    with pytest.raises(ConfigError, match=r"table of keys, got rate = 0\.1"):
        sweep.from_file(path)


def test_two_of_one_name_are_refused(recipe_file, tmp_path):
    raw = config.load(recipe_file).to_dict()
    with pytest.raises(ConfigError, match="names of their own"):
        sweep.sweep(raw, [Variation("a/b", {}), Variation("a-b", {})], tmp_path)


@pytest.mark.slow
def test_a_sweep_keeps_what_is_done_and_loses_nothing_to_a_failure(recipe_file, tmp_path, capsys):
    variations = tmp_path / "variations.toml"
    variations.write_text(
        '[plain]\n[broken]\nfit.epoch = 1\n[sgn]\nnetwork = { name = "sgn", options = { segments = 8 } }\n'
    )
    out = tmp_path / "out"
    command = ["sweep", str(recipe_file), "--variations", str(variations), "--out", str(out)]
    command += [part for value in QUICK for part in ("--set", value)]
    assert main(command) == 1
    assert "failed: ConfigError: unknown key fit.epoch" in capsys.readouterr().out
    found = rows(out)
    assert [row["name"] for row in found] == ["plain", "broken", "sgn"]
    assert [bool(row["error"]) for row in found] == [False, True, False]
    saved = checkpoint.load(out / "plain")
    assert float(found[0]["pr_auc_hands_visible"]) == saved.manifest.metrics["pr_auc_hands_visible"]
    assert int(found[0]["parameters"]) == sum(weight.numel() for weight in saved.network().parameters())
    assert float(found[0]["seconds"]) >= 0
    assert checkpoint.load(out / "sgn").manifest.network == "sgn"
    before = (out / "plain" / "model.pt").stat().st_mtime_ns
    variations.write_text("[plain]\n[sgn]\nfit.seed = 3\n")
    assert main(command) == 1
    told = capsys.readouterr().out
    assert "finished already" in told
    assert "sgn holds a fit of another recipe" in told
    assert (out / "plain" / "model.pt").stat().st_mtime_ns == before
    assert len(rows(out)) == 2


def test_a_table_shows_figures_with_their_intervals():
    one = Outcome("a", {"accuracy": 0.9, "accuracy_low": 0.85, "accuracy_high": 0.95, "windows": 40.0}, 1234, 5.4)
    table = sweep.table([one, Outcome("b", error="ValueError: no | way")])
    assert table.splitlines() == [
        "| name | accuracy | parameters | seconds |",
        "|---|---|---|---|",
        "| a | 0.900 (0.850 to 0.950) | 1,234 | 5 |",
        "| b | failed: ValueError: no \\| way | | |",
    ]
    assert "| a | 40.000 |" in sweep.table([one], ["windows"])


def test_ranges_and_a_file_at_once_are_refused(recipe_file, tmp_path, capsys):
    assert main(["sweep", str(recipe_file)]) == 2
    assert "either --vary or --variations" in capsys.readouterr().err


@pytest.mark.slow
def test_a_variation_that_is_killed_goes_on(recipe_file, tmp_path):
    run = tmp_path / "seed=4"
    command = [sys.executable, "-W", "error", "-c", DIES, str(recipe_file), str(run), "2", "fit.seed=4"]
    killed = subprocess.run(command, timeout=120, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    told = []
    sweep.sweep(config.load(recipe_file).to_dict(), sweep.every(["fit.seed=4"]), tmp_path, told.append)
    assert any("goes on after epoch 1" in line for line in told)
    unbroken = trainer.fit(config.load(recipe_file, ("fit.seed=4",)))
    weights = checkpoint.load(run).weights
    assert all(torch.equal(weights[name], weight) for name, weight in unbroken.weights.items())

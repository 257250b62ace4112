"""A rising rate, its curve, and the rate that is suggested."""

import csv
import math

import numpy as np
import pytest

from training.__main__ import main
from training.find_rate import smooth, suggest


def test_a_rate_well_below_the_lowest_loss_is_suggested():
    rates = np.geomspace(1e-5, 10, 121)
    losses = [1.0 - 0.8 * math.exp(-((math.log10(rate) + 1) ** 2)) + max(0.0, rate - 1) for rate in rates]
    assert 0.005 < suggest(list(zip(rates, losses, strict=True))) < 0.05


def test_a_loss_that_only_rises_suggests_nothing():
    with pytest.raises(ValueError, match="--lowest"):
        suggest([(rate, rate) for rate in np.geomspace(1e-3, 1, 50)])


def test_a_constant_is_smoothed_to_itself():
    assert smooth([2.0] * 5) == pytest.approx([2.0] * 5)


@pytest.mark.slow
def test_the_command_writes_the_curve_and_says_what_to_set(recipe_file, tmp_path, capsys):
    out = tmp_path / "rates.csv"
    command = ["find-rate", str(recipe_file), "--out", str(out), "--steps", "60", "--lowest", "1e-5"]
    assert main(command) == 0
    rows = list(csv.DictReader(out.read_text().splitlines()))
    rates = [float(row["rate"]) for row in rows]
    assert 10 <= len(rows) <= 60
    assert rates[0] == pytest.approx(1e-5)
    assert rates == sorted(rates)
    assert "suggested: --set fit.rate=" in capsys.readouterr().out
    first = out.read_bytes()
    assert main(command) == 0
    assert out.read_bytes() == first


def test_rates_that_fall_are_refused(recipe_file, capsys):
    assert main(["find-rate", str(recipe_file), "--lowest", "1", "--highest", "0.1"]) == 2
    assert "lowest < highest" in capsys.readouterr().err

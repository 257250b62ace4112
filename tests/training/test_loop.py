"""A fit that stops goes on as if it had not; and what its settings do."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from landmarks import HAND_21
from models import build, checkpoint
from training import config, trainer
from training.__main__ import main
from training.config import Fit
from training.loop import Loop, StateError
from training.optimise import Mean, Optimise, share_of_rate

ROOT = Path(__file__).resolve().parents[2]
# Dies like a machine that loses power, in the middle of its second stage or first, as told.
DIES = """
import os, signal, sys
from pathlib import Path
from training import config, trainer

seen = 0
def report(line):
    global seen
    seen += line.startswith("epoch ")
    if seen == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

trainer.fit(config.load(Path(sys.argv[1]), tuple(sys.argv[4:])), report, run=Path(sys.argv[2]))
"""


class Waves:
    """Two labels: a hand that keeps still, one that does not."""

    def draw(self, random):
        truth = int(random.integers(2))
        pose = random.uniform(0, 1, (1, 21, 3)) + truth * random.normal(0, 0.1, (8, 21, 3))
        return np.broadcast_to(pose, (8, 21, 3)).astype(np.float32), truth, -1


def fitted(state=None, report=lambda line: None, **settings):
    torch.manual_seed(0)
    network = build("signing-lstm", HAND_21, labels=2, fps=10.0, hidden=8, input_dropout=0.2)
    fit = replace(Fit(epochs=4, windows=64, batch=16, rate=0.01, threads=1, device="cpu"), **settings)
    loop = Loop(network, Waves(), fit, torch.nn.CrossEntropyLoss(), state=state, report=report)
    return loop.run(), loop


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("dies_at", "more"), [(2, ()), (5, ()), (2, ("fit.ema=0.9", "network.options.dropout=0.3"))])
def test_a_fit_that_is_killed_goes_on_to_the_same_weights(recipe_file, tmp_path, dies_at, more):
    run = tmp_path / "run"
    command = [sys.executable, "-W", "error", "-c", DIES, str(recipe_file), str(run), str(dies_at), *more]
    killed = subprocess.run(command, timeout=120, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not (run / "model.pt").exists()
    recipe = config.load(recipe_file, tuple(more))
    with pytest.raises(StateError, match="--resume"):
        trainer.fit(recipe, run=run)
    told = []
    resumed = trainer.fit(recipe, told.append, run=run, resume=True)
    assert any("goes on after epoch" in line for line in told)
    unbroken = trainer.fit(recipe)
    assert all(torch.equal(resumed.weights[name], weight) for name, weight in unbroken.weights.items())
    assert resumed.manifest == unbroken.manifest
    for stage in ("select", "refit"):
        rows = list(csv.DictReader((run / f"log-{stage}.csv").read_text().splitlines()))
        assert [int(row["epoch"]) for row in rows] == [1, 2, 3]
    assert sorted(path.suffix for path in run.glob("*.state")) == []


def test_a_state_of_other_settings_is_refused_by_name(tmp_path):
    fitted(tmp_path / "a.state", epochs=2)
    with pytest.raises(StateError, match=r"batch 16 -> 8, epochs 2 -> 3"):
        fitted(tmp_path / "a.state", epochs=3, batch=8)


def test_a_finished_state_gives_its_network_back(tmp_path):
    one, _ = fitted(tmp_path / "a.state")
    told = []
    other, _ = fitted(tmp_path / "a.state", told.append)
    assert same(one, other)
    assert not any(line.startswith("epoch ") for line in told)


def test_states_are_kept_now_and_then(tmp_path):
    fitted(tmp_path / "a.state", keep_every=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-002.state", "a-004.state", "a.state"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create")  # more processes than there are cores
def test_a_fit_is_the_same_however_many_processes_draw(tmp_path):
    alone, _ = fitted(workers=0)
    for workers in (1, 2):
        assert same(alone, fitted(workers=workers)[0])

    def stop(line):
        if line.startswith("epoch 2/"):
            raise KeyboardInterrupt

    state = tmp_path / "a.state"
    with pytest.raises(KeyboardInterrupt):
        fitted(state, stop, workers=2)
    told = []
    resumed, _ = fitted(state, told.append, workers=0)
    assert told[0].startswith("goes on after epoch 1/4")
    assert same(alone, resumed)


def test_a_state_with_other_draws_is_refused(tmp_path):
    fitted(tmp_path / "a.state", epochs=1)
    state = torch.load(tmp_path / "a.state", weights_only=True)
    torch.save(state | {"version": 1}, tmp_path / "a.state")
    with pytest.raises(StateError, match="another version, which drew other windows"):
        fitted(tmp_path / "a.state", epochs=1)


@pytest.mark.slow
def test_a_fit_in_two_processes_that_is_killed_goes_on_to_the_weights_that_torchrun_gives(recipe_file, tmp_path):
    script = tmp_path / "fit.py"  # a file, which Fabric starts once more for the second process
    script.write_text(DIES.replace("run=Path(sys.argv[2])", "run=Path(sys.argv[2]), resume=True"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    more = ("fit.devices=2", "fit.device=cpu", "fit.windows=64", "fit.monitor=accuracy", "network.options.dropout=0.3")

    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")

    def fit(run, dies_at=-1, by=()):
        command = [sys.executable, *by, str(script), str(recipe_file), str(tmp_path / run), str(dies_at), *more]
        # Ends when all processes have: the second one, and those that draw.
        return subprocess.run(command, timeout=200, check=False, capture_output=True, text=True, env=environment)

    killed = fit("broken", dies_at=2)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [path.name for path in (tmp_path / "broken").glob("*.state")] == ["select.state"]
    for run, by in (("broken", ()), ("whole", torchrun)):
        told = fit(run, by=by)
        assert told.returncode == 0, told.stderr
    broken, whole = (checkpoint.load(tmp_path / run) for run in ("broken", "whole"))
    assert broken.manifest == whole.manifest
    assert all(torch.equal(broken.weights[name], weight) for name, weight in whole.weights.items())


def test_two_halves_of_a_batch_make_the_step_of_the_whole():
    made = []
    for batch, accumulate in ((16, 1), (8, 2)):
        torch.manual_seed(0)
        network = build("signing-lstm", HAND_21, labels=2, fps=10.0, hidden=8, input_dropout=0.0)
        fit = Fit(epochs=2, windows=32, batch=batch, accumulate=accumulate, threads=1, device="cpu")
        made.append(Loop(network, Waves(), fit, torch.nn.CrossEntropyLoss()).run())
    for one, other in zip(made[0].parameters(), made[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_the_best_epoch_is_kept_and_patience_ends_the_fit():
    scores = iter([0.3, 0.9, 0.5, 0.4, 0.2, 0.1])
    weights = []

    def validate(network):
        weights.append(torch.cat([p.detach().flatten().clone() for p in network.parameters()]))
        return {"accuracy": next(scores)}

    torch.manual_seed(0)
    network = build("signing-lstm", HAND_21, labels=2, fps=10.0, hidden=8)
    fit = Fit(epochs=6, windows=32, batch=16, monitor="accuracy", patience=2, threads=1, device="cpu")
    loop = Loop(network, Waves(), fit, torch.nn.CrossEntropyLoss(), validate=validate)
    best = torch.cat([p.detach().flatten() for p in loop.run().parameters()])
    assert loop.progress.epoch == 4
    assert torch.equal(best, weights[1])


def test_a_figure_that_is_not_measured_cannot_be_monitored():
    network = build("signing-lstm", HAND_21, labels=2, fps=10.0, hidden=8)
    fit = Fit(epochs=1, windows=16, batch=16, monitor="charm", threads=1, device="cpu")
    loop = Loop(network, Waves(), fit, torch.nn.CrossEntropyLoss(), validate=lambda network: {"accuracy": 1.0})
    with pytest.raises(ValueError, match="'charm' to monitor; choose from accuracy"):
        loop.run()


@pytest.mark.parametrize("optimiser", ["adamw", "adam", "sgd"])
def test_every_optimiser_learns(optimiser):
    rate = 0.1 if optimiser == "sgd" else 0.01
    _, loop = fitted(optimiser=optimiser, rate=rate, epochs=8)
    losses = [row["loss"] for row in loop.progress.history]
    assert losses[-1] < 0.7 * losses[0]


def test_a_mean_of_weights_lags_behind_them():
    network, other = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    mean = Mean(network, 0.99)
    for _ in range(200):
        mean.update(other)
    assert torch.allclose(mean.network.weight, other.weight, atol=1e-3)
    before = mean.network.weight.clone()
    with torch.no_grad():
        other.weight += 1
    mean.update(other)
    assert before < mean.network.weight < other.weight


def test_rates_over_a_fit():
    cosine = share_of_rate(Optimise(warmup=0.1), 100)
    assert [cosine(step) for step in (0, 4)] == [0.1, 0.5]
    assert cosine(50) == pytest.approx(0.5)
    assert cosine(100) == pytest.approx(0, abs=1e-12)
    steps = share_of_rate(Optimise(schedule="steps", warmup=0.0, milestones=(0.5, 0.8), factor=0.1), 10)
    assert [round(steps(step), 6) for step in (0, 4, 5, 7, 8, 9)] == [1, 1, 0.1, 0.1, 0.01, 0.01]
    assert share_of_rate(Optimise(schedule="constant", warmup=0.0), 10)(9) == 1


@pytest.mark.parametrize(
    "settings",
    [
        {"optimiser": "sdg"},
        {"schedule": "cosinus"},
        {"rate": 0.0},
        {"ema": 1.0},
        {"accumulate": 0},
        {"milestones": (0.8, 0.5)},
        {"patience": 3},
        {"batch": 0},
        {"workers": -1},
    ],
)
def test_impossible_settings_are_refused(settings):
    with pytest.raises(ValueError, match=r"got|at least|monitor"):
        Fit(**settings)


@pytest.mark.slow
def test_the_run_folder_holds_model_figures_and_logs(recipe_file, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["fit", str(recipe_file), "--out", str(run), "--set", "fit.epochs=1", "--deterministic"]) == 0
    assert {"model.pt", "metrics.json", "log-select.csv", "log-refit.csv"} <= {path.name for path in run.iterdir()}
    assert any(path.name.startswith("events.out") for path in run.iterdir())
    assert not math.isnan(json.loads((run / "metrics.json").read_text())["accuracy"])
    assert not torch.are_deterministic_algorithms_enabled()

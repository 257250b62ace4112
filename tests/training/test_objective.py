"""What is added to the loss: who signs, likeness by label, information; and that it survives a kill."""

import csv
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from landmarks import SIGN_27
from models import build, checkpoint
from tests.training.test_loop import DIES
from training import config, datasets, trainer
from training.augment import Augment
from training.config import ConfigError
from training.objective import Objective, Signers, describing, name_signers
from training.tasks import Gesture, Signing
from training.tasks.gesture import GestureConfig
from training.tasks.signing import SigningConfig

SMALL = "network.options={ widths=[8, 8], dilations=[1, 2], signer_width=8, hidden=8 }"
ON = ("network.name=sca-stgcn", SMALL)
ALL = (*ON, "signers.adversary=0.5", "signers.contrast=0.1", "signers.information=0.1")


@pytest.fixture
def clips(tiny):
    return datasets.load(tiny, ("asl-words",))


@pytest.fixture
def network():
    torch.manual_seed(0)
    options = {"widths": (8, 8), "dilations": (1, 2), "signer_width": 8, "hidden": 8, "signers": 3, "dropout": 0.0}
    return build("sca-stgcn", SIGN_27, labels=2, fps=15.0, **options)


def described(network, batch=12):
    windows = torch.rand(batch, 8, 27, 3, generator=torch.Generator().manual_seed(1))  # (B, T, V, 3)
    return network.describe(network.features(windows))


def objective(network, **settings):
    return Objective(network, Signers(**settings), 3, torch.zeros(1, 8, 27, 3))


TRUTH, SIGNERS = torch.arange(12) % 2, torch.arange(12) % 3


@pytest.mark.parametrize("task", [Signing(SigningConfig(), SIGN_27, 8, 15, 0.5)], ids=["signing"])
def test_a_window_tells_its_clips_signer(task, clips):
    named, count = name_signers(clips, Signers(adversary=1.0), SIGN_27, 15.0)
    assert count == 3
    assert {(clip.person, clip.signer) for clip in named} == {(1, 0), (2, 1), (3, 2)}
    sampler, random = task.sampler(named, Augment()), np.random.default_rng(0)
    assert {sampler.draw(random).signer for _ in range(60)} == {0, 1, 2}
    blind, random = task.sampler(clips, Augment()), np.random.default_rng(0)
    named_again = np.random.default_rng(0)
    for _ in range(20):
        one, other = blind.draw(random), sampler.draw(named_again)
        np.testing.assert_array_equal(one.landmarks, other.landmarks)
        assert one.signer == -1


def test_a_window_across_two_persons_has_no_signer(clips):
    task = Gesture(GestureConfig(words=("wave",), words_share=0.01, others_share=0.0), SIGN_27, 8, 15, 0.5)
    named, _ = name_signers(clips, Signers(adversary=1.0), SIGN_27, 15.0)
    sampler, random = task.sampler(named, Augment()), np.random.default_rng(0)
    assert {sampler.draw(random).signer for _ in range(80)} == {-1, 0, 1, 2}


@pytest.mark.slow
def test_pseudo_signers_are_numbered_and_what_they_follow_is_told(clips):
    told = []
    named, count = name_signers(clips, Signers(adversary=1.0, ids="pseudo", clusters=3), SIGN_27, 15.0, 0, told.append)
    assert count == 3
    assert {clip.signer for clip in named} == {0, 1, 2}
    assert any(line.strip().startswith("person: mutual_information") for line in told)
    assert any("shoulder_width" in line for line in told)


def test_one_person_cannot_be_told_apart(clips):
    with pytest.raises(ValueError, match=r"two persons or more to train on, got \[1\]"):
        name_signers([clip for clip in clips if clip.person == 1], Signers(adversary=1.0), SIGN_27, 15.0)


def test_each_part_is_the_sum_of_its_weight(network):
    parts = {"adversary": 0.5, "contrast": 0.25}
    added, told = objective(network, **parts).terms(described(network), TRUTH, SIGNERS)
    assert added.item() == pytest.approx(sum(weight * told[name] for name, weight in parts.items()), rel=1e-5)
    assert set(told) == {"adversary", "signer_accuracy", "contrast"}


def test_unknown_signers_add_nothing(network):
    unknown = torch.full((12,), -1)
    added, told = objective(network, adversary=1.0, information=1.0).terms(described(network), TRUTH, unknown)
    assert added.item() == 0
    assert told["adversary"] == told["information"] == told["signer_accuracy"] == 0


@pytest.mark.parametrize("about", ["identity", "embedding"])
def test_the_estimator_learns_in_steps_of_its_own(network, about):
    one = objective(network, information=1.0, about=about, rate=0.05)
    before = {name: value.clone() for name, value in one.state()["weights"].items()}
    for _ in range(60):
        said = described(network)
        added, told = one.terms(said, TRUTH, SIGNERS)
    assert not all(torch.equal(before[name], value) for name, value in one.state()["weights"].items())
    assert told["information"] > 0.05
    added.backward()
    assert network.aggregator.gru.weight_ih_l0.grad.abs().sum() > 0
    learnt = {name: value.clone() for name, value in one.state()["weights"].items()}
    other = objective(network, information=1.0, about=about, rate=0.05)
    other.restore(one.state())
    assert all(torch.equal(learnt[name], value) for name, value in other.state()["weights"].items())


@pytest.mark.parametrize("settings", [{"adversary": -1.0}, {"temperature": 0.0}, {"clusters": 1}, {"hidden": 0}])
def test_impossible_objectives_are_refused(settings):
    with pytest.raises(ValueError, match="got"):
        Signers(**settings)


def test_a_network_without_an_embedding_says_which_have_one(recipe_file):
    assert "sca-stgcn" in describing()
    with pytest.raises(ConfigError, match=r"stgcn gives labels only; choose from .*sca-stgcn"):
        config.load(recipe_file, ("signers.contrast=0.1",))


@pytest.mark.slow
def test_a_fit_with_all_of_it_logs_each_and_comes_back(recipe_file, tmp_path):
    told = []
    recipe = config.load(
        recipe_file, (*ALL, "signers.ids=pseudo", "signers.clusters=3", "fit.epochs=1", "split.refit=false")
    )
    saved = trainer.fit(recipe, told.append, run=tmp_path)
    assert any("pseudo-signers" in line for line in told)
    row = next(csv.DictReader((tmp_path / "log-select.csv").read_text().splitlines()))
    assert {"label_loss", "adversary", "signer_accuracy", "contrast", "information"} <= set(row)
    back = checkpoint.load(tmp_path)
    assert back.options["signers"] == 3
    x = torch.rand(2, 8, 27, 3)
    assert torch.equal(back.network()(x), saved.network()(x))


@pytest.mark.slow
@pytest.mark.parametrize("dies_at", [2, 5])
def test_a_fit_with_an_estimator_that_is_killed_goes_on_to_the_same_weights(recipe_file, tmp_path, dies_at):
    # Person 1 alone is trained on: ids are guessed.
    more = (*ALL, "signers.ids=pseudo", "signers.clusters=2", "signers.about=embedding")
    run = tmp_path / "run"
    command = [sys.executable, "-W", "error", "-c", DIES, str(recipe_file), str(run), str(dies_at), *more]
    killed = subprocess.run(command, timeout=120, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    recipe = config.load(recipe_file, more)
    with pytest.raises(trainer.StateError, match=r"signers\.information 0\.1 -> 0\.3"):
        trainer.fit(config.load(recipe_file, (*more, "signers.information=0.3")), run=run, resume=True)
    resumed = trainer.fit(recipe, run=run, resume=True)
    unbroken = trainer.fit(recipe)
    assert all(torch.equal(resumed.weights[name], weight) for name, weight in unbroken.weights.items())
    assert resumed.manifest == unbroken.manifest

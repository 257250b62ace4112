import json

import pytest
import torch

from models import NETWORKS, CheckpointError, checkpoint
from tests.networks import FRAMES, SMALL
from training import config, trainer
from training.__main__ import main
from training.splits import Overlap


@pytest.fixture(scope="module")
def saved(recipe_file):
    return trainer.fit(config.load(recipe_file))


@pytest.mark.slow
def test_a_fit_tells_a_waving_hand_from_a_resting_one_on_a_person_it_never_saw(saved):
    manifest = saved.manifest
    assert manifest.metrics["pr_auc_hands_visible"] > 0.9
    assert (manifest.task, manifest.network, manifest.window_frames) == ("signing", "stgcn", 8)
    assert manifest.labels == ("not-signing", "signing")
    assert 0.5 <= manifest.decoding.start_above <= 0.95


@pytest.mark.slow
def test_a_fit_is_the_same_twice_and_another_with_another_seed(recipe_file, saved):
    again = trainer.fit(config.load(recipe_file))
    other = trainer.fit(config.load(recipe_file, ("fit.seed=1",)))
    assert all(torch.equal(saved.weights[key], again.weights[key]) for key in saved.weights)
    assert not all(torch.equal(saved.weights[key], other.weights[key]) for key in saved.weights)
    assert again.manifest == saved.manifest


@pytest.mark.slow
def test_a_checkpoint_comes_back_as_it_was(saved, tmp_path):
    saved.save(tmp_path / "run")
    loaded = checkpoint.load(tmp_path / "run")
    assert loaded.manifest == saved.manifest
    assert config.from_dict(loaded.recipe) == config.from_dict(saved.recipe)
    x = torch.rand(2, 8, 27, 3)
    assert torch.equal(loaded.network()(x), saved.network()(x))
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["model.pt"]


def test_a_file_that_would_run_code_is_no_checkpoint(tmp_path):
    torch.save({"weights": pytest.fail}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="no checkpoint of ours"):
        checkpoint.load(tmp_path)
    with pytest.raises(CheckpointError, match="training fit"):
        checkpoint.load(tmp_path / "empty")


def test_the_same_person_for_validation_and_test_is_refused(recipe_file):
    with pytest.raises(Overlap, match="person 3"):
        trainer.fit(config.load(recipe_file, ("split.validation=[3]",)))


@pytest.mark.slow
def test_the_commands_fit_and_evaluate_agree(recipe_file, tmp_path, capsys):
    run = tmp_path / "run"
    given = ["--set", "fit.epochs=1", "--set", "events.rest_after_s=1.5"]
    assert main(["fit", str(recipe_file), "--out", str(run), "--seed", "3", *given]) == 0
    assert checkpoint.load(run).manifest.rest_after_s == 1.5
    figures = json.loads((run / "metrics.json").read_text())
    capsys.readouterr()
    assert main(["evaluate", str(run)]) == 0
    assert json.loads(capsys.readouterr().out) == pytest.approx(figures, abs=1e-5)


def test_a_model_that_could_not_rest_is_refused_before_it_is_fitted(recipe_file, capsys):
    given = ["--set", "network.layout=upper_body", "--set", "events.rest_after_s=1.5"]
    assert main(["fit", str(recipe_file), *given]) == 2
    told = capsys.readouterr()
    assert "cannot rest while no hand is seen" in told.err
    assert "epoch" not in told.out


def test_a_command_with_a_wrong_key_says_so_and_fails(recipe_file, capsys):
    assert main(["fit", str(recipe_file), "--set", "fit.epoch=1"]) == 2
    assert "unknown key fit.epoch" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_trains_by_a_recipe(name, recipe_file):
    options = ", ".join(f"{key} = {json.dumps(value)}" for key, value in SMALL[name].items())
    recipe = config.load(
        recipe_file,
        (
            f"network.name={name}",
            f"network.options={{ {options} }}",
            f"window.frames={FRAMES}",
            "fit.epochs=8",
            "split.refit=false",
        ),
    )
    told = []
    saved = trainer.fit(recipe, told.append)
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in told if line.startswith("epoch")]
    assert losses[7] < losses[0]
    assert saved.manifest.network == name
    assert saved.manifest.metrics["pr_auc_hands_visible"] > 0.6

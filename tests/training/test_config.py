from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from training import config
from training.config import ConfigError

CONFIGS = sorted(Path(config.__file__).parent.joinpath("configs").glob("*.toml"))


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_recipes_load_and_survive_a_checkpoint(path):
    recipe = config.load(path)
    assert recipe.name == path.stem
    assert config.from_dict(recipe.to_dict()) == recipe
    with pytest.raises(FrozenInstanceError):
        recipe.name = "other"


def test_there_are_recipes():
    assert {path.stem for path in CONFIGS} >= {"signing", "signs"}


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("fit.epoch=3", "unknown key fit.epoch"),
        ("fits.epochs=3", "unknown key fits"),
        ("network.options.width=[8]", "unknown key network.options.width"),
        ("network.name=resnet", "choose from .*stgcn"),
        ("task=dancing", "choose from actions, controls, frames, gesture, signing"),
        ("task=gesture", r"\[gesture\]"),
        ("fit.epochs=many", "fit.epochs must be int"),
        ("fit.epochs=true", "fit.epochs must be int"),
        ("fit.epochs=0", "at least 1"),
        ("events.rule=loud", "events.rule"),
        ("signing.lead=-1", "lead is at least 0 frames, got -1"),
        ("signing.lead=8", r"signing\.lead is for continual networks, stgcn is none"),
        ("signing.made.dance=1", "unknown kind of idle window dance"),
        ("augment.rate_low=9", "rate_low"),
        ("epochs", "section.key=value"),
    ],
)
def test_a_wrong_override_is_refused_by_name(recipe_file, override, complaint):
    with pytest.raises(ConfigError, match=complaint):
        config.load(recipe_file, (override,))


def test_overrides_are_taken(recipe_file):
    recipe = config.load(recipe_file, ("fit.epochs=7", "split.test=[4, 5]", "data.folder=/elsewhere", "fit.rate=1"))
    assert (recipe.fit.epochs, recipe.split.test, recipe.data.folder, recipe.fit.rate) == (7, (4, 5), "/elsewhere", 1.0)


def test_a_missing_recipe_is_said_to_be_missing(tmp_path):
    with pytest.raises(ConfigError, match="there is no recipe"):
        config.load(tmp_path / "none.toml")

"""Where studies are, and the recipes that they vary."""

from __future__ import annotations

from pathlib import Path

from training import config
from training.config import ConfigError

CONFIGS = Path(config.__file__).parent / "configs"
STUDIES = CONFIGS / "studies"


def find_study(named: str) -> Path:
    """A TOML file, or a name in training/configs/studies."""
    return Path(named) if named.endswith(".toml") else STUDIES / f"{named}.toml"


def find_recipe(study: Path, recipe: str) -> Path:
    """A study's recipe: from its folder, or from training/configs. Raises ConfigError where it is in neither."""
    found = next((path for path in (study.parent / recipe, CONFIGS / recipe) if path.is_file()), None)
    if found is None:
        raise ConfigError(f"there is no recipe {recipe} in {study.parent} or {CONFIGS}")
    return found

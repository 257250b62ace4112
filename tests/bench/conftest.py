"""The tiny data set and recipe of the training tests."""

from tests.training.conftest import recipe_file, shapes_recipe, tiny

__all__ = ["recipe_file", "shapes_recipe", "tiny"]

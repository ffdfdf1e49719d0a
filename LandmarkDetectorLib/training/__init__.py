"""From a recipe and annotated images to a bundle."""

from LandmarkDetectorLib.training.recipe import Recipe, read_recipe
from LandmarkDetectorLib.training.train import train

__all__ = ["Recipe", "read_recipe", "train"]

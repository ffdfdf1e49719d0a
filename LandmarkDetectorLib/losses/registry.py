"""Losses by name: a file that defines one registers it, and a recipe names it."""

from __future__ import annotations

from typing import Any

from LandmarkDetectorLib.core import Registry
from LandmarkDetectorLib.losses.loss import LandmarkLoss

_LOSSES: Registry[type[LandmarkLoss]] = Registry("loss")
register_loss = _LOSSES.register
loss_names = _LOSSES.names


def build_loss(name: str, **arguments: Any) -> LandmarkLoss:
    """A loss by name.

    Raises:
        RecipeError: no loss has this name, or it does not take these arguments.
    """
    loss: LandmarkLoss = _LOSSES.build(name, **arguments)
    return loss

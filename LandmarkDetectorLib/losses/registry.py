"""Losses by name: a file that defines one registers it, and a recipe names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.losses.loss import LandmarkLoss

Loss = TypeVar("Loss", bound=type[LandmarkLoss])
_LOSSES: dict[str, type[LandmarkLoss]] = {}


def register_loss(name: str) -> Callable[[Loss], Loss]:
    """Class decorator: make a loss known under this name."""

    def register(loss: Loss) -> Loss:
        if name in _LOSSES:
            raise ValueError(f"two losses are called {name!r}")
        _LOSSES[name] = loss
        return loss

    return register


def loss_names() -> list[str]:
    """The losses that a recipe may name."""
    return sorted(_LOSSES)


def build_loss(name: str, **arguments: Any) -> LandmarkLoss:
    """A loss by name.

    Raises:
        RecipeError: no loss has this name, or it does not take these arguments.
    """
    if name not in _LOSSES:
        raise RecipeError(f"There is no loss {name!r}; choose one of {', '.join(loss_names())}.")
    try:
        return _LOSSES[name](**arguments)
    except (TypeError, ValueError) as error:
        raise RecipeError(f"The loss {name!r} cannot be built: {error}.") from error

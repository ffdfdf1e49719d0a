"""Ways to make regions by name: a file that defines one registers it, and a script or a card names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation.regions.method import RegionMethod

Method = TypeVar("Method", bound=type[RegionMethod])
_METHODS: dict[str, type[RegionMethod]] = {}


def register_region_method(name: str) -> Callable[[Method], Method]:
    """Class decorator: make a method known under this name."""

    def register(method: Method) -> Method:
        if name in _METHODS:
            raise ValueError(f"two region methods are called {name!r}")
        _METHODS[name] = method
        method.name = name
        return method

    return register


def region_method_names() -> list[str]:
    """The methods that there are."""
    return sorted(_METHODS)


def build_region_method(name: str, **arguments: Any) -> RegionMethod:
    """A method by name.

    Raises:
        LandmarkError: no method has this name, or it does not take these arguments.
    """
    if name not in _METHODS:
        raise LandmarkError(f"There is no region method {name!r}; choose one of {', '.join(region_method_names())}.")
    try:
        return _METHODS[name](**arguments)
    except TypeError as error:
        raise LandmarkError(f"The region method {name!r} cannot be built: {error}.") from error

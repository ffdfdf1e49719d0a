"""Ways to make regions by name: a file that defines one registers it, and a script or a card names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from LandmarkDetectorLib.core import LandmarkError, Registry
from LandmarkDetectorLib.evaluation.regions.method import RegionMethod

Method = TypeVar("Method", bound=type[RegionMethod])
_METHODS: Registry[type[RegionMethod]] = Registry("region method", LandmarkError)
region_method_names = _METHODS.names


def register_region_method(name: str) -> Callable[[Method], Method]:
    """Class decorator: make a method known under this name, which it then bears."""

    def register(method: Method) -> Method:
        method.name = name
        return _METHODS.register(name)(method)

    return register


def build_region_method(name: str, **arguments: Any) -> RegionMethod:
    """A method by name.

    Raises:
        LandmarkError: no method has this name, or it does not take these arguments.
    """
    method: RegionMethod = _METHODS.build(name, **arguments)
    return method

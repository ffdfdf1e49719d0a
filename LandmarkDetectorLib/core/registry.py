"""Things by name: a file that defines one registers it, and a recipe, a script or a person names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Generic, TypeVar

from LandmarkDetectorLib.core.errors import LandmarkDetectorError, RecipeError

Entry = TypeVar("Entry", bound=Callable[..., Any])
Registered = TypeVar("Registered", bound=Callable[..., Any])


_NOT_TAKEN = (
    TypeError,
    ValueError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,  # torch, of a negative width
    LandmarkDetectorError,
)
"""What classes and functions of libraries raise where arguments are not theirs."""


class Registry(Generic[Entry]):
    """Classes or functions of one kind, by name.

    Args:
        kind: what they are, as a message calls one of them.
        error: what is raised where a name or its arguments are wrong.
    """

    def __init__(self, kind: str, error: type[LandmarkDetectorError] = RecipeError) -> None:
        self.kind = kind
        self.error = error
        self._entries: dict[str, Entry] = {}

    def register(self, name: str) -> Callable[[Registered], Registered]:
        """Decorator: make a class or function known under this name.

        Raises:
            ValueError: the name is taken.
        """

        def decorate(entry: Registered) -> Registered:
            if name in self._entries:
                raise ValueError(f"the {self.kind} {name!r} is there already")
            self._entries[name] = entry  # type: ignore[assignment]  # what a kind must be is checked by its tests
            return entry

        return decorate

    def names(self) -> list[str]:
        """The names that are known."""
        return sorted(self._entries)

    def __getitem__(self, name: str) -> Entry:
        """What has this name; raises the registry's error, which lists the names, where nothing has."""
        if name not in self._entries:
            raise self.error(f"There is no {self.kind} {name!r}; choose one of {', '.join(self.names())}.")
        return self._entries[name]

    def build(self, name: str, **arguments: Any) -> Any:
        """Call what has this name; raises the registry's error where it does not take these arguments."""
        entry = self[name]
        try:
            return entry(**arguments)
        except self.error:
            raise  # in its own words
        except _NOT_TAKEN as error:
            raise self.error(f"The {self.kind} {name!r} cannot be built: {str(error).rstrip('.')}.") from error


def import_parts(package: str, path: Iterable[str]) -> None:
    """Import every module of a package, which registers what it defines: a new part is a new file.

    Args:
        package: the ``__name__`` of the package.
        path: its ``__path__``.
    """
    for module in iter_modules(path):
        import_module(f"{package}.{module.name}")

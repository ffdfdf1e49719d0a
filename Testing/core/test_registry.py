"""Things by name."""

from __future__ import annotations

import pytest

from LandmarkDetectorLib.core import LandmarkError, RecipeError, Registry


@pytest.fixture
def cakes() -> Registry:
    registry: Registry = Registry("cake")

    @registry.register("plain")
    def plain(eggs: int = 2) -> str:
        if eggs < 0:
            raise ValueError("eggs are not negative")
        if eggs > 9:
            raise LandmarkError("Ten eggs are too many.")
        if eggs == 7:
            raise RecipeError("Seven eggs bring bad luck.")
        return f"{eggs} eggs"

    return registry


def test_what_is_registered_is_built_by_its_name(cakes: Registry) -> None:
    assert cakes.names() == ["plain"]
    assert cakes.build("plain", eggs=3) == cakes["plain"](3) == "3 eggs"


def test_an_unknown_name_is_answered_with_those_that_are_known(cakes: Registry) -> None:
    with pytest.raises(RecipeError, match="There is no cake 'plum'; choose one of plain"):
        cakes.build("plum")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"flour": 1}, "The cake 'plain' cannot be built: .*unexpected keyword argument 'flour'"),
        ({"eggs": -1}, r"The cake 'plain' cannot be built: eggs are not negative\.$"),
        ({"eggs": 10}, r"The cake 'plain' cannot be built: Ten eggs are too many\.$"),
        ({"eggs": 7}, r"^Seven eggs bring bad luck\.$"),
    ],
)
def test_arguments_that_do_not_fit_are_an_error_of_the_recipe(cakes: Registry, arguments: dict, sentence: str) -> None:
    with pytest.raises(RecipeError, match=sentence):
        cakes.build("plain", **arguments)


def test_a_name_is_given_once(cakes: Registry) -> None:
    with pytest.raises(ValueError, match="the cake 'plain' is there already"):
        cakes.register("plain")(str)

"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from LandmarkDetectorLib.core.counted import counted


@pytest.mark.parametrize(
    ("count", "words", "said"),
    [
        (0, ("image",), "0 images"),
        (1, ("image",), "1 image"),
        (2, ("image",), "2 images"),
        (1, ("body", "bodies"), "1 body"),
        (3, ("body", "bodies"), "3 bodies"),
    ],
)
def test_one_is_one_and_all_others_are_many(count: int, words: tuple[str, ...], said: str) -> None:
    assert counted(count, *words) == said

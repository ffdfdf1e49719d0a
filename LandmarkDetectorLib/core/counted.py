"""A number with its noun, for sentences that a person reads."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """``1 image``, ``2 images``: a number and its noun, whose plural is made by an s where it is not given."""
    return f"{count} {one if count == 1 else many or one + 's'}"

"""A store with a real image in it, and what a detector said of that."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from LandmarkDetectorLib.io import save_image
from LandmarkDetectorLib.review import ReviewStore
from Testing.review.toys import make_image, make_proposal


@pytest.fixture
def store(tmp_path: Path) -> ReviewStore:
    return ReviewStore.create(tmp_path / "reviews")


@pytest.fixture
def image_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a small image to a file whose name tells a patient's."""

    def write(seed: int = 0, name: str = "Doe^Jane 1970.nrrd") -> Path:
        path = tmp_path / "scans" / name
        path.parent.mkdir(exist_ok=True)
        save_image(make_image(seed), path)
        return path

    return write


@pytest.fixture
def case(store: ReviewStore, image_file: Callable[..., Path]) -> str:
    """A case with an image and a proposal."""
    case = store.add_image(image_file())
    store.add_proposal(case, make_proposal())
    return case

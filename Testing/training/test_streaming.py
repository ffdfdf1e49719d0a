"""Streamed images: the same weights as from memory, and never more images in memory than a batch or two look at."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.core import Image, ImageError
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.datasets.intensity import Intensity
from LandmarkDetectorLib.datasets.sampling import Pyramid, sample
from LandmarkDetectorLib.training import train
from LandmarkDetectorLib.training.streaming import Stream, StreamedPyramid
from Testing.phantoms import recipe_text, write_dataset


class Shelf:
    """Images in the place of a disk, and how often each was read."""

    def __init__(self, count: int) -> None:
        self.images = [Image.from_array(np.full((8, 8), n, np.float32)) for n in range(count)]
        self.read: list[int] = []

    def pyramid(self, number: int) -> Pyramid:
        self.read.append(number)
        return Pyramid(self.images[number], Intensity(window=(0, 100)))


@pytest.fixture
def stream() -> Iterator[tuple[Shelf, Stream]]:
    shelf = Shelf(6)
    stream = Stream(shelf.pyramid, 2)
    yield shelf, stream
    stream.close()


def test_the_last_images_stay_and_older_ones_are_read_again(stream: tuple[Shelf, Stream]) -> None:
    shelf, images = stream
    for number in (0, 1, 0, 2, 0, 1):
        assert float(images.get(number).level(1.0).values.max()) == pytest.approx(number / 100)
    assert shelf.read == [0, 1, 2, 1]


def test_what_comes_next_is_read_meanwhile_as_far_as_it_can_stay(stream: tuple[Shelf, Stream]) -> None:
    shelf, images = stream
    images.read_ahead([3, 3, 4, 5])
    images.get(4)
    images.get(3)
    assert shelf.read == [3, 4]


def test_an_image_that_cannot_be_read_is_an_error_where_it_is_looked_at() -> None:
    def fails(number: int) -> Pyramid:
        raise ImageError("a.nii: the file is empty; export it again.")

    images = Stream(fails, 1)
    images.read_ahead([0])
    with pytest.raises(ImageError, match="the file is empty"):
        images.get(0)
    images.close()
    with pytest.raises(ValueError, match="cannot keep 0"):
        Stream(fails, 0)


def test_a_streamed_image_is_sampled_as_one_in_memory(stream: tuple[Shelf, Stream]) -> None:
    shelf, images = stream
    frames = np.eye(3)[None]
    streamed = sample(StreamedPyramid(images, 3, shelf.images[3].grid), frames, (4, 5))
    assert torch.equal(streamed, sample(shelf.pyramid(3), frames, (4, 5)))


def test_streamed_training_gives_the_same_weights_and_keeps_few_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, dimension = 18, 2
    data = tmp_path / "data"
    data.mkdir()
    write_dataset(data, count, dimension, side=40)
    recipe = tmp_path / "recipe.yaml"
    text = recipe_text(dimension, 3).replace("batch: 8", "batch: 3").replace("batch: 4", "batch: 3")
    recipe.write_text(text.replace("batch: 16, cases: 4", "batch: 3, cases: 3"), encoding="utf-8")
    alive: weakref.WeakSet[Image] = weakref.WeakSet()
    most, lock, read = [0], threading.Lock(), Case.image

    def counted(case: Case) -> Image:
        with lock:
            image = read(case)
            alive.add(image)
            pixels = {id(one.array.base if one.array.base is not None else one.array) for one in alive}
            most[0] = max(most[0], len(pixels))
            return image

    class Watched(Pyramid):
        """A pyramid that keeps its image alive, so that images in memory can be counted."""

        def __init__(self, image: Image, intensity: Intensity) -> None:
            super().__init__(image, intensity)
            self.image = image

    monkeypatch.setattr(Case, "image", counted)
    monkeypatch.setattr("LandmarkDetectorLib.training.specimens.Pyramid", Watched)
    found, peaks = {}, {}
    for images in ("cached", "streamed"):
        gc.collect()  # what trained before
        most[0] = 0
        found[images] = train(recipe, data, tmp_path / images, device="cpu", images=images).state_dict()
        peaks[images] = most[0]
    assert all(torch.equal(value, found["streamed"][name]) for name, value in found["cached"].items())
    training = count - 2  # the sample's family is held out
    assert peaks["cached"] >= training
    assert peaks["streamed"] <= 2 * 3 + 3 < training  # kept, being read, being looked at

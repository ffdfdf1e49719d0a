"""Whether an image looks like those that trained: said with numbers where it does not, silent where it does."""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LandmarkDetectorLib.bundles import appearance as room
from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.bundles.appearance import (
    Appearance,
    appearance_of,
    differences,
    learn_appearance,
    look_of,
)
from LandmarkDetectorLib.bundles.pipeline import read_pipeline
from LandmarkDetectorLib.core import BundleError, Grid, Image
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.io import load_image

SHIPPED = Path(room.__file__).parent / "shipped"


def volume(low: float = 0, high: float = 100, spacing: float = 0.2, side: int = 40, name: str = "skull") -> Image:
    array = np.random.default_rng(0).uniform(low, high, (1, side, side, side)).astype(np.float32)
    return Image(array, Grid.regular((side,) * 3, spacing), name)


def known(relative: tuple[float, float] | None = None, scaled: bool = True, **of: Any) -> Appearance:
    images = [volume(**of), volume(**{"spacing": 0.3, **of})] * 50
    found = learn_appearance([look_of(image, relative) for image in images], scaled=scaled, relative=relative)
    assert found is not None
    return found


def test_the_training_images_themselves_do_not_differ() -> None:
    assert differences(volume(), known()) == differences(volume(spacing=0.3), known()) == []


def test_ranges_are_those_of_the_images() -> None:
    found = known()
    assert (found.images, found.dimension, found.channels, found.unit) == (100, 3, 1, "mm")
    np.testing.assert_allclose([*found.spacing, *found.extent], [0.2, 0.3, 8, 12])
    assert found.low[3] == pytest.approx(50, abs=1) and found.levels[3] == 0.5


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (volume(spacing=0.7, side=20), ["0.7 mm wide, 2.3 times the widest", "(0.2 to 0.3 mm)"]),
        (volume(spacing=0.02, side=300), ["0.02 mm wide, 10 times finer than the finest"]),
        (volume(spacing=0.3, side=100), ["30 mm long, 2.5 times the longest", "(8 to 12 mm)"]),
        (volume(spacing=0.2, side=15), ["3 mm long, 0.38 times the shortest"]),
        (
            volume(low=-1000, high=1000),
            ["1% of its values lie below -9", "of the 100 images that trained the bundle below"],
        ),
        (volume(low=0, high=65535), ["99% of its values lie below 649", "scaled otherwise"]),
    ],
)
def test_what_differs_is_said_with_how_much_and_from_what(image: Image, words: list[str]) -> None:
    (sentence,) = differences(image, known())
    assert sentence.startswith("skull: ") and sentence.endswith(".") and all(word in sentence for word in words), (
        sentence
    )


@pytest.mark.parametrize(
    "image", [volume(spacing=0.59, side=20), volume(spacing=0.3, side=79), volume(low=-10, high=110), volume(side=21)]
)
def test_within_the_margins_nothing_is_said(image: Image) -> None:
    assert differences(image, known()) == []


def test_values_that_a_bundle_scales_by_quantiles_may_have_any_scale_but_not_be_inverted() -> None:
    def skewed(sign: float, offset: float, scale: float) -> Image:
        image = volume(0, 1)
        return replace(image, array=(offset + sign * scale * image.array**6).astype(np.float32))

    relative = (0.01, 0.99)
    appearance = learn_appearance([look_of(skewed(1, 0, 1), relative)] * 100, scaled=True, relative=relative)
    assert differences(skewed(1, -500, 4000), appearance) == []
    (sentence,) = differences(skewed(-1, 0, 1), appearance)
    assert "of its own range of values" in sentence and "inverted" in sentence


def test_dimension_and_channels_are_said_alone() -> None:
    image = volume()
    colour = replace(image, array=np.repeat(image.array, 3, 0))
    assert differences(colour, known()) == [
        "skull has 3 channels (colour), and the 100 images that trained the bundle had 1 channel (grey)."
    ]
    flat = Image.from_array(image.array[0, 0], name="slice")
    assert differences(flat, known()) == ["slice is 2D, and the 100 images that trained the bundle were 3D."]


def test_a_volume_of_one_slice_serves_a_bundle_for_pictures() -> None:
    pictures = Image.from_array(volume().array[0, 0], 0.2)
    appearance = learn_appearance([look_of(pictures)], scaled=False, relative=None)
    assert differences(Image.from_array(volume().array[0, :1], (0.2, 0.2, 5.0)), appearance) == []


def test_an_image_without_scale_differs_only_where_the_bundle_looks_for_a_size() -> None:
    image = Image.from_array(volume().array[0], unit="px", name="skull")
    (sentence,) = differences(image, known())
    assert sentence.startswith("skull: its size in mm is not known") and "8 to 12 mm long" in sentence
    assert differences(image, known(scaled=False)) == []


def test_the_fewer_images_trained_the_wider_is_the_margin() -> None:
    few = learn_appearance([look_of(volume())] * 5, scaled=True, relative=None)
    assert differences(volume(high=170), few) == []
    assert len(differences(volume(high=170), known())) == 1


def test_values_that_are_not_finite_are_left_out() -> None:
    image = volume()
    image.array[0, :20] = np.nan
    image.array[0, 30] = np.inf
    assert differences(image, known()) == []
    nothing = replace(image, array=np.full_like(image.array, np.nan))
    assert differences(nothing, known()) == ["skull: none of its values is a finite number."]
    assert learn_appearance([look_of(nothing)], scaled=True, relative=None) is None


def test_bundles_that_were_made_before_say_nothing() -> None:
    for name in ("mouse-skull-ct", "fetal-head-us"):
        settings = {key: value for key, value in load_bundle(SHIPPED / name).settings.items() if key != "appearance"}
        assert read_pipeline(settings, name).appearance is None and appearance_of(settings, name) is None
    assert differences(volume(), None) == []


def test_an_appearance_survives_the_settings_and_a_wrong_one_is_refused() -> None:
    content = known().model_dump(mode="json")
    assert appearance_of({"appearance": content}, "b") == known()
    settings = load_bundle(SHIPPED / "mouse-skull-ct").settings
    assert read_pipeline({**settings, "appearance": content}, "b").appearance == known()
    for change in ({"low": [0.0]}, {"spacing": [2, 1]}, {"images": 0}, {"song": 1}, {"levels": [2.0] * 7}):
        with pytest.raises(BundleError, match="appearance"):
            appearance_of({"appearance": {**content, **change}}, "b")
    with pytest.raises(BundleError, match="another dimension"):
        read_pipeline({**settings, "appearance": {**content, "dimension": 2}}, "b")


@pytest.mark.parametrize(
    "array",
    [
        np.broadcast_to(np.arange(512, dtype=np.int16), (1, 512, 512, 512)),
        np.zeros((3, 4000, 4000), np.uint8),
        np.zeros((1, 2, 3000, 3000), np.float32),
    ],
    ids=["volume", "photograph", "two slices"],
)
def test_a_large_image_is_looked_at_in_a_coarse_part(array: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    really = np.quantile
    monkeypatch.setattr(room.np, "quantile", lambda values, at: seen.append(values.size) or really(values, at))
    look_of(Image(array, Grid.regular(array.shape[:0:-1])))
    assert room.SAMPLES / 4 < seen[0] <= room.SAMPLES * 1.5


def test_looking_at_512_cubed_takes_less_than_30_ms() -> None:
    image = Image.from_array(np.zeros((512, 512, 512), np.int16), 0.5)
    image.array[:] = 1
    appearance, seconds = known(), []
    for _ in range(9):
        start = time.thread_time()  # other programs of the machine do not count
        differences(image, appearance)
        seconds.append(time.thread_time() - start)
    assert statistics.median(seconds) < 0.03


def learnt(data_root: Path, name: str, scaled: bool, hold_out: str | None = None) -> tuple[Appearance, list[Image]]:
    cases = read_dataset(data_root / name).cases
    images = [case.image() for case in cases]
    looks = [look_of(image) for image, case in zip(images, cases, strict=True) if case.family != hold_out]
    found = learn_appearance(looks, scaled=scaled, relative=None)
    assert found is not None
    return found, images


@pytest.mark.data
def test_no_mouse_volume_differs_from_the_other_families(data_root: Path) -> None:
    cases = read_dataset(data_root / "mouse_skull_ct").cases
    looks = {case.subject: look_of(case.image()) for case in cases}
    said = []
    for case in cases:
        others = [looks[other.subject] for other in cases if other.family != case.family]
        said += differences(case.image(), learn_appearance(others, scaled=True, relative=None))
    assert said == []


@pytest.mark.data
def test_other_images_differ_from_the_mouse_volumes(data_root: Path) -> None:
    mice, _ = learnt(data_root, "mouse_skull_ct", scaled=True)
    rng = np.random.default_rng(0)
    human = np.full((512, 512, 512), -1000, np.int16)
    human[100:400, 100:400, 100:400] = rng.integers(-100, 1500, (300, 300, 300))
    said = differences(Image.from_array(human, 0.5, name="CT"), mice)
    assert len(said) == 3 and "0.5 mm" in said[0] and "256 mm" in said[1] and "99% of its values lie below 1" in said[2]
    for case in read_dataset(data_root / "hippocampus_mr").cases:
        assert differences(case.image(), mice), case.subject


@pytest.mark.data
def test_inverted_colour_and_x_ray_pictures_differ_from_the_fetal_heads(data_root: Path) -> None:
    heads, images = learnt(data_root, "fetal_head_us", scaled=False)
    for image in images:
        assert differences(image, heads) == []
        assert any("inverted" in sentence for sentence in differences(replace(image, array=255 - image.array), heads))
    for path in sorted((data_root / "fundus" / "images").glob("*.jpg"))[:40]:
        assert "3 channels (colour)" in differences(load_image(path), heads)[0]
    x_rays = [load_image(path) for path in sorted((data_root / "cephalogram" / "images").glob("*.png"))]
    assert np.mean([bool(differences(image, heads)) for image in x_rays]) > 0.9

"""MONAI's transforms take the landmarks along: the landmark stays in the middle of its blob, whatever is done."""

from __future__ import annotations

import monai.transforms as mt
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.transforms import Randomizable

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.samples import linear_part, world
from LandmarkDetectorLib.datasets.transforms import CarryByCoordinates, carry
from LandmarkDetectorLib.datasets.transforms.carry import EXACT, STILL
from Testing.datasets.blobs import EVEN, ODD, blob_sample, error, middle, same

IMAGE = "image"
ZEROS = "zeros"  # the default shows the blob a second time, mirrored at the border
SHAPES = [EVEN[2], ODD[2], EVEN[3], ODD[3]]


def every_exact_transform(d: int) -> dict[str, mt.MapTransform]:
    """One or more settings of each transform in EXACT."""
    linear = "bilinear" if d == 2 else "trilinear"
    turn = 0.4 if d == 2 else (0.4, 0.2, -0.3)
    shear = (0.1, 0.05) if d == 2 else (0.1, 0.05, 0.02, 0.01, 0.03, 0.04)
    return {
        "Flipd": mt.Flipd(IMAGE, 0),
        "Flipd of all axes": mt.Flipd(IMAGE),
        "RandFlipd": mt.RandFlipd(IMAGE, 1.0, spatial_axis=1),
        "RandAxisFlipd": mt.RandAxisFlipd(IMAGE, 1.0),
        "Rotate90d": mt.Rotate90d(IMAGE, 1),
        "Rotate90d thrice": mt.Rotate90d(IMAGE, 3),
        "RandRotate90d": mt.RandRotate90d(IMAGE, 1.0),
        "Rotated": mt.Rotated(IMAGE, turn),
        "Rotated to another size": mt.Rotated(IMAGE, turn, keep_size=False),
        "RandRotated": mt.RandRotated(IMAGE, 0.4, 0.4, 0.4, prob=1.0),
        "Zoomd": mt.Zoomd(IMAGE, (1.13, 0.8, 1.07)[:d], mode=linear),
        "Zoomd to another size": mt.Zoomd(IMAGE, (1.13, 0.8, 1.07)[:d], mode=linear, keep_size=False),
        "RandZoomd": mt.RandZoomd(IMAGE, 1.0, 0.9, 1.1, mode=linear),
        "Affined": mt.Affined(IMAGE, turn, shear, (2, -1.5, 1)[:d], (1.1, 0.9, 1.1)[:d], padding_mode=ZEROS),
        "Affined to another size": mt.Affined(IMAGE, turn, spatial_size=(47, 50, 39)[:d], padding_mode=ZEROS),
        "RandAffined": mt.RandAffined(
            IMAGE,
            prob=1.0,
            rotate_range=0.3,
            shear_range=0.1,
            translate_range=3,
            scale_range=0.1,
            padding_mode=ZEROS,
        ),
        "Resized": mt.Resized(IMAGE, (41, 50, 37)[:d], mode=linear),
        "Resized with blur": mt.Resized(IMAGE, (30, 33, 31)[:d], mode=linear, anti_aliasing=True),
        "Spacingd": mt.Spacingd(IMAGE, (1.2, 1.0, 0.9)[:d]),
        "SpatialPadd": mt.SpatialPadd(IMAGE, (50, 51, 49)[:d]),
        "SpatialPadd at the end": mt.SpatialPadd(IMAGE, (50, 51, 49)[:d], method="end"),
        "BorderPadd": mt.BorderPadd(IMAGE, 3),
        "DivisiblePadd": mt.DivisiblePadd(IMAGE, 16),
        "SpatialCropd": mt.SpatialCropd(IMAGE, roi_start=(2, 3, 1)[:d], roi_end=(36, 37, 36)[:d]),
        "CenterSpatialCropd": mt.CenterSpatialCropd(IMAGE, (36, 37, 34)[:d]),
        "CenterScaleCropd": mt.CenterScaleCropd(IMAGE, 0.9),
        "RandSpatialCropd": mt.RandSpatialCropd(IMAGE, (36, 37, 34)[:d], random_size=False),
        "RandScaleCropd": mt.RandScaleCropd(IMAGE, 0.9),
        "CropForegroundd": mt.CropForegroundd(IMAGE, IMAGE, select_fn=lambda x: x > 5, margin=4),
        "ResizeWithPadOrCropd": mt.ResizeWithPadOrCropd(IMAGE, (50, 37, 35)[:d]),
    }


def test_every_transform_that_is_called_exact_is_measured() -> None:
    measured = {type(transform) for transform in every_exact_transform(3).values()}
    assert measured == set(EXACT) - {mt.Orientationd}, "Orientationd needs nibabel; Reorient stands for it"


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", every_exact_transform(2))
def test_a_landmark_stays_in_the_middle_of_its_blob(name: str, shape: tuple[int, ...]) -> None:
    before = blob_sample(shape)
    assert error(before) < 0.002
    transform = carry(every_exact_transform(len(shape))[name])
    if isinstance(transform, Randomizable):
        transform.set_random_state(3)
    after = transform(before)
    assert error(after) < 0.02
    assert after["landmarks"][1].isnan().all() and after["present"].tolist() == [True, False]
    torch.testing.assert_close(world(after), world(before), atol=1e-3, rtol=0, equal_nan=True)
    same(transform.inverse(after), before)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([2, 3]), st.integers(0, 2**31), st.booleans())
def test_any_chain_of_transforms_and_its_inverse_return_the_landmark(d: int, seed: int, several: bool) -> None:
    before = blob_sample((EVEN if seed % 2 else ODD)[d])
    if several:
        draws = torch.rand((2, 3, d), generator=torch.Generator().manual_seed(seed)) * 30
        draws[0, 1] = torch.nan
        before = {**before, "landmarks": draws, "present": draws.isfinite().all(-1)}
    chain = carry(
        [
            mt.RandAffined(IMAGE, prob=0.7, rotate_range=0.5, shear_range=0.2, translate_range=5, scale_range=0.2),
            mt.OneOf([mt.RandFlipd(IMAGE, 0.8, spatial_axis=d - 1), mt.RandRotate90d(IMAGE, 0.8)]),
            mt.RandZoomd(IMAGE, 0.7, 0.8, 1.2, mode="bilinear" if d == 2 else "trilinear"),
            mt.ResizeWithPadOrCropd(IMAGE, (40, 39, 38)[:d]),
            mt.RandGaussianNoised(IMAGE, 0.5),
        ]
    )
    chain.set_random_state(seed)
    same(chain.inverse(chain(before)), before)


def test_intensity_leaves_landmarks_alone() -> None:
    before = blob_sample(EVEN[2])
    after = carry([mt.ScaleIntensityd(IMAGE), mt.RandAdjustContrastd(IMAGE, 1.0), mt.EnsureTyped(IMAGE)])(before)
    assert after["landmarks"].equal(before["landmarks"]) or bool(before["landmarks"].isnan().any())
    torch.testing.assert_close(after["landmarks"], before["landmarks"], rtol=0, atol=0, equal_nan=True)
    assert not after["image"].equal(before["image"])
    assert mt.EnsureTyped in STILL


def test_what_is_given_is_not_changed() -> None:
    before = blob_sample(EVEN[2])
    image, places = before["image"].clone(), before["landmarks"].clone()
    given_transform = mt.RandAffined(IMAGE, prob=1.0, rotate_range=0.5)
    composed = mt.Compose([given_transform]).set_random_state(7)  # Compose itself seeds its parts
    state = given_transform.R.get_state()[1].copy()
    carried = carry(composed)
    carried.set_random_state(0)
    carried(before)
    assert before["image"].equal(image) and before["image"].affine.equal(image.affine)
    torch.testing.assert_close(before["landmarks"], places, rtol=0, atol=0, equal_nan=True)
    assert np.array_equal(given_transform.R.get_state()[1], state)


@pytest.mark.parametrize("name", ["Flipd", "Affined", "RandAffined"])
def test_what_is_given_to_an_inverse_is_not_changed_and_can_be_undone_again(name: str) -> None:
    before = blob_sample(EVEN[2])
    transform = carry(every_exact_transform(2)[name])
    after = transform(before)
    places = world(after)
    for _ in range(2):
        same(transform.inverse(after), before)
        torch.testing.assert_close(world(after), places, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("several", [False, True])
def test_of_a_lazy_transform_the_voxels_have_moved_when_the_landmarks_have(several: bool) -> None:
    before, turn = blob_sample(EVEN[2]), mt.Rotated(IMAGE, 0.4, padding_mode=ZEROS, lazy=True)
    transform = carry([turn, mt.Flipd(IMAGE, 0, lazy=True)] if several else turn)
    after = transform(before)
    assert error(after) < 0.02 and not after["image"].pending_operations
    same(transform.inverse(after), before)


def test_the_same_seed_draws_the_same() -> None:
    transform = carry([mt.RandAffined(IMAGE, prob=1.0, rotate_range=0.5), mt.RandFlipd(IMAGE, 0.5)])
    places = []
    for seed in (1, 1, 2):
        transform.set_random_state(seed)
        places.append(transform(blob_sample(EVEN[2]))["landmarks"][0])
    assert places[0].equal(places[1]) and not places[0].equal(places[2])


def test_lazily_applied_transforms_are_followed_too() -> None:
    chain = [mt.Rotated(IMAGE, 0.3), mt.Zoomd(IMAGE, 1.1, mode="bilinear")]
    eager = carry(mt.Compose(chain))(blob_sample(ODD[2]))
    lazy = carry(mt.Compose(chain, lazy=True))(blob_sample(ODD[2]))
    torch.testing.assert_close(lazy["landmarks"], eager["landmarks"], atol=1e-3, rtol=0, equal_nan=True)
    assert error(lazy) < 0.02


@pytest.mark.parametrize(
    ("transform", "words"),
    [
        (mt.Resized(IMAGE, (20, 20)), "mode 'area'"),
        (mt.RandZoomd(IMAGE, 1.0), "mode 'area'"),
        (mt.Zoomd(IMAGE, 1.2, mode="nearest"), "mode 'nearest'"),
        (mt.Resized([IMAGE, "mask"], (20, 20), mode=["bilinear", "nearest"]), "nearest-exact"),
        (mt.Affined(IMAGE, 0.2, align_corners=True), "align_corners"),
        (mt.Transposed(IMAGE, (0, 2, 1)), "use Reorient"),
        (mt.RandSimulateLowResolutiond(IMAGE), "use Resize"),
        (mt.Rand2DElasticd(IMAGE, (8, 8), (1, 2)), "CarryByCoordinates"),
        (mt.RandGridDistortiond(IMAGE), "CarryByCoordinates"),
        (mt.RandSpatialCropSamplesd(IMAGE, (8, 8), 3), "use PatchDataset"),
        (mt.Lambdad(IMAGE, lambda x: x), "LandmarkTransform"),
        (print, "LandmarkTransform"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_moves_the_image_untold_is_refused_with_what_to_do(transform: object, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        carry(mt.Compose([mt.OneOf([transform])]) if isinstance(transform, mt.Transform) else transform)


def test_the_refusals_are_deserved() -> None:
    # What MONAI says of these in the affine is not what it does: the measure behind the refusals.
    sample = blob_sample(ODD[2])
    for transform, least in (
        (mt.RandZoomd(IMAGE, 1.0, 1.1, 1.1), 0.05),
        (mt.Resized(IMAGE, (60, 61), mode="nearest"), 0.3),
        (mt.Transposed(IMAGE, (0, 2, 1)), 5.0),
    ):
        moved = transform(sample)["image"]
        old, new = sample["image"].affine.numpy(), moved.affine.numpy()
        claimed = (np.linalg.solve(new, old) @ [*sample["landmarks"][0].numpy()[::-1], 1])[1::-1]
        assert np.abs(middle(moved) - claimed).max() > least


def smooth_deform(d: int, field: str) -> mt.MapTransform:
    size = EVEN[d][-d:]
    return mt.RandSmoothDeformd(
        IMAGE,
        size,
        (5,) * d,
        prob=1.0,
        def_range=0.06,
        field_mode=field,
        grid_mode="bilinear",
        grid_padding_mode="zeros",
    )


@pytest.mark.parametrize(
    "transform",
    [
        mt.Rand2DElasticd(IMAGE, (16, 16), (2, 3), prob=1.0, padding_mode="zeros"),
        mt.Rand2DElasticd(IMAGE, (16, 16), (2, 3), prob=1.0, rotate_range=0.3, scale_range=0.1),
        mt.Rand3DElasticd(IMAGE, (6, 7), (100, 200), prob=1.0),
        mt.RandGridDistortiond(IMAGE, prob=1.0, distort_limit=0.05),
        smooth_deform(2, "bilinear"),
        smooth_deform(3, "trilinear"),
    ],
    ids=["2D", "2D with affine", "3D", "grid", "2D smooth", "3D smooth"],
)
def test_elastic_transforms_of_monai_are_followed_by_a_picture_of_coordinates(transform: mt.MapTransform) -> None:
    d = 3 if isinstance(transform, mt.Rand3DElasticd) or "trilinear" in getattr(transform, "field_mode", ()) else 2
    # A small blob: the middle of a large one is not where its middle went.
    before = blob_sample(EVEN[d], width=0.8)
    carried = carry(CarryByCoordinates(transform))
    carried.set_random_state(0)
    after = carried(before)
    assert np.abs(after["landmarks"][0].numpy() - before["landmarks"][0].numpy()).max() > 0.3
    # GridDistortion shows a line of voxels twice at its seams, and bends what lies there.
    assert error(after) < (0.6 if isinstance(transform, mt.RandGridDistortiond) else 0.12)
    assert after["landmarks"][1].isnan().all()
    with pytest.raises(DatasetError, match="use Elastic"):
        carried.inverse(after)


def test_a_field_with_steps_is_refused() -> None:
    with pytest.raises(DatasetError, match="field_mode 'bilinear'"):
        CarryByCoordinates(smooth_deform(2, "area"))


def test_a_transform_that_folds_at_a_landmark_is_said_to() -> None:
    torn = CarryByCoordinates(mt.Rand2DElasticd(IMAGE, (4, 4), (20, 25), prob=1.0))
    torn.set_random_state(0)
    many = {**blob_sample(EVEN[2]), "landmarks": torch.rand((30, 2), generator=torch.Generator().manual_seed(0)) * 46}
    with pytest.raises(DatasetError, match="smaller magnitude"):
        torn(many)


def test_the_linear_part_since_loading_is_that_of_all_transforms() -> None:
    before = blob_sample(ODD[2])
    turned = carry([mt.Rotate90d(IMAGE, 1), mt.Flipd(IMAGE, 1), mt.Zoomd(IMAGE, (1.0, 2.0), mode="bilinear")])(before)
    near = before["landmarks"][:1] + torch.tensor([1.0, 0.5])
    again = carry([mt.Rotate90d(IMAGE, 1), mt.Flipd(IMAGE, 1), mt.Zoomd(IMAGE, (1.0, 2.0), mode="bilinear")])(
        {**before, "landmarks": near}
    )
    step = linear_part(turned) @ torch.tensor([1.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close((again["landmarks"] - turned["landmarks"][:1])[0].double(), step, atol=1e-4, rtol=0)

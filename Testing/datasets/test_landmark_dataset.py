"""Samples from disk: what they hold, that nothing is kept or changed, loaders, caches and batches."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import monai.transforms as mt
import numpy as np
import pytest
import torch
from monai.data import CacheDataset, MetaTensor, PersistentDataset
from torch.utils.data import DataLoader

from LandmarkDetectorLib.core import DatasetError, Grid, Image, Landmark, LandmarkSet
from LandmarkDetectorLib.datasets import Dataset, read_dataset
from LandmarkDetectorLib.datasets.collate import collate_samples
from LandmarkDetectorLib.datasets.heatmap_dataset import HeatmapDataset
from LandmarkDetectorLib.datasets.landmark_dataset import LandmarkDataset, LoadSample
from LandmarkDetectorLib.datasets.samples import grid_of, inside, make_sample, world
from LandmarkDetectorLib.datasets.transforms import Resize, carry
from LandmarkDetectorLib.heatmaps import gaussian_heatmaps
from LandmarkDetectorLib.io import save_image
from Testing.datasets.blobs import oblique_grid, same
from Testing.phantoms import LABELS, write_dataset

IMAGE = "image"
TURN = mt.RandAffined(IMAGE, prob=1.0, rotate_range=0.5)


@pytest.fixture(scope="module", params=[2, 3])
def phantoms(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three oblique, anisotropic phantoms in 2D and in 3D."""
    folder = tmp_path_factory.mktemp("phantoms")
    return read_dataset(write_dataset(folder, 3, request.param, side=32))


def test_spacing_origin_and_direction_of_the_header_are_those_of_the_sample(phantoms: Dataset) -> None:
    samples = LandmarkDataset(phantoms)
    assert len(samples) == 3 and samples.labels == tuple(LABELS)
    for sample, case in zip(map(samples.__getitem__, range(3)), phantoms.cases, strict=True):
        image = case.image()
        assert grid_of(sample[IMAGE]).same_as(image.grid, 1e-5)
        assert sample[IMAGE].shape == image.array.shape and sample[IMAGE].dtype == torch.float32
        np.testing.assert_array_equal(sample[IMAGE].numpy(), image.array)
        np.testing.assert_allclose(world(sample), case.landmarks.positions, atol=1e-4)
        np.testing.assert_allclose(sample["landmarks"], image.grid.to_index(case.landmarks.positions), atol=1e-4)
        assert sample["subject"] == case.subject and sample["case"]["family"] == case.family
        assert sample["present"].all() and sample["labelled"].all() and inside(sample).all()


def test_the_world_stays_through_the_transforms_and_the_inverse_returns_the_sample(phantoms: Dataset) -> None:
    samples = LandmarkDataset(phantoms, [TURN, Resize((40,) * phantoms.cases[0].image().dimension)], seed=1)
    after = samples[1]
    np.testing.assert_allclose(world(after), phantoms.cases[1].landmarks.positions, atol=2e-3)
    same(samples.inverse(after), samples.load(1))


def test_nothing_that_is_given_is_changed(phantoms: Dataset) -> None:
    cases = phantoms.cases
    before = [case.landmarks.positions.copy() for case in cases]
    samples = LandmarkDataset(phantoms, [TURN, mt.ScaleIntensityd(IMAGE)], seed=0)
    for index in (0, 1, 2, 1):
        assert not np.allclose(samples[index]["landmarks"], samples.load(index)["landmarks"])
    assert samples.dataset.cases is cases
    assert all(np.array_equal(case.landmarks.positions, old) for case, old in zip(cases, before, strict=True))


def test_nothing_grows_with_the_images_that_were_read(phantoms: Dataset) -> None:
    samples = HeatmapDataset(LandmarkDataset(phantoms, TURN), functools.partial(gaussian_heatmaps, sigma=3.0))
    maps = [samples[0]["heatmaps"]]
    before = len(pickle.dumps(samples))
    maps += [samples[index]["heatmaps"] for index in (1, 2)]
    assert len({m.data_ptr() for m in maps}) == 3
    assert abs(len(pickle.dumps(samples)) - before) < 500 < maps[0].nbytes


def test_absent_and_unlabelled_are_told_apart() -> None:
    image = Image.from_array(np.zeros((8, 9), np.uint8))
    marks = LandmarkSet(
        (Landmark("there", [2.0, 3.0]), Landmark("absent", status="missing"), Landmark("open", status="undefined"))
    )
    sample = make_sample(image, marks, ["open", "there", "absent", "never heard of"])
    assert sample["present"].tolist() == [False, True, False, False]
    assert sample["labelled"].tolist() == [False, True, True, False]
    assert sample["landmarks"].isnan().all(-1).tolist() == [True, False, True, True]


def test_a_label_that_stands_several_times_is_a_class_of_several_instances() -> None:
    image = Image.from_array(np.zeros((8, 9), np.uint8))
    marks = LandmarkSet((Landmark("cell", [1.0, 2.0]), Landmark("cell", [5.0, 6.0]), Landmark("edge", [3.0, 3.0])))
    sample = make_sample(image, marks)
    assert sample["labels"] == ("cell", "edge") and sample["landmarks"].shape == (2, 2, 2)
    assert sample["present"].tolist() == [[True, True], [True, False]]
    assert make_sample(image, marks, instances=5)["landmarks"].shape == (2, 5, 2)
    with pytest.raises(DatasetError, match="more than 1 instances"):
        make_sample(image, marks, instances=1)


def test_a_landmark_that_leaves_the_view_is_present_and_not_inside() -> None:
    image = Image.from_array(np.zeros((20, 20), np.uint8))
    marks = LandmarkSet.from_positions(["a", "b", "border"], [[2.0, 10.0], [10.0, 10.0], [4.5, 10.0]])
    cut = carry(mt.SpatialCropd(IMAGE, roi_start=(0, 5), roi_end=(20, 20)))(make_sample(image, marks))
    assert cut["present"].all() and inside(cut).tolist() == [False, True, True]
    assert cut["landmarks"][0].tolist() == [-3.0, 10.0]


def test_what_does_not_belong_together_is_said() -> None:
    flat = make_sample(Image.from_array(np.zeros((8, 9), np.uint8)), LandmarkSet.from_positions(["a"], [[1.0, 2.0]]))
    with pytest.raises(DatasetError, match="make_sample"):
        world({**flat, IMAGE: MetaTensor(flat[IMAGE].as_tensor(), affine=torch.eye(4))})
    picture = Image.from_array(np.zeros((8, 9), np.uint8), unit="px")
    with pytest.raises(DatasetError, match="in mm and its grid in px"):
        make_sample(picture, LandmarkSet.from_positions(["a"], [[1.0, 2.0]]))
    volume = Image.from_array(np.zeros((8, 9, 7), np.uint8))
    with pytest.raises(DatasetError, match="in 2D do not fit an image in 3D"):
        make_sample(volume, LandmarkSet.from_positions(["a"], [[1.0, 2.0]]))
    with pytest.raises(DatasetError, match="no case"):
        LandmarkDataset(Dataset("none", ("a",), ()))


def test_a_seed_makes_every_draw_the_same_in_any_process_and_another_in_the_next_epoch(phantoms: Dataset) -> None:
    samples = LandmarkDataset(phantoms, TURN, seed=5)
    here = torch.stack([samples[index]["landmarks"] for index in range(3)])
    loader = DataLoader(samples, 3, num_workers=2, collate_fn=collate_samples, persistent_workers=True)
    assert next(iter(loader))["landmarks"].equal(here)
    samples.set_epoch(1)
    later = next(iter(loader))["landmarks"]
    assert not later.isclose(here).all(-1).any()
    assert later.equal(torch.stack([samples[index]["landmarks"] for index in range(3)]))


def test_without_a_seed_workers_draw_differently_and_torchs_seed_repeats_them(phantoms: Dataset) -> None:
    one = replace(phantoms, cases=phantoms.cases[:1] * 2)
    samples = LandmarkDataset(one, TURN)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(torch.stack([samples[index]["landmarks"] for index in range(2)]))
    assert draws[0].equal(draws[1]) and not draws[0].equal(draws[2])
    assert not draws[0][0].equal(draws[0][1])
    batches = list(DataLoader(samples, 1, num_workers=2, collate_fn=collate_samples))
    assert not batches[0]["landmarks"].equal(batches[1]["landmarks"])


def test_monais_caches_hold_samples(phantoms: Dataset, tmp_path: Path) -> None:
    fixed, random = mt.ScaleIntensityd(IMAGE), carry([TURN])
    plain = LandmarkDataset(phantoms, fixed)
    cached = CacheDataset(plain, random, progress=False, copy_cache=True)
    np.testing.assert_allclose(world(cached[2]), world(plain[2]), atol=2e-3)
    steps = carry([LoadSample(phantoms.labels), fixed, TURN])
    kept = PersistentDataset(plain.listing(), steps, tmp_path, track_meta=True, weights_only=False)
    for _ in range(2):  # written, then read
        again = kept[1]
        np.testing.assert_allclose(world(again), world(plain[1]), atol=2e-3)
        assert again["labels"] == plain[1]["labels"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_batch_keeps_affines_and_fills_up_instances() -> None:
    samples = []
    for count in (1, 3):
        grid = oblique_grid((6, 7))
        marks = LandmarkSet(tuple(Landmark("cell", grid.to_world([n, n])) for n in range(count)))
        samples.append(make_sample(Image(np.zeros((1, 6, 7), np.uint8), grid), marks, subject=str(count)))
    batch = collate_samples(samples)
    assert batch["landmarks"].shape == (2, 1, 3, 2) and batch["image"].shape == (2, 1, 6, 7)
    assert batch["present"][:, 0].tolist() == [[True, False, False], [True, True, True]]
    assert batch["image"].affine.shape == (2, 3, 3) and batch["image"].meta["unit"] == "mm"
    assert batch["subject"] == ["1", "3"] and batch["labels"] == ("cell",)


def test_images_of_differing_size_make_no_batch_and_what_to_do_is_said() -> None:
    marks = LandmarkSet.from_positions(["a"], [[1.0, 2.0]])
    samples = [make_sample(Image.from_array(np.zeros((n, 9), np.uint8)), marks) for n in (8, 10)]
    with pytest.raises(DatasetError, match=r"\(1, 8, 9\), \(1, 10, 9\); bring them to one with the transform Resize"):
        collate_samples(samples)
    assert collate_samples([Resize((8, 8))(sample) for sample in samples])["image"].shape == (2, 1, 8, 8)
    with pytest.raises(DatasetError, match="keys or labels"):
        collate_samples([samples[0], {**samples[0], "labels": ("b",)}])
    with pytest.raises(DatasetError, match="no samples"):
        collate_samples([])


def test_colour_and_16_bit_pictures_become_samples(tmp_path: Path) -> None:
    for number, (channels, kind) in enumerate([(1, np.uint8), (1, np.uint16), (3, np.uint8)]):
        values = np.random.default_rng(number).integers(0, 255, (channels, 12, 15)).astype(kind)
        save_image(Image(values, Grid.regular((15, 12), unit="px")), tmp_path / f"{number}.png")
        entry = f'{{"image": "{number}.png", "subject": "s", "points": [[3, 4]]}}'
        (tmp_path / "dataset.json").write_text(f'{{"landmark_labels": ["a"], "training": [{entry}]}}')
        sample = LandmarkDataset(read_dataset(tmp_path))[0]
        assert sample[IMAGE].shape == (channels, 12, 15) and sample["case"]["unit"] == "px"
        assert sample["landmarks"].tolist() == [[3, 4]]


def test_the_public_names_come_from_their_files_and_listing_cases_needs_no_torch() -> None:
    import LandmarkDetectorLib.datasets as room

    assert all(getattr(room, name) is not None for name in room.__all__) and set(room.__all__) <= set(dir(room))
    with pytest.raises(AttributeError, match="no attribute 'KeypointDataset'"):
        room.KeypointDataset  # noqa: B018
    code = "import sys, LandmarkDetectorLib.datasets; print({'torch', 'monai'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "set()"

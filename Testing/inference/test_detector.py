"""The detector on phantoms: right places, in any storage, within memory, and no place where there is none."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.core import Cancelled, DeviceError, Grid, Image, ImageError, LandmarkSet
from LandmarkDetectorLib.inference import Detector, detect
from LandmarkDetectorLib.inference.memory import MemoryPlan, first_plan, run_within_memory
from Testing.phantoms import LABELS, blobs, phantom


def example(detector: Detector, seed: int = 99) -> tuple[Image, LandmarkSet]:
    dimension = detector.pipeline.dimension
    return phantom(np.random.default_rng(seed), dimension, 56 if dimension == 2 else 44)


def distances(found: LandmarkSet, truth: LandmarkSet) -> np.ndarray:
    return np.linalg.norm(found.positions - truth.positions, axis=1)


def test_landmarks_of_new_phantoms_are_found_below_the_voxel(detector: Detector) -> None:
    errors = []
    for seed in range(90, 96):
        image, truth = example(detector, seed)
        found = detector.detect(image).landmarks
        assert found.labels == LABELS and found.unit == "mm"
        errors.append(distances(found, truth))
    assert np.isfinite(errors).mean() > 0.95
    assert np.nanmean(errors) < 0.8


def test_every_landmark_says_how_sure_it_is(detector: Detector) -> None:
    image, truth = example(detector)
    found = detector.detect(image).landmarks
    for mark in found:
        assert mark.confidence is not None and 0 <= mark.confidence <= 1
        assert mark.covariance is not None and np.linalg.eigvalsh(mark.covariance).min() > 0
    assert found.info["bundle"] == "phantom" and len(found.info["fingerprint"]) == 64


def test_the_same_image_gives_the_same_landmarks(detector: Detector) -> None:
    image, _ = example(detector)
    one, two = detector.detect(image).landmarks, detector.detect(image).landmarks
    np.testing.assert_array_equal(one.positions, two.positions)


def test_a_copy_stored_with_flipped_or_swapped_axes_gives_the_same_world_positions(detector: Detector) -> None:
    image, _ = example(detector)
    expected = detector.detect(image).landmarks.positions
    d = image.dimension
    for order in itertools.permutations(range(d)):
        flip = order[0] % d
        direction = image.grid.direction[:, list(order)].copy()
        size, spacing = [image.grid.size[o] for o in order], [image.grid.spacing[o] for o in order]
        array = image.array[0].transpose([d - 1 - order[d - 1 - axis] for axis in range(d)])
        origin = np.array(image.grid.origin) + direction[:, flip] * spacing[flip] * (size[flip] - 1)
        direction[:, flip] *= -1
        array = np.ascontiguousarray(np.flip(array, d - 1 - flip))
        copy = Image(array[None], Grid(tuple(size), tuple(spacing), tuple(origin), direction), "copy")
        found = detector.detect(copy).landmarks.positions
        assert np.linalg.norm(found - expected, axis=1).max() < 0.1


def test_an_empty_image_has_no_landmarks_and_says_so(detector: Detector) -> None:
    image, _ = example(detector)
    for array in (np.zeros_like(image.array), np.full_like(image.array, 150)):
        detection = detector.detect(replace(image, array=array))
        assert all(mark.status == "missing" for mark in detection.landmarks)
        assert any("nothing was found" in notice for notice in detection.notices)


def test_a_landmark_beyond_the_border_is_missing_and_the_others_stay(detector: Detector) -> None:
    image, truth = example(detector)
    nose = truth["nose"].position
    index = image.grid.to_index(nose)
    # Cut along the index axis that leaves all others in view.
    others = image.grid.to_index(truth.positions[1:])
    axis, side = max(
        ((a, s) for a in range(image.dimension) for s in (1, -1)),
        key=lambda choice: (choice[1] * (index - others)[:, choice[0]]).min(),
    )
    gap = (side * (index - others)[:, axis]).min()
    assert gap > 4
    edge = int(round(index[axis] - side * min(gap / 2, 5)))
    span = slice(None, edge) if side > 0 else slice(edge, None)
    start = np.zeros(image.dimension)
    start[axis] = 0 if side > 0 else edge
    array = image.array[
        tuple([slice(None)] + [span if a == axis else slice(None) for a in range(image.dimension)][::-1])
    ]
    grid = Grid(
        array.shape[:0:-1], image.grid.spacing, tuple(image.grid.to_world(start)), image.grid.direction, image.grid.unit
    )
    found = detector.detect(Image(np.ascontiguousarray(array), grid, "cut")).landmarks
    assert found["nose"].status == "missing" and found["nose"].position is None
    kept = [label for label in LABELS[1:] if found[label].status == "defined"]
    assert len(kept) >= 3
    assert np.nanmax(distances(found, truth)[1:]) < 4


def test_progress_rises_to_one_and_a_request_to_stop_is_heard(detector: Detector) -> None:
    image, _ = example(detector)
    steps: list[tuple[str, float]] = []
    detector.detect(image, progress=lambda *step: steps.append(step))
    fractions = [fraction for _, fraction in steps]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert {"coarse", "frame", "patches"} <= {stage for stage, _ in steps}
    for stop_at in range(1, len(steps)):
        asked = iter(range(1000))
        with pytest.raises(Cancelled, match="cancelled"):
            detector.detect(image, cancelled=lambda asked=asked, stop_at=stop_at: next(asked) >= stop_at)


def test_small_tiles_and_single_patches_find_the_same(detector: Detector) -> None:
    image, _ = example(detector)
    expected = detector.detect(image).landmarks.positions
    detector.plan = MemoryPlan(torch.device("cpu"), 16, 1)
    np.testing.assert_allclose(detector.detect(image).landmarks.positions, expected, atol=0.15)


def test_running_out_of_memory_is_said_and_the_landmarks_stay(
    detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, _ = example(detector)
    expected = detector.detect(image).landmarks.positions
    original = detector.networks.maps
    failed = []

    def short_of_memory(name, images, watch, which=None):
        if name == "patch" and len(images) > 4:
            failed.append(len(images))
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return original(name, images, watch, which)

    monkeypatch.setattr(detector.networks, "maps", short_of_memory)
    detection = detector.detect(image)
    assert failed
    assert any("too little memory" in notice and "going on with" in notice for notice in detection.notices)
    np.testing.assert_allclose(detection.landmarks.positions, expected, atol=0.05)


def test_when_even_the_smallest_step_does_not_fit_one_sentence_says_so() -> None:
    notices: list[str] = []

    def never(plan: MemoryPlan) -> None:
        raise MemoryError

    with pytest.raises(DeviceError, match="too little memory even for"):
        run_within_memory(first_plan("cpu", 3), never, notices.append)
    assert notices


def test_a_gpu_that_runs_short_ends_on_the_cpu() -> None:
    plan: MemoryPlan | None = MemoryPlan(torch.device("cuda:0"), 96, 16)
    devices = []
    while plan is not None:
        devices.append(plan.device.type)
        plan = plan.smaller()
    assert devices[0] == "cuda" and devices[-1] == "cpu" and devices.index("cpu") > 1


def test_another_error_is_not_mistaken_for_a_lack_of_memory() -> None:
    def broken(plan: MemoryPlan) -> None:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        run_within_memory(first_plan("cpu", 3), broken, lambda _: None)


def test_the_parts_of_the_time_sum_to_the_whole(detector: Detector) -> None:
    import time

    image, _ = example(detector)
    detector.detect(image)
    start = time.perf_counter()
    detection = detector.detect(image)
    whole = time.perf_counter() - start
    assert sum(detection.timing.values()) == pytest.approx(whole, rel=0.05, abs=0.01)
    assert {"networks", "sampling", "decoding", "shape", "other"} <= set(detection.timing)


def test_a_grey_picture_that_was_saved_as_a_coloured_one_is_seen_as_grey(detector: Detector) -> None:
    image, _ = example(detector)
    coloured = Image(np.repeat(image.array, 3, axis=0), image.grid, image.name)
    np.testing.assert_array_equal(
        detector.detect(coloured).landmarks.positions, detector.detect(image).landmarks.positions
    )


def test_an_image_of_another_kind_is_refused_in_one_sentence(detector: Detector) -> None:
    d = detector.pipeline.dimension
    colours = np.random.default_rng(0).uniform(size=(3, *[8] * d))
    with pytest.raises(ImageError, match="3 channels and the bundle phantom wants 1"):
        detector.detect(Image(colours, Grid.regular((8,) * d), "colour"))
    with pytest.raises(ImageError, match="ndarray is no Image; read a file by load_image"):
        detector.detect(colours)
    other = 5 - d
    with pytest.raises(ImageError, match=f"is {other}D and the bundle phantom is for {d}D"):
        detector.detect(Image(np.zeros((1, *[8] * other)), Grid.regular((8,) * other), "other"))


def test_one_slice_of_a_volume_serves_a_flat_bundle_and_keeps_its_place(flat_bundle: Bundle) -> None:
    image, truth = phantom(np.random.default_rng(97), 2)
    turn = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])
    grid = Grid((*image.grid.size, 1), (*image.grid.spacing, 5.0), (10.0, 20.0, 30.0), turn)
    flat = detect(image, flat_bundle, "cpu")
    solid = detect(Image(image.array[:, None], grid, "slice"), flat_bundle, "cpu")
    index = image.grid.to_index(flat.positions)
    expected = grid.to_world(np.c_[index, np.zeros(len(index))])
    # The slice is seen along its own axes, not the picture's world: near, not equal.
    np.testing.assert_allclose(solid.positions, expected, atol=0.4)
    assert solid["nose"].covariance is not None and solid["nose"].covariance.shape == (3, 3)


def test_an_image_without_a_scale_is_said_to_have_none(flat_bundle: Bundle) -> None:
    image, truth = phantom(np.random.default_rng(98), 2)
    grid = Grid(image.grid.size, image.grid.spacing, image.grid.origin, image.grid.direction, "px")
    detection = Detector(flat_bundle, "cpu").detect(Image(image.array, grid, "picture"))
    assert detection.landmarks.unit == "px"
    assert any("no physical scale" in notice for notice in detection.notices)


def test_a_device_that_is_not_there_is_named(flat_bundle: Bundle) -> None:
    with pytest.raises(DeviceError, match="use auto, cpu or cuda"):
        Detector(flat_bundle, "abacus")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no usable CUDA"):
            Detector(flat_bundle, "cuda")


@pytest.mark.gpu
def test_cuda_finds_what_the_cpu_finds(flat_bundle: Bundle, solid_bundle: Bundle) -> None:
    for bundle in (flat_bundle, solid_bundle):
        image, _ = example(Detector(bundle, "cpu"))
        cpu, cuda = detect(image, bundle, "cpu"), detect(image, bundle, "cuda")
        np.testing.assert_allclose(cuda.positions, cpu.positions, atol=0.1)


def test_a_large_flat_image_is_seen_in_tiles(flat_bundle: Bundle) -> None:
    image, truth = phantom(np.random.default_rng(93), 2)
    big = np.zeros((1, 1200, 1500), np.uint8)
    big[:, 800:856, 700:756] = image.array
    origin = image.grid.to_world(np.array([-700.0, -800.0]))
    grid = Grid((1500, 1200), image.grid.spacing, tuple(origin), image.grid.direction)
    found = detect(Image(big, grid, "big"), flat_bundle, "cpu")
    assert np.nanmean(distances(found, truth)) < 1.0
    assert blobs(image.grid, truth.positions).max() > 150


def test_an_image_beyond_all_proportion_to_the_shape_is_refused_at_once(detector: Detector) -> None:
    image, _ = example(detector)
    grid = replace(image.grid, spacing=tuple(1000 * step for step in image.grid.spacing))  # micrometres, called mm
    with pytest.raises(
        ImageError, match=r"it is \d+ mm long and what is to be found in it 2\d; see whether its voxels"
    ):
        detector.detect(replace(image, grid=grid))


def test_a_large_image_can_be_called_off_after_every_tile(flat_bundle: Bundle) -> None:
    detector = Detector(flat_bundle)
    image, _ = example(detector)
    detector.plan = MemoryPlan(torch.device("cpu"), 16, 1)
    seen: list[float] = []
    with pytest.raises(Cancelled):
        detector.detect(image, lambda stage, fraction: seen.append(fraction), lambda: len(seen) == 3)
    assert len(seen) == 3 and 0 == seen[0] < seen[1] < seen[2] < 0.2 / detector.pipeline.coarse.views

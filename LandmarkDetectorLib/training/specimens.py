"""Cases ready to be sampled from: a pyramid, in memory or streamed, landmarks, and the pose of the mean shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from LandmarkDetectorLib.bundles.pipeline import Order, Pipeline
from LandmarkDetectorLib.core import DatasetError, Grid
from LandmarkDetectorLib.core.similarity import fit_similarity, scale_of
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.datasets.intensity import Intensity
from LandmarkDetectorLib.datasets.sampling import Pyramid
from LandmarkDetectorLib.io.names import shown
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.training.streaming import Stream, StreamedPyramid

NAMED = 3
"""So many cases or landmarks with which something is wrong are named."""


@dataclass(frozen=True, eq=False)
class Specimen:
    """One case.

    Args:
        subject: its name.
        pyramid: its image, or what reads it.
        positions: (K, d) in the world, ordered by the pipeline's rules, NaN where not annotated.
        seen: (K,) whether the landmark lies within the image.
        pose: (d+1, d+1) from the canonical frame (world units) to the world.
        unit: world units of one view unit.
        absent: (K,) whether somebody looked for the landmark and it is not there; by default nobody has.
        outline: (K, d) the positions, and about where the others lie as far as anybody knows; for the pose only. Where
            nobody placed any, the mean shape in the middle of the image.
    """

    subject: str
    pyramid: Pyramid | StreamedPyramid
    positions: np.ndarray
    seen: np.ndarray
    pose: np.ndarray
    unit: float
    absent: np.ndarray
    outline: np.ndarray


def load_specimens(cases: Sequence[Case], pipeline: Pipeline) -> list[Specimen]:
    """Read the images of cases and keep them; what the stages need of them is averaged at once.

    A case that stands there several times, to be seen more often, is read and kept once.

    Raises:
        ImageError: an image cannot be read.
        DatasetError: landmarks do not fit their image.
    """
    made: dict[int, Specimen] = {}
    for case in cases:
        if id(case) not in made:
            made[id(case)] = _specimen(case, read_pyramid(case, pipeline), pipeline)
    return [made[id(case)] for case in cases]


def stream_specimens(cases: Sequence[Case], pipeline: Pipeline, keep: int) -> tuple[list[Specimen], Stream]:
    """The same specimens, with images that are read whenever they are looked at; ``keep`` of them stay in memory.

    Every image is read once here, for its grid; so one that cannot be read is an error now and not after hours.

    Raises:
        ImageError: an image cannot be read.
        DatasetError: landmarks do not fit their image.
    """
    stream = Stream(lambda number: read_pyramid(cases[number], pipeline), keep)
    specimens = []
    for number, case in enumerate(cases):
        grid = case.image().grid
        specimens.append(_specimen(case, StreamedPyramid(stream, number, grid), pipeline))
    return specimens, stream


def read_pyramid(case: Case, pipeline: Pipeline) -> Pyramid:
    """The image of a case, with the levels that the stages look at.

    Raises:
        ImageError: it cannot be read.
        DatasetError: its landmarks do not fit it.
    """
    image = case.image()
    pyramid = Pyramid(image, Intensity(pipeline.intensity.window, pipeline.intensity.quantiles))
    unit = pipeline.unit(image.grid)
    pose = _pose(_outline(case, image.grid, pipeline), unit, pipeline)
    for spacing in stage_spacings(pipeline, unit, scale_of(pose)):
        pyramid.level(spacing)
    return pyramid


def positions_on(case: Case, grid: Grid) -> np.ndarray:
    """The positions (K, d) of a case's landmarks in its image's world, NaN where nobody placed one.

    Raises:
        DatasetError: they are of another dimension or in another unit than the image, which no number would betray.
    """
    marks = case.landmarks
    if marks.dimension is None:  # nothing is placed, so that nothing tells how many axes there are
        return np.full((len(marks), grid.dimension), np.nan)
    if marks.dimension != grid.dimension:
        raise DatasetError(
            f"{called(case)}: landmarks in {marks.dimension}D do not fit an image in {grid.dimension}D; place them on "
            "this image."
        )
    if marks.unit != grid.unit:
        raise DatasetError(
            f"{called(case)}: its landmarks are in {marks.unit} and its image in {grid.unit}; save them in "
            f"{grid.unit}, or give the spacing."
        )
    return marks.positions


def check_all_placed(cases: Sequence[Case], labels: Sequence[str], name: str) -> None:
    """Refuse a label that no case has a place for: of it there is no mean shape, and nothing to learn.

    Args:
        cases: that shall train.
        labels: of the data set.
        name: of the data set, for the message.

    Raises:
        DatasetError: there is such a label.
    """
    placed = {mark.label for case in cases for mark in case.landmarks if mark.position is not None}
    lost = next((label for label in labels if label not in placed), None)
    if lost is not None:
        raise DatasetError(
            f"{name}: the landmark {lost!r} is placed in none of the {len(cases)} images that train; place it in some, "
            "or take it out of the list of labels."
        )


def that_teach(cases: Sequence[Case], aloud: bool = True) -> list[Case]:
    """The cases of which anybody knows where a landmark is, or that it is not there; the others are named ``aloud``."""
    empty = [case for case in cases if not case.annotated]
    if empty and aloud:
        names = list(dict.fromkeys(called(case) for case in empty))
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        notice(
            f"Nothing is annotated in {', '.join(names[:NAMED])}{more}, which is left out; place landmarks, or list "
            "them as absent."
        )
    return [case for case in cases if case.annotated]


def far_outside(case: Case, grid: Grid) -> list[str]:
    """The labels of landmarks that lie beyond their image by more than its own extent along an axis."""
    index, size = grid.to_index(positions_on(case, grid)), np.asarray(grid.size)
    beyond = np.maximum(-0.5 - index, index - (size - 0.5)) / size
    return [mark.label for mark, far in zip(case.landmarks, (beyond > 1).any(1), strict=True) if far]


def called(case: Case) -> str:
    """How messages call a case: by its subject, and by its image's file where that is called otherwise."""
    file = shown(case.image_path)
    return case.subject if case.subject in file else f"{case.subject} ({file})"


def _specimen(case: Case, pyramid: Pyramid | StreamedPyramid, pipeline: Pipeline) -> Specimen:
    unit = pipeline.unit(pyramid.grid)
    positions, outline = pipeline.ordered(positions_on(case, pyramid.grid)), _outline(case, pyramid.grid, pipeline)
    seen = pyramid.grid.contains(positions)
    absent = np.array([label in case.absent for label in pipeline.labels])
    return Specimen(case.subject, pyramid, positions, seen, _pose(outline, unit, pipeline), unit, absent, outline)


def _outline(case: Case, grid: Grid, pipeline: Pipeline) -> np.ndarray:
    """The landmarks, and where nobody placed one what guides, NaN elsewhere: (K, d)."""
    positions = positions_on(case, grid)
    if case.guide is not None and case.guide.dimension == grid.dimension:
        positions = np.where(np.isfinite(positions), positions, case.guide.reordered(pipeline.labels).positions)
    if not np.isfinite(positions).any():  # what is absent is learnt where the image is, and not at the world's origin
        positions = pipeline.shape_prior(pipeline.unit(grid)).mean + grid.centre
    return pipeline.ordered(positions)


def _pose(positions: np.ndarray, unit: float, pipeline: Pipeline) -> np.ndarray:
    return fit_similarity(pipeline.shape_prior(unit).mean, positions)


def stage_spacings(pipeline: Pipeline, unit: float, scale: float) -> list[float]:
    """The spacings, in world units, at which the stages look at an image whose pose has this scale."""
    spacings = [stage.spacing * unit for stage in (pipeline.coarse, pipeline.image) if stage is not None]
    spacings += [stage.spacing * unit * scale for stage in (pipeline.frame, pipeline.patch) if stage is not None]
    return spacings


def shape_symmetries(mean: np.ndarray, labels: Sequence[str], rules: Sequence[Order]) -> list[np.ndarray]:
    """Permutations, by swapping ruled pairs, that turn the mean shape into itself by a proper rotation."""
    identity = np.arange(len(mean))
    symmetries = [identity]
    size = np.linalg.norm(mean - mean.mean(0)) / np.sqrt(len(mean))
    for subset in range(1, 2 ** len(rules)):
        permutation = identity.copy()
        for number, rule in enumerate(rules):
            if subset >> number & 1:
                a, b = labels.index(rule.first), labels.index(rule.second)
                permutation[[a, b]] = permutation[[b, a]]
        moved = fit_similarity(mean, mean[permutation], scaling=False)
        residual = mean @ moved[:-1, :-1].T + moved[:-1, -1] - mean[permutation]
        if np.sqrt((residual**2).sum(1).mean()) < 0.15 * size:
            symmetries.append(permutation)
    return symmetries

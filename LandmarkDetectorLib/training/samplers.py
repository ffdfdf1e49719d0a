"""What each stage is shown in training: the whole in any pose or as it lies, the pose-normalised box, patches.

A sampler makes a batch from a random generator and nothing else, so that step n is the same in every run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from LandmarkDetectorLib.bundles.pipeline import Pipeline
from LandmarkDetectorLib.core import Grid
from LandmarkDetectorLib.core.similarity import apply, fit_similarity, weighted_sums
from LandmarkDetectorLib.datasets.frames import canonical_box, image_frame, patch_boxes
from LandmarkDetectorLib.datasets.sampling import sample
from LandmarkDetectorLib.models.shape_prior import mirror_matrix
from LandmarkDetectorLib.training.augment import (
    clouds,
    cut_image,
    random_affine,
    random_half_space,
    random_rotation,
    vary_values,
    wrong_pose,
)
from LandmarkDetectorLib.training.recipe import StageTraining
from LandmarkDetectorLib.training.specimens import Specimen, shape_symmetries

ALL = range(sys.maxsize)
"""Rows of a batch: every one."""


@dataclass(frozen=True, eq=False)
class Batch:
    """Images (B, C, [Z, ]Y, X), landmarks (B, M, d) in x, y[, z] sample index, and what is known of them, (B, M) bool.

    ``known``: annotated, or looked for in vain, so that the presence counts; ``present``: its place is within what was
    scanned.
    ``which`` (B,): the landmark of each patch.
    """

    images: Tensor
    landmarks: Tensor
    known: Tensor
    present: Tensor
    which: Tensor | None = None

    def rows(self, rows: range) -> Batch:
        """Some of it."""
        part = slice(rows.start, rows.stop)
        which = None if self.which is None else self.which[part]
        return Batch(self.images[part], self.landmarks[part], self.known[part], self.present[part], which)


class Sampler:
    """What the samplers share: mirror images, symmetries, auxiliary landmarks.

    All of them draw from the generator in an order that does not depend on the images, and first of all the specimens:
    who looks at some rows of a batch only, and who wants to read ahead, need no others.
    """

    def __init__(self, specimens: Sequence[Specimen], pipeline: Pipeline, training: StageTraining) -> None:
        self.specimens, self.pipeline, self.training = list(specimens), pipeline, training
        self.how = training.augmentation
        self.dimension = pipeline.dimension
        labels = pipeline.labels
        self.partners = [labels.index(pipeline.mirror[lb]) if lb in pipeline.mirror else None for lb in labels]
        self.can_mirror = any(p is not None for p in self.partners)
        mean = np.asarray(pipeline.prior.mean)
        self.reflection = mirror_matrix(mean, self.partners) if self.can_mirror else None
        self.symmetries = shape_symmetries(mean, labels, pipeline.order)
        self.design = pipeline.design

    def batch(
        self,
        rng: np.random.Generator,
        vary: bool = True,
        specimens: Sequence[Specimen] | None = None,
        rows: Callable[[int], range] | None = None,
    ) -> Batch:
        """One batch.

        Args:
            rng: what all of it is drawn from.
            vary: whether poses and values are varied.
            specimens: these, and every landmark of them; by default some are drawn.
            rows: from the number of rows to those whose images are looked at; the images of the others are zeros.
        """
        raise NotImplementedError

    @property
    def each(self) -> int:
        """Rows of a batch that a drawn specimen gives."""
        return 1

    @property
    def count(self) -> int:
        """Specimens that a batch is drawn from."""
        return self.training.batch

    def picked(self, rng: np.random.Generator, rows: Callable[[int], range] | None = None) -> list[Specimen]:
        """The specimens that the batch of this generator, in this state, will look at."""
        chosen = self.pick(rng, self.count)
        wanted = ALL if rows is None else rows(len(chosen) * self.each)
        return [s for n, s in enumerate(chosen) if _overlap(range(n * self.each, (n + 1) * self.each), wanted)]

    def look(self, specimen: Specimen, frames: np.ndarray, shape: tuple[int, ...], row: int, wanted: range) -> Tensor:
        """Values on frames that are ``row`` and the next ones of a batch; zeros where none of them is wanted."""
        if _overlap(range(row, row + len(frames)), wanted):
            return sample(specimen.pyramid, frames, shape)
        return torch.zeros((len(frames), self.pipeline.channels, *shape))

    def pick(self, rng: np.random.Generator, count: int) -> list[Specimen]:
        """Specimens drawn without repetition as far as they reach."""
        order = [int(i) for _ in range(-(-count // len(self.specimens))) for i in rng.permutation(len(self.specimens))]
        return [self.specimens[i] for i in order[:count]]

    def mirrored(self, positions: np.ndarray) -> np.ndarray:
        """Each landmark's partner in its place, NaN where it has none."""
        return np.array([np.full(self.dimension, np.nan) if p is None else positions[p] for p in self.partners])

    def _mirrored_flags(self, seen: np.ndarray) -> np.ndarray:
        return np.array([p is not None and bool(seen[p]) for p in self.partners])

    def posed(
        self, specimen: Specimen, rng: np.random.Generator, vary: bool
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A pose (canonical frame to world) near the true one; the landmarks (K, d), and which are absent, by it."""
        positions, pose, absent = specimen.positions, specimen.pose, specimen.absent
        if not vary:
            return pose, positions, absent
        permutation = self.symmetries[int(rng.integers(len(self.symmetries)))]
        if permutation is not self.symmetries[0]:
            positions, absent = positions[permutation], absent[permutation]
            outline = specimen.outline[permutation]
            pose = fit_similarity(self.pipeline.shape_prior(specimen.unit).mean, outline)
        if self.reflection is not None and rng.random() < self.how.mirror:
            reflection = self.reflection.copy()
            reflection[:-1, -1] *= specimen.unit
            pose, positions, absent = pose @ reflection, self.mirrored(positions), self._mirrored_flags(absent)
        return pose @ random_affine(rng, self.dimension, self.how, specimen.unit), positions, absent

    def located(self, positions: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Landmarks, the auxiliary ones added, in the index of a frame: (M, d)."""
        return apply(np.linalg.inv(frame), weighted_sums(self.design, positions))

    def finish(
        self,
        images: Tensor,
        landmarks: np.ndarray,
        seen: np.ndarray,
        absent: np.ndarray,
        rng: np.random.Generator,
        vary: bool,
        which=None,
    ) -> Batch:
        """Vary the values, cut some images, and say which landmarks are known and present."""
        shape = tuple(images.shape[2:])
        size = np.asarray(shape[::-1])
        known = np.isfinite(landmarks).all(-1)
        present = known & seen & ((landmarks > -0.5) & (landmarks < size - 0.5)).all(-1)
        if vary:
            images = vary_values(images, rng, self.how)
            for number in np.flatnonzero(rng.random(len(images)) < self.how.cut):
                normal, offset = random_half_space(rng, shape)
                cut_image(images[number], normal, offset)
                # A landmark just beyond the cut cannot be told from one just before it.
                side = landmarks[number] @ normal - offset
                present[number] &= side < 0
                known[number] &= (side < 0) | (side > 2)
        # One that was looked for in vain is not there, whatever was cut.
        return Batch(
            images,
            torch.from_numpy(landmarks).float(),
            torch.from_numpy(known | absent),
            torch.from_numpy(present),
            which,
        )


class WholeSampler(Sampler):
    """The coarse view, turned in every way."""

    def batch(
        self,
        rng: np.random.Generator,
        vary: bool = True,
        specimens: Sequence[Specimen] | None = None,
        rows: Callable[[int], range] | None = None,
    ) -> Batch:
        """One batch."""
        assert self.pipeline.coarse is not None
        size = self.training.size or 32
        shape = (size,) * self.dimension
        images, landmarks, seen, missing = [], [], [], []
        chosen = specimens or self.pick(rng, self.count)
        wanted = ALL if rows is None else rows(len(chosen))
        for row, specimen in enumerate(chosen):
            spacing = self.pipeline.coarse.spacing * specimen.unit
            positions, scanned, absent = specimen.positions, specimen.seen, specimen.absent
            turn = np.eye(self.dimension + 1)
            turn[:-1, :-1] = random_rotation(rng, self.dimension)
            frame = turn @ random_affine(
                rng, self.dimension, self.how.model_copy(update={"rotation": 0.0}), specimen.unit
            )
            if vary and self.can_mirror and rng.random() < self.how.mirror:
                frame[:-1, 0] *= -1
                positions = self.mirrored(positions)
                scanned, absent = self._mirrored_flags(scanned), self._mirrored_flags(absent)
            frame[:-1, :-1] *= spacing
            middle = np.nanmean(specimen.outline, axis=0) + rng.normal(0, 3 * spacing, self.dimension)
            frame[:-1, -1] += middle - frame[:-1, :-1] @ np.full(self.dimension, (size - 1) / 2)
            inside = apply(np.linalg.inv(frame), positions)
            inside = self.pipeline.ordered(inside)
            images.append(self.look(specimen, frame[None], shape, row, wanted))
            landmarks.append(weighted_sums(self.design, inside))
            seen.append(_extended(scanned, self.design))
            missing.append(_touched(absent, self.design))
        return self.finish(torch.cat(images), np.array(landmarks), np.array(seen), np.array(missing), rng, vary)


class ImageSampler(Sampler):
    """The whole image as it lies, nearly."""

    def batch(
        self,
        rng: np.random.Generator,
        vary: bool = True,
        specimens: Sequence[Specimen] | None = None,
        rows: Callable[[int], range] | None = None,
    ) -> Batch:
        """One batch, of given specimens if so asked."""
        stage = self.pipeline.image
        assert stage is not None
        images, landmarks, seen, missing = [], [], [], []
        chosen = specimens or self.pick(rng, self.count)
        wanted = ALL if rows is None else rows(len(chosen))
        for row, specimen in enumerate(chosen):
            grid = specimen.pyramid.grid
            positions, scanned, absent = specimen.positions, specimen.seen, specimen.absent
            # An image that is larger than the frame is cut; its middle, moved about, is what trains.
            box, _ = image_frame(grid, stage.spacing * specimen.unit, stage.size)
            shape = tuple(stage.size[::-1])
            frame = np.eye(self.dimension + 1)
            frame[:-1, :-1] = box[:-1, :-1]
            frame[:-1, -1] = -frame[:-1, :-1] @ ((np.asarray(stage.size) - 1) / 2)
            if vary:
                frame = random_affine(rng, self.dimension, self.how, specimen.unit) @ frame
                if self.can_mirror and rng.random() < self.how.mirror:
                    frame[0] *= -1
                    positions = self.mirrored(positions)
                    scanned, absent = self._mirrored_flags(scanned), self._mirrored_flags(absent)
            # Drawn only where it is asked for: recipes without it keep their samples.
            nothing = vary and self.how.absent > 0 and rng.random() < self.how.absent
            cloudy = nothing and rng.random() < 0.5
            if nothing and not cloudy:
                frame = wrong_pose(rng, self.dimension, float(grid.extent.max())) @ frame
            frame[:-1, -1] += grid.centre
            inside = self.pipeline.ordered(apply(np.linalg.inv(frame), positions))
            image = self.look(specimen, frame[None], shape, row, wanted)
            if cloudy:  # within the image's borders: what is seen beyond them must not tell
                image = clouds(rng, image) * torch.from_numpy(_covered(grid, frame, shape))
            images.append(image)
            landmarks.append(weighted_sums(self.design, inside))
            seen.append(_extended(scanned, self.design) & (not nothing))
            missing.append(_touched(absent, self.design))
        return self.finish(torch.cat(images), np.array(landmarks), np.array(seen), np.array(missing), rng, vary)


class FrameSampler(Sampler):
    """The box around the mean shape, in a pose that is nearly right."""

    def __init__(
        self, specimens: Sequence[Specimen], pipeline: Pipeline, training: StageTraining, multiple: int
    ) -> None:
        super().__init__(specimens, pipeline, training)
        assert pipeline.frame is not None
        self.box = canonical_box(
            np.asarray(pipeline.prior.mean), pipeline.frame.spacing, pipeline.frame.margin, multiple
        )

    def batch(
        self,
        rng: np.random.Generator,
        vary: bool = True,
        specimens: Sequence[Specimen] | None = None,
        rows: Callable[[int], range] | None = None,
    ) -> Batch:
        """One batch, of given specimens if so asked."""
        images, landmarks, seen, missing = [], [], [], []
        chosen = specimens or self.pick(rng, self.count)
        wanted = ALL if rows is None else rows(len(chosen))
        for row, specimen in enumerate(chosen):
            pose, positions, absent = self.posed(specimen, rng, vary)
            box = self.box.matrix.copy()
            box[:-1] *= specimen.unit
            nothing = vary and rng.random() < self.how.absent
            if nothing:
                size = np.ptp(np.asarray(self.pipeline.prior.mean), axis=0).max() * specimen.unit
                pose = pose @ wrong_pose(rng, self.dimension, size)
            frame = pose @ box
            image = self.look(specimen, frame[None], self.box.shape, row, wanted)
            if nothing and rng.random() < 0.5:
                image = clouds(rng, image)
            images.append(image)
            landmarks.append(self.located(positions, frame))
            seen.append(specimen.pyramid.grid.contains(weighted_sums(self.design, positions)) & (not nothing))
            missing.append(_touched(absent, self.design))
        return self.finish(torch.cat(images), np.array(landmarks), np.array(seen), np.array(missing), rng, vary)


class PatchSampler(Sampler):
    """Patches around landmarks, in a pose and with a centre that are nearly right."""

    @property
    def each(self) -> int:
        """Patches of a specimen."""
        return max(1, self.training.batch // self.training.cases)

    @property
    def count(self) -> int:
        """Specimens that a batch is drawn from."""
        return self.training.cases

    def batch(
        self,
        rng: np.random.Generator,
        vary: bool = True,
        specimens: Sequence[Specimen] | None = None,
        rows: Callable[[int], range] | None = None,
    ) -> Batch:
        """One batch: some landmarks of some specimens, or every landmark of given specimens."""
        assert self.pipeline.patch is not None
        size, spacing = self.pipeline.patch.size, self.pipeline.patch.spacing
        shape = (size,) * self.dimension
        chosen = specimens or self.pick(rng, self.count)
        images, landmarks, seen, missing, which = [], [], [], [], []
        row = 0
        wanted = ALL if rows is None else rows(len(chosen) * self.each)
        for specimen in chosen:
            pose, positions, absent = self.posed(specimen, rng, vary)
            world = weighted_sums(self.design, positions)
            inside = apply(np.linalg.inv(pose), world)
            gone = _touched(absent, self.design)
            if gone.any():
                inside = np.where(gone[:, None], self._expected(inside, specimen.unit), inside)
            usable = np.flatnonzero(np.isfinite(inside).all(1))
            marks = usable if specimens else rng.choice(usable, self.each, replace=len(usable) < self.each)
            spread = np.full((len(marks), 1), self.how.centre * specimen.unit)
            if vary and self.how.absent:
                spread[rng.random(len(marks)) < self.how.absent] = size * spacing * specimen.unit
            centres = inside[marks] + rng.normal(0, 1, (len(marks), self.dimension)) * spread
            frames = pose @ patch_boxes(centres, spacing * specimen.unit, size)
            images.append(self.look(specimen, frames, shape, row, wanted))
            row += len(frames)
            landmarks.append(apply(np.linalg.inv(frames), world[marks][:, None]))
            seen.append(specimen.pyramid.grid.contains(world[marks])[:, None])
            missing.append(gone[marks][:, None])
            which.append(marks)
        return self.finish(
            torch.cat(images),
            np.concatenate(landmarks),
            np.concatenate(seen),
            np.concatenate(missing),
            rng,
            vary,
            torch.from_numpy(np.concatenate(which)),
        )

    def _expected(self, inside: np.ndarray, unit: float) -> np.ndarray:
        """Where the shape puts every landmark (M, d), in the canonical frame, when some lie inside (M, d) as they do.

        A landmark that is not there is looked for in vain at this place.
        """
        prior = self.pipeline.shape_prior(unit)
        if not np.isfinite(inside).all(1).any():
            return self.design @ prior.mean
        spread = np.tile(np.eye(self.dimension) * float((prior.noise**2).mean()), (len(inside), 1, 1))
        return self.design @ prior.fuse(inside, spread, self.design)[0]


def _covered(grid: Grid, frame: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Whether the samples, ([Z, ]Y, X), of a frame lie within an image."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")[::-1], axis=-1)
    return grid.contains(apply(frame, index.reshape(-1, len(shape)))).reshape(shape)


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop


def _extended(seen: np.ndarray, design: np.ndarray) -> np.ndarray:
    """An auxiliary landmark counts as seen where all that it is made of are."""
    return ((design != 0) & ~seen).sum(1) == 0


def _touched(absent: np.ndarray, design: np.ndarray) -> np.ndarray:
    """An auxiliary landmark counts as absent where one of those that it is made of is."""
    return ((design != 0) & absent).any(1)

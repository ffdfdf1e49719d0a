"""What the samplers share: mirror images, symmetries, auxiliary landmarks, cuts."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from LandmarkDetectorLib.bundles.pipeline import Pipeline
from LandmarkDetectorLib.core.similarity import apply, fit_similarity, weighted_sums
from LandmarkDetectorLib.datasets.sampling import sample
from LandmarkDetectorLib.models.shape_prior import mirror_matrix
from LandmarkDetectorLib.training.augment import cut_image, random_affine, random_half_space, vary_values
from LandmarkDetectorLib.training.recipe import StageTraining
from LandmarkDetectorLib.training.samplers.batch import Batch
from LandmarkDetectorLib.training.specimens import Specimen, shape_symmetries

ALL = range(sys.maxsize)
"""Rows of a batch: every one."""


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

    def mirrored_flags(self, seen: np.ndarray) -> np.ndarray:
        """What is known of each landmark's partner, in its place; false where it has none."""
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
            swapped, gone = self.mirrored(positions), self.mirrored_flags(absent)
            # Where only landmarks without a partner are known, their mirror image would teach nothing.
            if gone.any() or np.isfinite(swapped).any():
                reflection = self.reflection.copy()
                reflection[:-1, -1] *= specimen.unit
                pose, positions, absent = pose @ reflection, swapped, gone
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


def extended(seen: np.ndarray, design: np.ndarray) -> np.ndarray:
    """An auxiliary landmark counts as seen where all that it is made of are."""
    return ((design != 0) & ~seen).sum(1) == 0


def touched(absent: np.ndarray, design: np.ndarray) -> np.ndarray:
    """An auxiliary landmark counts as absent where one of those that it is made of is."""
    return ((design != 0) & absent).any(1)


def _overlap(one: range, other: range) -> bool:
    return one.start < other.stop and other.start < one.stop

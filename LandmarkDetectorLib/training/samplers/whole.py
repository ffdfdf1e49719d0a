"""The coarse stage's view: the whole image, turned in every way."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from LandmarkDetectorLib.core.similarity import apply, weighted_sums
from LandmarkDetectorLib.training.augment import random_affine, random_rotation
from LandmarkDetectorLib.training.samplers.batch import Batch
from LandmarkDetectorLib.training.samplers.sampler import ALL, Sampler, extended, touched
from LandmarkDetectorLib.training.specimens import Specimen


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
                scanned, absent = self.mirrored_flags(scanned), self.mirrored_flags(absent)
            frame[:-1, :-1] *= spacing
            middle = np.nanmean(specimen.outline, axis=0) + rng.normal(0, 3 * spacing, self.dimension)
            frame[:-1, -1] += middle - frame[:-1, :-1] @ np.full(self.dimension, (size - 1) / 2)
            inside = apply(np.linalg.inv(frame), positions)
            places = self.pipeline.arrangement(inside)
            images.append(self.look(specimen, frame[None], shape, row, wanted))
            landmarks.append(weighted_sums(self.design, inside[places]))
            seen.append(extended(scanned[places], self.design))
            missing.append(touched(absent[places], self.design))
        return self.finish(torch.cat(images), np.array(landmarks), np.array(seen), np.array(missing), rng, vary)

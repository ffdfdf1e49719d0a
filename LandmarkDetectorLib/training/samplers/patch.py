"""The patch stage's view: patches around landmarks, in a pose and with a centre that are nearly right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from LandmarkDetectorLib.core.similarity import apply, weighted_sums
from LandmarkDetectorLib.datasets.frames import patch_boxes
from LandmarkDetectorLib.training.samplers.batch import Batch
from LandmarkDetectorLib.training.samplers.sampler import ALL, Sampler, touched
from LandmarkDetectorLib.training.specimens import Specimen


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
            gone = touched(absent, self.design)
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

"""The frame stage's view: the box around the mean shape, in a pose that is nearly right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from LandmarkDetectorLib.bundles.pipeline import Pipeline
from LandmarkDetectorLib.core.similarity import weighted_sums
from LandmarkDetectorLib.datasets.frames import canonical_box
from LandmarkDetectorLib.training.augment import clouds, wrong_pose
from LandmarkDetectorLib.training.recipe import StageTraining
from LandmarkDetectorLib.training.samplers.batch import Batch
from LandmarkDetectorLib.training.samplers.sampler import ALL, Sampler, touched
from LandmarkDetectorLib.training.specimens import Specimen


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
            missing.append(touched(absent, self.design))
        return self.finish(torch.cat(images), np.array(landmarks), np.array(seen), np.array(missing), rng, vary)

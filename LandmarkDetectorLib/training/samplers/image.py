"""The image stage's view: the whole image as it lies, nearly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from LandmarkDetectorLib.core import Grid
from LandmarkDetectorLib.core.similarity import apply, weighted_sums
from LandmarkDetectorLib.datasets.frames import image_frame
from LandmarkDetectorLib.training.augment import clouds, random_affine, wrong_pose
from LandmarkDetectorLib.training.samplers.batch import Batch
from LandmarkDetectorLib.training.samplers.sampler import ALL, Sampler, extended, touched
from LandmarkDetectorLib.training.specimens import Specimen


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
                    scanned, absent = self.mirrored_flags(scanned), self.mirrored_flags(absent)
            # Drawn only where it is asked for: recipes without it keep their samples.
            nothing = vary and self.how.absent > 0 and rng.random() < self.how.absent
            cloudy = nothing and rng.random() < 0.5
            if nothing and not cloudy:
                frame = wrong_pose(rng, self.dimension, float(grid.extent.max())) @ frame
            frame[:-1, -1] += grid.centre
            inside = apply(np.linalg.inv(frame), positions)
            places = self.pipeline.arrangement(inside)
            image = self.look(specimen, frame[None], shape, row, wanted)
            if cloudy:  # within the image's borders: what is seen beyond them must not tell
                image = clouds(rng, image) * torch.from_numpy(_covered(grid, frame, shape))
            images.append(image)
            landmarks.append(weighted_sums(self.design, inside[places]))
            seen.append(extended(scanned[places], self.design) & (not nothing))
            missing.append(touched(absent[places], self.design))
        return self.finish(torch.cat(images), np.array(landmarks), np.array(seen), np.array(missing), rng, vary)


def _covered(grid: Grid, frame: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Whether the samples, ([Z, ]Y, X), of a frame lie within an image."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")[::-1], axis=-1)
    return grid.contains(apply(frame, index.reshape(-1, len(shape)))).reshape(shape)

"""Refinement in the pose-normalised frame: the box around the shape, then a patch around each landmark.

What a network says of a landmark is kept as a measurement, a place with a covariance in the canonical frame; the shape
prior joins the measurements and says which one it does not believe.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from LandmarkDetectorLib.bundles.pipeline import Pipeline
from LandmarkDetectorLib.core.similarity import fit_similarity, scale_of
from LandmarkDetectorLib.datasets.frames import canonical_box, patch_boxes
from LandmarkDetectorLib.datasets.sampling import Pyramid, sample
from LandmarkDetectorLib.inference.decoding import Measurement, read_maps
from LandmarkDetectorLib.inference.memory import MemoryPlan
from LandmarkDetectorLib.inference.networks import Networks
from LandmarkDetectorLib.inference.stopwatch import Stopwatch
from LandmarkDetectorLib.models import ShapePrior


class Refiner:
    """The stages after the pose is known, for one image.

    Args:
        pyramid: the image.
        pipeline: the stages' numbers.
        prior: the shape, in world units.
        networks: of the bundle.
        watch: gets the time of each part.
        unit: world units of one view unit, for the whole image.
    """

    def __init__(
        self,
        pyramid: Pyramid,
        pipeline: Pipeline,
        prior: ShapePrior,
        networks: Networks,
        watch: Stopwatch,
        unit: float,
    ) -> None:
        self.pyramid, self.pipeline, self.prior = pyramid, pipeline, prior
        self.networks, self.watch = networks, watch
        self.unit = unit
        self.design = pipeline.design

    def look_at_frame(self, pose: np.ndarray, plan: MemoryPlan) -> Measurement:
        """All landmarks in the box around the mean shape, under a pose (canonical frame to world)."""
        stage = self.pipeline.frame
        assert stage is not None
        self.networks.to(plan.device)
        spacing = stage.spacing * self.unit
        box = canonical_box(self.prior.mean, spacing, stage.margin * self.unit, self.networks.factor("frame"))
        with self.watch("sampling"):
            image = sample(self.pyramid, (pose @ box.matrix)[None], box.shape)
        features, presence = self.networks.features("frame", image, self.watch)
        parts = []
        for maps in self.networks.head("frame", features, self.watch):
            with self.watch("decoding"):
                parts.append(read_maps(maps, stage))
        mean, covariance = (np.concatenate(p) for p in zip(*parts, strict=True))
        return Measurement(
            mean @ box.matrix[:-1, :-1].T + box.matrix[:-1, -1],
            covariance * spacing**2,
            torch.sigmoid(presence[0]).double().cpu().numpy(),
        )

    def look_at_patches(
        self, pose: np.ndarray, centres: np.ndarray, plan: MemoryPlan, progress: Callable[[float], None]
    ) -> Measurement:
        """Every landmark in a patch around its centre (M, d) in the canonical frame."""
        stage = self.pipeline.patch
        assert stage is not None
        self.networks.to(plan.device)
        spacing = stage.spacing * self.unit
        boxes = patch_boxes(centres, spacing, stage.size)
        shape = (stage.size,) * self.prior.dimension
        means, covariances, presences = [], [], []
        for start in range(0, len(boxes), plan.patches):
            part = slice(start, start + plan.patches)
            which = torch.arange(len(boxes))[part]
            with self.watch("sampling"):
                images = sample(self.pyramid, pose @ boxes[part], shape)
            maps, presence = self.networks.maps("patch", images, self.watch, which)
            with self.watch("decoding"):
                mean, covariance = read_maps(maps.transpose(0, 1), stage)
                means.append(np.einsum("nij,nj->ni", boxes[part, :-1, :-1], mean) + boxes[part, :-1, -1])
                covariances.append(covariance * spacing**2)
                presences.append(torch.sigmoid(presence[:, 0]).double().cpu().numpy())
            progress(min(1.0, (start + plan.patches) / len(boxes)))
        return Measurement(np.concatenate(means), np.concatenate(covariances), np.concatenate(presences))

    def believe(self, measured: Measurement) -> np.ndarray:
        """Which measurements (M,) are used: present, not vague, and not ruled out by the other landmarks."""
        rule = self.pipeline.calibration
        good = (measured.presence >= rule.presence) & np.isfinite(measured.positions).all(1)
        deviation = np.sqrt(np.trace(measured.covariances, axis1=1, axis2=2) / self.prior.dimension)
        good &= deviation <= rule.spread * self.unit
        for _ in range(len(good)):
            positions = np.where(good[:, None], measured.positions, np.nan)
            surprise = self.prior.surprise(positions, measured.covariances * rule.covariance, self.design, rule.trust)
            worst = int(np.nanargmax(surprise)) if good.any() else 0
            # One at a time: an outlier makes its neighbours look wrong too.
            if not good.any() or surprise[worst] <= rule.surprise or good.sum() <= self.prior.dimension + 1:
                return good
            good[worst] = False
        return good

    def join(self, measured: Measurement, good: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Annotated landmarks (K, d) and covariances (K, d, d) from the believed measurements and the prior."""
        rule = self.pipeline.calibration
        positions = np.where(good[:, None], measured.positions, np.nan)
        if not good.any():
            blocks = self.prior.covariance.reshape(*self.prior.mean.shape, *self.prior.mean.shape)
            return self.prior.mean.copy(), np.array([blocks[k, :, k] for k in range(len(blocks))])
        return self.prior.fuse(positions, measured.covariances * rule.covariance, self.design, rule.trust)

    def turned(self, pose: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """The change of the canonical frame, (d+1, d+1), that lays the mean shape onto positions found under a pose."""
        change = fit_similarity(self.prior.mean, positions)
        return change if self.prior.plausible_scale(pose @ change) and scale_of(change) > 0 else np.eye(len(pose))

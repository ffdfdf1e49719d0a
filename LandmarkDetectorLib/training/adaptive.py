"""Heatmaps that adapt while a network learns to draw them: their widths are learnt too, or shrink as the loss calms.

Learnt: Payer et al. 2019 (https://doi.org/10.1016/j.media.2019.03.007), and with rotation Thaler et al. 2021
(arXiv:2109.09533). By the losses: AdaLoss, Teixeira et al. 2019 (arXiv:1908.01070), see :mod:`.adaptive_sigma`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from LandmarkDetectorLib.heatmaps.generators import GaussianHeatmaps
from LandmarkDetectorLib.training.adaptive_sigma import AdaptiveSigma
from LandmarkDetectorLib.training.recipe import AdaLossTargets, LearntTargets

Gather = Callable[[Any], list[Any]]
"""What each process gave, in every process."""


class AdaptiveTargets(nn.Module):
    """Gaussian targets whose widths change in the course of a training; each landmark and axis has its own.

    Args:
        settings: of the recipe.
        sigma: where all widths begin, in samples.
        landmarks: M, that a stage's network draws, auxiliary ones included.
        dimension: D, 2 or 3.
    """

    def __init__(self, settings: LearntTargets | AdaLossTargets, sigma: float, landmarks: int, dimension: int) -> None:
        super().__init__()
        self.settings = settings
        learns = isinstance(settings, LearntTargets)
        # A Gaussian of constant height would be learnt best where it is narrowest, for then it is hardly there at all.
        # With a constant mass it becomes higher as it becomes narrower, and must be worth it. At first its peak is 1.
        self.mass = (math.sqrt(2 * math.pi) * sigma) ** dimension if learns else None
        learnable: Any = (True if settings.rotation else "sigma") if isinstance(settings, LearntTargets) else False
        self.generator = GaussianHeatmaps(landmarks, dimension, sigma, learnable=learnable, gamma=self.mass)
        self.schedule: AdaptiveSigma | None = None
        if isinstance(settings, AdaLossTargets):
            self.schedule = AdaptiveSigma(
                self.generator,
                settings.window,
                settings.rho,
                floor=settings.floor,
                ceiling=settings.ceiling,
                non_increasing=settings.non_increasing,
            )
            self.register_buffer("sums", torch.zeros(landmarks, dtype=torch.float64))
            self.register_buffer("counts", torch.zeros(landmarks, dtype=torch.float64))

    sums: Tensor
    counts: Tensor

    def forward(
        self, landmarks: Tensor, shape: tuple[int, ...], present: Tensor, which: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Targets (B, K, [Z, ]Y, X), and their covariances (K, D, D) or (B, K, D, D) in samples².

        Args:
            landmarks: (B, K, D) in x, y[, z] samples.
            shape: ([Z, ]Y, X).
            present: (B, K) bool; elsewhere the target is empty.
            which: (B,) the landmark of each row, where a row shows one only: K is 1 then, and M otherwise.
        """
        covariance = self.generator.covariance
        if which is None:
            return self.generator(landmarks, shape, valid=present)[0], covariance
        covariance = covariance[which][:, None]
        one = GaussianHeatmaps(1, self.generator.dimension, gamma=self.mass)
        return one(landmarks, shape, valid=present, covariance=covariance)[0], covariance

    @torch.no_grad()
    def note(self, losses: Tensor, counted: Tensor, which: Tensor | None = None) -> None:
        """Take notice of the losses (B, K) of a batch, where ``counted`` (B, K), for the next step of AdaLoss."""
        if self.schedule is None:
            return
        rows = torch.arange(losses.shape[1], device=losses.device).expand_as(losses)
        rows = (rows if which is None else which[:, None])[counted]
        self.sums.index_add_(0, rows, losses[counted].to(self.sums))
        self.counts.index_add_(0, rows, torch.ones_like(losses[counted]).to(self.counts))

    def after(self, step: int, gather: Gather) -> None:
        """After a step of the optimiser: where an epoch is over, AdaLoss sets the widths anew."""
        if self.schedule is None or not isinstance(self.settings, AdaLossTargets) or step % self.settings.every:
            return
        self.agree(gather)
        self.schedule.step(torch.where(self.counts > 0, self.sums / self.counts, torch.nan))
        self.sums.zero_()
        self.counts.zero_()

    def agree(self, gather: Gather) -> None:
        """Give every process the mean of what all noted, so that each may go on from the checkpoint of one."""
        if self.schedule is None:
            return
        noted = gather((self.sums.cpu(), self.counts.cpu()))
        for mine, every in zip((self.sums, self.counts), zip(*noted, strict=True), strict=True):
            mine.copy_(torch.stack(every).mean(0))

    @property
    def sigma(self) -> float:
        """The width that stands for all, in samples: the root of the mean variance over landmarks and axes."""
        return float(self.generator.sigma.detach().double().square().mean().sqrt())

    def get_extra_state(self) -> dict[str, Any]:
        """What AdaLoss remembers; the widths themselves are among the generator's tensors."""
        return {} if self.schedule is None else self.schedule.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """See :meth:`get_extra_state`."""
        if self.schedule is not None:
            self.schedule.load_state_dict(state)

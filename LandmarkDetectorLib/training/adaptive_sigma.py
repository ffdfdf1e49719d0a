"""AdaLoss: targets that get sharper where a landmark's loss has become calm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

CALM = 1e-9
"""Losses that differ by less than this part of their size differ by rounding, and have no variance."""


class HasSigma(Protocol):
    """A heatmap generator, as far as it is needed here."""

    @property
    def sigma(self) -> Tensor:
        """(K, D) widths of the targets, per landmark and axis."""

    def set_sigma(self, sigma: Tensor) -> None:
        """Take other widths."""


class AdaptiveSigma:
    """Adapts the width of each landmark's target to the variance of its last losses.

    After each epoch, with V the variance of the losses of the last ``window`` epochs and V' that of one epoch before,

        σ ← σ + ρ·(1 - V'/V)

    so that a target shrinks while its loss becomes calmer and widens while it becomes wilder (Teixeira et al. 2019,
    arXiv:1908.01070). The formula bounds no step downwards: where V falls to nothing, the width would fall to minus
    infinity. Here a step downwards is at most ρ, as one upwards is.

    Each landmark, and with losses per axis each axis, keeps its own history. A landmark without a loss in an epoch (it
    was in no image) keeps its width and its history as they were.

    Args:
        generator: whose public ``sigma`` is read and set.
        window: losses that a variance is taken over, 2 or more.
        rho: the largest step, in the unit of sigma.
        floor: no width becomes smaller: a number, or a tensor that broadcasts to (K, D).
        ceiling: no width becomes larger; without one, widths may grow by ``rho`` an epoch.
        non_increasing: widths may only shrink.

    Raises:
        ValueError: numbers that cannot be, or widths that are below the floor or above the ceiling already.
    """

    def __init__(
        self,
        generator: HasSigma,
        window: int = 3,
        rho: float = 0.9,
        *,
        floor: float | Tensor = 1.0,
        ceiling: float | Tensor | None = None,
        non_increasing: bool = False,
    ) -> None:
        sigma = generator.sigma.detach()
        if sigma.ndim != 2:
            raise ValueError(f"sigma of shape {tuple(sigma.shape)} is not (landmarks, axes)")
        if window < 2 or not 0 < rho < float("inf"):
            raise ValueError(f"a window of {window} or a step of {rho} cannot be: give 2 or more, and more than 0")
        self.generator, self.window, self.rho, self.non_increasing = generator, window, rho, non_increasing
        self.floor = torch.as_tensor(floor)
        self.ceiling = torch.as_tensor(float("inf") if ceiling is None else ceiling)
        low, high = self.floor.to(sigma), self.ceiling.to(sigma)
        if not bool((low > 0).all()) or bool((low > high).any()):
            raise ValueError("the floor of sigma must be above zero and not above its ceiling")
        rounding = 1e-5  # of a generator that keeps logarithms
        if bool((sigma < low * (1 - rounding)).any()) or bool((sigma > high * (1 + rounding)).any()):
            raise ValueError("a sigma lies below the floor or above the ceiling already; choose others")
        # Differences of losses are small beside the losses.
        wide = torch.float32 if sigma.device.type == "mps" else torch.float64
        self.history = torch.full((*sigma.shape, window), torch.nan, dtype=wide, device=sigma.device)
        self.variance = torch.full(sigma.shape, torch.nan, dtype=wide, device=sigma.device)

    @torch.no_grad()
    def step(self, losses: Tensor, valid: Tensor | None = None) -> Tensor:
        """Take the losses of one epoch and adapt the generator.

        Args:
            losses: (K,) per landmark, or (K, D) per landmark and axis; NaN where there is none.
            valid: False where a loss is not to be looked at: (K,), or of the shape of the losses.

        Returns:
            The widths (K, D) that were set, of the type and on the device of the generator's.

        Raises:
            ValueError: shapes that do not fit, or an infinite loss.
        """
        sigma = self.generator.sigma.detach()
        losses = torch.as_tensor(losses).detach()
        if losses.shape not in (sigma.shape, sigma.shape[:1]):
            raise ValueError(f"losses of shape {tuple(losses.shape)} do not fit sigma of shape {tuple(sigma.shape)}")
        if valid is not None and valid.shape not in (losses.shape, sigma.shape[:1]):
            raise ValueError(f"a mask of shape {tuple(valid.shape)} does not fit losses of shape {tuple(losses.shape)}")
        new = _per_axis(losses.to(self.history), sigma)
        seen = ~new.isnan()
        if valid is not None:
            seen &= _per_axis(valid.to(seen), sigma)
        if bool((new.isinf() & seen).any()):
            raise ValueError("a loss is infinite; a training that went wrong has no width to adapt")
        moved = torch.cat([self.history[..., 1:], new[..., None]], dim=-1)
        self.history = torch.where(seen[..., None], moved, self.history)
        full = seen & ~self.history[..., 0].isnan()
        now = self._variance()
        change = _change(self.variance, now) * self.rho
        if self.non_increasing:
            change = change.clamp(max=0)
        change = torch.where(full & ~self.variance.isnan(), change, 0).to(sigma)
        self.variance = torch.where(full, now, self.variance)
        widths = (sigma + change).clamp(self.floor.to(sigma), self.ceiling.to(sigma))
        self.generator.set_sigma(widths)
        return widths

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, the widths included; tensors and numbers only."""
        return {
            "sigma": self.generator.sigma.detach().clone(),
            "history": self.history.clone(),
            "variance": self.variance.clone(),
            "window": self.window,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state, and set the generator's widths to those of then.

        Raises:
            ValueError: the state is of another window, of other landmarks or axes.
        """
        if state["window"] != self.window or state["history"].shape != self.history.shape:
            raise ValueError(
                f"a state of window {state['window']} and shape {tuple(state['history'].shape)} does not fit window "
                f"{self.window} and shape {tuple(self.history.shape)}"
            )
        self.history = state["history"].to(self.history).clone()
        self.variance = state["variance"].to(self.variance).clone()
        self.generator.set_sigma(state["sigma"].to(self.generator.sigma.detach()))

    def _variance(self) -> Tensor:
        """Of the losses in the window (K, D); zero where they differ by rounding alone."""
        variance = self.history.var(dim=-1, unbiased=False)
        return torch.where(variance > (CALM * self.history.abs().amax(-1)) ** 2, variance, 0)


def _change(before: Tensor, now: Tensor) -> Tensor:
    """1 - V'/V, not below -1: nothing where both are nothing, -1 where V alone is."""
    ratio = before / torch.where(now > 0, now, 1)
    ratio = torch.where(now > 0, ratio, torch.where(before > 0, torch.inf, 1.0))
    return 1 - ratio.clamp(max=2)


def _per_axis(values: Tensor, sigma: Tensor) -> Tensor:
    return values[:, None].expand_as(sigma) if values.ndim == 1 else values

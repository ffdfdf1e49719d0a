"""Least squares for a Gaussian of any form on a constant background, many windows at once.

The model is b + exp(q(u)), where q is a polynomial of degree two in the window's coordinates u. In its coefficients
(the Gaussian's natural parameters) every derivative is exp(q) times a monomial, and the monomials are the same for all
windows on one grid. The normal equations of all windows are therefore three matrix products. Steps and damping are
those of Marquardt (1963), doi:10.1137/0111030.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, fields

import torch
from torch import Tensor

NARROWEST = 0.2
"""Standard deviation in voxels below which the samples of a Gaussian are one voxel and nothing else."""

WIDEST = 4.0
"""Standard deviation in radii of the window beyond which the window shows no peak but a slope or a bowl."""


class Monomials:
    """Monomials of degree two or less on the points (P, D) of a window, and the products of any two of them."""

    def __init__(self, points: Tensor):
        dimension = points.shape[1]
        squares = [(i, i) for i in range(dimension)]
        self.cross = list(itertools.combinations(range(dimension), 2))
        factors: list[tuple[int, ...]] = [(), *((i,) for i in range(dimension)), *squares, *self.cross]
        products: dict[tuple[int, ...], int] = {}
        table = [[products.setdefault(tuple(sorted(a + b)), len(products)) for b in factors] for a in factors]
        self.dimension, self.count = dimension, len(factors)
        self.single = torch.stack([points[:, list(f)].prod(-1) for f in factors], -1)  # (P, M); of nothing: 1
        self.double = torch.stack([points[:, list(f)].prod(-1) for f in products], -1)
        self.table = torch.tensor(table, device=points.device)  # (M, M): where the product of two stands in `double`

    def precision(self, coefficients: Tensor) -> Tensor:
        """Inverse covariance (N, D, D) of coefficients (N, M), in the window's coordinates."""
        d = self.dimension
        precision = torch.diag_embed(-2 * coefficients[:, 1 + d : 1 + 2 * d])
        for column, (i, j) in enumerate(self.cross, start=1 + 2 * d):
            entry = torch.zeros_like(precision[0])
            entry[i, j] = entry[j, i] = -1
            precision = precision + coefficients[:, column, None, None] * entry
        return precision

    def at(self, places: Tensor) -> Tensor:
        """The monomials (N, M) at places (N, D) in the window's coordinates."""
        parts = [torch.ones_like(places[:, :1]), places, places.square()]
        parts.extend((places[:, i] * places[:, j])[:, None] for i, j in self.cross)
        return torch.cat(parts, -1)

    def centre(self, coefficients: Tensor) -> Tensor:
        """Where Gaussians of these coefficients (N, M) are highest, (N, D)."""
        pull = coefficients[:, 1 : 1 + self.dimension]
        return (_inverse(self.precision(coefficients)) @ pull[..., None])[..., 0]

    def coefficients(self, mean: Tensor, precision: Tensor, log_height: Tensor) -> Tensor:
        """Coefficients (N, M) of Gaussians, in the window's coordinates."""
        pull = (precision @ mean[..., None])[..., 0]
        parts = [(log_height - 0.5 * (pull * mean).sum(-1))[:, None], pull]
        parts.append(-0.5 * precision.diagonal(dim1=1, dim2=2))
        parts.extend(-precision[:, i, j, None] for i, j in self.cross)
        return torch.cat(parts, -1)


@dataclass(frozen=True, eq=False)
class Gaussians:
    """Gaussians on constant backgrounds in N windows, as guessed or as fitted.

    Args:
        mean: (N, D) centre in voxels from the window's middle, x, y[, z].
        covariance: (N, D, D) form, voxel².
        log_height: (N,) logarithm of the height over the background.
        background: (N,).
        mean_error: (N, D, D) covariance of ``mean`` under independent noise as large as what the fit leaves, voxel².
        freedom: (N,) voxels in the window beyond the number of parameters.
        energy: (N,) sum of the squares by which the Gaussian departs from its mean over the window.
    """

    mean: Tensor
    covariance: Tensor
    log_height: Tensor
    background: Tensor
    mean_error: Tensor
    freedom: Tensor
    energy: Tensor

    @classmethod
    def guess(cls, sigma: Tensor) -> Gaussians:
        """Upright Gaussians of height 1 and these standard deviations (N, D) at the windows' middles."""
        form, zero = torch.diag_embed(sigma**2), torch.zeros_like(sigma[:, 0])
        return cls(torch.zeros_like(sigma), form, zero, zero, torch.full_like(form, torch.inf), zero, zero)

    def at(self, rows: Tensor) -> Gaussians:
        """Those of these windows, without gradient."""
        return Gaussians(*(getattr(self, f.name).detach()[rows] for f in fields(self)))

    def with_rows(self, rows: Tensor, others: Gaussians) -> Gaussians:
        """These with those of some windows replaced."""
        return Gaussians(*(getattr(self, f.name).index_copy(0, rows, getattr(others, f.name)) for f in fields(self)))


def fit_gaussians(
    values: Tensor,
    weights: Tensor,
    points: Tensor,
    start: Gaussians,
    *,
    fixed_form: bool = False,
    fixed_height: bool = False,
    steps: int = 20,
) -> Gaussians:
    """Fits Gaussians to windows of heatmaps.

    Args:
        values: (N, P), about 1 at the peak; where the weight is zero, any finite number. The fits carry their gradient,
            by the implicit function theorem and with the second derivatives that Gauss and Newton leave out left out.
        weights: (N, P), 0 or 1.
        points: (P, D) places of the values in voxels from the window's middle, x, y[, z].
        start: where to start from.
        fixed_form: keep the covariance as it is.
        fixed_height: keep the height over the background, and the background, as they are.
        steps: most steps to take.

    Returns:
        The fits, in the type of ``values``; a fit that cannot be made stays near its start.
    """
    scale = points.abs().amax(0).clamp(min=1)
    basis = Monomials(points / scale)
    free = torch.arange(basis.count + 1, device=values.device)  # the last is the background
    if fixed_form:
        free = free[(free <= basis.dimension) | (free == basis.count)]
    if fixed_height:
        free = free[(free > 0) & (free < basis.count)]
    form = scale[:, None] * scale
    with torch.no_grad():
        precision = _inverse(start.covariance) * form
        model = basis.coefficients(start.mean / scale, precision, start.log_height)
        model = torch.cat([model, start.background[:, None]], -1)
        model = _descend(model, values.detach(), weights, basis, scale, free, steps, fixed_height)
        cost, normal, _, bell = _linearise(model, values.detach(), weights, basis, free, fixed_height)
    if torch.is_grad_enabled() and values.requires_grad:
        # One more step that goes nowhere, but whose derivative is that of the solution.
        residual = (values - model[:, -1:]) * weights - bell
        slope = torch.cat([(bell * residual) @ basis.single, residual.sum(-1, keepdim=True)], -1)
        if fixed_height:
            slope = slope - _followers(model, basis) * slope[:, :1]
        slope = slope[:, free]
        solvable = _solve(normal, slope.detach()).isfinite().all(-1)
        normal = torch.where(solvable[:, None, None], normal, torch.eye(len(free)).to(normal))
        step = torch.where(solvable[:, None], _solve(normal, slope), 0)
        model = model.index_add(1, free, step - step.detach())
    coefficients = model[:, :-1]
    pull = coefficients[:, 1 : 1 + basis.dimension]
    spread = _inverse(basis.precision(coefficients))
    centre = (spread @ pull[..., None])[..., 0]
    log_height = coefficients[:, 0] + 0.5 * (pull * centre).sum(-1)
    with torch.no_grad():
        freedom = weights.sum(-1) - len(free)
        left = cost / freedom.clamp(min=1)
        error = _error_of_mean(normal, centre, spread, basis, free) * left[:, None, None] * form
        energy = bell.square().sum(-1) - bell.sum(-1) ** 2 / weights.sum(-1).clamp(min=1)
    return Gaussians(centre * scale, spread * form, log_height, model[:, -1], error, freedom, energy)


def _followers(model: Tensor, basis: Monomials) -> Tensor:
    """By how much the constant of q falls with each coefficient (N, M + 1) where the height is to stay.

    With c = ln h - ½ pullᵀ S pull, minus the derivative of c by the coefficient of a monomial is that monomial at the
    centre.
    """
    at = basis.at(basis.centre(model[:, :-1]))
    at[:, 0] = 0
    return torch.cat([at, torch.zeros_like(at[:, :1])], -1)


def _linearise(
    model: Tensor, values: Tensor, weights: Tensor, basis: Monomials, free: Tensor, fixed_height: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sum of squares (N,), normal matrix (N, F, F), slope (N, F) and the Gaussian itself (N, P)."""
    count = basis.count
    bell = torch.exp((model[:, :-1] @ basis.single.T).clamp_(max=20.0)).mul_(weights)
    residual = ((values - model[:, -1:]) * weights).sub_(bell)
    normal = bell.new_empty((len(bell), count + 1, count + 1))
    normal[:, :count, :count] = (bell.square() @ basis.double)[:, basis.table]
    normal[:, :count, count] = normal[:, count, :count] = bell @ basis.single
    normal[:, count, count] = weights.sum(-1)
    slope = torch.cat([(bell * residual) @ basis.single, residual.sum(-1, keepdim=True)], -1)
    if fixed_height:
        follow = _followers(model, basis)
        first = normal[:, 0, :, None] * follow[:, None, :]
        normal = normal - first - first.mT + normal[:, :1, :1] * follow[:, :, None] * follow[:, None, :]
        slope = slope - follow * slope[:, :1]
    return residual.square().sum(-1), normal[:, free[:, None], free], slope[:, free], bell


def _descend(
    model: Tensor,
    values: Tensor,
    weights: Tensor,
    basis: Monomials,
    scale: Tensor,
    free: Tensor,
    steps: int,
    fixed_height: bool,
) -> Tensor:
    cost, normal, slope, _ = _linearise(model, values, weights, basis, free, fixed_height)
    log_height = _log_height(model, basis) if fixed_height else None
    enough = 1e-13 * weights.sum(-1)
    damping = torch.full_like(cost, 1e-3)
    done = torch.zeros_like(cost, dtype=torch.bool)
    for _ in range(steps):
        step = _solve(normal + torch.diag_embed(damping[:, None] * normal.diagonal(dim1=1, dim2=2)), slope)
        trial = model.index_add(1, free, step)
        if log_height is not None:
            trial[:, 0] += log_height - _log_height(trial, basis)
        allowed = _is_peak(trial, basis, scale)
        trial = torch.where(allowed[:, None], trial, model)
        new_cost, new_normal, new_slope, _ = _linearise(trial, values, weights, basis, free, fixed_height)
        better = allowed & (new_cost <= cost) & ~done  # what is done stays, however long the others take
        done = done | (better & (cost - new_cost <= 1e-6 * cost)) | (cost <= enough) | (damping > 1e8)
        model = torch.where(better[:, None], trial, model)
        normal = torch.where(better[:, None, None], new_normal, normal)
        slope = torch.where(better[:, None], new_slope, slope)
        cost = torch.where(better, new_cost, cost)
        damping = torch.where(better, damping * 0.1, damping * 10)
        if done.all():
            break
    return model


def _log_height(model: Tensor, basis: Monomials) -> Tensor:
    """Logarithm of the Gaussians' height (N,)."""
    coefficients = model[:, :-1]
    pull = coefficients[:, 1 : 1 + basis.dimension]
    return coefficients[:, 0] + 0.5 * (pull * basis.centre(coefficients)).sum(-1)


def _is_peak(model: Tensor, basis: Monomials, scale: Tensor) -> Tensor:
    """Whether every standard deviation lies between the narrowest and the widest, (N,)."""
    sound = model.isfinite().all(-1)
    precision = basis.precision(torch.where(sound[:, None], model, 0)[:, :-1])
    unit = torch.eye(basis.dimension, dtype=model.dtype, device=model.device)
    too_wide = torch.linalg.cholesky_ex(precision - unit / WIDEST**2).info
    too_narrow = torch.linalg.cholesky_ex(torch.diag(scale / NARROWEST) ** 2 - precision).info
    return sound & (too_wide == 0) & (too_narrow == 0)


def _inverse(matrices: Tensor) -> Tensor:
    return torch.linalg.inv_ex(matrices).inverse  # unlike inv, one bad map does not stop the others


def _solve(normal: Tensor, slope: Tensor) -> Tensor:
    # A map without enough voxels has a singular matrix; its step is not finite, hence not taken.
    return torch.linalg.solve_ex(normal, slope[..., None]).result[..., 0]


def _error_of_mean(normal: Tensor, centre: Tensor, spread: Tensor, basis: Monomials, free: Tensor) -> Tensor:
    """The inverse normal matrix carried to the centre, (N, D, D).

    Of precision · centre = pull: d(centre) = spread · (d(pull) - d(precision) · centre).
    """
    d = basis.dimension
    change = spread.new_zeros(len(spread), d, basis.count + 1)
    for i in range(d):
        change[:, i, 1 + i] = 1
        change[:, i, 1 + d + i] = 2 * centre[:, i]
    for column, (i, j) in enumerate(basis.cross, start=1 + 2 * d):
        change[:, i, column] = centre[:, j]
        change[:, j, column] = centre[:, i]
    change = (spread @ change)[:, :, free]
    return change @ torch.linalg.solve_ex(normal, change.mT).result

"""Geometric morphometrics: size, distances between shapes, and how a set of specimens varies.

Shape is what is left of landmarks when position, orientation and size are taken away (Kendall 1984; Dryden & Mardia
2016, Statistical Shape Analysis, 2nd ed., Wiley). Specimens are superimposed by generalised Procrustes analysis
(Gower 1975, doi:10.1007/BF02291478) at unit centroid size; reflections are not allowed, so that a left is never laid
on a right. Every landmark counts the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from LandmarkDetectorLib.core import MeasurementError
from LandmarkDetectorLib.core.similarity import apply, fit_similarity
from LandmarkDetectorLib.measure.geometry import centroid_size

if TYPE_CHECKING:
    from LandmarkDetectorLib.evaluation.charts import Axes, Figure  # Slicer, which measures too, has no matplotlib

ROUNDS = 100
"""At most so many superimpositions; real specimens need fewer than ten."""


@dataclass(frozen=True, eq=False)
class Superimposed:
    """Specimens laid on each other.

    Attributes:
        shapes: (N, K, d), each centred, of unit centroid size, turned to the mean.
        mean: (K, d), centred, of unit centroid size.
        sizes: (N,) centroid sizes before, in the landmarks' unit.
    """

    shapes: np.ndarray
    mean: np.ndarray
    sizes: np.ndarray


@dataclass(frozen=True, eq=False)
class ShapePca:
    """The principal components of shape.

    Attributes:
        superimposed: what they are of.
        variances: (r,) of the scores, the largest first; together the Procrustes variance of the specimens.
        directions: (r, K, d) of unit length.
        scores: (N, r) of the specimens.
    """

    superimposed: Superimposed
    variances: np.ndarray
    directions: np.ndarray
    scores: np.ndarray

    @property
    def explained(self) -> np.ndarray:
        """(r,) the part of the whole variance that each component has."""
        total = self.variances.sum()
        return self.variances / total if total > 0 else np.zeros(len(self.variances))

    def shape_at(self, component: int, deviations: float) -> np.ndarray:
        """The shape (K, d) so many standard deviations along a component from the mean."""
        move = deviations * np.sqrt(self.variances[component]) * self.directions[component]
        return self.superimposed.mean + move


def superimpose(shapes) -> Superimposed:
    """Generalised Procrustes analysis of specimens (N, K, d) in world units.

    Raises:
        MeasurementError: fewer than two specimens or three landmarks, a landmark that is missing, or a specimen whose
            landmarks are all in one place.
    """
    shapes = _complete(shapes)
    sizes = centroid_size(shapes)
    if not np.all(sizes > 0):
        raise MeasurementError(f"All landmarks of specimen {int(np.argmin(sizes))} are in one place; it has no shape.")
    shapes = (shapes - shapes.mean(1, keepdims=True)) / sizes[:, None, None]
    mean = shapes[0]
    for _ in range(ROUNDS):
        shapes = apply(fit_similarity(shapes, mean, scaling=False), shapes)
        new = shapes.mean(0)
        new = new / centroid_size(new)
        moved, mean = float(np.linalg.norm(new - mean)), new
        if moved < 1e-12:
            break
    return Superimposed(shapes, mean, sizes)


def procrustes_distance(shape, other, kind: Literal["partial", "full", "riemannian"] = "partial") -> float:
    """How different two shapes (K, d) are, whatever their position, orientation and size.

    With the angle ρ between them on Kendall's sphere: ``riemannian`` ρ, ``partial`` 2·sin(ρ/2) (the root of the summed
    squared distances at unit size, what most programs print), ``full`` sin ρ (with the scale fitted too).

    Raises:
        MeasurementError: shapes of different landmarks, a missing landmark, or another kind.
    """
    if np.shape(shape) != np.shape(other):
        raise MeasurementError(f"Shapes {np.shape(shape)} and {np.shape(other)} have not the same landmarks.")
    pair = _complete([shape, other])
    sizes = centroid_size(pair)
    if not np.all(sizes > 0):
        raise MeasurementError("All landmarks of a specimen are in one place; it has no shape.")
    a, b = (pair - pair.mean(1, keepdims=True)) / sizes[:, None, None]
    partial = float(np.linalg.norm(apply(fit_similarity(a, b, scaling=False), a) - b))
    angle = 2 * float(np.arcsin(min(partial / 2, 1.0)))
    found = {"partial": partial, "full": float(np.sin(angle)), "riemannian": angle}
    if kind not in found:
        raise MeasurementError(f"There is no Procrustes distance {kind!r}; choose one of {', '.join(found)}.")
    return found[kind]


def shape_pca(shapes) -> ShapePca:
    """Principal components of the superimposed specimens (N, K, d), in the tangent space at their mean.

    Raises:
        MeasurementError: as :func:`superimpose`.
    """
    superimposed = superimpose(shapes)
    count, marks, d = superimposed.shapes.shape
    flat, mean = superimposed.shapes.reshape(count, -1), superimposed.mean.reshape(-1)
    tangent = flat - np.outer(flat @ mean, mean)  # what leads away from the mean, and not along the sphere's radius
    tangent = tangent - tangent.mean(0)
    u, s, vt = np.linalg.svd(tangent, full_matrices=False)
    # So many directions can vary: position, orientation and size are gone, and the mean takes one specimen.
    rank = min(count - 1, marks * d - d - d * (d - 1) // 2 - 1)
    sign = np.where(vt[np.arange(len(vt)), np.abs(vt).argmax(1)] < 0, -1.0, 1.0)[:rank]  # the same on every machine
    variances = s[:rank] ** 2 / (count - 1)
    return ShapePca(
        superimposed, variances, (vt[:rank] * sign[:, None]).reshape(-1, marks, d), (u * s)[:, :rank] * sign
    )


def pca_figure(pca: ShapePca, names: Sequence[str] = (), labels: Sequence[str] = (), *, enlarge: float = 3.0) -> Figure:
    """A picture of a shape space: the specimens on the first two components, and the shapes at the ends of each.

    Args:
        pca: of two components at least.
        names: of the specimens, written beside them where they are 40 at most.
        labels: of the landmarks, written beside the mean where they are 20 at most.
        enlarge: how many times the changes are drawn larger than they are; the picture says so.

    Raises:
        MeasurementError: fewer than two components, or names and labels that do not fit.
    """
    from LandmarkDetectorLib.evaluation.canvas import BLUE, VERMILION, blank_figure

    count, marks, d = pca.superimposed.shapes.shape
    if len(pca.variances) < 2:
        raise MeasurementError("A picture of shape space needs two components; give three specimens at least.")
    if len(names) not in (0, count) or len(labels) not in (0, marks):
        raise MeasurementError(f"{len(names)} names and {len(labels)} labels do not fit {count} specimens of {marks}.")
    figure = blank_figure((13, 7.5))
    grid = figure.add_gridspec(2, d, width_ratios=[1.3, 1, 1][:d])
    plot = figure.add_subplot(grid[:, 0])
    plot.axhline(0, color="0.8", linewidth=1)
    plot.axvline(0, color="0.8", linewidth=1)
    plot.plot(*pca.scores[:, :2].T, "o", color=BLUE, markersize=5)
    for name, at in zip(names if count <= 40 else (), pca.scores[:, :2], strict=False):
        plot.annotate(name, at, xytext=(4, 3), textcoords="offset points", fontsize=7, parse_math=False)
    plot.set(xlabel=f"PC1 ({pca.explained[0]:.0%} of the variance)", ylabel=f"PC2 ({pca.explained[1]:.0%})")
    plot.set_title(f"{count} specimens, {marks} landmarks")
    plot.margins(0.12)
    ends = ((-2, BLUE), (2, VERMILION))
    # Seen along the mean's own axes: the longest across, the second longest up.
    _, _, turn = np.linalg.svd(pca.superimposed.mean, full_matrices=False)
    turn = np.eye(2) if d == 2 else turn
    for component in range(2):
        for view, axes in enumerate(((0, 1), (0, 2))[: d - 1]):
            panel = figure.add_subplot(grid[component, 1 + view])
            seen = turn[list(axes)].T
            _draw_ends(panel, pca, component, seen, ends, enlarge, labels if component == 0 and marks <= 20 else ())
            side = "" if d == 2 else (", its axes 1 and 2", ", its axes 1 and 3")[view]
            panel.set_title(f"PC{component + 1}: mean to ±2 SD, drawn {enlarge:g} times{side}", fontsize=9)
    figure.legend(
        handles=[plot.plot([], [], color=colour, label=f"{at:+d} SD")[0] for at, colour in ends],
        loc="lower right",
        ncols=2,
        frameon=False,
    )
    figure.set_layout_engine("constrained", rect=(0, 0.04, 1, 0.96))
    return figure


def _draw_ends(
    panel: Axes,
    pca: ShapePca,
    component: int,
    seen: np.ndarray,
    ends: Sequence[tuple[int, str]],
    enlarge: float,
    labels: Sequence[str],
) -> None:
    """The mean shape through ``seen`` (d, 2), and where each landmark goes to either end of a component."""
    mean = pca.superimposed.mean @ seen
    for deviations, colour in ends:
        end = pca.shape_at(component, deviations * enlarge) @ seen
        panel.plot(*np.stack([mean, end]).transpose(2, 0, 1), color=colour, linewidth=1.8)
    panel.plot(*mean.T, "o", color="black", markersize=2.5)
    for label, at in zip(labels, mean, strict=False):
        panel.annotate(label, at, xytext=(4, 3), textcoords="offset points", fontsize=6, parse_math=False)
    panel.set_aspect("equal")
    panel.set(xticks=[], yticks=[])
    panel.margins(0.1)
    if pca.superimposed.mean.shape[1] == 2:
        panel.invert_yaxis()  # rows of a picture run down


def _complete(shapes) -> np.ndarray:
    shapes = np.asarray(shapes, dtype=np.float64)
    if shapes.ndim != 3 or shapes.shape[0] < 2 or shapes.shape[1] < 3 or shapes.shape[2] not in (2, 3):
        raise MeasurementError(
            f"Shapes of {shapes.shape} are not (specimens, landmarks, 2 or 3) with two specimens and three landmarks."
        )
    missing = np.argwhere(~np.isfinite(shapes).all(-1))
    if len(missing):
        specimen, landmark = missing[0]
        raise MeasurementError(
            f"Landmark {landmark} of specimen {specimen} is missing; leave the specimen or the landmark out."
        )
    return shapes

"""Truth and prediction in one picture: what lies where, how far apart, what was missed and what was made up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from LandmarkDetectorLib.core import Image, Landmark, LandmarkError, LandmarkSet
from LandmarkDetectorLib.evaluation.canvas import ORANGE, SKY, VERMILION, YELLOW, halo
from LandmarkDetectorLib.evaluation.figures import overview_views
from LandmarkDetectorLib.evaluation.inspection import check_fit, draw_pictures, marker, write_title
from LandmarkDetectorLib.evaluation.instances import match_instances
from LandmarkDetectorLib.evaluation.lettering import short_names, write_names
from LandmarkDetectorLib.evaluation.panel import Panel, row_of_panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MASS = 0.95
"""Of a normal distribution lies within the ellipses that are drawn."""


@dataclass(frozen=True)
class Pairing:
    """Landmarks of a prediction and of a truth, paired by label and, within one label, by distance.

    Attributes:
        pairs: (predicted, true) landmarks, both with a position.
        missed: true landmarks that were not found.
        unmatched: predicted landmarks without a truth: false finds, and landmarks that nobody annotated.
    """

    pairs: list[tuple[Landmark, Landmark]]
    missed: list[Landmark]
    unmatched: list[Landmark]

    @property
    def errors(self) -> np.ndarray:
        """(M,) distances of the pairs."""
        return np.array([np.linalg.norm(found.position - true.position) for found, true in self.pairs])


def pair_landmarks(predicted: LandmarkSet, truth: LandmarkSet, threshold: float | None = None) -> Pairing:
    """Pair landmarks; where a label stands more than once, optimally (see :func:`match_instances`).

    Args:
        predicted: in any order.
        truth: likewise.
        threshold: pairs farther apart are a miss and a false find; ``None``: any distance.

    Raises:
        LandmarkError: different units or dimensions.
    """
    if predicted.unit != truth.unit or (
        predicted.dimension and truth.dimension and predicted.dimension != truth.dimension
    ):
        raise LandmarkError(f"{predicted.name} and {truth.name} differ in unit or dimension; bring both to one first.")
    pairing = Pairing([], [], [])
    for label in dict.fromkeys([*truth.labels, *predicted.labels]):
        found, known = (
            [mark for mark in marks if mark.label == label and mark.position is not None]
            for marks in (predicted, truth)
        )
        here, there = ([mark.position for mark in marks] for marks in (found, known))
        matching = match_instances(np.array(here), np.array(there), threshold)
        pairing.pairs.extend((found[i], known[j]) for i, j in zip(matching.predicted, matching.truth, strict=True))
        pairing.missed.extend(known[j] for j in matching.missed)
        pairing.unmatched.extend(found[i] for i in matching.false)
    return pairing


def prediction_figure(
    image: Image,
    predicted: LandmarkSet,
    truth: LandmarkSet,
    *,
    heatmap: Image | None = None,
    ellipses: bool = True,
    threshold: float | None = None,
) -> Figure:
    """Truth and prediction on the picture in 2D, on three projections in 3D.

    White rings are the truth, blue discs the prediction, yellow lines the error between them; a vermilion cross was
    missed, an orange square has no truth.

    Args:
        image: what is shown.
        predicted: what was found; a label may stand several times.
        truth: what was annotated.
        heatmap: (K, [Z, ]Y, X), laid over the image; of its channels the highest counts.
        ellipses: outline the covariance where a landmark has one, 95 % of a normal distribution in the plane of the
            picture. That is what the model believes, not a calibrated region.
        threshold: as in :func:`pair_landmarks`.

    Raises:
        LandmarkError: image, landmarks and heatmap do not fit each other.
    """
    check_fit(image, predicted, truth)
    pairing = pair_landmarks(predicted, truth, threshold)
    names = dict(zip(map(id, predicted), short_names(predicted), strict=True))
    names |= dict(zip(map(id, truth), short_names(truth), strict=True))
    figure, over, panels = row_of_panels(overview_views(image), 14.0, 6.5, head=0.3, foot=0.32)
    for panel, occupied in zip(panels, draw_pictures(image, panels, heatmap), strict=True):
        if ellipses:
            _draw_ellipses(panel, predicted)
        for found, true in pairing.pairs:
            draw_pair(panel, found.position, true.position)
        for true in pairing.missed:
            _dot(panel, true, "X", VERMILION)
        for found in pairing.unmatched:
            _dot(panel, found, "s", ORANGE)
        named = [true for _, true in pairing.pairs] + pairing.missed + pairing.unmatched
        seen = [mark for mark in named if panel.view.shows(mark.position)]
        spots = np.array([panel.spot(mark.position) for mark in seen]).reshape(-1, 2)
        taken = [found.position for found, _ in pairing.pairs if panel.view.shows(found.position)]
        boxes = [(*(panel.spot(place) - 7), *(panel.spot(place) + 7)) for place in taken]
        write_names(over, spots, [names[id(mark)] for mark in seen], panel.box, [*occupied, *boxes])
    write_title(over, f"{image.name}: {_words(pairing, image.grid.unit)}")
    _legend(figure, pairing, ellipses and any(mark.covariance is not None for mark in predicted))
    return figure


def draw_pair(panel: Panel, found: np.ndarray | None, true: np.ndarray, size: float = 1.0) -> None:
    """A ring at the truth and, where there is a prediction, a disc and the error between them."""
    ring = marker("none", markeredgecolor="white", markeredgewidth=1.5 * size, path_effects=halo(3.2 * size))
    ring["markersize"] *= 1.15 * size
    if found is None:
        _put(panel, true, "X", marker(VERMILION) | {"markersize": 7.5 * size})
        return
    panel.line(panel.spot(np.array([true, found])), color=YELLOW, linewidth=1.4 * size, path_effects=halo(2.6 * size))
    _put(panel, true, "o", ring)
    _put(panel, found, "o", marker(SKY) | {"markersize": 3.8 * size, "markeredgewidth": 0.6 * size, "zorder": 3.5})


def _put(panel: Panel, world: np.ndarray, shape: str, style: dict) -> None:
    if panel.view.shows(world):
        panel.over.plot(*panel.spot(world), shape, **style)


def _dot(panel: Panel, mark: Landmark, shape: str, colour: str) -> None:
    _put(panel, mark.position, shape, marker(colour) | {"markersize": 7})


def _draw_ellipses(panel: Panel, predicted: LandmarkSet) -> None:
    for mark in predicted:
        if mark.covariance is not None and mark.position is not None and panel.view.shows(mark.position):
            style = {"edgecolor": SKY, "facecolor": "none", "linewidth": 1.0, "zorder": 2.5}
            panel.ellipse(mark.position, mark.covariance, MASS, **style)


def _words(pairing: Pairing, unit: str) -> str:
    errors = pairing.errors
    words = f"mean error {errors.mean():.2f} {unit} over {errors.size}" if errors.size else "no landmark found"
    words += f", {len(pairing.missed)} missed" if pairing.missed else ""
    return words + (f", {len(pairing.unmatched)} without a truth" if pairing.unmatched else "")


def _legend(figure: Figure, pairing: Pairing, ellipses: bool) -> None:
    from matplotlib.lines import Line2D

    grey: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "black", "markeredgewidth": 0.8}
    handles = [
        Line2D([], [], marker="o", color="white", markersize=7, label="truth", **grey),
        Line2D([], [], marker="o", color=SKY, markersize=5, label="prediction", **grey),
        Line2D([], [], color=YELLOW, linewidth=2, path_effects=halo(3.2), label="error"),
    ]
    if ellipses:
        handles.append(Line2D([], [], color=SKY, linewidth=1, label=f"{100 * MASS:.0f} % by the model"))
    if pairing.missed:
        handles.append(Line2D([], [], marker="X", color=VERMILION, markersize=7, label="missed", **grey))
    if pairing.unmatched:
        handles.append(Line2D([], [], marker="s", color=ORANGE, markersize=6, label="without a truth", **grey))
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=8.5, borderpad=0.2)

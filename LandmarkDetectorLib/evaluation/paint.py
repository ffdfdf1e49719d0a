"""From values to colours: windowing, the colours of confidence, a round length for a scale bar.

The colours are told apart with any of the common colour vision deficiencies (Okabe & Ito 2008, Color Universal Design)
and all stand out from grey.
"""

from __future__ import annotations

import numpy as np

from LandmarkDetectorLib.evaluation.views import View

OUTSIDE = (38, 44, 62)
"""Shown where there is no image: bluish, so that nobody takes it for dark tissue."""

LOW, MIDDLE, HIGH, UNKNOWN = (213, 94, 0), (240, 228, 66), (86, 180, 233), (255, 255, 255)
"""Colours of the confidences 0, 0.5 and 1, and of a landmark without one."""

RGB = tuple[int, int, int]


def confidence_colour(confidence: float | None) -> RGB:
    """Vermilion (0) over yellow (0.5) to sky blue (1); white where nobody said."""
    if confidence is None:
        return UNKNOWN
    table = np.array([LOW, MIDDLE, HIGH], dtype=np.float64)
    red, green, blue = (round(float(np.interp(confidence, (0, 0.5, 1), column))) for column in table.T)
    return red, green, blue


def hexadecimal(colour: RGB) -> str:
    """A colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def painted(view: View, window: tuple[float, float]) -> np.ndarray:
    """The view's values as colours, (rows, columns, 3) uint8; black and white are the ends of the window."""
    black, white = window
    scaled = np.clip((view.values - black) / (white - black), 0, 1) * 255
    nothing = np.isnan(scaled).any(axis=-1)
    picture = np.broadcast_to(np.nan_to_num(scaled).round().astype(np.uint8), (*scaled.shape[:2], 3)).copy()
    picture[nothing] = OUTSIDE
    return picture


def round_length(extent: float) -> float:
    """The longest of 1, 2, 5, 10, 20 … (or 0.5, 0.2 …) that is at most a third of an extent."""
    power = 10.0 ** np.floor(np.log10(extent / 3))
    return float(power * max(step for step in (1, 2, 5) if step * power <= extent / 3 * (1 + 1e-9)))

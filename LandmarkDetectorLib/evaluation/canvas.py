"""A blank figure, its colours, and how it is saved.

Figures are made through matplotlib's object interface, so that nothing global is touched and no window can open.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DOTS = 150
"""Dots per inch of every figure."""

BLUE, VERMILION, GREEN, PURPLE = "#0072b2", "#d55e00", "#009e73", "#cc79a7"
SKY, YELLOW, ORANGE = "#56b4e9", "#f0e442", "#e69f00"
"""Okabe & Ito (2008), Color Universal Design: told apart with any of the common colour vision deficiencies."""

_SERIES = (BLUE, VERMILION, GREEN, PURPLE, "#000000", ORANGE)


def series_styles() -> Iterator[tuple[str, str]]:
    """Colour and line style for one curve after another; no two of the first 24 look alike, in print neither."""
    styles = ("-", "--", "-.", ":")
    for number in count():
        yield _SERIES[number % 6], styles[(number + number // 12) % 4]


def blank_figure(size: tuple[float, float]) -> Figure:
    """A figure of so many inches that belongs to no window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, dpi=DOTS)
    FigureCanvasAgg(figure)
    return figure


def figure_png(figure: Figure, dpi: float = DOTS) -> bytes:
    """The figure as PNG."""
    return _saved(figure, format="png", dpi=dpi)


def figure_jpeg(figure: Figure, dpi: float = DOTS) -> bytes:
    """The figure as JPEG: a fraction of the size of PNG for pictures with noise; colours at full resolution."""
    return _saved(figure, format="jpeg", dpi=dpi, pil_kwargs={"quality": 85, "subsampling": 0})


def font_files() -> tuple[Path, Path]:
    """The files of DejaVu Sans, regular and bold, that matplotlib brings; for other programs that write its letters."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return folder / "DejaVuSans.ttf", folder / "DejaVuSans-Bold.ttf"


def halo(width: float = 1.8) -> list:
    """A black border around light text or strokes, so that they can be read on any picture."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground="black")]


def _saved(figure: Figure, **how) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, **how)
    return buffer.getvalue()

"""What the HTML pages share: the templates, pictures inside the page, numbers as a person reads them.

A page has no script, loads nothing from anywhere (a Content-Security-Policy in it says so to the browser) and carries
its pictures inside. All templates extend ``base.html``, which has the head, the style and the list of notices.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.evaluation.canvas import figure_jpeg, figure_png

if TYPE_CHECKING:
    from jinja2 import Template
    from matplotlib.figure import Figure

FINE = 0.5
"""Errors below this, in the unit of the page, are given to three digits."""


@contextmanager
def report_packages() -> Iterator[None]:
    """Says how to install a package for reports that is missing, where one is imported inside.

    Raises:
        LandmarkDetectorError: a package is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise LandmarkDetectorError(
            f"The report needs a package that is not installed ({error.name}); "
            "run: python -m pip install 'landmark-detector[report]'."
        ) from error


def template(name: str, folder: Path | None = None) -> Template:
    """A template of this room. Whatever is put into it is text, never markup, and nothing may be left out.

    Args:
        name: of its file.
        folder: of another room's templates, which extend those of this one.

    Raises:
        ImportError: Jinja2 is not installed.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([*([folder] if folder else []), Path(__file__).with_name("templates")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=number, interval=interval, chance=chance)
    return environment.get_template(name)


def photograph(figure: Figure, dpi: float = 110) -> str:
    """A figure with pieces of images for the ``src`` of an image, as JPEG."""
    return data_uri(figure_jpeg(figure, dpi))


def chart(figure: Figure, dpi: float = 100) -> str:
    """A figure of lines and letters for the ``src`` of an image, as PNG."""
    return data_uri(figure_png(figure, dpi), "png")


def data_uri(picture: bytes, kind: str = "jpeg") -> str:
    """A picture for the ``src`` of an image."""
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode("ascii")


def known(about: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Name and value of what is known; what is empty is left out."""
    return [(name, str(value)) for name, value in (about or {}).items() if value]


def digits_of(*errors: float) -> int:
    """Digits behind the point that mean something, whether the errors are those of a mouse or of a man."""
    return 3 if any(error < FINE for error in errors) else 2


def number(value: Any, digits: int = 2) -> str:
    """A number as a person reads it; a dash where there is none, no sign where nothing is left."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{value:.{digits}f}"
    return text if float(text) else text.lstrip("-")


def interval(ends: Sequence[Any], digits: int = 2) -> str:
    """Both ends of an interval; a dash where one is not known."""
    words = [number(end, digits) for end in ends]
    return "–" if "–" in words else " to ".join(words)


def chance(p: Any, digits: int = 4) -> str:
    """A p-value; one that is smaller than its digits can say is not called zero."""
    least = 10.0**-digits
    return f"< {least:.{digits}f}" if p is not None and p < least else number(p, digits)

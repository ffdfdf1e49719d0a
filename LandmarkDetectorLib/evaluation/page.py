"""What the HTML pages share: the templates, pictures inside the page, numbers as a person reads them.

A page has no script, loads nothing from anywhere (a Content-Security-Policy in it says so to the browser) and carries
its pictures inside.
"""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib.core import LandmarkDetectorError

if TYPE_CHECKING:
    from jinja2 import Template


def template(name: str, folder: Path | None = None) -> Template:
    """A template of this room. Whatever is put into it is text, never markup, and nothing may be left out.

    Args:
        name: of its file.
        folder: of another room's templates, which may include those of this one.

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
    environment.filters["number"] = number
    return environment.get_template(name)


def not_installed(error: ImportError) -> LandmarkDetectorError:
    """What to say where a package for reports is missing."""
    return LandmarkDetectorError(
        f"The report needs a package that is not installed ({error.name}); "
        "run: python -m pip install 'landmark-detector[report]'."
    )


def data_uri(picture: bytes, kind: str = "jpeg") -> str:
    """A picture for the ``src`` of an image."""
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode("ascii")


def number(value: Any, digits: int = 2) -> str:
    """A number as a person reads it; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"

"""What the confidences of a bundle are worth, for the page of its card: in sentences, and as a reliability diagram.

A bundle may come from strangers: its words are escaped, and of its picture nothing is shown but a PNG of modest size.
"""

from __future__ import annotations

import base64
from html import escape
from typing import Any

from LandmarkDetector.Panel.texts import _

_PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_BYTES, _PIXELS = 1 << 20, 2000
"""A picture may be as large as that; what a stranger's bundle may fill memory with is not shown."""
_WIDTH = 380


def reliability_section(bundle: Any) -> str:
    """HTML of a ``Bundle``'s calibration, or a plain sentence where it has none that counts."""
    from LandmarkDetectorLib.bundles.calibration import worth
    from LandmarkDetectorLib.core import BundleError

    try:
        sheet, picture = bundle.calibration(), bundle.reliability_diagram()
        sentences = worth(sheet, bundle.calibration_problem())
    except BundleError as error:  # its files were changed since it was listed
        sheet, picture, sentences = None, None, [str(error)]
    parts = [f"<p>{escape(sentence)}</p>" for sentence in sentences]
    if picture is not None and _is_modest(picture):
        data = base64.b64encode(picture).decode("ascii")
        parts.append(f'<p><img src="data:image/png;base64,{data}" width="{_WIDTH}"></p>')
        text = _("A dot on the line keeps its word: of landmarks stated 80 % sure, 80 of 100 are right.")
        parts.append(f"<p><small>{escape(text)}</small></p>")
    return "\n".join(parts)


def _is_modest(picture: bytes) -> bool:
    if not picture.startswith(_PNG) or not 24 <= len(picture) <= _BYTES:
        return False
    width, height = (int.from_bytes(picture[at : at + 4], "big") for at in (16, 20))
    return 0 < width <= _PIXELS and 0 < height <= _PIXELS

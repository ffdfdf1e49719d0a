"""A bundle with its calibration: the sheet, the reliability diagram, and what was measured in the card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from LandmarkDetectorLib.bundles import Bundle, Card
from LandmarkDetectorLib.bundles.bundle import CARD, METADATA, README
from LandmarkDetectorLib.bundles.calibration import FILE, calibration_bytes
from LandmarkDetectorLib.bundles.card import card_bytes, card_markdown
from LandmarkDetectorLib.bundles.metadata import make_metadata
from LandmarkDetectorLib.bundles.strict_json import to_bytes
from LandmarkDetectorLib.bundles.write import extend_bundle
from LandmarkDetectorLib.inference.calibrate import Calibration

PICTURE = "docs/reliability.png"


def with_calibration(
    bundle: Bundle,
    folder: Path,
    calibration: Calibration | None,
    *,
    tolerance: str = "the tolerance",
    change: dict[str, Any] | None = None,
    files: dict[str, Path | bytes] | None = None,
) -> Bundle:
    """Write a bundle once more with what was measured of it; the weights stay byte for byte.

    Args:
        bundle: to write again.
        folder: where, its own folder included.
        calibration: its sheet and diagrams, if there are any.
        tolerance: in words, for the diagram.
        change: fields of the card that change, such as its errors.
        files: further files.

    Raises:
        BundleError: the card is not valid, or the disk refuses; nothing is left behind.
    """
    new: dict[str, Path | bytes] = dict(files or {})
    change = dict(change or {})
    if calibration is not None:
        new[FILE] = calibration_bytes(calibration.sheet)
        measured = {key: value for key, value in calibration.sheet.measured.items() if value is not None}
        change["figures"] = {**bundle.card.figures, **measured}
        picture = reliability_picture(calibration, tolerance)
        if picture is not None:
            new[PICTURE] = picture
    card = Card.model_validate({**bundle.card.model_dump(), **change})
    new |= {
        CARD: card_bytes(card),
        README: card_markdown(card, PICTURE in new or PICTURE in bundle.manifest.files).encode(),
    }
    new[METADATA] = to_bytes(make_metadata(card), METADATA)
    return extend_bundle(bundle, folder, new, replace=True)


def reliability_picture(calibration: Calibration, tolerance: str = "the tolerance") -> bytes | None:
    """The reliability diagram as PNG; ``None`` where nothing was measured, or matplotlib is not installed."""
    if calibration.before is None or calibration.after is None:
        return None
    try:
        from LandmarkDetectorLib.evaluation.canvas import figure_png
        from LandmarkDetectorLib.evaluation.confidence import reliability_figure

        parts = {"as the networks believe": calibration.before, "calibrated": calibration.after}
        return figure_png(reliability_figure(parts, tolerance), 100)
    except ImportError:
        return None

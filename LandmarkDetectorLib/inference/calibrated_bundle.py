"""A bundle with its calibration: the sheet, the reliability diagram, and what was measured in the card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.calibrated import with_sheet
from LandmarkDetectorLib.inference.calibrate import Calibration


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
        calibration: its sheet and diagrams; ``None`` where nothing was measured now, and a calibration that belongs to
            the bundle stays.
        tolerance: in words, for the diagram.
        change: fields of the card that change, such as its errors.
        files: further files.

    Raises:
        BundleError: the card is not valid, or the disk refuses; nothing is left behind.
    """
    if calibration is None:
        sheet, picture = bundle.calibration(), bundle.reliability_diagram()
    else:
        sheet, picture = calibration.sheet, reliability_picture(calibration, tolerance)
    return with_sheet(bundle, folder, sheet, picture, change=change, files=files)


def reliability_picture(calibration: Calibration, tolerance: str = "the tolerance") -> bytes | None:
    """The reliability diagram as PNG; ``None`` where nothing was measured, or matplotlib is not installed."""
    if calibration.before is None or calibration.after is None:
        return None
    try:
        from LandmarkDetectorLib.evaluation.canvas import figure_png
        from LandmarkDetectorLib.evaluation.confidence import reliability_figure

        parts = {"as the networks believe": calibration.before}
        if calibration.sheet.confidence is not None:
            parts["calibrated"] = calibration.after
        return figure_png(reliability_figure(parts, tolerance), 100)
    except ImportError:
        return None

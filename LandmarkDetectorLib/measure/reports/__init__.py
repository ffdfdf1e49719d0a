"""Measurements into files: tables, markups, a page, a PDF, a DICOM report; the suffix chooses.

    measured = measure_subject(landmarks, ["steiner"], image=image, card=card)
    save_measurements([measured], "steiner.html")

matplotlib, Jinja2, reportlab and highdicom are imported only when a file of theirs is written.
"""

from LandmarkDetectorLib.measure.reports.bars import NormBar, norm_bar
from LandmarkDetectorLib.measure.reports.save import (
    MANY,
    NEEDS,
    SUFFIXES,
    check_can_be_written,
    missing_packages,
    save_measurements,
)

__all__ = [
    "MANY",
    "NEEDS",
    "SUFFIXES",
    "NormBar",
    "check_can_be_written",
    "missing_packages",
    "norm_bar",
    "save_measurements",
]

"""Measurements into files: tables, markups, a page, a PDF, a DICOM report; the suffix chooses.

    measured = measure_subject(landmarks, ["steiner"], image=image, card=card)
    save_measurements([measured], "steiner.html")

matplotlib, Jinja2, reportlab and highdicom are imported only when a file of theirs is written.
"""

from LandmarkDetectorLib.measure.reports.bars import NormBar, norm_bar
from LandmarkDetectorLib.measure.reports.save import MANY, SUFFIXES, check_can_be_written, save_measurements

__all__ = ["MANY", "SUFFIXES", "NormBar", "check_can_be_written", "norm_bar", "save_measurements"]

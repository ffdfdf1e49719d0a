"""How good a detection is, and how it is shown: errors, biometry, figures and the report of one image.

Matplotlib, Pillow and Jinja2 are imported when a figure or a report is made, not before.
"""

from LandmarkDetectorLib.evaluation.biometry import (
    Difference,
    HeadBiometry,
    biometry_errors,
    ellipse_perimeter,
    head_biometry,
)
from LandmarkDetectorLib.evaluation.figures import error_figure, figure_png, overview_figure, overview_views
from LandmarkDetectorLib.evaluation.metrics import LandmarkSummary, Summary, false_finds, radial_errors, summarise
from LandmarkDetectorLib.evaluation.report import render_report
from LandmarkDetectorLib.evaluation.tiles import landmark_strip

__all__ = [
    "Difference",
    "HeadBiometry",
    "LandmarkSummary",
    "Summary",
    "biometry_errors",
    "ellipse_perimeter",
    "error_figure",
    "false_finds",
    "figure_png",
    "head_biometry",
    "landmark_strip",
    "overview_figure",
    "overview_views",
    "radial_errors",
    "render_report",
    "summarise",
]

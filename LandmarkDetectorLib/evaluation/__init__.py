"""How good a detection is, and how it is shown: errors, comparisons, biometry, figures and reports.

Matplotlib, Pillow and Jinja2 are imported when a figure or a report is made, not before; SciPy when it is needed.
"""

from LandmarkDetectorLib.evaluation.biometry import (
    Difference,
    HeadBiometry,
    biometry_errors,
    ellipse_perimeter,
    head_biometry,
)
from LandmarkDetectorLib.evaluation.bland_altman import BlandAltman, bland_altman
from LandmarkDetectorLib.evaluation.comparison import Comparison, PairedDifference, PairedRate, compare_models
from LandmarkDetectorLib.evaluation.coordinates import CoordinateAgreement, coordinate_agreement
from LandmarkDetectorLib.evaluation.distances import false_finds, position_errors, radial_errors
from LandmarkDetectorLib.evaluation.figures import error_figure, figure_png, overview_figure, overview_views
from LandmarkDetectorLib.evaluation.folds import group_folds
from LandmarkDetectorLib.evaluation.instances import (
    InstanceScore,
    InstanceSummary,
    Matching,
    match_instances,
    summarise_instances,
)
from LandmarkDetectorLib.evaluation.metrics import LandmarkSummary, Summary, summarise
from LandmarkDetectorLib.evaluation.observers import ObserverAgreement, mean_position, observer_agreement
from LandmarkDetectorLib.evaluation.report import render_report
from LandmarkDetectorLib.evaluation.tiles import landmark_strip

__all__ = [
    "BlandAltman",
    "Comparison",
    "CoordinateAgreement",
    "Difference",
    "HeadBiometry",
    "InstanceScore",
    "InstanceSummary",
    "LandmarkSummary",
    "Matching",
    "ObserverAgreement",
    "PairedDifference",
    "PairedRate",
    "Summary",
    "biometry_errors",
    "bland_altman",
    "compare_models",
    "coordinate_agreement",
    "ellipse_perimeter",
    "error_figure",
    "false_finds",
    "figure_png",
    "group_folds",
    "head_biometry",
    "landmark_strip",
    "match_instances",
    "mean_position",
    "observer_agreement",
    "overview_figure",
    "overview_views",
    "position_errors",
    "radial_errors",
    "render_report",
    "summarise",
    "summarise_instances",
]

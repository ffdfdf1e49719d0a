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
from LandmarkDetectorLib.evaluation.canvas import figure_jpeg, figure_png
from LandmarkDetectorLib.evaluation.charts import (
    bland_altman_figure,
    comparison_figure,
    cumulative_figure,
    error_figure,
)
from LandmarkDetectorLib.evaluation.comparison import Comparison, PairedDifference, PairedRate, compare_models
from LandmarkDetectorLib.evaluation.coordinates import CoordinateAgreement, coordinate_agreement
from LandmarkDetectorLib.evaluation.distances import false_finds, position_errors, radial_errors
from LandmarkDetectorLib.evaluation.evaluation_report import render_evaluation
from LandmarkDetectorLib.evaluation.figures import overview_figure, overview_views
from LandmarkDetectorLib.evaluation.folds import group_folds
from LandmarkDetectorLib.evaluation.inspection import inspection_figure, slices_figure
from LandmarkDetectorLib.evaluation.instances import (
    InstanceScore,
    InstanceSummary,
    Matching,
    match_instances,
    summarise_instances,
)
from LandmarkDetectorLib.evaluation.metrics import LandmarkSummary, Summary, summarise
from LandmarkDetectorLib.evaluation.observers import ObserverAgreement, mean_position, observer_agreement
from LandmarkDetectorLib.evaluation.prediction import prediction_figure
from LandmarkDetectorLib.evaluation.report import render_report
from LandmarkDetectorLib.evaluation.standing import Standing, stand
from LandmarkDetectorLib.evaluation.standing_report import render_standing
from LandmarkDetectorLib.evaluation.tiles import landmark_strip
from LandmarkDetectorLib.evaluation.worst import error_tiles, worst_errors, worst_figure, worst_of_each

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
    "Standing",
    "Summary",
    "biometry_errors",
    "bland_altman",
    "bland_altman_figure",
    "compare_models",
    "comparison_figure",
    "coordinate_agreement",
    "cumulative_figure",
    "ellipse_perimeter",
    "error_figure",
    "error_tiles",
    "false_finds",
    "figure_jpeg",
    "figure_png",
    "group_folds",
    "head_biometry",
    "inspection_figure",
    "landmark_strip",
    "match_instances",
    "mean_position",
    "observer_agreement",
    "overview_figure",
    "overview_views",
    "position_errors",
    "prediction_figure",
    "radial_errors",
    "render_evaluation",
    "render_report",
    "render_standing",
    "slices_figure",
    "stand",
    "summarise",
    "summarise_instances",
    "worst_errors",
    "worst_figure",
    "worst_of_each",
]

"""From landmarks to measurements: definitions as data, values with their uncertainty, norms with their sources.

    results = measure(landmarks, "steiner")
    for result in results:
        print(result.title, result.view, result.text, result.deviation, result.notes)

Importing it needs NumPy, PyYAML and pydantic; SciPy is imported when an ellipse is measured.
"""

from LandmarkDetectorLib.measure.formula import Formula, Scope, read_formula
from LandmarkDetectorLib.measure.geometry import (
    angle_at,
    angle_between,
    centroid_size,
    distance,
    distance_to_line,
    distance_to_plane,
    intersection,
    mid_sagittal_plane,
    midpoint,
    plane_through,
    project_on_line,
    project_on_plane,
    signed_angle,
)
from LandmarkDetectorLib.measure.measuring import measure
from LandmarkDetectorLib.measure.results import Interval, Result
from LandmarkDetectorLib.measure.schema import Definition, Measurement, Norm
from LandmarkDetectorLib.measure.sets import (
    MeasurementSet,
    Suggestion,
    build_set,
    distance_set,
    load_set,
    measure_sets,
    suggest_sets,
)
from LandmarkDetectorLib.measure.values import Shape

__all__ = [
    "Definition",
    "Formula",
    "Interval",
    "Measurement",
    "MeasurementSet",
    "Norm",
    "Result",
    "Scope",
    "Shape",
    "Suggestion",
    "angle_at",
    "angle_between",
    "build_set",
    "centroid_size",
    "distance",
    "distance_set",
    "distance_to_line",
    "distance_to_plane",
    "intersection",
    "load_set",
    "measure",
    "measure_sets",
    "mid_sagittal_plane",
    "midpoint",
    "plane_through",
    "project_on_line",
    "project_on_plane",
    "read_formula",
    "signed_angle",
    "suggest_sets",
]

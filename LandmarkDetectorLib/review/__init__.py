"""Corrections: what people say of proposals, kept so that it is never lost and never mistaken for a prediction.

>>> from LandmarkDetectorLib.review import Correction, ReviewStore
>>> store = ReviewStore.create("reviews")  # doctest: +SKIP
>>> case = store.add_image("skull.nii.gz")  # doctest: +SKIP
>>> store.add_proposal(case, detection.landmarks)  # doctest: +SKIP
>>> store.record(case, "anna", Correction("nasion", "corrected", (1.0, 2.0, 3.0), seconds=4))  # doctest: +SKIP
"""

from LandmarkDetectorLib.review.case import CONSENSUS
from LandmarkDetectorLib.review.checks import Finding
from LandmarkDetectorLib.review.errors import ReviewError
from LandmarkDetectorLib.review.export import Exported
from LandmarkDetectorLib.review.importing import Imported
from LandmarkDetectorLib.review.index import CaseRow
from LandmarkDetectorLib.review.queue import Waiting
from LandmarkDetectorLib.review.state import (
    ABSENT,
    CONFIRMED,
    CORRECTED,
    LATEST,
    NOT_FOUND,
    REVIEWED,
    STATUSES,
    UNREVIEWED,
    Correction,
    Entry,
    Proposal,
    ReviewState,
)
from LandmarkDetectorLib.review.store import ReviewStore

__all__ = [
    "ABSENT",
    "CONFIRMED",
    "CONSENSUS",
    "CORRECTED",
    "LATEST",
    "NOT_FOUND",
    "REVIEWED",
    "STATUSES",
    "UNREVIEWED",
    "CaseRow",
    "Correction",
    "Entry",
    "Exported",
    "Finding",
    "Imported",
    "Proposal",
    "ReviewError",
    "ReviewState",
    "ReviewStore",
    "Waiting",
]

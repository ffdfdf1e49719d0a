"""Subjects that were made: a head in a picture with its image, a head in a volume, a fetal head."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkSet
from LandmarkDetectorLib.measure import load_set
from LandmarkDetectorLib.measure.subject import Measured, Reviewed, measure_subject
from Testing.measure.made import cephalogram, picture, sagittal
from Testing.measure.test_known_values import FETUS

CARD: dict[str, Any] = {
    "name": "toy-ceph",
    "version": "1.2.0",
    "title": "Cephalogram of a toy",
    "description": "Made for tests <not for people>.",
    "modality": "X-ray",
    "landmarks": [],
    "training_data": {"name": "no data", "citation": "nobody", "licence": "CC0-1.0", "subjects": 7},
    "licence": "CC0-1.0",
    "credit": "Nobody.",
    "intended_use": "Tests.",
    "created": "2025-01-01",
    "fingerprint": "f" * 64,
    "limits": ["Heads that are not made."],
    "not_tested_on": ["Children & adults"],
    "errors": {
        "protocol": "Held-out toys.",
        "mean": 1.25,
        "median": 1.0,
        "p95": 3.5,
        "unit": "mm",
        "per_landmark": {"Sella": {"mean": 0.6321, "p95": 1.5, "n": 9}},
    },
}


def ceph_marks(sd: float | None = 0.8, unit: str = "mm") -> LandmarkSet:
    """A head in a picture, moved to where its image lies; without the apex of the lower incisor."""
    made = picture(load_set("steiner"), cephalogram(), sd=sd, unit=unit)
    marks = [
        replace(m, position=m.position + [60, 60], confidence=0.5 + 0.01 * i)
        for i, m in enumerate(made)
        if m.label != "Lower incisor apex"
    ]
    info = {"bundle": "toy-ceph", "version": "1.2.0", "fingerprint": "f" * 64}
    return LandmarkSet(tuple(marks), unit, "head", info)


def ceph_image(unit: str = "mm") -> Image:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 255, (1, 400, 360)).astype(np.uint8)
    return Image(values, Grid.regular((360, 400), 0.5, unit), "head")


def head(reviewed: Reviewed | None = None, *, sets: tuple[str, ...] = ("steiner",), **how: Any) -> Measured:
    """A cephalogram with its picture and its model's card."""
    return measure_subject(ceph_marks(), sets, image=ceph_image(), card=CARD, reviewed=reviewed, subject="head", **how)


def solid_head(*, sets: tuple[str, ...] = ("steiner",), **how: Any) -> Measured:
    """A head in a volume that lies askew in the world, in both views."""
    marks = sagittal(load_set("steiner"), cephalogram(), sd=0.5)
    direction = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])
    grid = Grid((60, 50, 55), (3.5, 3.5, 4.0), (-80.0, -110.0, 60.0), direction)
    image = Image(np.random.default_rng(0).normal(0, 1, (1, 55, 50, 60)).astype(np.float32), grid, "volume")
    return measure_subject(marks, sets, image=image, subject="volume", **how)


def fetus(reviewed: Reviewed | None = None) -> Measured:
    """A fetal head, whose measurements have codes of LOINC."""
    return measure_subject(
        picture(load_set("fetal-head"), FETUS, sd=1.0), ["fetal-head"], reviewed=reviewed, subject="f"
    )


def one_missing(marks: LandmarkSet, label: str) -> LandmarkSet:
    return replace(marks, landmarks=tuple(Landmark(m.label) if m.label == label else m for m in marks))

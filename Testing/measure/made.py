"""Heads, pelves, spines and brains that are made, so that every measurement of them is known beforehand.

Lateral and frontal pictures are made in the complex plane, x forwards (or to the patient's left) and y up; what is
expected of them is worked out there, by phases of complex numbers, and shares nothing with the code that is tested.
"""

from __future__ import annotations

import cmath
import math

import numpy as np

from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.measure import MeasurementSet


def ray(degrees: float) -> complex:
    return cmath.rect(1.0, math.radians(degrees))


def turn(first: complex, second: complex) -> float:
    """The angle from one direction to another, counterclockwise positive."""
    return math.degrees(cmath.phase(second / first))


def angle(first: complex, second: complex) -> float:
    return abs(turn(first, second))


def ahead(place: complex, start: complex, end: complex) -> float:
    """How far a place lies to the left of the line from start to end: ahead, for a line that runs down."""
    return ((place - start) * (end - start).conjugate()).imag / abs(end - start)


def cephalogram() -> dict[str, complex]:
    """A head whose Steiner values are 82, 80, 2, 32, 14, 22 and 4, 25 and 4, 131; Frankfort horizontal 7° to S-N."""
    n = 70 + 0j
    down_a, down_b = ray(262), ray(260)  # 180° + SNA, 180° + SNB
    upper = n + 75 * down_a + 4 * 1j * down_a
    lower = n + 76 * down_b + 4 * 1j * down_b
    go, po = -5 - 75j, -15 - 20j
    front = (upper + lower) / 2
    molar = front - 30 * ray(-14)
    premolar = molar + 20 * ray(-12)
    return {
        "S": 0j,
        "N": n,
        "A": n + 60 * down_a,
        "B": n + 100 * down_b,
        "Pog": n + 110 * down_b + 3 * 1j * down_b,
        "Go": go,
        "Gn": go + 70 * ray(-32),
        "Me": go + 66 * ray(-34),
        "Po": po,
        "Or": po + 75 * ray(-7),
        "U1": upper,
        "U1_apex": upper - 22 * ray(262 + 22),
        "L1": lower,
        "L1_apex": lower - 22 * ray(80 - 25),
        "U6": molar + 1j,
        "L6": molar - 1j,
        "U4": premolar + 1j,
        "L4": premolar - 1j,
        "Ba": -20 - 45j,
        "Pt": 20 - 22j,
        "Xi": 5 - 55j,
        "Dc": -7 - 25j,
        "Co": -9 - 18j,
        "Ar": -15 - 33j,
        "Pm": 52 - 103j,
        "ANS": 68 - 48j,
        "PNS": 20 - 50j,
        "Prn": 97 - 40j,
        "Pog_soft": 63 - 112j,
        "LL": 80 - 85j,
        "UL": 84 - 70j,
        "Sn": 80 - 55j,
    }


def lateral_spine() -> dict[str, complex]:
    """A standing spine: sacral slope 40°, pelvic tilt 12°, incidence 52°, lordosis 55°, kyphosis 35°, SVA 25 mm."""
    s1p = 0j
    s1a = s1p + 50 * ray(-40)
    middle = (s1p + s1a) / 2
    hips = middle - 100 * ray(90 + 12)
    l1p, t12p, t4p = 5 + 180j, 0 + 190j, -25 + 400j
    return {
        "S1p": s1p,
        "S1a": s1a,
        "F": hips,
        "L1p": l1p,
        "L1a": l1p + 35 * ray(-40 + 55),
        "T12p": t12p,
        "T12a": t12p + 33 * ray(12),
        "T4p": t4p,
        "T4a": t4p + 25 * ray(12 - 35),
        "C7": 25 + 480j,
    }


def bilateral(places: dict[str, complex], apart: float = 40.0) -> dict[tuple[str, str], complex]:
    """A frontal picture that is symmetric to x = 0: each left place and its mirror image."""
    sides = {("left", 1): 1, ("right", -1): -1}
    return {
        (name, side): complex(sign * (place.real + apart), place.imag)
        for name, place in places.items()
        for side, sign in sides
    }


def frontal_hips() -> dict[str, complex]:
    """A left hip with centre-edge angle 30°, index 10°, Sharp's angle 41° and a varus of 3°; see bilateral."""
    centre, edge = 50 + 0j, 50 + 28 * ray(90 - 30)
    knee = centre + 400 * ray(-91)
    return {
        "F": centre,
        "E": edge,
        "M": edge - 30 * ray(10),
        "T": edge - 55 * ray(41),
        "K": knee,
        "An": knee + 380 * ray(-91 - 3),
    }


def picture(
    measurements: MeasurementSet, places: dict, *, mirrored: bool = False, unit: str = "mm", sd: float | None = None
) -> LandmarkSet:
    """A 2D set, rows running down; ``places`` by name, or by name and side."""
    flip = -1 if mirrored else 1
    return build(measurements, {key: (flip * z.real, -z.imag) for key, z in places.items()}, unit=unit, sd=sd)


def sagittal(
    measurements: MeasurementSet, places: dict[str, complex], *, half_width: float = 45.0, sd: float | None = None
) -> LandmarkSet:
    """A 3D set in LPS whose landmarks of the midline lie at x = 0 and the others to the left and to the right."""
    found: dict = {}
    for name, z in places.items():
        if measurements.landmarks[name].bilateral:
            found[name, "left"] = (half_width, -z.real, z.imag)
            found[name, "right"] = (-half_width, -z.real, z.imag)
        else:
            found[name] = (0.0, -z.real, z.imag)
    return build(measurements, found, sd=sd)


def frontal(measurements: MeasurementSet, places: dict, *, depth: float = 0.0) -> LandmarkSet:
    """A 3D set in LPS of a frontal picture, x to the patient's left."""
    return build(measurements, {key: (z.real, depth, z.imag) for key, z in places.items()})


def build(measurements: MeasurementSet, places: dict, *, unit: str = "mm", sd: float | None = None) -> LandmarkSet:
    """Landmarks with the titles of a set."""
    marks = []
    for key, position in places.items():
        name, side = key if isinstance(key, tuple) else (key, None)
        label = measurements.landmarks[name].title + (f" {side}" if side else "")
        covariance = None if sd is None else sd**2 * np.eye(len(position))
        marks.append(Landmark(label, position, covariance=covariance))
    return LandmarkSet(tuple(marks), unit=unit)


def moved(landmarks: LandmarkSet, matrix: np.ndarray, shift: np.ndarray) -> LandmarkSet:
    """The landmarks turned by a matrix (d, d) and shifted."""
    return LandmarkSet(
        tuple(
            Landmark(
                mark.label,
                matrix @ mark.position + shift,
                covariance=None if mark.covariance is None else matrix @ mark.covariance @ matrix.T,
            )
            for mark in landmarks
        ),
        landmarks.unit,
    )

"""The language of formulas: what it computes, what it refuses, and that nothing of Python leaks through it."""

from __future__ import annotations

import re

import numpy as np
import pytest

from LandmarkDetectorLib.core import MeasurementError
from LandmarkDetectorLib.measure import Scope, read_formula
from LandmarkDetectorLib.measure.formula import Environment
from LandmarkDetectorLib.measure.functions import FUNCTIONS
from LandmarkDetectorLib.measure.values import ANGLE, AREA, LENGTH, PLAIN, PLANE

PLACES = {"A": (0, 0, 0), "B": (3, 0, 0), "C": (3, 4, 0), "D": (0, 0, 12), "P": (1, 1, 1)}
SCOPE = Scope(dict.fromkeys(PLACES, False) | {"Go": True}, {})


def value(text: str, scope: Scope = SCOPE) -> float:
    def place(name: str, side: str | None) -> np.ndarray:
        if name == "Go":
            return np.array([[{"left": 10.0, "right": -4.0, None: 3.0}[side], 0, 0]])
        return np.array([PLACES[name]], dtype=float)

    formula = read_formula(text, scope)
    return float(np.ravel(formula.compute(Environment(place, np.array([[0, 0, 1.0]]))))[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("distance(A, C)", 5),
        ("100 * distance(A, B) / distance(B, C)", 75),
        ("distance(A, B) ** 2 + distance(B, C) ** 2 - distance(A, C) ** 2", 0),
        ("angle(A, B, C)", 90),
        ("degrees(180) - angle(A, B, C)", 90),
        ("-distance(A, B)", -3),
        ("abs(distance(A, B) - distance(B, C))", 1),
        ("max(distance(A, B), distance(B, C)) - min(distance(A, B), distance(B, C))", 1),
        ("angle(line(A, B), line(C, B))", 90),
        ("angle(line(A, D), plane(A, B, C))", 90),
        ("angle(plane(A, B, C), plane(A, C, B))", 0),
        ("distance(D, line(A, B))", 12),
        ("distance(D, plane(A, B, C))", 12),
        ("signed_distance(D, plane(A, B, C))", 12),
        ("signed_distance(D, plane(A, C, B))", -12),
        ("signed_distance(P, plane(A, C, B), D)", 1),
        ("signed_distance(P, line(A, B), C)", 1),
        ("signed_distance(B, perpendicular(line(A, C), A))", 9 / 5),
        ("along(A, P, line(B, C))", 1),
        ("along(A, P, line(C, B))", -1),
        ("along(A, C, level(line(A, P), up))", 7 / 2**0.5),
        ("signed_angle(line(A, B), line(A, C), C)", np.degrees(np.arctan2(4, 3))),
        ("signed_angle(up, line(A, D), line(A, B))", 0),
        ("signed_angle(line(A, B), line(A, P), up)", np.degrees(np.arccos(1 / 3**0.5))),
        ("signed_angle(line(B, A), line(D, A), up)", -90),
        ("angle(line(A, B), up)", 90),
        ("angle(line(A, D), normal(plane(A, B, C)))", 0),
        ("distance(project(P, line(A, B)), A)", 1),
        ("distance(project(P, plane(A, B, C)), A)", 2**0.5),
        ("distance(intersection(line(A, B), line(C, B)), B)", 0),
        ("distance(midpoint(A, B, C), A)", np.hypot(2, 4 / 3)),
        ("circumference(ellipse(A, B, A, B))", 3 * np.pi),
        ("area(ellipse(A, B, B, C))", 3 * np.pi),
        ("centroid_size(A, B)", 3 / 2**0.5),
        ("distance(left(Go), right(Go))", 14),
        ("distance(Go, A)", 3),
        ("in_cm(distance(A, C)) + in_mm(distance(A, B))", 3.5),
    ],
)
def test_a_formula_gives_what_it_gives_by_hand(text, expected):
    assert value(text) == pytest.approx(expected, abs=1e-9)


def test_every_function_is_computed_above():
    table = test_a_formula_gives_what_it_gives_by_hand.pytestmark[0].args[1]
    assert {name for name in FUNCTIONS if any(f"{name}(" in text for text, _ in table)} == set(FUNCTIONS)


@pytest.mark.parametrize("of", ["perpendicular(line(B, C), D), D", "plane(A, C, D), C", "line(P, D), D"])
def test_what_lies_on_a_line_or_plane_names_no_side_of_it_and_the_distance_is_not_0(of):
    assert np.isnan(value(f"signed_distance(B, {of})"))


def test_a_formula_knows_its_kind_and_what_it_needs():
    formula = read_formula("angle(line(A, B), line(left(Go), Go))", SCOPE)
    assert formula.kind == ANGLE
    assert formula.needs == (("A", None), ("B", None), ("Go", "left"), ("Go", None))
    assert read_formula("distance(A, B) * distance(A, C)", SCOPE).kind == AREA
    assert read_formula("distance(A, B) / distance(A, C)", SCOPE).kind == PLAIN
    assert read_formula("plane(A, B, C)", SCOPE).kind == PLANE
    assert read_formula("distance(A, B)", SCOPE).kind == LENGTH
    assert read_formula("distance(A, B) - distance(A, C)", SCOPE).signed
    assert not read_formula("distance(A, B) + distance(A, C)", SCOPE).signed
    assert read_formula("-2 * distance(A, B)", SCOPE).signed
    assert read_formula("along(A, B, line(A, C))", SCOPE).signed
    assert read_formula("angle(line(A, B), up)", SCOPE).upright


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("distance(A, B) + angle(A, B, C)", "joins a length with an angle"),
        ("distance(A, B) + 1", "joins a length with a plain number"),
        ("distance(A)", "it was given a landmark"),
        ("distance()", "given nothing"),
        ("distance(A, Q)", "'Q' is neither a landmark"),
        ("length(A, B)", "there is no function 'length'"),
        ("left(A)", "A is not bilateral"),
        ("left(line(A, B))", "name of one landmark"),
        ("A + B", "arithmetic takes numbers and was given a landmark"),
        ("min(distance(A, B), angle(A, B, C))", "2 numbers of one kind"),
        ("distance(A, B) ** 9", "a whole number from 1 to 6"),
        ("2 ** distance(A, B)", "not allowed"),
        ("distance(A, B) % 2", "not allowed"),
        ("", "is no formula"),
        ("distance(A, B", "is no formula"),
        ("1; 2", "is no formula"),
        ("distance(A, B) " + "+ distance(A, B) " * 200, "longer than"),
    ],
)
def test_what_cannot_be_joined_or_is_not_known_is_refused_with_its_reason(text, why):
    with pytest.raises(MeasurementError, match=re.escape(why)):
        read_formula(text, SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "().__class__",
        "A.__class__",
        "(lambda: 0)()",
        "[x for x in A]",
        "A if B else C",
        "A[0]",
        "distance(*[A, B])",
        "distance(A, b=B)",
        "'text'",
        "True",
        "f'{A}'",
        "(y := A)",
        "1 < 2",
        "not A",
        "1j",
        "(" * 300 + "A" + ")" * 150,
    ],
)
def test_nothing_of_python_but_names_calls_and_arithmetic_is_let_through(text):
    with pytest.raises(MeasurementError):
        read_formula(text, SCOPE)


def test_a_huge_number_is_not_computed_and_stops_nothing():
    with np.errstate(all="ignore"):
        assert np.isinf(value("((9e99 ** 6) ** 6) ** 6"))
        assert np.isnan(value("distance(A, B) / distance(A, A)"))


def test_a_named_part_is_computed_once_and_drawn_by_everybody_who_uses_it():
    counted = []
    part = read_formula("angle(A, B, C)", SCOPE)
    scope = Scope(SCOPE.landmarks, {"corner": part})
    formula = read_formula("corner + corner", scope)

    def place(name: str, side: str | None) -> np.ndarray:
        counted.append(name)
        return np.array([PLACES[name]], dtype=float)

    env = Environment(place, np.array([[0, 0, 1.0]]))
    assert formula.compute(env) == pytest.approx([180])
    assert counted == ["A", "B", "C"]
    assert [shape.kind for shape in env.trace.shapes] == ["angle", "angle"]
    assert formula.uses == {"corner"}

"""Formulas: a small language of landmarks, functions and arithmetic, read once and computed often.

``angle(S, N, A)``, ``100 * distance(A, B) / distance(C, D)``, ``90`` as an angle is ``degrees(90)``. Python's own
parser reads it into a tree; what the tree may hold is listed here and everything else is refused, so that a file of
definitions cannot run anything. Each part has a kind (a landmark, a line, a length, an angle ...) that is checked when
the formula is read: a length added to an angle is an error of the file and not a number in a report.
"""

from __future__ import annotations

import ast
import keyword
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import MeasurementError
from LandmarkDetectorLib.measure.functions import FUNCTIONS, Trace
from LandmarkDetectorLib.measure.values import DIRECTION, PLACE, PLAIN, Direction, Kind

SIDES = ("left", "right")
UP = "up"
ANY_NUMBER = {"abs": (np.abs, 1), "min": (np.minimum, 2), "max": (np.maximum, 2)}
RESERVED = {*FUNCTIONS, *SIDES, *ANY_NUMBER, UP}
LONGEST = 2000

Need = tuple[str, str | None]
"""A landmark that a formula needs: its name, and its side where the formula says one."""


@dataclass(frozen=True)
class Formula:
    """A formula that was read.

    Attributes:
        kind: of its value.
        needs: the landmarks, in the order in which they are first named.
        compute: gives its value in an environment.
        signed: whether the value can be negative.
        upright: whether it is relative to the image's or the patient's vertical.
        solid: whether it needs three dimensions.
        millimetres: whether it needs a physical scale.
        uses: the constructions, choices and measurements that it names, those that these name, and ``up``.
    """

    kind: Kind
    needs: tuple[Need, ...]
    compute: Callable[[Environment], Any]
    signed: bool = False
    upright: bool = False
    solid: bool = False
    millimetres: bool = False
    uses: frozenset[str] = frozenset()


@dataclass
class Environment:
    """Where the names of a formula get their values for B landmark sets at once.

    Attributes:
        place: gives the positions (B, d) of a landmark by name and side.
        up: (B, d) unit vectors to the top of the picture, or to the patient's head.
        known: values of constructions that were computed already.
        trace: what was drawn since it was last emptied.
    """

    place: Callable[[str, str | None], np.ndarray]
    up: np.ndarray
    known: dict[str, Any] = field(default_factory=dict)
    trace: Trace = field(default_factory=Trace)


@dataclass(frozen=True)
class Scope:
    """What a formula may name: landmarks (and whether they are bilateral), and what was defined before it."""

    landmarks: Mapping[str, bool]
    defined: Mapping[str, Formula]


def is_name(text: str) -> bool:
    """Whether a formula can call something by this word."""
    return text.isidentifier() and not keyword.iskeyword(text) and text not in RESERVED


def read_formula(text: str, scope: Scope) -> Formula:
    """Read a formula.

    Raises:
        MeasurementError: it is no formula, names what is not defined, or joins what cannot be joined.
    """
    if len(text) > LONGEST:
        raise MeasurementError(f"a formula of {len(text)} characters is longer than {LONGEST}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _read(tree.body, scope)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise MeasurementError(f"{text!r} is no formula ({type(error).__name__})") from error


def _read(node: ast.expr, scope: Scope) -> Formula:
    """A part of the tree, by what it may be."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        number = np.float64(node.value)  # NumPy's, which overflows to inf and raises nothing
        return Formula(PLAIN, (), lambda _: number)
    if isinstance(node, ast.Name):
        return _read_name(node.id, scope)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
        return _read_call(node.func.id, node.args, scope)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        part = _number(_read(node.operand, scope), "-")
        return _join([part], part.kind, lambda a: -a, signed=True)
    if isinstance(node, ast.BinOp):
        return _read_operation(node, scope)
    raise MeasurementError(
        f"{ast.unparse(node)!r} is not allowed in a formula; it knows names, calls, numbers, + - * / **"
    )


def _read_name(name: str, scope: Scope) -> Formula:
    if name == UP:
        return Formula(DIRECTION, (), lambda env: Direction(env.up), upright=True, uses=frozenset({UP}))
    if name in scope.landmarks:
        return Formula(PLACE, ((name, None),), lambda env: env.place(name, None))
    if name in scope.defined:
        part = scope.defined[name]

        def remember(env: Environment) -> Any:
            if name not in env.known:
                # What it draws belongs to whoever asks first; the others draw it again from here.
                before, env.trace.shapes = env.trace.shapes, []
                env.known[name] = (part.compute(env), env.trace.shapes)
                env.trace.shapes = before
            value, shapes = env.known[name]
            env.trace.shapes += shapes
            return value

        return replace(part, compute=remember, uses=part.uses | {name})
    raise MeasurementError(f"{name!r} is neither a landmark of the set nor defined before")


def _read_call(name: str, arguments: list[ast.expr], scope: Scope) -> Formula:
    if name in SIDES:
        return _read_side(name, arguments, scope)
    parts = [_read(argument, scope) for argument in arguments]
    if name in ANY_NUMBER:
        compute, count = ANY_NUMBER[name]
        if len(parts) != count or len({_number(part, name).kind for part in parts}) != 1:
            raise MeasurementError(f"{name} takes {count} numbers of one kind")
        return _join(parts, parts[0].kind, compute, signed=name != "abs" and any(part.signed for part in parts))
    if name not in FUNCTIONS:
        raise MeasurementError(f"there is no function {name!r}; there are {', '.join(sorted(RESERVED - {UP}))}")
    kinds = [part.kind for part in parts]
    fitting = [function for function in FUNCTIONS[name] if function.fits(kinds)]
    if not fitting:
        ways = "; or ".join(", ".join(map(str, f.takes)) + (" and so on" if f.many else "") for f in FUNCTIONS[name])
        raise MeasurementError(f"{name} takes {ways}; it was given {', '.join(map(str, kinds)) or 'nothing'}")
    function = fitting[0]
    whole = _join(parts, function.gives, None, signed=function.signed or any(p.signed for p in parts))
    computes = [part.compute for part in parts]

    def call(env: Environment) -> Any:
        return function.compute(env.trace, *[compute(env) for compute in computes])

    return replace(
        whole,
        compute=call,
        upright=any(part.upright for part in (parts[:-1] if function.sided else parts)),
        solid=whole.solid or function.solid,
        millimetres=whole.millimetres or function.millimetres,
    )


def _read_side(side: str, arguments: list[ast.expr], scope: Scope) -> Formula:
    if len(arguments) != 1 or not isinstance(arguments[0], ast.Name) or arguments[0].id not in scope.landmarks:
        raise MeasurementError(f"{side} takes the name of one landmark")
    name = arguments[0].id
    if not scope.landmarks[name]:
        raise MeasurementError(f"{name} is not bilateral, so it has no {side} one")
    return Formula(PLACE, ((name, side),), lambda env: env.place(name, side))


def _read_operation(node: ast.BinOp, scope: Scope) -> Formula:
    left, right = _read(node.left, scope), _read(node.right, scope)
    a, b = _number(left, "arithmetic").kind, _number(right, "arithmetic").kind
    if isinstance(node.op, (ast.Add, ast.Sub)):
        if a != b:
            raise MeasurementError(f"{ast.unparse(node)!r} joins {a} with {b}")
        signed = isinstance(node.op, ast.Sub) or left.signed or right.signed
        return _join([left, right], a, np.add if isinstance(node.op, ast.Add) else np.subtract, signed=signed)
    if isinstance(node.op, ast.Mult):
        return _join([left, right], Kind("number", a.lengths + b.lengths, a.angles + b.angles), np.multiply)
    if isinstance(node.op, ast.Div):
        return _join([left, right], Kind("number", a.lengths - b.lengths, a.angles - b.angles), _divide)
    if isinstance(node.op, ast.Pow) and isinstance(node.right, ast.Constant) and type(node.right.value) is int:
        power = node.right.value
        if 1 <= power <= 6:
            kind = Kind("number", a.lengths * power, a.angles * power)
            return _join([left], kind, partial(_power, power), signed=left.signed and power % 2 == 1)
        raise MeasurementError(f"{ast.unparse(node)!r}: a power is a whole number from 1 to 6")
    raise MeasurementError(f"{ast.unparse(node)!r} is not allowed in a formula; it knows + - * / ** and whole powers")


def _power(power: int, value: np.ndarray) -> np.ndarray:
    return value**power


def _divide(value: Any, by: Any) -> np.ndarray:
    return value / np.where(by == 0, np.nan, by)


def _number(part: Formula, where: str) -> Formula:
    if part.kind.word != "number":
        raise MeasurementError(f"{where} takes numbers and was given {part.kind}")
    return part


def _join(parts: list[Formula], kind: Kind, compute: Callable[..., Any] | None, signed: bool | None = None) -> Formula:
    """A formula of parts: it needs what they need, and computes on their values."""
    computes = [part.compute for part in parts]

    def apply(env: Environment) -> Any:
        assert compute is not None
        return compute(*[part(env) for part in computes])

    return Formula(
        kind,
        tuple(dict.fromkeys(need for part in parts for need in part.needs)),
        apply,
        any(part.signed for part in parts) if signed is None else signed,
        any(part.upright for part in parts),
        any(part.solid for part in parts),
        any(part.millimetres for part in parts),
        frozenset().union(*[part.uses for part in parts]),
    )

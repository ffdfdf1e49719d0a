"""The table beside landmarker names modules and tests that are there, and none of its rows is open."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "toolkit" / "landmarker.md").read_text("utf-8")
NAMED_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
MODULE = re.compile(r"`([\w/]+\.py)`")
PARTS = (
    *("Heatmap generators", "Decoders", "Data sets", "Transforms", "Losses", "Networks", "Schedule", "Uncertainty"),
    *("Metrics", "Pictures"),
)


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / "Testing" / file).read_text("utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def rows() -> list[list[str]]:
    """Cells of every row below a head of the parts."""
    parts = PAGE[PAGE.index("\n## ") :]
    lines = [line for line in parts.splitlines() if line.startswith("| ")]
    table = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in table if row[-1] != "test"]


def test_every_test_that_the_table_names_is_there():
    named = NAMED_TEST.findall(PAGE)
    assert len(named) > 100
    assert [f"{file}::{name}" for file, name in named if name not in functions_of(file)] == []


def test_every_module_that_the_table_names_is_there():
    modules = MODULE.findall(PAGE)
    assert len(modules) > 50
    there = (ROOT / "LandmarkDetectorLib", ROOT, ROOT / "Testing")
    assert [name for name in modules if not any((place / name).is_file() for place in there)] == []


def test_no_row_is_open_but_what_is_said_to_be_missing():
    assert all(len(row) == 3 for row in rows())
    assert [row[0] for row in rows() if not NAMED_TEST.search(row[2]) and row[1] != "**not yet**"] == []


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_landmarker_has_a_table(part):
    assert re.search(rf"^## {part}\n\n(?:[^|#].*\n+)*\|", PAGE, re.MULTILINE)

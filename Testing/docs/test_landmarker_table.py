"""The table beside landmarker names modules and tests that are there, and its figures are measured; no row is open."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from LandmarkDetectorLib.heatmaps import decoder_names, generator_names

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "toolkit" / "landmarker.md").read_text("utf-8")
BESIDE = (ROOT / "benchmarks" / "results" / "beside-landmarker.md").read_text("utf-8")
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


def test_no_row_is_open():
    assert all(len(row) in (3, 4) for row in rows())
    assert [row[0] for row in rows() if not NAMED_TEST.search(row[-1])] == []


def test_figures_of_both_sides_are_those_that_were_measured():
    lines = [line.strip("|").split(" | ") for line in BESIDE.splitlines() if line.startswith("| ")]
    measured = {line[0].strip(): f"{line[2].strip()} → {line[3].strip()}" for line in lines if line[0] != " row"}
    measured.pop("---", None)
    told = {row[0].removesuffix(" ▤"): row[2] for row in rows() if len(row) == 4}
    assert {what: told.get(what) for what in measured} == measured
    assert {figure for what, figure in told.items() if what not in measured} <= {"▤", "–"}


def test_every_fault_of_theirs_is_shown_or_measured_by_the_benchmark():
    faults = PAGE.split("| wrong there |")[1:]
    shown = [line for part in faults for line in part.split("\n\n")[0].splitlines()[2:]]
    assert len(shown) > 40
    assert [line for line in shown if "→" not in line and "▤" not in line and "CUDA" not in line] == []


def test_the_benchmark_has_every_generator_and_decoder():
    text = (ROOT / "benchmarks" / "heatmap_rows.py").read_text("utf-8")
    assert [name for name in decoder_names() if f'"{name}"' not in text] == []
    assert [name for name in generator_names() if f"{name.capitalize()}Heatmaps" not in text] == []


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_landmarker_has_a_table(part):
    assert re.search(rf"^## {part}\n\n(?:[^|#].*\n+)*\|", PAGE, re.MULTILINE)

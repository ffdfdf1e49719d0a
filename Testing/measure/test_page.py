"""The page about measurements names every set and every function, and its example is a set that loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from LandmarkDetectorLib.measure import build_set, measure, measure_sets
from LandmarkDetectorLib.measure.formula import RESERVED
from Testing.measure.made import cephalogram, picture

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "measure" / "README.md").read_text("utf-8")


def test_the_page_names_every_set_and_no_other():
    assert sorted(re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE)) == measure_sets()


def test_the_page_names_every_function():
    code = PAGE[PAGE.index("A formula knows") :]
    assert [name for name in sorted(RESERVED) if not re.search(rf"[`(, ]{name}[`(,)]", code)] == []


def test_the_example_of_the_page_is_a_set():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    own = build_set(yaml.safe_load(text), "airway")
    head = cephalogram()
    result = measure(picture(own, head | {"Ph": head["PNS"] - 25 * (head["Or"] - head["Po"]) / 75}), own)[0]
    assert (result.value, result.deviation) == (pytest.approx(25), pytest.approx(-1 / 3))

"""What the pages share: one head for all, numbers as a person reads them, rows of figures under headings in words."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkDetectorError
from LandmarkDetectorLib.evaluation.page import chance, digits_of, interval, known, number, report_packages
from LandmarkDetectorLib.evaluation.page_table import PAIRED, SUMMARY, figure_table
from LandmarkDetectorLib.evaluation.promotion import decide
from LandmarkDetectorLib.evaluation.promotion_page import render_promotion

ROOMS = Path(__file__).resolve().parents[2] / "LandmarkDetectorLib"
TEMPLATES = sorted(path for path in ROOMS.rglob("templates/*.html") if path.name not in ("base.html", "parts.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_each_page_has_the_head_and_the_notices_of_all(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith('{% extends "base.html" %}')
    assert not re.search(r'<head>|<meta|</html>|page\.css|class="notices"', text)


def test_there_are_six_pages() -> None:
    assert len(TEMPLATES) == 6


def test_a_number_has_no_sign_where_nothing_is_left() -> None:
    assert [number(value) for value in (-0.001, -0.005001, 0.0, None, np.nan, np.inf)] == [
        "0.00", "-0.01", "0.00", "–", "–", "–",
    ]  # fmt: skip
    assert interval((-1.0, -0.0001), 2) == "-1.00 to 0.00" and interval((np.nan, 1.0)) == interval((None, None)) == "–"


def test_a_small_p_is_not_called_zero() -> None:
    assert [chance(p) for p in (0.00001, 0.0002, None)] == ["< 0.0001", "0.0002", "–"]
    assert chance(0.0004, 3) == "< 0.001"


def test_digits_follow_the_smallest_error_that_is_known() -> None:
    assert [digits_of(2.0), digits_of(2.0, 0.1), digits_of(np.nan, 0.1), digits_of(np.nan)] == [2, 3, 3, 2]


def test_what_is_empty_is_not_among_the_facts() -> None:
    assert known({"Model": "a", "Licence": "", "Subjects": None, "Cases": 3}) == [("Model", "a"), ("Cases", "3")]
    assert known(None) == []


def test_a_missing_package_is_an_error_with_the_line_that_installs_it() -> None:
    with pytest.raises(LandmarkDetectorError, match=r"no_such_package.*landmark-detector\[report\]"), report_packages():
        import no_such_package  # noqa: F401


def test_the_ends_of_an_interval_are_one_column_and_rates_have_one_digit() -> None:
    row = {"who": "a", "mean": 1.234, "mean from": 1.0, "mean to": None, "sd": 0.5, "within 2 mm (%)": 66.666, "n": 3}
    table = figure_table([row, {**row, "who": "b", "mean to": 2.0}], 3, SUMMARY)
    assert table.heads == ["Model or observer", "mean", "95 % interval of the mean", "SD", "within 2 mm (%)", "found"]
    assert table.rows == [
        ["a", "1.234", "–", "0.500", "66.7", "3"],
        ["b", "1.234", "1.000 to 2.000", "0.500", "66.7", "3"],
    ]
    assert figure_table([], 2, PAIRED).heads == []


def test_a_page_of_a_promotion_gives_counts_whole_and_marks_what_is_worse() -> None:
    old = np.random.default_rng(0).gamma(20, 1 / 20, (8, 3))
    decision = decide(old, old + [0.0, 0.0, 5.0], ["a", "b", "c"], "mm")
    measured = {"landmarks judged": 270.0, "confidence, off by": 0.041, "AUC": None}
    page = render_promotion(decision, title="A", outcome="B stays.", notices=["Read <this>."], measured=measured)
    assert "<dd>270</dd>" in page and "<dd>0.041</dd>" in page and "<dd>–</dd>" in page
    assert "Read &lt;this&gt;." in page and page.count("<!doctype html>") == 1 and "default-src 'none'" in page

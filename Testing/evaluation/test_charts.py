"""Figures of numbers show the numbers."""

from __future__ import annotations

import sys
from itertools import islice

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation import (
    bland_altman,
    bland_altman_figure,
    compare_models,
    comparison_figure,
    cumulative_figure,
    error_figure,
    figure_png,
)
from LandmarkDetectorLib.evaluation.canvas import series_styles

NAN, INF = np.nan, np.inf


def test_each_model_has_its_own_curve_and_misses_keep_it_below_the_top():
    figure = cumulative_figure({"good": [1.0, 2.0, NAN], "poor $x": [[1.0, INF], [3.0, INF]]}, "mm", radii=(2.0,))
    good, poor = figure.axes[0].lines[:2]
    assert good.get_xdata()[:3].tolist() == [0, 1, 2] and good.get_ydata()[-1] == 100
    assert poor.get_ydata().tolist() == [0, 25, 50, 50]
    # The curve goes on to where the axis ends.
    assert good.get_xdata()[-1] >= figure.axes[0].get_xlim()[1]
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["good: mean 1.50 mm", "poor $x: mean 2.00 mm, 2 missed"]
    assert figure_png(figure, 50)


def test_curves_differ_in_more_than_colour():
    styles = list(islice(series_styles(), 24))
    assert len(set(styles)) == 24
    assert all(one[0] != other[0] and one[1] != other[1] for one, other in zip(styles[:6], styles[1:7], strict=True))


def test_a_model_that_finds_nothing_has_a_curve_along_the_ground():
    figure = cumulative_figure({"none": [INF, INF]}, "mm")
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0, 0]
    with pytest.raises(LandmarkError, match="none: no landmark was annotated"):
        cumulative_figure({"none": [NAN]}, "mm")
    with pytest.raises(LandmarkError, match="no model"):
        cumulative_figure({}, "mm")


def test_bias_and_limits_are_drawn_where_they_are():
    figures = bland_altman([1.0, 2.0, 4.0, 4.5], [1.5, 2.0, 3.0, 4.0], "HC $x$", "mm")
    axes = bland_altman_figure(figures).axes[0]
    assert axes.lines[0].get_ydata().tolist() == figures.differences.tolist()
    levels = [line.get_ydata()[0] for line in axes.lines[1:4]]
    assert levels == pytest.approx([figures.bias, figures.upper, figures.lower])
    assert figure_png(axes.figure, 50)


def test_differences_of_ratios_are_written_to_thousandths():
    axes = bland_altman_figure(bland_altman([0.301, 0.299, 0.305], [0.297, 0.296, 0.3], "Evans", "ratio")).axes[0]
    assert axes.texts[0].get_text().startswith("bias\n+0.004 ratio")


def test_one_pair_has_a_bias_and_no_limits_and_none_has_nothing_to_draw():
    assert figure_png(bland_altman_figure(bland_altman([1.0], [2.0], "x", "mm")))
    with pytest.raises(LandmarkError, match="no pair"):
        bland_altman_figure(bland_altman([], [], "x", "mm"))


def test_what_is_sure_is_filled_and_what_cannot_be_said_is_left_out():
    rng = np.random.default_rng(0)
    first = rng.gamma(4, 1, (30, 3))
    second = first + [[-0.5, 0.0, NAN]] + rng.normal(0, 0.1, (30, 3))
    first[:, 2] = NAN
    axes = comparison_figure(compare_models(first, second, ["better", "$same", "unknown"], "mm")).axes[0]
    drawn = {line.get_ydata()[0]: line for line in axes.lines if line.get_marker() in ("o", "s")}
    assert sorted(drawn) == [0, 1, 3]
    assert drawn[0].get_markerfacecolor() != "white" and drawn[1].get_markerfacecolor() == "white"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["better", "$same", "unknown", "all"]


def test_the_rates_at_the_radii_are_written_out():
    figure = error_figure([[1.0, 3.0], [INF, NAN]], ["a", "b"], "mm", radii=(2.0, 4.0))
    assert figure.axes[0].texts[0].get_text() == "33.3 % within 2 mm\n66.7 % within 4 mm"


def test_45_landmarks_stand_on_lines_of_their_own():
    errors = np.random.default_rng(0).gamma(2, 1, (3, 45))
    figure = error_figure(errors, [f"landmark {k}" for k in range(45)], "mm")
    figure.set_layout_engine("none")
    figure.draw_without_rendering()
    edges = sorted((box.y0, box.y1) for box in (t.get_window_extent() for t in figure.axes[1].get_yticklabels()))
    assert len(edges) == 45
    assert all(below[1] <= above[0] + 1 for below, above in zip(edges, edges[1:], strict=False))


def test_charts_leave_no_trace_in_matplotlib():
    before = "matplotlib.pyplot" in sys.modules
    cumulative_figure({"a": [1.0]}, "mm")
    assert ("matplotlib.pyplot" in sys.modules) == before

"""Readers against each other: distances, bias, correlations and classes of what they placed."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from LandmarkDetectorLib.core import Landmark, LandmarkSet, MeasurementError
from LandmarkDetectorLib.measure import load_set
from LandmarkDetectorLib.measure.agreement import agree, distances_of
from LandmarkDetectorLib.measure.reports.agreement_page import (
    agreement_figures,
    distances_name,
    plot_name,
    render_agreement,
)
from Testing.measure.made import cephalogram, picture, ray, sagittal
from Testing.measure.subjects import one_missing

STEINER = load_set("steiner")
ANBS = (-3.0, -1.0, 1.0, 2.0, 3.0, 5.0, 6.0, 8.0)


def head_with(anb: float) -> LandmarkSet:
    """A head whose A lies so that its ANB is this."""
    places = cephalogram()
    return picture(STEINER, places | {"A": places["N"] + 60 * ray(260 + anb)})


def shifted(marks: LandmarkSet, step: float) -> LandmarkSet:
    """Everything a step aside, which moves no angle."""
    return replace(marks, landmarks=tuple(replace(m, position=m.position + [step, 0]) for m in marks))


READERS = {
    "Ada": [head_with(anb) for anb in ANBS],
    "Ben": [shifted(head_with(anb + 0.5), 3.0) for anb in ANBS],
}
SUBJECTS = [f"s{number}" for number in range(len(ANBS))]


@pytest.fixture(scope="module")
def found():
    return agree(READERS, READERS["Ada"][0].labels, SUBJECTS, [STEINER])


def by_name(agreement) -> dict:
    return {item.name: item for item in agreement.measurements}


def test_a_constant_difference_is_the_bias_and_counts_in_the_one_correlation_only(found):
    anb = by_name(found)["ANB"]
    figures = anb.pairs["Ada", "Ben"]
    assert figures.bias == pytest.approx(0.5) and figures.sd == pytest.approx(0, abs=1e-9) and figures.n == 8
    assert anb.reliability.consistency == pytest.approx(1)
    variance = np.var(ANBS, ddof=1)
    assert anb.reliability.agreement == pytest.approx(variance / (variance + 0.125))
    assert anb.mean_absolute(("Ada", "Ben")) == pytest.approx(0.5)


def test_classes_by_cut_offs_are_counted_where_the_readers_put_each_subject(found):
    table = by_name(found)["ANB"].classes["Ada", "Ben"]
    assert table.classes == ("below 0°", "0 to 4°", "above 4°")
    # −1 becomes −0.5 and stays; none of the others crosses a cut-off.
    assert table.counts.tolist() == [[2, 0, 0], [0, 3, 0], [0, 0, 3]] and table.kappa == 1
    crossing = agree(
        {"Ada": READERS["Ada"], "Ben": [head_with(anb + 1.5) for anb in ANBS]}, READERS["Ada"][0].labels, SUBJECTS,
        [STEINER],
    )  # fmt: skip
    assert by_name(crossing)["ANB"].classes["Ada", "Ben"].counts.tolist() == [[1, 1, 0], [0, 2, 1], [0, 0, 3]]
    assert "skeletal class II" in by_name(crossing)["ANB"].classified
    assert by_name(found)["SNA"].classes == {}, "Steiner gave a mean and no limits"


def test_distances_and_axes_are_those_of_the_landmarks(found):
    summary = found.landmarks["Ada", "Ben"]
    assert summary.per_landmark["Sella"].mean == pytest.approx(3)
    assert found.axes["Sella", "x"].pairs["Ada", "Ben"].bias == pytest.approx(3)
    assert found.axes["Sella", "y"].pairs["Ada", "Ben"].bias == pytest.approx(0)
    assert found.placed == {"Ada": 8 * 32, "Ben": 8 * 32}


def test_what_one_reader_did_not_place_counts_nowhere_and_is_no_miss():
    gap = [one_missing(READERS["Ben"][0], "Subspinale"), *READERS["Ben"][1:]]
    found = agree({"Ada": READERS["Ada"], "Ben": gap}, READERS["Ada"][0].labels, SUBJECTS, [STEINER])
    row = found.landmarks["Ada", "Ben"].per_landmark["Subspinale"]
    assert row.n == 7 and row.missed == 0
    assert by_name(found)["ANB"].pairs["Ada", "Ben"].n == 7 and by_name(found)["SNB"].pairs["Ada", "Ben"].n == 8
    assert found.placed["Ben"] == found.placed["Ada"] - 1


def test_three_readers_have_three_pairs_and_one_correlation():
    readers = READERS | {"Cy": [shifted(head_with(anb - 0.5), -1.0) for anb in ANBS]}
    found = agree(readers, READERS["Ada"][0].labels, SUBJECTS, [STEINER])
    assert found.pairs == [("Ada", "Ben"), ("Ada", "Cy"), ("Ben", "Cy")]
    anb = by_name(found)["ANB"]
    assert anb.reliability.readers == 3 and anb.pairs["Ben", "Cy"].bias == pytest.approx(-1)
    assert anb.correlations["Ada", "Ben"].readers == 2
    assert "all 3 together" in render_agreement(replace(found, measurements=found.measurements[:1]))


def test_a_mean_that_stands_beside_its_readers_does_not_count_in_the_correlation_of_all():
    readers = READERS | {"mean": [head_with(anb + 0.25) for anb in ANBS]}
    found = agree(readers, READERS["Ada"][0].labels, SUBJECTS, [STEINER], derived=["mean"])
    joint = by_name(found)["ANB"].reliability
    assert joint.readers == 2 and joint.agreement == by_name(found)["ANB"].correlations["Ada", "Ben"].agreement
    assert "mean is made of other readers here" in render_agreement(replace(found, measurements=found.measurements[:1]))


def test_readers_agree_in_3d_too_in_both_views():
    heads = [sagittal(STEINER, cephalogram()) for _ in range(4)]
    moved = [
        replace(h, landmarks=tuple(replace(m, position=m.position + [0, 0, 2]) for m in h)) for h in heads
    ]  # fmt: skip
    found = agree({"a": heads, "b": moved}, heads[0].labels, list("wxyz"), [STEINER])
    assert {item.where for item in found.measurements} == {"steiner, 3D", "steiner, mid-sagittal"}
    assert found.axes["Sella", "S"].pairs["a", "b"].bias == pytest.approx(2)
    assert ("Sella", "x") not in found.axes


def test_a_reader_who_found_nothing_in_a_volume_has_placed_nothing_there():
    heads = [sagittal(STEINER, cephalogram()) for _ in range(2)]
    nothing = [LandmarkSet(tuple(Landmark(label, status="missing") for label in h.labels)) for h in heads]
    readers, labels = {"a": heads, "b": nothing}, heads[0].labels[:2]
    assert agree(readers, labels, list("wx")).placed == {"a": 4, "b": 0}
    assert distances_of(readers, labels)[0].size == 0


def test_readings_that_do_not_fit_each_other_are_refused():
    labels = READERS["Ada"][0].labels
    with pytest.raises(MeasurementError, match="two readers or more"):
        agree({"Ada": READERS["Ada"]}, labels, SUBJECTS)
    with pytest.raises(MeasurementError, match=r"\[7, 8\] images"):
        agree({"Ada": READERS["Ada"], "Ben": READERS["Ben"][:7]}, labels, SUBJECTS)
    in_pixels = [replace(marks, unit="px") for marks in READERS["Ben"]]
    with pytest.raises(MeasurementError, match="in mm and others in px"):
        agree({"Ada": READERS["Ada"], "Ben": in_pixels}, labels, SUBJECTS)
    solid = [LandmarkSet((Landmark(labels[0], (1, 2, 3)),)) for _ in SUBJECTS]
    for odd in (solid, [*READERS["Ben"][:-1], solid[0]]):
        with pytest.raises(MeasurementError, match="2D and others 3D"):
            agree({"Ada": READERS["Ada"], "Ben": odd}, labels, SUBJECTS)


def test_the_page_has_every_number_and_picture_and_asks_for_nothing(found):
    page = render_agreement(found, title="A & B", about={"Ada": "an <observer>"}, notices=["Look here."])
    assert "A &amp; B" in page and "an &lt;observer&gt;" in page and "Look here." in page
    assert "Along each axis" in page and "below 0°" in page and "ICC(2,1)" in page
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert addresses and all(each.startswith("data:image/png") for each in addresses)
    assert "<script" not in page and not re.search(r"https?://", page)
    assert page.count("<img") == len(agreement_figures(found))


def test_a_plot_has_a_name_that_a_file_may_have(found):
    item = by_name(found)["U1-NA angle"]
    assert plot_name(item, ("Ada", "Ben")) == "bland-altman-steiner--2D-U1-NA-angle-Ada-Ben"
    # Of two folders that are called alike the second reader has the name of the folder above before its own.
    assert distances_name(("points", "ben/points")) == "distances-points-ben-points"


def test_everything_is_json_and_what_is_not_known_is_null(found):
    import json

    content = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert content["measurements"]["steiner, 2D: ANB"]["pairs"]["Ben - Ada"]["bias"] == pytest.approx(0.5)
    assert content["axes"]["Sella"]["x"]["icc"]["agreement"] is not None

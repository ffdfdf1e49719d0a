"""A subject's measurements, and how far anybody has reviewed them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from LandmarkDetectorLib.core import Image, LandmarkSet, MeasurementError
from LandmarkDetectorLib.measure import distance_set
from LandmarkDetectorLib.measure.reports.content import content_of, oversight
from LandmarkDetectorLib.measure.reports.drawing import abbreviated
from LandmarkDetectorLib.measure.subject import Reviewed, measure_subject
from Testing.measure.subjects import CARD, ceph_image, ceph_marks, head, one_missing, solid_head


def statuses(default: str, **others: str) -> dict[str, str]:
    return {label: others.get(label, default) for label in ceph_marks().labels}


def test_without_a_word_of_a_review_nothing_is_reviewed():
    measured = head()
    assert measured.review == "not reviewed" and set(measured.unreviewed) == set(measured.used)
    headline, explanation = oversight(measured)
    assert headline == "Proposal, not reviewed" and "toy-ceph 1.2.0 placed the landmarks" in explanation
    assert content_of(measured).about == "Steiner analysis. Reviewed by: nobody."


def test_nobody_is_said_to_have_placed_landmarks_of_which_nothing_is_known():
    marks = ceph_marks(sd=None)
    bare = LandmarkSet(tuple(type(m)(m.label, m.position) for m in marks))
    assert "Nothing says who placed these landmarks" in oversight(measure_subject(bare, ["steiner"]))[1]


def test_somebody_who_vouches_for_all_is_named():
    measured = head(Reviewed("Dr. Ada"))
    assert measured.review == "reviewed"
    assert oversight(measured)[0] == "Reviewed by Dr. Ada"


def test_what_the_panel_says_goes_before_who_vouches():
    measured = head(Reviewed("Dr. Ada", statuses("confirmed", Subspinale="unreviewed")))
    assert measured.review == "partly reviewed" and measured.unreviewed == ("Subspinale",)
    headline, explanation = oversight(measured)
    assert headline == "Partly reviewed by Dr. Ada" and "Nobody has looked at Subspinale" in explanation
    reviewed = {result.name: measured.is_reviewed(result) for result in measured.computed}
    assert reviewed["SNB"] and not reviewed["SNA"] and not reviewed["ANB"]


def test_a_review_whose_author_is_not_known_says_so():
    measured = head(Reviewed("", statuses("corrected")))
    assert measured.review == "reviewed"
    assert "who, nobody said" in oversight(measured)[1]
    assert content_of(measured).about.endswith("Reviewed by: a person whose name was not given.")


def test_landmarks_that_no_number_is_made_of_need_no_review():
    wits = measure_subject(ceph_marks(), ["wits"], reviewed=Reviewed("", statuses("confirmed", Sella="unreviewed")))
    assert wits.review == "reviewed" and "Sella" not in wits.used


def test_without_any_number_nothing_is_reviewed():
    nothing = measure_subject(LandmarkSet(()), ["steiner"], reviewed=Reviewed("Dr. Ada"))
    assert nothing.review == "not reviewed" and oversight(nothing)[0] == "Nothing was measured"


def test_several_sets_are_measured_and_each_gets_the_choices_that_it_knows():
    measured = head(sets=("steiner", "jarabak"), choices={"mandibular_plane": "Go-Me"})
    assert {result.set_name for result in measured.results} == {"steiner", "jarabak"}
    assert "mandibular plane: Go-Me" in next(r for r in measured.results if r.name == "SN-MP").notes
    with pytest.raises(MeasurementError, match="No set here has a choice 'plane'"):
        head(choices={"plane": "x"})
    with pytest.raises(MeasurementError, match="No set here has a measurement 'GA'"):
        head(include=["GA"])
    with pytest.raises(MeasurementError, match="No set of measurements"):
        head(sets=())


def test_the_image_must_be_the_one_of_the_landmarks():
    with pytest.raises(MeasurementError, match="head is 2D in mm and head 2D in px"):
        measure_subject(ceph_marks(), ["steiner"], image=ceph_image("px"))
    volume = solid_head().image
    assert isinstance(volume, Image)
    with pytest.raises(MeasurementError, match="2D in mm and volume 3D"):
        measure_subject(ceph_marks(), ["steiner"], image=volume)


def test_the_labels_of_a_result_are_found_on_both_sides():
    measured = solid_head(views=["3D"])
    plane = next(result for result in measured.results if result.name == "SN-MP")
    assert plane.labels == ("Sella", "Nasion", "Gonion left", "Gonion right", "Gnathion")


def test_landmarks_that_a_mapping_names_must_be_reviewed_like_others():
    names = {"S": "P1", "N": "P2", "A": "P3", "B": "P4"}
    titles = {"Sella": "P1", "Nasion": "P2", "Subspinale": "P3", "Supramentale": "P4"}
    marks = LandmarkSet(tuple(replace(m, label=titles[m.label]) for m in ceph_marks() if m.label in titles))
    said = {label: "confirmed" for label in marks.labels} | {"P3": "unreviewed"}
    measured = measure_subject(marks, ["steiner"], mapping=names, reviewed=Reviewed("Dr. Ada", said))
    assert measured.used == ("P1", "P2", "P3", "P4") and measured.unreviewed == ("P3",)
    assert {result.name: measured.is_reviewed(result) for result in measured.computed} == {
        "SNA": False,
        "SNB": True,
        "ANB": False,
    }
    assert [row["label"] for row in content_of(measured).landmarks] == list(measured.used)
    assert {mark.label for mark in abbreviated(measured)} == {"S", "N", "A", "B"}


def test_a_mapping_goes_to_the_sets_that_know_the_landmark():
    marks = LandmarkSet(tuple(replace(m, label=f"P{i}") for i, m in enumerate(ceph_marks())))
    sets = ["steiner", "brain", distance_set(marks.labels, [("P0", "P1")])]
    measured = measure_subject(marks, sets, mapping={"S": "P0", "N": "P1", "A": "P4"})
    assert {result.name for result in measured.computed} >= {"SNA", "P0 to P1"}
    with pytest.raises(MeasurementError, match="'Nonsense', which is no landmark of a set here"):
        measure_subject(marks, sets, mapping={"Nonsense": "P0"})


def test_a_projection_is_reviewed_when_the_landmarks_of_its_plane_are():
    marks = solid_head().landmarks
    said = {label: "unreviewed" if label == "Porion left" else "confirmed" for label in marks.labels}
    measured = measure_subject(marks, ["steiner"], reviewed=Reviewed("Dr. Ada", said))
    reviewed = {result.view: measured.is_reviewed(result) for result in measured.computed if result.name == "SNA"}
    assert reviewed == {"3D": True, "mid-sagittal": False} and measured.review == "partly reviewed"


def test_landmarks_of_what_was_not_computed_need_no_review():
    marks = one_missing(ceph_marks(), "Gnathion")
    said = {label: "unreviewed" if label == "Gonion" else "confirmed" for label in marks.labels}
    measured = measure_subject(marks, ["steiner"], reviewed=Reviewed("Dr. Ada", said))
    assert "Gonion" not in measured.used and measured.review == "reviewed"


def test_what_a_page_says_holds_norms_sources_errors_and_limits():
    measured = head()
    content = content_of(measured)
    row = next(row for part in content.parts for row in part.rows if row.name == "SNA")
    assert (row.value, row.norm, row.deviation, row.outside) == ("82.0°", "82", "+0.0", None)
    ends = measured.results[0].interval
    assert row.interval == f"{ends.low:.1f} to {ends.high:.1f}" and ends.low < 80 < 84 < ends.high
    assert content.sources[row.source - 1].startswith("Steiner 1959")
    assert content.errors["mean"] == 1.25 and content.not_tested_on == ["Children & adults"]
    sella = next(mark for mark in content.landmarks if mark["label"] == "Sella")
    assert (sella["short"], sella["expected"]["mean"], sella["status"]) == ("S", 0.6321, "not reviewed")
    lost = next(row for part in content.parts for row in part.rows if row.name == "L1-NB angle")
    assert (lost.value, lost.not_computed) == ("", "needs Lower incisor apex")
    assert any("could not be computed" in notice for notice in content.notices)
    unsure = measure_subject(ceph_marks(sd=2.0), ["steiner"])
    assert any("uncertainty cannot tell: ANB" in notice for notice in content_of(unsure).notices)


def test_the_level_of_intervals_is_said_as_it_is():
    """Of 99.5 % a report said 100 %."""
    content = content_of(measure_subject(ceph_marks(sd=2.0), ["steiner"], level=0.995))
    assert [words.partition(":")[0] for words in content.intervals] == ["99.5 % intervals"]


def test_a_model_without_a_card_is_named_by_the_file():
    marks = one_missing(ceph_marks(), "Sella")
    measured = measure_subject(marks, ["steiner"])
    assert measured.model == ("toy-ceph", "1.2.0") and measured.card is None
    assert content_of(measured).errors is None
    assert measure_subject(marks, ["steiner"], card=CARD).model == ("toy-ceph", "1.2.0")

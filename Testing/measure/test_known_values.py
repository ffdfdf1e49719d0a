"""Every measurement of every set on landmarks that were made so that its value is known: in a picture and in 3D."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.core import Landmark, LandmarkSet
from LandmarkDetectorLib.measure import load_set, measure, measure_sets
from Testing.measure.made import (
    ahead,
    angle,
    bilateral,
    cephalogram,
    frontal,
    frontal_hips,
    lateral_spine,
    moved,
    picture,
    ray,
    sagittal,
    turn,
)

HEAD, SPINE, HIPS = cephalogram(), lateral_spine(), bilateral(frontal_hips(), apart=40)
FH = HEAD["Or"] - HEAD["Po"]
UP_FH = 1j * FH / abs(FH)


def line(start: str, end: str) -> complex:
    return HEAD[end] - HEAD[start]


def far(start: str, end: str) -> float:
    return abs(HEAD[end] - HEAD[start])


def before_n(place: str, through: str = "N") -> float:
    """How far a place lies ahead of the perpendicular to the Frankfort horizontal."""
    return ((HEAD[place] - HEAD[through]) * (FH / abs(FH)).conjugate()).real


PROFILE_BRAIN = {
    "AC": 0j,
    "PC": -24.5 - 3.2j,
    ("FH", "left"): 17 + 0j,
    ("FH", "right"): -16 + 2j,
    ("Cd", "left"): 7 + 0j,
    ("Cd", "right"): -8 + 0j,
    ("Bc", "left"): 60 + 0j,
    ("Bc", "right"): -60 + 0j,
    ("OH", "left"): 30 - 60j,
    ("OH", "right"): -30 - 60j,
    ("In", "left"): 68 + 0j,
    ("In", "right"): -67 + 0j,
}
FACE = {
    "N": 0 + 100j,
    "Gn": 0 - 20j,
    "Sn": 0 + 48j,
    "G": 0 + 110j,
    "Op": 0 - 80j,
    ("Eu", "left"): 76 + 120j,
    ("Eu", "right"): -76 + 120j,
    ("Zy", "left"): 66 + 70j,
    ("Zy", "right"): -66 + 70j,
    ("Go", "left"): 48 + 10j,
    ("Go", "right"): -48 + 10j,
    ("Ex", "left"): 44 + 90j,
    ("Ex", "right"): -44 + 90j,
    ("En", "left"): 16 + 90j,
    ("En", "right"): -16 + 90j,
}
SIZED = ["N", "Sn", "Gn", *[(n, s) for n in ("Zy", "Go", "Ex") for s in ("left", "right")]]

# An ellipse of axes 100 and 80: its circumference by Ramanujan's second formula, exact to 1e-6 here.
H = (20 / 180) ** 2
RAMANUJAN = math.pi * 90 * (1 + 3 * H / (10 + math.sqrt(4 - 3 * H)))
FETUS = {"O1": -50 + 0j, "O2": 50 + 0j, "B1": 40j, "B2": -40j}
COBB = {"U_left": 15 + 100j, "U_right": -15 + 100j - 30j * math.tan(math.radians(12)), "L_left": 20 + 0j}
COBB["L_right"] = COBB["L_left"] - 40 * complex(math.cos(math.radians(20)), -math.sin(math.radians(20)))

KNOWN: dict[str, dict[str, float]] = {
    "steiner": {
        "SNA": 82,
        "SNB": 80,
        "ANB": 2,
        "SNA-SNB": 2,
        "SN-MP": 32,
        "SN-OP": 14,
        "U1-NA angle": 22,
        "U1-NA": 4,
        "L1-NB angle": 25,
        "L1-NB": 4,
        "Pog-NB": 3,
        "Interincisal": 131,
    },
    "downs": {
        "Facial angle": angle(-FH, line("N", "Pog")),
        "Convexity": -turn(line("N", "A"), line("A", "Pog")),
        "A-B plane": turn(line("N", "Pog"), line("A", "B")),
        "FH-MP": 27,
        "Y axis": angle(FH, line("S", "Gn")),
        "Occlusal cant": 7,
        "Interincisal": 131,
        "L1-OP": 90 - (55 + 14),
        "L1-MP": 90 - (55 + 34),
        "U1-APog": ahead(HEAD["U1"], HEAD["A"], HEAD["Pog"]),
    },
    "tweed": {"FMA": 27, "IMPA": 91, "FMIA": 62},
    "ricketts": {
        "Facial axis": angle(line("N", "Ba"), line("Pt", "Gn")),
        "Facial depth": angle(-FH, line("N", "Pog")),
        "FH-MP": 27,
        "Lower face height": angle(line("Xi", "ANS"), line("Xi", "Pm")),
        "Mandibular arc": angle(line("Pm", "Xi"), line("Xi", "Dc")),
        "Convexity": ahead(HEAD["A"], HEAD["N"], HEAD["Pog"]),
        "Maxillary depth": 89,  # the Frankfort horizontal falls 7° against S-N: 82 + 7
        "L1-APog": ahead(HEAD["L1"], HEAD["A"], HEAD["Pog"]),
        "L1-APog angle": -turn(line("Pog", "A"), line("L1_apex", "L1")),
        "U6-PTV": before_n("U6", "Pt"),
        "Lower lip": ahead(HEAD["LL"], HEAD["Prn"], HEAD["Pog_soft"]),
        "Interincisal": 131,
    },
    "mcnamara": {
        "A-Nperp": before_n("A"),
        "Pog-Nperp": before_n("Pog"),
        "Co-A": far("Co", "A"),
        "Co-Gn": far("Co", "Gn"),
        "Maxillomandibular difference": far("Co", "Gn") - far("Co", "A"),
        "ANS-Me": far("ANS", "Me"),
        "FH-MP": 27,
        "Facial axis": angle(line("N", "Ba"), line("Pt", "Gn")) - 90,
        "U1-A": before_n("U1", "A"),
        "L1-APog": ahead(HEAD["L1"], HEAD["A"], HEAD["Pog"]),
    },
    "jarabak": {
        "Saddle angle": angle(line("S", "N"), line("S", "Ar")),
        "Articular angle": angle(line("Ar", "S"), line("Ar", "Go")),
        "Gonial angle": angle(line("Go", "Ar"), line("Go", "Me")),
        # S-N, S-Ar-Go-Me: the sum of the three is 360° and the angle of Go-Me to S-N.
        "Sum of angles": 360 + 34,
        "Upper gonial angle": angle(line("Go", "Ar"), line("Go", "N")),
        "Lower gonial angle": angle(line("Go", "N"), line("Go", "Me")),
        "S-N": 70,
        "S-Ar": far("S", "Ar"),
        "Ar-Go": far("Ar", "Go"),
        "Go-Me": 66,
        "Posterior face height": far("S", "Go"),
        "Anterior face height": far("N", "Me"),
        "Face height ratio": 100 * far("S", "Go") / far("N", "Me"),
    },
    "wits": {"Wits": ((HEAD["A"] - HEAD["B"]) * complex(math.cos(math.radians(12)), math.sin(math.radians(12)))).real},
    "fetal-head": {
        "BPD": 80,
        "OFD": 100,
        "HC": RAMANUJAN,
        "CI": 80,
        "GA": 8.96 + 0.54 * RAMANUJAN / 10 + 0.0003 * (RAMANUJAN / 10) ** 3,
    },
    "spine-coronal": {"Cobb": 32},
    "spine-sagittal": {"PI": 52, "PT": 12, "SS": 40, "LL": 55, "TK": 35, "PI-LL": -3, "SVA": 25},
    "hip": {"LCE": 30, "Acetabular index": 10, "Sharp angle": 41, "HKA": -3},
    "brain": {
        "AC-PC": math.hypot(24.5, 3.2),
        "Evans": math.hypot(33, 2) / 135,
        "Bicaudate": 15 / 120,
        "FOHR": (math.hypot(33, 2) + 60) / 270,
    },
    "craniofacial": {
        "Centroid size": math.sqrt(sum(abs(FACE[k] - sum(FACE[j] for j in SIZED) / 9) ** 2 for k in SIZED)),
        "N-Gn": 120,
        "Zy-Zy": 132,
        "Facial index": 100 * 120 / 132,
        "Head length": 190,
        "Head width": 152,
        "Cephalic index": 100 * 152 / 190,
        "Intercanthal width": 32,
        "Symmetry plane": 90,
    },
}
PLACES = {
    **dict.fromkeys(("steiner", "downs", "tweed", "ricketts", "mcnamara", "jarabak", "wits"), HEAD),
    "fetal-head": FETUS,
    "spine-coronal": COBB,
    "spine-sagittal": SPINE,
    "hip": HIPS,
    "brain": PROFILE_BRAIN,
    "craniofacial": FACE,
}
LATERAL = [name for name in KNOWN if PLACES[name] in (HEAD, SPINE)]
TURN = Rotation.from_euler("xyz", (20, -35, 70), degrees=True).as_matrix()


def everything(name: str) -> list[str]:
    return [each.name for each in load_set(name).definition.measurements if not each.default]


def check(results: list, known: dict[str, float], views: set[str]) -> None:
    for result in results:
        assert result.value is not None, (result.name, result.not_computed)
        assert result.value == pytest.approx(known[result.name], rel=1e-6, abs=1e-6), (result.name, result.view)
    assert {result.view for result in results} == views


def test_every_measurement_that_is_shipped_has_a_known_value_here():
    shipped = {(name, each) for name in measure_sets() for each in load_set(name).names}
    assert {(name, each) for name, table in KNOWN.items() for each in table} == shipped


@pytest.mark.parametrize("mirrored", [False, True], ids=["facing right", "facing left"])
@pytest.mark.parametrize("name", KNOWN)
def test_a_picture_gives_the_known_values_whichever_way_it_faces(name, mirrored):
    measurements = load_set(name)
    landmarks = picture(measurements, PLACES[name], mirrored=mirrored)
    results = measure(landmarks, measurements, include=everything(name))
    check(results, KNOWN[name], {"2D"})
    in_pictures = [m.name for m in measurements.definition.measurements if "2D" in m.views]
    assert list(dict.fromkeys(result.name for result in results)) == in_pictures


@pytest.mark.parametrize("name", LATERAL)
def test_a_symmetric_head_in_3d_gives_the_values_of_its_profile_in_both_views(name):
    measurements = load_set(name)
    check(measure(sagittal(measurements, PLACES[name]), measurements), KNOWN[name], {"3D", "mid-sagittal"})


@pytest.mark.parametrize("name", sorted({*KNOWN} - {"spine-sagittal"}))
def test_a_turned_head_in_3d_has_the_same_values(name):
    measurements = load_set(name)
    whole = sagittal(measurements, HEAD) if name in LATERAL else frontal(measurements, PLACES[name], depth=12)
    results = measure(
        moved(whole, TURN, np.array([12.0, -300, 45])), measurements, views=["3D"], include=everything(name)
    )
    check(results, KNOWN[name], {"3D"})


@pytest.mark.parametrize("slope", [-6, 0, 3])
def test_a_mandibular_plane_that_rises_forwards_is_negative_and_the_triangle_of_tweed_still_closes(slope):
    length = HEAD["Me"] - HEAD["Go"]
    head = HEAD | {"Me": HEAD["Go"] + abs(length) * ray(-7 - slope)}  # Frankfort falls by 7 degrees
    for name, measurement in (("tweed", "FMA"), ("downs", "FH-MP"), ("ricketts", "FH-MP"), ("mcnamara", "FH-MP")):
        found = {r.name: r.value for r in measure(picture(load_set(name), head), name)}
        assert found[measurement] == pytest.approx(slope, abs=1e-9), name
        if name == "tweed":
            assert sum(found.values()) == pytest.approx(180)
    flat = HEAD | {"Gn": HEAD["Go"] + 70 * ray(-slope)}
    found = {r.name: r.value for r in measure(picture(load_set("steiner"), flat), "steiner")}
    assert found["SN-MP"] == pytest.approx(slope, abs=1e-9)


@pytest.mark.parametrize("incidence", [35, 88, 90, 97, 115])
def test_a_pelvic_incidence_beyond_a_right_angle_is_tilt_plus_slope(incidence):
    # A high-grade slip: the hips lie above the line of the end plate.
    spine = lateral_spine()
    middle = (spine["S1p"] + spine["S1a"]) / 2
    spine["F"] = middle - 100 * ray(90 + incidence - 40)
    measurements = load_set("spine-sagittal")
    solid = sagittal(measurements, spine)
    for marks, view in ((picture(measurements, spine), "2D"), (solid, "3D"), (solid, "mid-sagittal")):
        found = {r.name: r.value for r in measure(marks, measurements, views=[view])}
        assert found["PI"] == pytest.approx(incidence), view
        assert found["PT"] + found["SS"] == pytest.approx(incidence), view


def round_head(circumference: float) -> LandmarkSet:
    across = circumference / math.pi
    ends = {"O1": -across / 2 + 0j, "O2": across / 2 + 0j, "B1": 1j * across / 2, "B2": -1j * across / 2}
    return picture(load_set("fetal-head"), ends)


def test_the_mean_heads_of_hadlock_have_their_age_within_the_two_sd_that_he_gives():
    # Weeks, mean circumference in mm, and 2 SD in weeks of the age by circumference (Hadlock et al. 1984).
    for weeks, circumference, deviation in ((20, 177, 1.48), (26, 246, 2.06), (32, 301, 2.98), (40, 346, 3.2)):
        found = measure(round_head(circumference), "fetal-head", include=["GA"])
        assert found[-1].value == pytest.approx(weeks, abs=deviation), circumference
    by_hand = 8.96 + 0.540 * 25 + 0.0003 * 25**3
    assert measure(round_head(250), "fetal-head", include=["GA"])[-1].value == pytest.approx(by_hand)


def test_a_head_that_is_smaller_than_those_of_the_equation_has_no_age():
    age = measure(round_head(50), "fetal-head", include=["GA"])[-1]
    assert age.value is None
    assert age.text == "not computed: 11.7 weeks lie outside 12.7 to 42.4 weeks, for which the formula was made"


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("solid", [False, True], ids=["2D", "3D"])
def test_without_a_landmark_whatever_needs_it_is_not_computed_and_says_so(name, solid):
    measurements = load_set(name)
    build = (sagittal if name in LATERAL else frontal) if solid else picture
    landmarks = build(measurements, PLACES[name])
    views = ["3D"] if solid else ["2D"]
    whole = measure(landmarks, measurements, views=views, include=everything(name))
    asked = 0
    for gone in landmarks.labels:
        marks = [Landmark(m.label, status="missing") if m.label == gone else m for m in landmarks]
        few = measure(LandmarkSet(tuple(marks)), measurements, views=views, include=everything(name))
        for before, after in zip(whole, few, strict=True):
            if gone in before.needs:
                assert after.value is None and gone in after.not_computed, (before.name, gone)
                assert after.text.startswith("not computed: needs ")
                asked += 1
            else:
                assert after.value == pytest.approx(before.value), (before.name, gone)
    assert asked >= len(whole)

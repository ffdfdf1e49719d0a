"""Sets as data: those that are shipped, those that a person writes, and what a file's mistake is called."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from LandmarkDetectorLib.core import LandmarkSet, MeasurementError
from LandmarkDetectorLib.measure import build_set, distance_set, load_set, measure, measure_sets, suggest_sets
from LandmarkDetectorLib.measure.labels import needs_of
from LandmarkDetectorLib.measure.sets import SETS, VOCABULARIES
from Testing.measure.made import build

ROOT = Path(__file__).resolve().parents[2]
ISBI_2015 = """Sella, Nasion, Orbitale, Porion, Subspinale, Supramentale, Pogonion, Menton, Gnathion, Gonion,
lower incisor, upper incisor, upper lip, lower lip, subnasale, soft tissue pogonion, posterior nasal spine,
anterior nasal spine, articulare"""
OWN: dict = {
    "title": "My set",
    "description": "Two landmarks and what lies between.",
    "citation": "myself",
    "landmarks": {"P": {"title": "One"}, "Q": {"title": "Two", "synonyms": ["second"]}, "T": {"title": "Three"}},
    "measurements": [
        {"name": "PQ", "title": "Distance", "formula": "distance(P, Q)", "unit": "mm", "no_norm": "none yet"},
        {"name": "corner", "title": "Corner", "formula": "angle(P, Q, T)", "unit": "degrees", "no_norm": "none yet"},
    ],
}


@pytest.mark.parametrize("name", measure_sets())
def test_every_set_that_is_shipped_loads_and_cites(name):
    measurements = load_set(name)
    assert measurements.names and measurements.definition.citation
    for each, formula in measurements.formulas():
        assert each.norms or each.no_norm
        assert each.sign or not formula.signed
        for norm in each.norms:
            assert norm.population and norm.source


def test_a_shipped_set_is_read_once():
    assert load_set("steiner") is load_set("steiner")


def test_the_files_are_packed_into_the_wheel():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert '"LandmarkDetectorLib.measure" = ["sets/*.yaml", "vocabularies/*.yaml"]' in text
    assert {path.suffix for folder in (SETS, VOCABULARIES) for path in folder.iterdir()} == {".yaml"}


def test_importing_the_room_imports_neither_torch_nor_matplotlib_nor_scipy(tmp_path):
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from LandmarkDetectorLib.measure import load_set, measure_sets\n"
        "import LandmarkDetectorLib.measure.morphometrics\n"
        "[load_set(name) for name in measure_sets()]\n"
        "print([name for name in ('torch', 'monai', 'matplotlib', 'scipy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert done.stdout.strip() == "[]", done.stderr


def test_a_person_keeps_a_set_in_a_file(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(OWN), "utf-8")
    mine = load_set(path)
    assert (mine.name, mine.names) == ("mine", ["PQ", "corner"])
    assert [r.value for r in measure(build(mine, {"P": (3, 0), "Q": (0, 0), "T": (0, 1)}), mine)] == [3, 90]


def test_a_set_may_build_on_a_shared_vocabulary_and_on_what_it_measured_before():
    content = copy.deepcopy(OWN) | {"vocabulary": "cephalometry", "constructions": {"base": "distance(S, N)"}}
    content["measurements"].append(
        {"name": "part", "title": "Part", "formula": "PQ / base", "unit": "ratio", "no_norm": "none yet"}
    )
    own = build_set(content, "own")
    found = measure(build(own, {"P": (0, 0), "Q": (3, 0), "S": (0, 0), "N": (0, 12)}), own)
    assert found[-1].value == 0.25


def set_at(content: dict, path: tuple, value) -> dict:
    content = copy.deepcopy(content)
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return content


FIRST = ("measurements", 0)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ((*FIRST, "formula"), "distance(P, R)", "own.yaml: measurements.PQ.formula: 'R' is neither a landmark"),
        ((*FIRST, "formula"), "angle(P, Q, T)", "own.yaml: measurements.PQ.unit: the formula gives an angle"),
        ((*FIRST, "formula"), "line(P, Q)", "own.yaml: measurements.PQ.unit: the formula gives a line"),
        (
            (*FIRST, "formula"),
            "distance(P, Q) - distance(P, T)",
            "own.yaml: measurements.PQ.sign: the value can be neg",
        ),
        ((*FIRST, "unit"), "inch", "own.yaml: measurements.PQ.unit: Input should be 'mm'"),
        ((*FIRST, "colour"), "red", "own.yaml: measurements.PQ.colour: Extra inputs are not permitted"),
        ((*FIRST, "no_norm"), "", "own.yaml: measurements.PQ: give norms, or say in no_norm why"),
        ((*FIRST, "norms"), [{"mean": 1, "population": "x", "source": "y"}], "measurements.PQ: give norms, or say"),
        ((*FIRST, "name"), "corner", "'corner' names two things"),
        (("landmarks", "P", "synonyms"), ["Second"], "own.yaml: landmarks: the label 'second' means both P and Q"),
        (("landmarks", "P 1"), {"title": "x"}, "own.yaml: landmarks: 'P 1' cannot stand in a formula"),
        (("landmarks", "angle"), {"title": "x"}, "own.yaml: landmarks: 'angle' cannot stand in a formula"),
        (("vocabulary",), "../../etc/passwd", "own.yaml: vocabulary: there is no '../../etc/passwd'"),
        (("measurements",), [], "own.yaml: measurements: Tuple should have at least 1 item"),
        (("constructions",), {"base": "line(P)"}, "own.yaml: constructions.base: line takes a landmark, a landmark"),
        (("constructions",), {"P": "line(P, Q)"}, "'P' names two things"),
        ((*FIRST, "valid"), [3, 1], "own.yaml: measurements.PQ: in valid, the first number is not below the second"),
        (("mid_sagittal",), {"midline": ["Z"]}, "own.yaml: mid_sagittal: 'Z' is no landmark of the midline"),
        (("mid_sagittal",), {"pairs": ["P"]}, "own.yaml: mid_sagittal: 'P' is no bilateral landmark"),
        (
            ("choices",),
            {"base": {"title": "base", "default": "a", "options": {"a": "line(P, Q)", "b": "line(P, R)"}}},
            "own.yaml: choices.base.options.b: 'R' is neither",
        ),
        (("choices",), {"base": {"title": "b", "default": "c", "options": {"a": "line(P, Q)"}}}, "the default 'c' is"),
    ],
)
def test_a_mistake_is_told_by_file_measurement_and_field(path, value, message):
    with pytest.raises(MeasurementError) as told:
        build_set(set_at(OWN, path, value), "own", "own.yaml")
    assert message in str(told.value)


MIDDLE = {"default": "half", "options": {"half": "midpoint(S, N)"}}


def test_a_construction_that_a_landmark_of_the_vocabulary_would_hide_is_refused():
    for part in ({"constructions": {"A": "midpoint(S, N)"}}, {"choices": {"A": {"title": "A", **MIDDLE}}}):
        content = {**set_at(OWN, ("vocabulary",), "cephalometry"), **part}
        with pytest.raises(MeasurementError, match="own.yaml: 'A' is a landmark of the vocabulary"):
            build_set(content, "own", "own.yaml")


@pytest.mark.parametrize(
    ("norm", "message"),
    [
        ({}, "needs a mean or limits"),
        ({"sd": 2, "low": 1, "limits": "x"}, "a standard deviation needs a mean"),
        ({"mean": 2, "sd": 0}, "greater than 0"),
        ({"low": 1}, "say in limits"),
        ({"low": 3, "high": 1, "limits": "x"}, "low is not below high"),
        ({"mean": 2, "choices": {"plane": "x"}}, "norms.0.choices: own.yaml has no choice 'plane'"),
        ({"mean": 2, "source": ""}, "norms.0.source"),
    ],
)
def test_a_norm_without_meaning_or_source_is_refused(norm, message):
    content = set_at(OWN, (*FIRST, "norms"), [{"population": "people", "source": "a paper"} | norm])
    del content["measurements"][0]["no_norm"]
    with pytest.raises(MeasurementError) as told:
        build_set(content, "own", "own.yaml")
    assert message in str(told.value) and "PQ" in str(told.value)


def test_a_file_that_is_no_yaml_or_says_a_thing_twice_is_refused(tmp_path):
    for text, why in (("a: [", "is not YAML"), ("title: a\ntitle: b", "'title' stands twice"), ("- 1", "valid dict")):
        (tmp_path / "bad.yaml").write_text(text, "utf-8")
        with pytest.raises(MeasurementError, match=why):
            load_set(tmp_path / "bad.yaml")


def test_a_set_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(MeasurementError, match=r"no set of measurements 'stainer'.*steiner"):
        load_set("stainer")


def test_the_labels_of_the_isbi_challenge_suggest_cephalometry():
    labels = [" ".join(label.split()) for label in ISBI_2015.split(",")]
    found = {suggestion.name: suggestion for suggestion in suggest_sets(labels)}
    assert next(iter(found)) == "jarabak"
    assert set(found) == {"jarabak", "steiner", "downs", "mcnamara", "ricketts", "tweed", "craniofacial"}
    assert {"SNA", "SNB", "ANB", "SN-MP"} < set(found["steiner"].computable)
    assert found["steiner"].missing["Interincisal"] == ("Upper incisor apex", "Lower incisor apex")
    assert found["jarabak"].missing == {}


def test_what_is_measured_in_other_dimensions_only_is_not_suggested():
    labels = ["Sella", "Nasion", "A", "B"]
    for dimension, there in ((2, False), (3, True), (None, True)):
        (steiner,) = suggest_sets(labels, ["steiner"], dimension)
        assert ("SNA-SNB" in steiner.computable) is there
    assert suggest_sets(labels, ["spine-coronal"], 3) == []


def test_the_labels_of_the_fetal_bundle_suggest_its_biometry_and_nothing_else():
    labels = ["OFD left", "OFD right", "BPD upper", "BPD lower"]
    assert [(s.name, len(s.missing)) for s in suggest_sets(labels)] == [("fetal-head", 0)]
    assert suggest_sets(["1", "2"]) == []


@pytest.mark.parametrize(
    ("label", "need"),
    [
        ("Nasion", ("N", None)),
        ("NASION", ("N", None)),
        ("soft_tissue-pogonion", ("Pog_soft", None)),
        ("Pog'", ("Pog_soft", None)),
        ("Pog", ("Pog", None)),
        ("Go", ("Go", None)),
        ("Gonion left", ("Go", "left")),
        ("Right gonion", ("Go", "right")),
        ("Go_R", ("Go", "right")),
        ("GoL", ("Go", "left")),
        ("RPo", ("Po", "right")),
        ("LL", ("LL", None)),
        ("L Nasion", None),
    ],
)
def test_a_label_is_known_by_name_title_synonym_and_side(label, need):
    assert load_set("steiner").match([label]) == ({} if need is None else {need: label})


def test_a_person_may_say_which_label_is_which():
    steiner = load_set("steiner")
    assert steiner.match(["a1", "Sella"], {"N": "a1"}) == {("N", None): "a1", ("S", None): "Sella"}
    assert steiner.match(["x"], {"Gonion left": "x"}) == {("Go", "left"): "x"}
    with pytest.raises(MeasurementError, match="'Nose'"):
        steiner.match(["a1"], {"Nose": "a1"})
    with pytest.raises(MeasurementError, match="'a2'"):
        steiner.match(["a1"], {"N": "a2"})


@pytest.mark.parametrize("name", measure_sets())
def test_no_label_of_a_shipped_set_means_two_landmarks(name):
    needs_of(load_set(name).landmarks)


def test_landmarks_of_any_name_have_their_distances_and_their_size():
    own = distance_set(["1", "2", "snout tip"], [("1", "2"), ("snout tip", "1")])
    found = measure(LandmarkSet.from_positions(["1", "2", "snout tip"], [[0, 0, 0], [3, 0, 0], [0, 4, 0]]), own)
    assert {r.name: r.value for r in found} == pytest.approx(
        {"Centroid size": (50 / 3) ** 0.5, "1 to 2": 3, "snout tip to 1": 4}
    )
    many = [str(n) for n in range(200)]
    size = measure(LandmarkSet.from_positions(many, [[float(n), 0, 0] for n in range(200)]), distance_set(many, []))
    assert size[0].value == pytest.approx((200 * (200**2 - 1) / 12) ** 0.5)
    for labels, pairs, why in (
        (["1", "2"], [("1", "3")], "'3' is none"),
        (["1"], [], "no two labels"),
        (["1", "2"], [("1", "1")], "itself"),
    ):
        with pytest.raises(MeasurementError, match=why):
            distance_set(labels, pairs)
    with pytest.raises(MeasurementError, match="means both"):
        distance_set(["a b", "a_b"], [])

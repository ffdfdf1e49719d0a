"""Models and observers on the same cases, by hand-computed distances."""

from __future__ import annotations

import json

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkError
from LandmarkDetectorLib.evaluation import position_errors, render_standing, stand
from LandmarkDetectorLib.evaluation.standing import OTHERS

LABELS = ["nose", "tail"]
SUBJECTS = [f"s{n}" for n in range(8)]
QUICK = {"resamples": 100}
OBSERVERS = {"A": (0.0, 1.0), "B": (0.0, -1.0), "C": (0.6, 0.0)}


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 100, (8, 2, 2))


@pytest.fixture
def observers(truth: np.ndarray) -> dict[str, np.ndarray]:
    """Each always lies where the truth is, but for the same step."""
    return {name: truth + np.array(step) for name, step in OBSERVERS.items()}


def test_each_model_is_compared_with_the_first_and_pairs_are_corrected() -> None:
    rng = np.random.default_rng(1)
    base = rng.uniform(1, 2, (8, 2))
    errors = {"one": base, "same": base.copy(), "better": base - rng.uniform(0.1, 0.3, base.shape)}
    standing = stand(errors, LABELS, "mm", SUBJECTS)
    assert [pair.names for pair in standing.pairs] == [("one", "same"), ("one", "better")]
    same, better = (pair.overall for pair in standing.pairs)
    assert same.difference == 0 and same.p == 1
    assert better.interval[1] < 0
    assert better.p_corrected == pytest.approx(2 * better.p)  # Holm, of two
    assert [row["who"] for row in standing.overall()] == ["one", "same", "better"]
    row = standing.differences()[1]
    assert row["models"] == "better − one" and row["second"] < row["first"]
    rows = standing.by_landmark()
    assert [row["landmark"] for row in rows] == LABELS and rows[0]["one"] == pytest.approx(base[:, 0].mean())


def test_observers_stand_beside_the_models(truth: np.ndarray, observers: dict[str, np.ndarray]) -> None:
    model = truth + np.array([0.3, 0.4])  # half a unit from the truth
    standing = stand(
        {"model": position_errors(model, truth)},
        LABELS,
        "mm",
        SUBJECTS,
        observers=observers,
        found={"model": model},
        **QUICK,
    )
    assert standing.pairs == ()
    columns = standing.columns
    assert list(columns) == ["model", "observer A", "observer B", "observer C"]
    # The mean of B and C lies at (0.3, -0.5); A at (0, 1).
    assert columns["observer A"].mean == pytest.approx(np.hypot(0.3, 1.5))
    assert standing.against["model"]["A"].mean == pytest.approx(np.hypot(0.3, 0.6))
    assert standing.against["model"]["mean"].mean == pytest.approx(np.hypot(0.1, 0.4))
    beside = standing.beside["model"]["A"]
    assert beside.names == (OTHERS, "model")
    assert beside.overall.difference == pytest.approx(np.hypot(0.3, 0.6) - np.hypot(0.3, 1.5))
    assert beside.overall.p < 0.01
    rows = {row["between"]: row for row in standing.at_observers()}
    assert rows["model and A"]["difference"] < 0 and rows["model and the mean"]["difference"] is None
    json.dumps(standing.to_json(), allow_nan=False)


def test_what_an_observer_did_not_place_counts_nowhere_and_what_a_model_missed_is_a_miss(
    truth: np.ndarray, observers: dict[str, np.ndarray]
) -> None:
    observers["A"][0, 0] = observers["B"][1, 1] = observers["C"][1, 1] = np.nan  # in case 1 A alone placed the tail
    model = truth.copy()
    model[2, 0] = np.nan
    standing = stand(
        {"model": position_errors(model, truth)},
        LABELS,
        "mm",
        SUBJECTS,
        observers=observers,
        found={"model": model},
        **QUICK,
    )
    against = standing.against["model"]["A"]
    assert (against.found, against.missed) == (14, 1)
    beside = standing.beside["model"]["A"].overall
    assert (beside.n, beside.missed_first, beside.missed_second) == (13, 0, 1)


def test_one_observer_is_no_agreement(truth: np.ndarray, observers: dict[str, np.ndarray]) -> None:
    errors = {"model": position_errors(truth, truth)}
    standing = stand(errors, LABELS, "mm", SUBJECTS, observers={"A": observers["A"]}, found={"model": truth}, **QUICK)
    assert standing.observers is None and standing.against == {} and standing.at_observers() == []
    assert standing.to_json()["observers"] is None


def test_models_judged_on_other_annotations_are_not_compared() -> None:
    first, second = np.ones((8, 2)), np.ones((8, 2))
    second[0, 0] = np.nan
    with pytest.raises(LandmarkError, match="different annotations"):
        stand({"one": first, "other": second}, LABELS, "mm", SUBJECTS)
    with pytest.raises(LandmarkError, match="no model"):
        stand({}, LABELS, "mm", SUBJECTS)


def test_the_page_holds_every_model_observer_and_pair(truth: np.ndarray, observers: dict[str, np.ndarray]) -> None:
    model = truth + 0.3
    errors = position_errors(model, truth)
    errors[0, 1] = np.inf
    standing = stand(
        {"<one>": errors, "other": errors + 0.1},
        LABELS,
        "mm",
        SUBJECTS,
        observers=observers,
        found={"other": model},
        **QUICK,
    )
    page = render_standing(standing, title="A & B", about={"<one>": "a bundle"}, notices=["Beware of <this>."])
    assert "<one>" not in page and "&lt;one&gt;" in page and "A &amp; B" in page and "Beware of &lt;this&gt;." in page
    assert page.count("data:image/png") == 2
    for words in ("observer C", "other − &lt;one&gt;", "other and the mean", "all pairs of observers", "tail"):
        assert words in page, words
    assert "<script" not in page and "http://" not in page and "https://" not in page

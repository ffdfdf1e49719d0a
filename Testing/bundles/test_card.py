from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from LandmarkDetectorLib.bundles import Card
from LandmarkDetectorLib.bundles.card import card_bytes, card_markdown, parse_card
from LandmarkDetectorLib.core import BundleError


def test_a_card_survives_its_file(card: Card):
    assert parse_card(card_bytes(card), "card.json") == card


def test_a_card_knows_its_labels_in_order(card: Card):
    assert card.labels == ["1", "2L", "2R"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "Toy Head"}, "name"),
        ({"name": "../toy"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"version": "1.2"}, "version"),
        ({"version": "1.2.3\n"}, "version"),
        ({"version": "01.2.3"}, "version"),
        ({"dimension": 4}, "dimension"),
        ({"dimension": "3"}, "dimension"),
        ({"channels": 0}, "channels"),
        ({"channels": 1.5}, "channels"),
        ({"unit": "cm"}, "unit"),
        ({"landmarks": []}, "landmarks"),
        ({"title": "a\x1b[2Jb"}, "title"),
        ({"title": "invoice\u202efdp.exe"}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"title": ""}, "title"),
        ({"licence": "do as you like!"}, "licence"),
        ({"errors": {"protocol": "x", "mean": -1.0, "median": 0.0, "p95": 0.0, "unit": "mm"}}, "errors.mean"),
        ({"figures": {"sigma": float("nan")}}, "figures"),
        ({"surprise": 1}, "surprise"),
        ({"created": "17.5.2024"}, "created"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(card_values: dict, change: dict, complaint: str):
    with pytest.raises(ValidationError) as refused:
        Card(**{**card_values, **change})
    assert complaint in ".".join(str(part) for part in refused.value.errors()[0]["loc"])


def _two_landmarks(**first) -> list[dict]:
    return [{"label": "a", "name": "A", **first}, {"label": "b", "name": "B"}]


@pytest.mark.parametrize(
    ("landmarks", "complaint"),
    [
        (_two_landmarks(label="b"), "same label"),
        (_two_landmarks(mirror="a"), "mirrors itself"),
        (_two_landmarks(mirror="b"), "do not name each other"),
        (_two_landmarks(mirror="c"), "do not name each other"),
    ],
)
def test_landmarks_that_contradict_each_other_are_refused(card_values: dict, landmarks: list, complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        Card(**{**card_values, "landmarks": landmarks, "errors": None})


def test_errors_of_an_unknown_landmark_are_refused(card_values: dict):
    card_values["errors"]["per_landmark"]["9"] = {"mean": 0.1, "p95": 0.2, "n": 3}
    with pytest.raises(ValidationError, match="'9'"):
        Card(**card_values)


def test_a_card_that_cannot_be_read_is_named_in_one_sentence(card: Card):
    content = json.loads(card_bytes(card))
    content["landmarks"][0].pop("name")
    with pytest.raises(BundleError, match=r"^x/card.json is not a valid card \(landmarks.0.name: Field required\)"):
        parse_card(json.dumps(content).encode(), "x/card.json")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"\xff\xfe", b'{"name": NaN}', b'{"name": "a", "name": "b"}', b"[" * 100_000, b"null"]
)
def test_a_card_that_is_not_plain_json_is_refused(data: bytes):
    with pytest.raises(BundleError, match="card.json"):
        parse_card(data, "card.json")


def test_the_readme_says_what_matters(card: Card):
    text = card_markdown(card)
    for said in (
        "# Toy head",
        "proposal until",
        "0.15 mm",
        "GPL-3.0-only",
        "Nobody (2024)",
        "Anything real.",
        "| 2L |",
    ):
        assert said in text


def test_a_card_without_errors_says_that_nothing_was_measured(card: Card):
    assert "Not measured yet" in card_markdown(card.model_copy(update={"errors": None}))


def test_words_of_a_card_never_become_markup(card_values: dict):
    hostile = "<img src=http://evil/x> [a](http://evil) ![b](http://evil) | `c` **d**"
    card_values.update(title=hostile, description="# not a heading\n\n---\n" + hostile, limits=[hostile])
    card_values["landmarks"][0]["definition"] = hostile
    text = card_markdown(Card(**card_values))
    assert "<" not in text
    assert "](" not in text.replace("\\](", "")
    assert "**" not in text.replace("\\*\\*", "")
    assert not any(line.startswith("# not") for line in text.splitlines())
    row = next(line for line in text.splitlines() if line.startswith("| 1 | Tip"))
    assert row.replace("\\|", "").count("|") == 5

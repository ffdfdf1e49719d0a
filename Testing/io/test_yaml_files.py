"""YAML of strangers: plain values, within bounds, and a sentence about everything else."""

from __future__ import annotations

import pytest

from LandmarkDetectorLib.core import LandmarkFileError, MeasurementError, RecipeError
from LandmarkDetectorLib.io.yaml_files import parse_yaml
from LandmarkDetectorLib.measure import load_set
from LandmarkDetectorLib.training.recipe import read_recipe


def tenfold(last: str) -> str:
    """Ten lines that stand for a thousand million values."""
    lines = [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 9)]
    return "\n".join(["l0: &l0 [x, x, x, x, x, x, x, x, x, x]", *lines, last])


def merged() -> str:
    lines = [f"a{i}: &a{i}\n  <<: [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    return "\n".join(["a0: &a0 {k: 1}", *lines])


STRANGE = {
    "a thousand million values": (tenfold("title: *l8"), "written out it holds more than"),
    "as many by joined mappings": (merged(), "written out it holds more than"),
    "a list in itself": ("a: &a [*a]", "holds itself"),
    "deep": ("a: " + "[" * 300 + "]" * 300, "nested deeper"),
    "no date": ("title: 2020-99-99", "not YAML"),
    "endless digits": (f"title: {'1' * 6000}", "not YAML"),
    "code": ("a: !!python/object/apply:os.system ['true']", "python/object/apply"),
    "twice": ("title: a\ntitle: b", "'title' stands twice"),
    "no text": (b"\xff\xfe\x00", "not YAML"),
}


@pytest.mark.parametrize(("text", "why"), STRANGE.values(), ids=STRANGE)
def test_what_would_not_end_or_is_no_plain_value_is_refused_in_a_sentence(tmp_path, refused, text, why):
    path = tmp_path / "strange.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert why in refused(LandmarkFileError, lambda: parse_yaml(path.read_bytes(), path.name))
    for error, read in ((MeasurementError, load_set), (RecipeError, read_recipe)):
        assert why in refused(error, read, path)


def test_what_is_named_once_may_be_meant_twice():
    assert parse_yaml("a: &a {k: 1, l: 2}\nb: *a\nc: {<<: *a, k: 3}", "x") == {
        "a": {"k": 1, "l": 2},
        "b": {"k": 1, "l": 2},
        "c": {"k": 3, "l": 2},
    }

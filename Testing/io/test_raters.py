"""Several observers in one file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkFileError
from LandmarkDetectorLib.io.raters import holds_raters, read_raters

LABELS = ("S", "N")


def written(folder: Path, **changes) -> Path:
    content = {"spacing_mm": [0.5, 0.25], "raters": {"A": [[2, 4], [6, 8]], "B": [[4, 4], None]}} | changes
    path = folder / "case.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_each_observer_has_a_set_in_millimetres(tmp_path: Path) -> None:
    raters, spacing = read_raters(written(tmp_path), LABELS)
    assert spacing == (0.5, 0.25) and list(raters) == ["A", "B"]
    np.testing.assert_allclose(raters["A"].positions, [[1, 1], [3, 2]])
    assert raters["A"].unit == "mm" and raters["A"].labels == ["S", "N"]


def test_what_an_observer_did_not_place_is_undefined_and_not_absent(tmp_path: Path) -> None:
    raters, _ = read_raters(written(tmp_path), LABELS)
    assert raters["B"]["N"].status == "undefined"


def test_without_a_spacing_positions_are_in_pixels(tmp_path: Path) -> None:
    raters, spacing = read_raters(written(tmp_path, spacing_mm=None), LABELS)
    assert spacing is None and raters["A"].unit == "px"
    np.testing.assert_allclose(raters["A"].positions[0], [2, 4])


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"raters": {"A": [[1, 2]]}}, "rater A has 1 landmark and the data set 2"),
        ({"raters": {"A": [[1, 2], ["x", 3]]}}, "'N' of rater A has no place"),
        ({"raters": {"A": [[1, 2], 3]}}, "'N' of rater A has no place 3"),
        ({"raters": [1]}, "it does not hold landmarks by rater"),
    ],
)
def test_a_damaged_file_says_what_is_wrong(tmp_path: Path, changes: dict, sentence: str) -> None:
    with pytest.raises(LandmarkFileError, match=sentence):
        read_raters(written(tmp_path, **changes), LABELS)


def test_an_observer_who_stands_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "case.json"
    path.write_text('{"raters": {"A": [[1, 2], [3, 4]], "A": [[5, 6], [7, 8]]}}', encoding="utf-8")
    with pytest.raises(LandmarkFileError, match="the key 'A' stands twice in one object"):
        read_raters(path, LABELS)


def test_only_such_files_are_taken_for_one(tmp_path: Path) -> None:
    assert holds_raters(written(tmp_path))
    for name, text in (("a.mrk.json", '{"raters": {}}'), ("b.json", "[1]"), ("c.json", "no JSON"), ("d.csv", "raters")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert not holds_raters(tmp_path / name)

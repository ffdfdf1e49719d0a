"""Versions of a bundle: promoted, kept, returned to; a program that is killed in between leaves one of them whole."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import Bundle, Card, import_bundle, load_bundle, remove_bundle, versions, write_bundle
from LandmarkDetectorLib.bundles.calibration import FILE, CalibrationSheet, RegionSettings, calibration_bytes
from LandmarkDetectorLib.bundles.store import user_folder
from LandmarkDetectorLib.bundles.versions import (
    FOLDER,
    HISTORY,
    history,
    in_use,
    kept_versions,
    promote_bundle,
    return_bundle,
)
from LandmarkDetectorLib.core import BundleError, LandmarkFileError
from LandmarkDetectorLib.io.locks import locked

DESCENT = {
    "parent": "toy-head",
    "version": "1.2.3",
    "fingerprint": "a" * 64,
    "corrections": 12,
    "cases": 4,
    "corrections_sha256": "b" * 64,
    "locked": 1,
    "rehearsed": 0,
    "observers": ["observer-1234"],
    "by": "Anna",
}


@pytest.fixture
def version(tmp_path: Path, card_values: dict, state_dict: dict):
    """Writes a version of the toy bundle."""

    def write(number: str, files: dict | None = None, title: str = "A toy") -> Bundle:
        card = Card(**{**card_values, "version": number, "title": title, "lineage": [DESCENT]})
        settings = {"format": 1}
        return write_bundle(
            tmp_path / f"made-{number}-{title}",
            card=card,
            settings=settings,
            state_dict=state_dict,
            licence_text="Free.",
            files=files,
        )

    return write


def test_what_was_in_use_before_is_kept_and_is_one_command_away(version) -> None:
    first, second = version("1.0.0"), version("1.1.0")
    assert in_use("toy-head") is None and history("toy-head") == []
    promote_bundle(first.folder, {"by": "Anna"})
    promote_bundle(second.folder, {"by": "Anna", "because": "it is better"})
    assert load_bundle("toy-head").version == "1.1.0"
    assert [bundle.version for bundle in kept_versions("toy-head")] == ["1.0.0", "1.1.0"]
    back = return_bundle("toy-head", about={"because": "it is not"})
    assert back.version == "1.0.0" and load_bundle("toy-head").fingerprint == first.fingerprint
    assert [entry["action"] for entry in history("toy-head")] == ["promoted", "promoted", "returned"]
    assert history("toy-head")[1]["because"] == "it is better"
    assert return_bundle("toy-head", "1.1.0").fingerprint == second.fingerprint


def test_a_bundle_that_was_imported_over_the_others_is_kept_when_one_returns(version) -> None:
    promote_bundle(version("1.0.0").folder, {})
    promote_bundle(version("1.1.0").folder, {})
    other = version("7.0.0")
    import_bundle(other.folder, replace=True)
    assert return_bundle("toy-head").version == "1.1.0"  # what it was imported over
    assert "7.0.0" in [bundle.version for bundle in kept_versions("toy-head")]
    assert return_bundle("toy-head").fingerprint == other.fingerprint


def test_of_two_bundles_of_one_version_the_fingerprint_says_which_is_meant(version) -> None:
    first, second = version("1.1.0"), version("1.1.0", title="Another toy")
    for one in (first, second, version("1.2.0")):
        promote_bundle(one.folder, {})
    with pytest.raises(BundleError, match="2 kept versions of toy-head are called '1.1.0'; say which by") as refused:
        return_bundle("toy-head", "1.1.0")
    assert first.fingerprint[:8] in str(refused.value) and second.fingerprint[:8] in str(refused.value)
    assert load_bundle("toy-head").version == "1.2.0"
    assert return_bundle("toy-head", second.fingerprint[:8].upper()).fingerprint == second.fingerprint
    assert return_bundle("toy-head", first.fingerprint).fingerprint == first.fingerprint
    with pytest.raises(BundleError, match=rf"'1\.3\.0' .*1\.2\.0 \({in_words('1.2.0')}\)"):
        return_bundle("toy-head", "1.3.0")


def in_words(version: str) -> str:
    """The short fingerprint of a kept version."""
    return next(bundle.fingerprint[:8] for bundle in kept_versions("toy-head") if bundle.version == version)


def test_where_nothing_was_before_there_is_no_way_back_and_it_is_said(version) -> None:
    promote_bundle(version("1.0.0").folder, {})
    with pytest.raises(BundleError, match="Nothing was in use"):
        return_bundle("toy-head")
    with pytest.raises(BundleError, match="No version '9.9.9'"):
        return_bundle("toy-head", "9.9.9")
    with pytest.raises(BundleError, match="No bundle 'other'"):
        return_bundle("other")


def test_a_damaged_candidate_leaves_the_one_in_use_where_it_is(version) -> None:
    promote_bundle(version("1.0.0").folder, {})
    broken = version("1.1.0")
    (broken.folder / "LICENSE").write_text("Altered.", encoding="utf-8")
    with pytest.raises(BundleError):
        promote_bundle(broken.folder, {})
    assert load_bundle("toy-head").version == "1.0.0" and len(history("toy-head")) == 1


@pytest.mark.parametrize("damaged", ["{", "{}", '[{"to": 5}]', '[{"at": "", "action": "", "from": null, "to": {}}]'])
def test_a_damaged_history_stops_a_promotion_before_anything_is_in_use(version, damaged: str) -> None:
    first, second = version("1.0.0"), version("1.1.0")
    promote_bundle(first.folder, {})
    (user_folder() / FOLDER / "toy-head" / HISTORY).write_text(damaged)
    for change in (lambda: promote_bundle(second.folder, {}), lambda: return_bundle("toy-head")):
        with pytest.raises(BundleError, match="history of toy-head cannot be read"):
            change()
    assert load_bundle("toy-head").version == "1.0.0"


def test_where_the_history_cannot_be_written_it_is_said_what_is_in_use(version, monkeypatch) -> None:
    promote_bundle(version("1.0.0").folder, {})
    second = version("1.1.0")

    def full(*_: object, **__: object):
        raise LandmarkFileError("history.json: the disk is full.")

    monkeypatch.setattr(versions, "atomic_write", full)
    with pytest.raises(BundleError, match=r"toy-head 1\.1\.0 is in use now, but its history was not written"):
        promote_bundle(second.folder, {})
    assert load_bundle("toy-head").version == "1.1.0"


@pytest.mark.parametrize("loss", ["removed", "damaged"])
def test_a_bundle_that_was_lost_is_put_back_from_what_is_kept_of_it(version, loss: str) -> None:
    promote_bundle(version("1.0.0").folder, {})
    promote_bundle(version("1.1.0").folder, {})
    if loss == "removed":
        remove_bundle("toy-head")
    else:
        (user_folder() / "toy-head" / "LICENSE").write_text("somebody's notes")
    assert return_bundle("toy-head").version == "1.1.0"
    assert load_bundle("toy-head").version == "1.1.0"
    assert return_bundle("toy-head").version == "1.0.0"  # and the one before that is one step further


def test_a_kept_version_that_is_damaged_is_kept_anew(version) -> None:
    promote_bundle(version("1.0.0").folder, {})
    (kept,) = (user_folder() / FOLDER / "toy-head").glob("1.0.0-*")
    (kept / "LICENSE").write_text("somebody's notes")
    promote_bundle(version("1.1.0").folder, {})
    assert return_bundle("toy-head").version == "1.0.0"


def test_of_two_who_promote_at_once_both_stand_in_the_history(version) -> None:
    made = [version(f"1.{number}.0") for number in range(6)]
    with ThreadPoolExecutor(len(made)) as pool:
        list(pool.map(lambda bundle: promote_bundle(bundle.folder, {"by": "Anna"}), made))
    entries = history("toy-head")
    assert {entry["to"]["fingerprint"] for entry in entries} == {bundle.fingerprint for bundle in made}
    assert [entry["from"] for entry in entries[1:]] == [entry["to"] for entry in entries[:-1]]
    assert entries[-1]["to"]["fingerprint"] == in_use("toy-head").fingerprint


def test_who_waits_in_vain_for_another_program_is_told_and_changes_nothing(version, monkeypatch) -> None:
    first = promote_bundle(version("1.0.0").folder, {})
    monkeypatch.setattr(versions, "locked", partial(locked, patience=0.05))
    with locked(user_folder() / FOLDER / ".toy-head.lock", "it"):
        for change in (lambda: promote_bundle(version("1.1.0").folder, {}), lambda: return_bundle("toy-head")):
            with pytest.raises(BundleError, match="The bundle toy-head is held by another program"):
                change()
    assert in_use("toy-head").fingerprint == first.fingerprint and len(history("toy-head")) == 1


def test_the_card_tells_the_lineage(version) -> None:
    words = version("1.1.0").read("docs/README.md").decode()
    assert "## Lineage" in words and "12 landmarks" in words and "By Anna." in words


def sheet(**change) -> CalibrationSheet:
    regions = RegionSettings(level=0.9, pooled=True, radii={"1": 2.5, "2L": None}, subjects=12)
    return CalibrationSheet(**{"protocol": "A test.", "cases": 20, "subjects": 12, "regions": regions, **change})


def test_a_calibration_is_read_with_the_bundle_and_checked(version, tmp_path: Path) -> None:
    made = version("1.1.0", {FILE: calibration_bytes(sheet())})
    said = made.any_calibration()
    assert said is not None and said.regions is not None and said.regions.radii == {"1": 2.5, "2L": None}
    assert version("1.0.0").calibration() is None
    strange = RegionSettings(level=0.9, pooled=True, radii={"nobody": 1.0}, subjects=12)
    with pytest.raises(BundleError, match="'nobody'"):
        version("1.2.0", {FILE: calibration_bytes(sheet(regions=strange))})
    with pytest.raises(BundleError, match="not a valid calibration"):
        version("1.3.0", {FILE: b'{"protocol": "x", "cases": 1, "subjects": 1, "run": "code"}'})


PROMOTER = (
    "import sys\nfrom pathlib import Path\n"
    "from LandmarkDetectorLib.bundles.versions import promote_bundle\n"
    "print('ready', flush=True)\n"
    "while True:\n"
    "    for folder in sys.argv[1:]:\n"
    "        promote_bundle(Path(folder), {})\n"
)


def kill_at_random(first: Bundle, second: Bundle, runs: int, seed: int) -> None:
    """Programs that promote one after the other without end are killed; what is in use is always one of both, whole."""
    draw = random.Random(seed)
    known = {first.fingerprint, second.fingerprint}
    for _ in range(runs):
        command = [sys.executable, "-c", PROMOTER, str(first.folder), str(second.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as program:
            assert program.stdout is not None and program.stdout.readline() == b"ready\n"
            time.sleep(draw.uniform(0.0, 0.4))
            program.kill()
        assert load_bundle("toy-head").fingerprint in known
        assert {bundle.fingerprint for bundle in kept_versions("toy-head")} <= known
        assert all(entry["to"]["fingerprint"] in known for entry in history("toy-head"))
    promote_bundle(second.folder, {})  # the next one works
    assert load_bundle("toy-head").fingerprint == second.fingerprint


def test_a_promotion_that_is_killed_leaves_one_of_both_whole(version) -> None:
    promote_bundle(version("1.0.0").folder, {})
    kill_at_random(load_bundle("toy-head"), version("1.1.0"), runs=3, seed=1)


@pytest.mark.slow
def test_in_two_hundred_kills_a_bundle_is_always_whole_and_in_use(version, tmp_path: Path) -> None:
    first, second = version("1.0.0"), version("1.1.0")
    promote_bundle(first.folder, {})
    kill_at_random(first, second, runs=200, seed=2)

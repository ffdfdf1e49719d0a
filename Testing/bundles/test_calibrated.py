"""A calibration belongs to the weights and settings that it was made for: it goes where they go, and no further."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import Bundle, Card, import_bundle, load_bundle, write_bundle
from LandmarkDetectorLib.bundles.calibrated import Carried, with_sheet
from LandmarkDetectorLib.bundles.calibration import (
    FILE,
    PICTURE,
    CalibrationSheet,
    ConfidenceSettings,
    RegionSettings,
    calibration_bytes,
    worth,
)
from LandmarkDetectorLib.bundles.manifest import MANIFEST, build_manifest, manifest_bytes
from LandmarkDetectorLib.bundles.versions import promote_bundle, return_bundle
from LandmarkDetectorLib.bundles.write import extend_bundle
from LandmarkDetectorLib.core import BundleError, LandmarkDetectorWarning

SHEET = CalibrationSheet(
    protocol="A test of <few> cases.",
    cases=40,
    subjects=31,
    confidence=ConfidenceSettings(tolerance=1.0, intercept=0.0, spread=1.0, belief=1.0),
    regions=RegionSettings(level=0.9, pooled=True, radii={"1": 2.5, "2L": 2.5, "2R": None}, subjects=31),
    measured={"regions at 90 %, held": 0.913, "confidence, off by": 0.04, "landmarks judged": 120.0},
)


@pytest.fixture
def written(tmp_path: Path, card_values: dict, state_dict: dict):
    """Writes the toy bundle with weights times a factor."""

    def write(name: str = "toy-head", factor: float = 1.0, settings: dict | None = None) -> Bundle:
        return write_bundle(
            tmp_path / "made" / name,
            card=Card(**card_values),
            settings=settings or {"format": 1},
            state_dict={key: value * factor for key, value in state_dict.items()},
            licence_text="Free.",
            replace=True,
        )

    return write


def calibrated(bundle: Bundle, sheet: CalibrationSheet = SHEET, picture: bytes | None = b"a picture") -> Bundle:
    return with_sheet(bundle, bundle.folder, sheet, picture)


def forged(bundle: Bundle, relative: str, content: bytes) -> None:
    """Put a file into a bundle and write its manifest anew, as a careless person would."""
    (bundle.folder / relative).parent.mkdir(exist_ok=True)
    (bundle.folder / relative).write_bytes(content)
    (bundle.folder / MANIFEST).write_bytes(manifest_bytes(build_manifest(bundle.folder)))


def test_a_calibration_names_what_it_was_made_for_and_its_card_says_what_it_is_worth(written) -> None:
    plain = written()
    before = plain.read("docs/README.md").decode()
    bundle = calibrated(plain)
    sheet = bundle.calibration()
    assert sheet is not None and sheet.detector == bundle.detecting == plain.detecting
    assert bundle.fingerprint != plain.fingerprint and bundle.calibration_problem() == ""
    words = bundle.read("docs/README.md").decode()
    assert "40 held-out cases" in words and "held 91.3 %" in words and "(reliability.png)" in words
    assert "&lt;few&gt;" in words and "for 2 of 3 landmarks" in words
    assert bundle.card.figures["regions at 90 %, held"] == 0.913 and bundle.card.figures["network"] == "U-Net"
    assert "not calibrated" in before


def test_a_calibration_beside_other_weights_is_not_used_and_that_is_said(written) -> None:
    sheet = calibrated(written()).read(FILE)
    for bundle in (written("other-weights", 2.0), written("other-settings", settings={"format": 1, "passes": 2})):
        forged(bundle, FILE, sheet)
        again = load_bundle(bundle.folder)
        assert again.calibration() is None and again.reliability_diagram() is None
        assert "was made for other weights or settings, so it is not used" in again.calibration_problem()
        assert worth(None, again.calibration_problem())[0] == again.calibration_problem()


def test_a_calibration_that_does_not_say_what_it_is_for_is_not_used(written) -> None:
    bundle = written()
    forged(bundle, FILE, calibration_bytes(SHEET))
    again = load_bundle(bundle.folder)
    assert again.calibration() is None and "does not say which weights" in again.calibration_problem()


def test_what_detects_stays_when_a_bundle_is_extended_and_the_calibration_with_it(written, tmp_path: Path) -> None:
    bundle = calibrated(written())
    more = extend_bundle(bundle, tmp_path / "more" / bundle.name, {"models/graph.onnx": b"a graph"})
    assert more.fingerprint != bundle.fingerprint
    assert more.calibration() == bundle.calibration() and more.reliability_diagram() == b"a picture"


def test_an_imported_and_a_promoted_and_a_returned_bundle_keep_their_own(written) -> None:
    first = calibrated(written())
    assert import_bundle(first.folder).calibration() is not None
    promote_bundle(first.folder, {})
    second = written(factor=2.0)
    assert promote_bundle(second.folder, {}).calibration() is None
    assert load_bundle("toy-head").calibration() is None
    assert return_bundle("toy-head").calibration().detector == first.detecting


def test_a_second_calibration_leaves_nothing_of_the_first(written) -> None:
    first = calibrated(written())
    other = SHEET.model_copy(update={"measured": {"confidence, off by": 0.2}})
    second = calibrated(first, other, picture=None)
    assert PICTURE not in second.manifest.files and "reliability.png" not in second.read("docs/README.md").decode()
    assert "regions at 90 %, held" not in second.card.figures and second.card.figures["confidence, off by"] == 0.2
    none = with_sheet(second, second.folder, None, None)
    assert none.calibration() is None and FILE not in none.manifest.files
    assert "confidence, off by" not in none.card.figures


def test_a_bundle_that_is_written_over_keeps_its_calibration_where_it_detects_by_the_same(written) -> None:
    before = calibrated(written())
    kept = Carried.of(before.folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        after = kept.over_to(written())
    assert after.calibration() == before.calibration() and after.reliability_diagram() == b"a picture"
    assert after.card.figures == before.card.figures


def test_other_weights_in_its_place_lose_it_and_that_is_said(written) -> None:
    kept = Carried.of(calibrated(written()).folder)
    with pytest.warns(LandmarkDetectorWarning, match="is gone with them; calibrate the new bundle"):
        after = kept.over_to(written(factor=3.0))
    assert after.calibration() is None and FILE not in after.manifest.files and PICTURE not in after.manifest.files


def test_where_there_is_no_calibration_there_is_nothing_to_carry(written, tmp_path: Path) -> None:
    assert Carried.of(tmp_path / "nothing") is None
    assert Carried.of(written().folder) is None
    mismatched = written(factor=2.0)
    forged(mismatched, FILE, calibration_bytes(SHEET.model_copy(update={"detector": "0" * 64})))
    assert Carried.of(mismatched.folder) is None


def test_a_checksum_that_is_none_is_refused(written) -> None:
    bundle = written()
    content = json.loads(calibration_bytes(SHEET))
    forged(bundle, FILE, json.dumps({**content, "detector": "yes"}).encode())
    with pytest.raises(BundleError, match="not a valid calibration"):
        load_bundle(bundle.folder)

"""Comparing and promoting, and the whole journey: detect, correct, retrain, compare, promote, detect again, return."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from LandmarkDetectorLib.bundles import Bundle, import_bundle, load_bundle
from LandmarkDetectorLib.bundles.calibration import INFO, region_radius
from LandmarkDetectorLib.bundles.versions import history, in_use, return_bundle
from LandmarkDetectorLib.cli.app import app
from LandmarkDetectorLib.core import BundleError, ImageError
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.evaluation.promotion import NOT_WORSE, UNDECIDED, WORSE
from LandmarkDetectorLib.inference import Augmented, Detector
from LandmarkDetectorLib.io import load_landmarks, save_image, save_landmarks
from LandmarkDetectorLib.review import Correction, ReviewStore
from LandmarkDetectorLib.review import promote as promoting
from LandmarkDetectorLib.review.judging import judge_beside
from LandmarkDetectorLib.review.material import gather
from LandmarkDetectorLib.review.promote import promote, promotion_page
from LandmarkDetectorLib.review.retrain import retrain
from LandmarkDetectorLib.training import finetune
from LandmarkDetectorLib.training.train import train_networks
from Testing.phantoms import phantom
from Testing.review.small_model import reviewed_store, small_bundle

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path, ReviewStore]:
    folder = tmp_path_factory.mktemp("made")
    bundle, data = small_bundle(folder)
    return bundle, data, reviewed_store(folder, bundle, 20)


@pytest.fixture(autouse=True)
def _steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finetune, "steps_within", lambda recipe, seconds, left: dict.fromkeys(seconds, 80))


def test_the_whole_journey(made, tmp_path: Path) -> None:
    bundle, data, _ = made
    import_bundle(bundle.folder)
    store = ReviewStore.create(tmp_path / "reviews")
    detector, rng = Detector("phantom", "cpu"), np.random.default_rng(99)
    for number in range(10):
        image, truth = phantom(rng, 2)
        save_image(image, tmp_path / f"scan {number}.mha")
        found = detector.detect(image).landmarks
        case = store.add_image(tmp_path / f"scan {number}.mha")
        store.add_proposal(case, found)
        # Three are corrected, one is called absent, the last is confirmed where it was found.
        said = [Correction(label, "corrected", truth[label].position.tolist()) for label in ("nose", "left", "right")]
        last = Correction("tail", "confirmed" if found["tail"].position is not None else "absent")
        store.record(case, "Dr Roe", *said, Correction("fin", "absent"), last)
        save_landmarks(store.reviewed_set(case), tmp_path / f"scan {number}.mrk.json")
    assert load_landmarks(tmp_path / "scan 0.mrk.json")["fin"].status == "missing"
    done = retrain("phantom", store, tmp_path / "run", data=data, minutes=1, by="Dr Roe", device="cpu")
    assert load_bundle("phantom").fingerprint == bundle.fingerprint  # a candidate changes nothing
    promotion = promote(done.bundle, store, data=data, because="the journey of a test", by="Dr Roe", device="cpu")
    assert promotion.promoted is not None
    now = Detector("phantom", "cpu")
    assert now.bundle.version == "0.2.0"
    again = now.detect(phantom(rng, 2)[0]).landmarks
    assert again.info["version"] == "0.2.0" and again["nose"].position is not None
    case = store.add_image(tmp_path / "scan 0.mha")
    store.add_proposal(case, now.detect(store.image(case)).landmarks)
    assert store.state(case, "Dr Roe").entries["nose"].status == "corrected"
    assert return_bundle("phantom").fingerprint == bundle.fingerprint
    assert [entry["action"] for entry in history("phantom")] == ["promoted", "returned"]


def test_a_candidate_that_is_not_worse_takes_over_and_its_card_says_what_was_measured(made, tmp_path: Path) -> None:
    bundle, data, store = made
    import_bundle(bundle.folder)
    done = retrain(bundle, store, tmp_path / "run", data=data, minutes=1, device="cpu")
    only = promote(done.bundle, store, install=False, device="cpu")
    assert only.decision.verdict == NOT_WORSE and only.doubts == (), only.decision.reasons
    assert only.promoted is None and in_use("phantom").fingerprint == bundle.fingerprint
    promotion = promote(done.bundle, store, by="Dr Roe", device="cpu")
    new = promotion.promoted
    assert new is not None and new.card.errors is not None and "never trained" in new.card.errors.protocol
    sheet = new.calibration()
    assert sheet is not None and sheet.subjects == 4 and any("cannot promise 90 %" in note for note in sheet.notices)
    assert set(sheet.regions.radii.values()) == {None}  # everywhere, and said; never an empty one
    assert json.loads(new.read("docs/comparison.json"))["verdict"] == NOT_WORSE
    image, _ = phantom(np.random.default_rng(7), 2)
    found = Detector(new, "cpu").detect(image).landmarks
    assert region_radius(found, "nose") is None and found.info[INFO]["level"] == 0.9
    assert 0 <= found["nose"].confidence <= 1
    assert INFO not in Augmented(Detector(new, "cpu"), looks=2).detect(image).landmarks.info
    page = promotion_page(promotion)
    assert promotion.outcome in page and "<script" not in page and "Jane" not in page and "http:" not in page


@pytest.mark.parametrize("how", ["shifted", pytest.param("swapped", marks=pytest.mark.slow)])
def test_wrong_corrections_are_not_promoted(made, tmp_path: Path, how: str) -> None:
    """After honest ones, so that there are cases to judge by; the wrong ones are wrong on both sides of the split."""
    bundle, data, _ = made
    import_bundle(bundle.folder)
    (tmp_path / "honest").mkdir()
    store = reviewed_store(tmp_path / "honest", bundle, 16)
    first = retrain(bundle, store, tmp_path / "first", data=data, minutes=1, device="cpu").bundle
    assert promote(first, store, because="a test", device="cpu").promoted is not None
    rng, detector = np.random.default_rng(500), Detector("phantom", "cpu")
    for _ in range(14):
        image, truth = phantom(rng, 2)
        save_image(image, tmp_path / "scan.mha")
        case = store.add_image(image, copy=True)
        store.add_proposal(case, detector.detect(image).landmarks)
        places = {mark.label: mark.position + (3.0 if how == "shifted" else 0.0) for mark in truth}
        if how == "swapped":
            places["left"], places["right"] = places["right"], places["left"]
        store.record(case, "Dr Oops", *[Correction(label, "corrected", at.tolist()) for label, at in places.items()])
    second = retrain("phantom", store, tmp_path / "second", data=data, minutes=1, device="cpu").bundle
    promotion = promote(second, store, device="cpu")
    assert promotion.promoted is None and in_use("phantom").version == first.version
    assert promotion.doubts, promotion.decision.reasons
    words = "to one side" if how == "shifted" else "left and right lie crosswise"
    assert any(words in sentence for sentence in promotion.doubts)


def test_a_model_that_is_worse_is_never_promoted_silently(made, tmp_path: Path, monkeypatch) -> None:
    bundle, _, store = made
    import_bundle(bundle.folder)

    def destroyed(*given, **named):
        state, pipeline = train_networks(*given, **named)
        return {name: value * 0 for name, value in state.items()}, pipeline

    monkeypatch.setattr(finetune, "train_networks", destroyed)
    done = retrain(bundle, store, tmp_path / "run", minutes=1, device="cpu")
    promotion = promote(done.bundle, store, device="cpu")
    assert promotion.decision.verdict == WORSE and promotion.promoted is None
    assert "stays in use" in promotion.outcome and in_use("phantom").fingerprint == bundle.fingerprint
    forced = promote(done.bundle, store, because="I know better", by="Dr Roe", device="cpu")
    assert forced.promoted is not None and "Dr Roe says: I know better" in forced.outcome
    assert history("phantom")[-1]["because"] == "I know better" and history("phantom")[-1]["verdict"] == WORSE


def test_a_confirmed_landmark_does_not_count_for_the_model_that_proposed_it(made, tmp_path: Path) -> None:
    bundle, _, _ = made
    store = ReviewStore.create(tmp_path / "reviews")
    detector, rng = Detector(bundle, "cpu"), np.random.default_rng(3)
    for number in range(8):
        image, truth = phantom(rng, 2)
        case = store.add_image(image, copy=True)
        found = detector.detect(image).landmarks
        store.add_proposal(case, found)
        near = [m.label for m in found if m.position is not None and number % 2 and m.label != "nose"]
        said = [Correction(label, "confirmed") for label in near]
        said += [Correction(m.label, "corrected", (m.position + 0.1).tolist()) for m in truth if m.label not in near]
        store.record(case, "Dr Roe", *said)
    judged = judge_beside(bundle, bundle, store, device="cpu")
    assert judged.let_pass == pytest.approx(gather(store, bundle.labels).let_pass())
    slack = judged.unseen.slack
    lessons = gather(store, bundle.labels).lessons  # neither has seen any of them
    assert (slack > 0).sum() == sum(mark[0] == "confirmed" for lesson in lessons for mark in lesson.marks.values())
    raw, less = judged.unseen.distances(judged.unseen.old), judged.unseen.errors(judged.unseen.old)
    assert np.allclose(np.maximum(raw - slack, 0), less, equal_nan=True)


def test_with_nothing_to_judge_by_nothing_is_promoted_and_the_page_says_so(made, tmp_path: Path) -> None:
    bundle, _, _ = made
    import_bundle(bundle.folder)
    store = reviewed_store(tmp_path, bundle, 3)
    done = retrain(bundle, store, tmp_path / "run", minutes=1, device="cpu")
    promotion = promote(done.bundle, store, device="cpu")
    assert promotion.promoted is None and promotion.decision.verdict == UNDECIDED and promotion.calibration is None
    assert "There is none yet" in promotion_page(promotion)
    forced = promote(done.bundle, store, because="a beginning", device="cpu")
    assert forced.promoted is not None and forced.promoted.card.errors is None


@pytest.mark.parametrize("trouble", [ImageError("case-1: its image is gone."), KeyboardInterrupt()])
def test_where_the_page_fails_what_is_in_use_is_said_all_the_same(tmp_path: Path, monkeypatch, trouble) -> None:
    def page(_: object) -> str:
        raise trouble

    monkeypatch.setattr(promoting, "promote", lambda *_, **__: SimpleNamespace(outcome="toy 1.1.0 is in use now."))
    monkeypatch.setattr(promoting, "promotion_page", page)
    said = CliRunner().invoke(app, ["promote", str(tmp_path / "run" / "toy"), "--store", str(tmp_path)])
    assert (
        "toy 1.1.0 is in use now. But its page" in said.stderr and not (tmp_path / "run" / "comparison.html").exists()
    )


def test_what_cannot_be_compared_is_refused_with_a_sentence(made, tmp_path: Path) -> None:
    bundle, _, store = made
    with pytest.raises(BundleError, match="was not retrained"):
        promote(bundle, store, device="cpu")
    done = retrain(bundle, store, tmp_path / "run", minutes=1, device="cpu")
    with pytest.raises(BundleError, match="--against"):
        promote(done.bundle, store, device="cpu")
    assert (
        promote(done.bundle, store, against=bundle, install=False, device="cpu").old.fingerprint == bundle.fingerprint
    )


def test_the_command_line_goes_the_same_way(made, tmp_path: Path) -> None:
    bundle, data, store = made
    import_bundle(bundle.folder)
    run = CliRunner()
    words = ["retrain", "--bundle", "phantom", "--store", str(store.folder), "--output", str(tmp_path / "run")]
    done = run.invoke(
        app, [*words, "--data", str(data), "--minutes", "1", "--by", "Dr Roe", "--device", "cpu", "--json"]
    )
    assert done.exit_code == 0, done.output
    about = json.loads(done.stdout)
    assert about["version"] == "0.2.0" and about["locked"] == 4
    promoted = run.invoke(app, ["promote", about["folder"], "--store", str(store.folder), "--device", "cpu"])
    assert promoted.exit_code == 0 and "is in use now" in promoted.stdout, promoted.output
    assert (tmp_path / "run" / "comparison.html").is_file() and (tmp_path / "run" / "comparison.json").is_file()
    listed = run.invoke(app, ["bundles", "history", "phantom", "--json"])
    assert json.loads(listed.stdout)["in_use"]["version"] == "0.2.0"
    back = run.invoke(app, ["bundles", "return", "phantom", "--because", "a test", "--json"])
    assert json.loads(back.stdout)["fingerprint"] == bundle.fingerprint
    again = run.invoke(app, words)
    assert again.exit_code == 2


def test_images_of_the_original_data_are_known_in_the_store_under_any_name(made, tmp_path: Path) -> None:
    """What trained is never locked and never judges; what was held out judges once."""
    bundle, data, _ = made
    store, rng = ReviewStore.create(tmp_path / "reviews"), np.random.default_rng(70)
    known = {case.subject: store.add_image(case.image_path, copy=True) for case in read_dataset(data).cases}
    for case in read_dataset(data).cases:
        marks = [Correction(mark.label, "corrected", mark.position.tolist()) for mark in case.landmarks]
        store.record(known[case.subject], "Dr Roe", *marks)
    for _ in range(6):
        image, truth = phantom(rng, 2)
        case = store.add_image(image, copy=True)
        store.record(case, "Dr Roe", *[Correction(m.label, "corrected", m.position.tolist()) for m in truth])
    done = retrain(bundle, store, tmp_path / "run", data=data, minutes=1, device="cpu")
    trained = {known[name] for name in bundle.split()["trained"]}
    assert trained and not trained & set(done.bundle.split()["locked"])
    judged = judge_beside(bundle, done.bundle, store, data=data, device="cpu").unseen
    assert not trained & set(judged.names)
    held_out = bundle.split()["held_out"]
    assert sum(name in {known[one] for one in held_out} for name in judged.names) <= 1
    assert not {store.pseudonym("subject", one) for one in held_out} & set(judged.names), "its image is in the store"


def test_another_image_of_a_subject_that_was_learnt_from_is_not_unseen(made, tmp_path: Path) -> None:
    bundle, _, _ = made
    store = reviewed_store(tmp_path, bundle, 10)
    done = retrain(bundle, store, tmp_path / "run", minutes=1, device="cpu")
    before = judge_beside(bundle, done.bundle, store, device="cpu").unseen.names
    learnt = done.bundle.split()["reviewed"][0]
    subject, rng = store.case(learnt).about["subject"], np.random.default_rng(71)
    for whose in (subject, "case02"):  # the second one trained the first bundle
        image, truth = phantom(rng, 2)
        case = store.add_image(image, copy=True, subject=whose)
        store.record(case, "Dr Roe", *[Correction(m.label, "corrected", m.position.tolist()) for m in truth])
    assert judge_beside(bundle, done.bundle, store, device="cpu").unseen.names == before


def test_a_page_that_cannot_be_written_is_refused_before_anything_is_compared(made, tmp_path: Path) -> None:
    bundle, _, store = made
    done = retrain(bundle, store, tmp_path / "run", minutes=1, device="cpu")
    words = ["promote", str(done.bundle.folder), "--store", str(store.folder), "--html", str(tmp_path)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2 and "is a folder; give the page the name of a file" in result.output
    assert in_use(done.bundle.name) is None or in_use(done.bundle.name).fingerprint != done.bundle.fingerprint

"""Retraining: only what somebody vouches for trains, the locked set never does, and an interrupted run goes on."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.bundles import Bundle, import_bundle, load_bundle
from LandmarkDetectorLib.bundles.pipeline import read_pipeline
from LandmarkDetectorLib.bundles.store import user_folder
from LandmarkDetectorLib.core import BundleError, Cancelled, DeviceError, RecipeError
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.inference.offsets import with_offsets
from LandmarkDetectorLib.review import Correction, ReviewError, ReviewStore
from LandmarkDetectorLib.review.locked import LOCKED, TRAINING
from LandmarkDetectorLib.review.material import gather
from LandmarkDetectorLib.review.retrain import next_version, recipe_of, retrain
from LandmarkDetectorLib.training import finetune
from LandmarkDetectorLib.training.finetune import read_plan
from LandmarkDetectorLib.training.samplers import FrameSampler, ImageSampler, PatchSampler
from LandmarkDetectorLib.training.specimens import load_specimens
from Testing.phantoms import LABELS, write_dataset
from Testing.review.small_model import reviewed_store, small_bundle

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Path, ReviewStore]:
    """A bundle, the data that trained it, and a store of twelve reviewed cases."""
    folder = tmp_path_factory.mktemp("made")
    bundle, data = small_bundle(folder)
    return bundle, data, reviewed_store(folder, bundle, 12)


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan of twelve steps, whatever the machine."""
    monkeypatch.setattr(finetune, "steps_within", lambda recipe, seconds, left: dict.fromkeys(seconds, 12))


def test_a_retrained_bundle_says_where_it_comes_from_and_nothing_of_a_patient(made, tmp_path: Path) -> None:
    bundle, data, store = made
    done = retrain(bundle, store, tmp_path / "run", data=data, minutes=1, by="Dr Roe", device="cpu")
    new = done.bundle
    assert (new.name, new.version) == ("phantom", "0.2.0") == (bundle.name, next_version(bundle.version, bundle.name))
    (descent,) = new.card.lineage
    assert descent.fingerprint == bundle.fingerprint and descent.by == "Dr Roe"
    assert descent.corrections == done.material.count() and descent.corrections_sha256 == done.material.sha256
    assert descent.locked == 2 and descent.cases == 10 and descent.rehearsed == 6
    assert new.card.errors is None  # what was measured of the parent says nothing of it
    split = json.loads(new.read("docs/split.json"))
    assert len(split["locked"]) == 2 and len(split["reviewed"]) == 10
    assert not set(split["locked"]) & set(split["reviewed"])
    for path in (tmp_path / "run").rglob("*"):
        content = path.read_bytes() if path.is_file() else b""
        for word in (b"Jane", b"Doe", b"scans", str(store.folder.parent).encode()):
            assert word not in content and word.decode() not in path.name, path
    before, after = bundle.state_dict(), new.state_dict()
    assert before.keys() == after.keys() and not all(torch.equal(before[name], after[name]) for name in before)


def test_what_nobody_vouches_for_teaches_nothing(made, tmp_path: Path) -> None:
    """The same weights, whatever stands at landmarks that nobody reviewed, and on cases that are locked."""
    bundle, _, store = made
    copies = []
    for number, place in enumerate([(90.0, 90.0), (110.0, 108.0)]):
        copy = tmp_path / f"store {number}"
        shutil.copytree(store.folder, copy)
        other = ReviewStore.open(copy)
        material = gather(other, read_pipeline(bundle.settings, bundle.name).labels)
        # Taken back: nobody vouches for the tail of any case that trains; and the locked ones say something else.
        for lesson in material.on(TRAINING):
            other.record(lesson.case, "Dr Roe", Correction("tail", "unreviewed"))
        for lesson in material.on(LOCKED):
            other.record(lesson.case, "Dr Roe", Correction("nose", "corrected", place))
        copies.append(retrain(bundle, other, tmp_path / f"run {number}", minutes=1, device="cpu").bundle)
    first, second = (copy.state_dict() for copy in copies)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert copies[0].card.lineage[0].corrections_sha256 != copies[1].card.lineage[0].corrections_sha256


def test_what_a_bundle_takes_off_its_detections_is_learnt_anew(made, tmp_path: Path) -> None:
    bundle, data, store = made
    wrong = np.full((len(bundle.labels), 2), 0.8)
    settled = with_offsets(load_bundle(shutil.copytree(bundle.folder, tmp_path / "settled")), wrong)
    new = retrain(settled, store, tmp_path / "run", data=data, minutes=1, device="cpu").bundle
    learnt = read_pipeline(new.settings, new.name).offset_array
    assert np.linalg.norm(learnt, axis=1).mean() < 0.5 * np.linalg.norm(wrong, axis=1).mean()


def test_an_absent_landmark_trains_presence_and_an_unreviewed_one_nothing(made) -> None:
    bundle, _, store = made
    pipeline = read_pipeline(bundle.settings, bundle.name)
    material = gather(store, pipeline.labels)
    cases = [case for side in (TRAINING, LOCKED) for case in material.cases(store, pipeline, side) if case.absent]
    (case,) = cases
    (specimen,) = load_specimens([case], pipeline)
    fin = pipeline.labels.index("fin")
    assert specimen.absent.tolist() == [False] * 4 + [True] and np.isnan(specimen.positions[fin]).all()
    training = recipe_of(bundle).image_training
    batch = ImageSampler([specimen], pipeline, training).batch(np.random.default_rng(0))
    assert batch.known[:, fin].all() and not batch.present[:, fin].any()


def test_a_patch_is_looked_at_where_an_absent_landmark_would_be(tmp_path: Path) -> None:
    from LandmarkDetectorLib.datasets import read_dataset
    from LandmarkDetectorLib.training import read_recipe
    from LandmarkDetectorLib.training.train import learn_pipeline
    from Testing.phantoms import recipe_text, write_dataset

    (tmp_path / "data").mkdir()
    dataset = read_dataset(write_dataset(tmp_path / "data", 6, 2))
    (tmp_path / "recipe.yaml").write_text(recipe_text(2), encoding="utf-8")
    recipe = read_recipe(tmp_path / "recipe.yaml")
    pipeline = learn_pipeline(recipe, dataset, dataset.cases)
    case = dataset.cases[0]
    true = case.landmarks["fin"].position
    marks = replace(case.landmarks, landmarks=tuple(m for m in case.landmarks if m.label != "fin"))
    case = replace(case, landmarks=marks.reordered(dataset.labels), absent=frozenset(["fin"]))
    (specimen,) = load_specimens([case], pipeline)
    assert recipe.patch_training is not None and recipe.frame_training is not None
    sampler = PatchSampler([specimen], pipeline, recipe.patch_training)
    batch = sampler.batch(np.random.default_rng(1), specimens=[specimen], vary=False)
    rows = np.flatnonzero(batch.which.numpy() == 4)
    assert len(rows) == 1 and batch.known[rows].all() and not batch.present[rows].any()
    inside = np.linalg.inv(specimen.pose) @ np.append(specimen.positions[0], 1)
    where = specimen.pose @ np.append(sampler._expected(np.full((5, 2), np.nan), specimen.unit)[4], 1)
    assert np.linalg.norm(where[:-1] - true) < 3 and np.isfinite(inside).all()
    frame = FrameSampler([specimen], pipeline, recipe.frame_training, 4).batch(np.random.default_rng(2))
    assert frame.known[:, 4].all() and not frame.present[:, 4].any()


def test_an_interrupted_run_goes_on_to_the_same_weights_by_the_corrections_that_it_began_with(
    made, tmp_path: Path
) -> None:
    bundle, _, store = made
    whole = retrain(bundle, store, tmp_path / "whole", minutes=1, device="cpu").bundle.state_dict()
    copy = tmp_path / "store"
    shutil.copytree(store.folder, copy)
    other, calls = ReviewStore.open(copy), [0]

    def after_a_while() -> bool:
        calls[0] += 1
        return calls[0] == 9

    with pytest.raises(Cancelled, match="--resume"):
        retrain(bundle, other, tmp_path / "parts", minutes=1, device="cpu", cancelled=after_a_while)
    with pytest.raises(ReviewError, match="--resume"):
        retrain(bundle, other, tmp_path / "parts", minutes=1, device="cpu")
    case = other.cases()[0].case
    other.record(case, "Dr Roe", Correction("nose", "corrected", (101.0, 99.0)))
    parts = retrain(bundle, other, tmp_path / "parts", minutes=9, resume=True, device="cpu").bundle.state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


PROGRAM = (
    "import sys, torch\n"
    "torch.set_num_threads(1)\n"
    "from LandmarkDetectorLib.training import finetune\n"
    "finetune.steps_within = lambda recipe, seconds, left: dict.fromkeys(seconds, 12)\n"
    "from LandmarkDetectorLib.review.retrain import retrain\n"
    "print('ready', flush=True)\n"
    "retrain(sys.argv[1], sys.argv[2], sys.argv[3], minutes=1, resume=True, device='cpu')\n"
)


def killed_until_done(bundle: Bundle, store: ReviewStore, output: Path, kills: int, seed: int) -> dict:
    draw, environment = random.Random(seed), {**os.environ, "PYTHONPATH": os.getcwd()}
    command = [sys.executable, "-c", PROGRAM, str(bundle.folder), str(store.folder), str(output)]
    for _ in range(kills):
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as program:
            assert program.stdout is not None and program.stdout.readline() == b"ready\n"
            time.sleep(draw.uniform(0.0, 2.0))
            program.send_signal(signal.SIGKILL)
    subprocess.run(command, check=True, env=environment, capture_output=True)
    from LandmarkDetectorLib.bundles import load_bundle

    return load_bundle(output / "phantom").state_dict()


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_weights(made, tmp_path: Path) -> None:
    bundle, _, store = made
    whole = retrain(bundle, store, tmp_path / "whole", minutes=1, device="cpu").bundle.state_dict()
    parts = killed_until_done(bundle, store, tmp_path / "parts", kills=1, seed=3)
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


@pytest.mark.slow
def test_a_run_that_is_killed_forty_times_goes_on_to_the_same_weights(made, tmp_path: Path) -> None:
    bundle, _, store = made
    whole = retrain(bundle, store, tmp_path / "whole", minutes=1, device="cpu").bundle.state_dict()
    for seed in range(4):
        parts = killed_until_done(bundle, store, tmp_path / f"parts {seed}", kills=10, seed=seed)
        assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_the_steps_follow_from_the_time_and_never_exceed_the_recipes(made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    recipe = recipe_of(made[0])
    assert finetune.steps_within(recipe, {"image": 0.1}, 3.0) == {"image": 30}
    assert finetune.steps_within(recipe, {"image": 0.1}, 1e6) == {"image": 40}
    assert finetune.steps_within(recipe, {"image": 10.0}, 1.0) == {"image": 10}


def test_rehearsal_leaves_out_what_the_store_has_locked_and_what_it_has(made, tmp_path: Path) -> None:
    bundle, data, _ = made
    store = ReviewStore.create(tmp_path / "reviews")
    store.import_annotations("Dr Roe", data)
    done = retrain(bundle, store, tmp_path / "run", data=data, minutes=1, device="cpu")
    assert done.tuned.plan.rehearsed == 0 and any("Not rehearsed, for" in notice for notice in done.notices)
    # Those that trained the bundle cannot be locked any more; its own sample can.
    split = json.loads(bundle.read("docs/split.json"))
    names = {store.case(lesson.case).about["subject"] for lesson in done.material.on(LOCKED)}
    assert not names & set(split["trained"])


def test_a_run_that_never_began_does_not_stand_in_the_way_of_the_next(made, tmp_path: Path) -> None:
    bundle, _, store = made
    for attempt in ("first", "second"):
        with pytest.raises(DeviceError, match="abacus"):
            retrain(bundle, store, tmp_path / "run", minutes=1, by=attempt, device="abacus")


def test_what_cannot_be_retrained_is_refused_with_a_sentence(made, tmp_path: Path) -> None:
    bundle, _, store = made
    empty = ReviewStore.create(tmp_path / "empty")
    with pytest.raises(ReviewError, match="review some"):
        retrain(bundle, empty, tmp_path / "run", minutes=1, device="cpu")
    with pytest.raises(BundleError, match="Mouse Skull"):
        retrain(bundle, store, tmp_path / "named", minutes=1, name="Mouse Skull", device="cpu")
    with pytest.raises(ReviewError, match="came with the software"):
        retrain(bundle, store, tmp_path / "named", minutes=1, name="fundus", device="cpu")
    assert not (tmp_path / "named").exists()
    with pytest.raises(ReviewError, match="minutes"):
        retrain(bundle, store, tmp_path / "run", minutes=0, device="cpu")
    done = retrain(bundle, store, tmp_path / "done", minutes=1, device="cpu")
    with pytest.raises(RecipeError, match="another bundle or other corrections"):
        retrain(done.bundle, store, tmp_path / "done", minutes=1, resume=True, device="cpu")
    plan = read_plan(tmp_path / "done" / "plan.json")
    assert plan is not None and plan.parent == bundle.fingerprint
    bare = replace(
        bundle, manifest=type(bundle.manifest)({k: v for k, v in bundle.manifest.files.items() if "recipe" not in k})
    )
    with pytest.raises(BundleError, match="holds no recipe"):
        retrain(bare, store, tmp_path / "other", minutes=1, device="cpu")


def test_a_name_whose_bundle_is_damaged_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    damaged = user_folder() / "fundus-retrained"
    damaged.mkdir(parents=True)
    (damaged / "manifest.json").write_text("{}", encoding="utf-8")
    try:
        with pytest.raises(BundleError, match="manifest"):
            retrain("fundus", ReviewStore.create(tmp_path / "reviews"), tmp_path / "run", device="cpu")
        assert not (tmp_path / "run").exists()
    finally:
        shutil.rmtree(damaged)


def test_no_two_versions_that_were_in_use_have_one_number(made) -> None:
    bundle, _, _ = made
    assert next_version("1.2.5", "none-of-this-name") == "1.3.0"
    import_bundle(bundle.folder, replace=True)
    assert next_version("0.0.1", bundle.name) == next_version(bundle.version, bundle.name) == "0.2.0"


def test_absent_landmarks_of_the_original_data_are_rehearsed_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = json.loads((write_dataset(tmp_path, 2) / "dataset.json").read_text())
    for entry in listing["training"]:
        marks = json.loads((tmp_path / entry["landmarks"]).read_text())
        marks["markups"][0]["controlPoints"] = marks["markups"][0]["controlPoints"][1:]
        (tmp_path / entry["landmarks"]).write_text(json.dumps(marks))
        entry["absent"] = LABELS[:1]
    (tmp_path / "dataset.json").write_text(json.dumps(listing))
    module = import_module("LandmarkDetectorLib.review.retrain")
    monkeypatch.setattr(module, "codes_of", lambda store, names: set())
    monkeypatch.setattr(module, "case_of", lambda store, case: None)
    parent, nothing = SimpleNamespace(labels=LABELS, name="phantom"), SimpleNamespace(on=lambda side: [], lessons=[])
    kept, _ = module._rehearsed(read_dataset(tmp_path), parent, None, nothing, {"trained": ["case00", "case01"]})
    assert [case.absent for case in kept] == [{LABELS[0]}] * 2 and kept[0].landmarks.labels == LABELS


def test_a_run_is_not_resumed_without_the_data_that_it_rehearsed(made, tmp_path: Path) -> None:
    bundle, data, store = made
    retrain(bundle, store, tmp_path / "run", data=data, minutes=1, device="cpu")
    with pytest.raises(RecipeError, match="give the same --data"):
        retrain(bundle, store, tmp_path / "run", minutes=1, resume=True, device="cpu")


def test_a_full_disk_stops_a_run_with_a_sentence_and_it_goes_on_to_the_same_weights(
    made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, _, store = made
    whole = retrain(bundle, store, tmp_path / "whole", minutes=1, device="cpu").bundle.state_dict()
    save, calls = torch.save, [0]

    def full(state: object, path: object, *more: object, **named: object) -> None:
        calls[0] += 1
        if calls[0] == 2:
            Path(str(path)).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(state, path, *more, **named)

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(RecipeError, match="No space left on device"):
        retrain(bundle, store, tmp_path / "parts", minutes=1, device="cpu")
    assert not list((tmp_path / "parts").glob("*.new")) and list((tmp_path / "parts").glob("*.checkpoint.pt"))
    parts = retrain(bundle, store, tmp_path / "parts", minutes=1, resume=True, device="cpu").bundle.state_dict()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)

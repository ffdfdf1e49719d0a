"""From a bundle and the corrections of a store to the next bundle, which is a candidate until it was compared.

What trains is what somebody vouches for: confirmed and corrected landmarks by their place, absent ones by their
absence; everything else is masked. What was gathered, the plan and the checkpoints stand in the folder of the run.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from LandmarkDetectorLib.bundles import Bundle, load_bundle, write_bundle
from LandmarkDetectorLib.bundles.bundle import LICENCE, SAMPLES, SPLIT
from LandmarkDetectorLib.bundles.card import Card, Descent
from LandmarkDetectorLib.bundles.names import check_bundle_name
from LandmarkDetectorLib.bundles.pipeline import read_pipeline
from LandmarkDetectorLib.bundles.store import SHIPPED
from LandmarkDetectorLib.bundles.versions import in_use, kept_versions
from LandmarkDetectorLib.core import BundleError, ImageError, LandmarkFileError
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.datasets.cases import Case, Dataset, read_dataset
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.offsets import learn_offsets, with_offsets
from LandmarkDetectorLib.io.yaml_files import parse_yaml
from LandmarkDetectorLib.review.case import CONSENSUS, check_observer
from LandmarkDetectorLib.review.errors import ReviewError, disk_errors
from LandmarkDetectorLib.review.locked import LOCKED, NEITHER, TRAINING
from LandmarkDetectorLib.review.material import Material, ReviewedCase, gather
from LandmarkDetectorLib.review.original import KINDS, case_of, codes_of, trained_on
from LandmarkDetectorLib.review.store import ReviewStore
from LandmarkDetectorLib.training.finetune import PLAN, FineTuned, fine_tune
from LandmarkDetectorLib.training.recipe import Recipe

RECIPE = "docs/recipe.yaml"
MATERIAL = "corrections.json"
MINUTES = 20.0
SUFFIX = "-retrained"


@dataclass(frozen=True, eq=False)
class Retrained:
    """What came of a retraining.

    Args:
        bundle: the candidate, in the folder of the run.
        parent: what it comes from.
        material: what it learnt from, and what was kept back.
        tuned: the plan that it was trained by, and the weights.
        notices: what a person should be told.
    """

    bundle: Bundle
    parent: Bundle
    material: Material
    tuned: FineTuned
    notices: tuple[str, ...]


def retrain(
    bundle: Bundle | str | Path,
    store: ReviewStore | str | Path,
    output: Path | str,
    *,
    data: Path | str | None = None,
    minutes: float = MINUTES,
    name: str | None = None,
    observer: str = CONSENSUS,
    by: str = "",
    resume: bool = False,
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Retrained:
    """Fine-tune a bundle on what a store's observers vouch for.

    Args:
        bundle: a bundle, its name or its folder.
        store: a review store, or its folder.
        output: the folder of the run; the candidate is written to ``output/NAME``.
        data: the data set that the bundle was trained on, where it is at hand; what trained is rehearsed.
        minutes: that the training may take.
        name: of the candidate; by default the bundle's, and for one that came with the software the same with
            ``-retrained``, since those are not replaced.
        observer: whose word counts; by default what all say together.
        by: who retrains, for the card.
        resume: go on with the run in ``output``, by the corrections that it began with.
        device: as for training.
        progress: called with a stage and the fraction of the whole that is done.
        cancelled: asked after every step; when it says yes, a checkpoint is written and :class:`Cancelled` raised.

    Raises:
        ReviewError: nothing is reviewed, or only what is locked.
        BundleError: the bundle holds no recipe to go on by, or cannot be written.
        LandmarkDetectorError: data, images or device are not usable.
    """
    if not minutes > 0:
        raise ReviewError(f"A training of {minutes:g} minutes teaches nothing; give some.")
    parent = bundle if isinstance(bundle, Bundle) else load_bundle(bundle)
    # What would refuse the candidate refuses it now, and not when it has been trained.
    next_version(parent.version, check_bundle_name(name or candidate_name(parent)))
    if name is not None and (SHIPPED / name).exists():
        raise ReviewError(f"A bundle called {name!r} came with the software and is not replaced; give another name.")
    store = store if isinstance(store, ReviewStore) else ReviewStore.open(store)
    observer = observer if observer == CONSENSUS else check_observer(observer)
    folder = Path(output)
    recipe, pipeline = recipe_of(parent), read_pipeline(parent.settings, parent.name)
    split = parent.split()
    dataset = None if data is None else read_dataset(data)
    with disk_errors(f"The run in {folder.name} cannot be begun"):
        folder.mkdir(parents=True, exist_ok=True)
    if resume and (folder / MATERIAL).is_file():
        material = Material.read(folder / MATERIAL)
    else:
        if (folder / PLAN).exists():  # before its plan was settled a run has learnt nothing, and is begun anew
            raise ReviewError(f"{folder.name} holds a run already; go on with it by --resume, or give another folder.")
        taught = trained_on(store, split, dataset)
        kept = split.get("locked", ())
        material = gather(store, pipeline.labels, observer=observer, trained=taught, locked=kept)
        material.save(folder / MATERIAL)
    notices = material.unfit(store, pipeline)
    if dataset is None and split.get("trained"):
        notices.append(
            f"Whether an image of this store trained {parent.name} before is told by its subject's name alone; where "
            "the original data are given, the images themselves are compared."
        )
    notices += [f"{case} is left out: {reason.rstrip('.')}." for case, reason in material.left_out]
    if material.on(NEITHER):
        both = counted(len(material.on(NEITHER)), "case")
        notices.append(f"Left out, for they turned out to be of subjects on both sides: {both}.")
    reviewed, said = readable(material.cases(store, pipeline, TRAINING))
    notices += said
    if not reviewed:
        raise ReviewError("Every reviewed case is locked for judging, or cannot be read; review some more.")
    rehearsed: list[Case] = []
    if dataset is not None:
        rehearsed, said = _rehearsed(dataset, parent, store, material, split)
        notices += said
    tuned = fine_tune(
        parent,
        recipe,
        reviewed,
        rehearsed,
        folder,
        material=material.sha256,
        minutes=minutes,
        resume=resume,
        device=device,
        progress=progress,
        cancelled=cancelled,
    )
    if parent.calibration() is not None:
        notices.append(
            f"The calibration of {parent.name} {parent.version} was made for its own weights and is left behind; the "
            "candidate's confidences are what its networks believe until it is promoted, which calibrates it."
        )
    candidate = _publish(parent, tuned, material, len(reviewed), folder, name, by, split)
    if tuned.pipeline.offsets is not None:
        origins = split.get("origins") or {case.origin for case in rehearsed}
        teaching = [*reviewed, *(case for case in rehearsed if case.origin in origins)]
        candidate = with_offsets(candidate, learn_offsets(Detector(candidate, device), teaching, cancelled=cancelled))
    return Retrained(candidate, parent, material, tuned, tuple(notices))


def recipe_of(bundle: Bundle) -> Recipe:
    """The recipe that a bundle was trained by, which it holds.

    Raises:
        BundleError: it holds none, or one that this version cannot read.
    """
    if RECIPE not in bundle.manifest.files:
        raise BundleError(f"The bundle {bundle.name} holds no recipe, so it cannot be trained on; train it anew.")
    try:
        return Recipe.model_validate(parse_yaml(bundle.read(RECIPE), RECIPE))
    except (LandmarkFileError, ValidationError) as error:
        raise BundleError(f"The recipe in the bundle {bundle.name} cannot be read; train the bundle anew.") from error


def candidate_name(parent: Bundle) -> str:
    """What a retrained bundle is called: a bundle that came with the software keeps its name for itself."""
    return f"{parent.name}{SUFFIX}" if (SHIPPED / parent.name).exists() else parent.name


def next_version(version: str, name: str) -> str:
    """The version of a bundle that was retrained: ``1.3.0`` of ``1.2.5``, and more where that has been in use.

    Raises:
        BundleError: the bundle in use under this name is damaged.
    """
    current = in_use(name)
    known = [version, *(bundle.version for bundle in (*kept_versions(name), *([current] if current else ())))]
    major, minor, _ = max(tuple(int(part) for part in one.split(".")) for one in known)
    return f"{major}.{minor + 1}.0"


def readable(cases: Sequence[ReviewedCase]) -> tuple[list[ReviewedCase], list[str]]:
    """The cases whose images are there and unchanged, and what is to be said of the others."""
    found, notices = [], []
    for case in cases:
        try:
            case.image()
        except ImageError as error:
            notices.append(f"Left out: {error}")
        else:
            found.append(case)
    return found, notices


def _rehearsed(
    dataset: Dataset, parent: Bundle, store: ReviewStore, material: Material, split: dict[str, Any]
) -> tuple[list[Case], list[str]]:
    """The cases of the original data that trained the bundle, and no image of a locked subject among them."""
    if set(dataset.labels) != set(parent.labels):
        raise ReviewError(f"{dataset.name}: its landmarks are not those of the bundle {parent.name}; leave out --data.")
    trained = set(split.get("trained", ()))
    locked = {code for lesson in material.on(LOCKED) for code in _codes(store, lesson.case)}
    here = {lesson.case for lesson in material.lessons}
    kept: list[Case] = []
    dropped = 0
    for case in dataset.cases:
        if case.subject not in trained:
            continue
        if codes_of(store, (case.subject, case.family)) & locked or case_of(store, case) in here:
            dropped += 1
            continue
        # With what is absent: a network that is not reminded of it forgets it.
        kept.append(replace(case, landmarks=case.landmarks.reordered(parent.labels)))
    notices = [] if kept else [f"{dataset.name}: none of its cases trained the bundle, so nothing is rehearsed."]
    if dropped:
        notices.append(
            f"Not rehearsed, for the store has or has locked them: {counted(dropped, 'case')} of {dataset.name}."
        )
    return kept, notices


def _codes(store: ReviewStore, case: str) -> set[str]:
    about = store.case(case).about
    return codes_of(store, (about[kind] for kind in KINDS if about[kind]))


def _publish(
    parent: Bundle,
    tuned: FineTuned,
    material: Material,
    cases: int,
    folder: Path,
    name: str | None,
    by: str,
    split: dict[str, Any],
) -> Bundle:
    files: dict[str, Path | bytes] = {RECIPE: parent.read(RECIPE)}
    for curve in sorted(folder.glob("*.csv")):
        files[f"docs/curve-{curve.name}"] = curve
    trained = [*split.get("reviewed", []), *(lesson.case for lesson in material.on(TRAINING))]
    new_split = {
        **split,
        "trained": split.get("trained", []),
        "held_out": split.get("held_out", []),
        "reviewed": list(dict.fromkeys(trained)),
        "locked": [lesson.case for lesson in material.on(LOCKED)],
    }
    files[SPLIT] = (json.dumps(new_split, indent=1) + "\n").encode()
    samples: dict[str, Path | bytes] = {
        path.removeprefix(SAMPLES): parent.read(path) for path in parent.manifest.files if path.startswith(SAMPLES)
    }
    card = _card(parent, tuned, material, cases, name or candidate_name(parent), by)
    return write_bundle(
        folder / card.name,
        card=card,
        settings=tuned.pipeline.model_dump(mode="json"),
        state_dict={key: value.half() if value.is_floating_point() else value for key, value in tuned.state.items()},
        licence_text=parent.read(LICENCE).decode("utf-8"),
        files=files,
        samples=samples,
        replace=True,
    )


def _card(parent: Bundle, tuned: FineTuned, material: Material, cases: int, name: str, by: str) -> Card:
    before = parent.card
    descent = Descent(
        parent=parent.name,
        version=parent.version,
        fingerprint=parent.fingerprint,
        corrections=material.count(TRAINING),
        cases=cases,
        corrections_sha256=material.sha256,
        locked=len(material.on(LOCKED)),
        rehearsed=tuned.plan.rehearsed,
        observers=material.observers,
        by=by,
    )
    # What was measured of the parent says nothing of these weights.
    change: dict[str, Any] = {"name": name, "version": next_version(before.version, name)}
    change |= {"errors": None, "figures": {}, "created": datetime.date.today(), "lineage": [descent, *before.lineage]}
    try:
        return Card.model_validate({**before.model_dump(), **change})
    except ValidationError as error:
        raise BundleError(
            f"The new bundle's card is not valid ({error.errors()[0]['msg']}); give another name."
        ) from error

"""From a candidate to the bundle in use, or not: both are compared, and a person can always say why it shall be."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.bundles import Bundle, load_bundle
from LandmarkDetectorLib.bundles.pipeline import read_pipeline
from LandmarkDetectorLib.bundles.store import SHIPPED, find_bundle
from LandmarkDetectorLib.bundles.versions import in_use, promote_bundle
from LandmarkDetectorLib.core import BundleError, Image, LandmarkDetectorError, LandmarkFileError
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.evaluation import summarise
from LandmarkDetectorLib.evaluation.comparison import Comparison, compare_models
from LandmarkDetectorLib.evaluation.doubts import doubts as doubts_about
from LandmarkDetectorLib.evaluation.promotion import NOT_WORSE, Decision, Margins, decide
from LandmarkDetectorLib.inference.calibrate import Calibration, Detected, calibrate
from LandmarkDetectorLib.inference.calibrated_bundle import with_calibration
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.review.case import CONSENSUS
from LandmarkDetectorLib.review.errors import ReviewError
from LandmarkDetectorLib.review.judging import Beside, Judged, judge_beside
from LandmarkDetectorLib.review.runs import PROMOTED
from LandmarkDetectorLib.review.store import ReviewStore

REPORT = "docs/comparison.json"


@dataclass(frozen=True, eq=False)
class Promotion:
    """How a comparison ended.

    Args:
        old: the bundle that was in use.
        candidate: the new one.
        decision: what the cases say.
        doubts: what speaks against the corrections.
        promoted: the bundle in use now, or ``None`` where the candidate stays one.
        outcome: one sentence.
        judged: all that was found.
        calibration: of the new bundle, ``None`` where there was nothing to calibrate by.
    """

    old: Bundle
    candidate: Bundle
    decision: Decision
    doubts: tuple[str, ...]
    promoted: Bundle | None
    outcome: str
    judged: Judged
    calibration: Calibration | None

    def to_json(self) -> dict[str, Any]:
        """A plain dict; cases by their ids."""
        return {
            "outcome": self.outcome,
            "promoted": self.promoted is not None,
            "old": _named(self.old),
            "candidate": _named(self.candidate),
            "doubts": list(self.doubts),
            **self.decision.to_json(),
            "cases": list(self.judged.unseen.names),
            "trained": self._trained(),
            "calibration": None if self.calibration is None else self.calibration.sheet.model_dump(mode="json"),
        }

    def _trained(self) -> dict[str, Any] | None:
        """Both on the newly reviewed cases, by which nothing is decided: they trained the new one."""
        part = self.judged.trained
        compared = _compared(part, self, self.decision.unit)
        return None if compared is None else {**compared.to_json(), "cases": list(part.names)}


def promote(
    candidate: Bundle | str | Path,
    store: ReviewStore | str | Path,
    *,
    against: Bundle | str | Path | None = None,
    data: Path | str | None = None,
    because: str = "",
    by: str = "",
    install: bool = True,
    observer: str = CONSENSUS,
    margins: Margins = Margins(),  # noqa: B008  # frozen
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
) -> Promotion:
    """Compare a candidate with the bundle in use, and put it in its place where it is not worse.

    Args:
        candidate: a retrained bundle, or its folder.
        store: whose locked set judges, or its folder.
        against: what it is compared with; by default the bundle in use under its name, else its parent.
        data: the original data set, where it is at hand; what was held out of it judges too.
        because: why a person wants it in use although the comparison does not say so; it is recorded.
        by: who that is.
        install: whether to put it in use at all; without, it is only compared.
        observer: whose word counts.
        margins: by how much it may be worse.
        device: as for detection.
        progress: told what is at work and the fraction done.

    Raises:
        BundleError: the candidate is none, or its parent is not there.
        LandmarkDetectorError: store, data or device are not usable.
    """
    done = compare(
        candidate,
        store,
        against=against,
        data=data,
        observer=observer,
        margins=margins,
        device=device,
        progress=progress,
    )
    return adopt(done, because=because, by=by) if install else done


def compare(
    candidate: Bundle | str | Path,
    store: ReviewStore | str | Path,
    *,
    against: Bundle | str | Path | None = None,
    data: Path | str | None = None,
    observer: str = CONSENSUS,
    margins: Margins = Margins(),  # noqa: B008  # frozen
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
) -> Promotion:
    """Compare a candidate with the bundle in use, and put nothing in use; arguments and errors as :func:`promote`."""
    new = candidate if isinstance(candidate, Bundle) else load_bundle(candidate)
    store = store if isinstance(store, ReviewStore) else ReviewStore.open(store)
    if not new.card.lineage:
        raise BundleError(
            f"The bundle {new.name} was not retrained, so there is nothing to compare it with; import it."
        )
    if (SHIPPED / new.name).exists():
        raise BundleError(f"A bundle called {new.name!r} came with the software; retrain under another name.")
    old = _before(new) if against is None else against if isinstance(against, Bundle) else load_bundle(against)
    if set(old.labels) != set(new.labels):
        raise ReviewError(f"{old.name} and {new.name} find different landmarks; compare a bundle with its parent.")
    judged = judge_beside(old, new, store, data=data, observer=observer, device=device, progress=progress)
    unseen = judged.unseen
    errors = unseen.errors(unseen.old), unseen.errors(unseen.new)
    unit = _unit(judged, new)
    decision = decide(*errors, unseen.labels, unit, unseen.groups, earlier=unseen.earlier, margins=margins)
    found = tuple(_doubts(judged, old, unit))
    calibration = _calibrated(unseen, new) if len(unseen) else None
    outcome = _outcome(old, new, decision, found, None, "", "", install=False)
    return Promotion(old, new, decision, found, None, outcome, judged, calibration)


def adopt(promotion: Promotion, *, because: str = "", by: str = "") -> Promotion:
    """Put what was compared in use where it is not worse and nothing is in doubt, or where a person says why.

    Args:
        promotion: of :func:`compare`.
        because: why a person wants it in use although the comparison does not say so; it is recorded.
        by: who that is.

    Returns:
        The same with what came of it.

    Raises:
        BundleError: the candidate was altered, or the disk refuses; what was in use stays.
    """
    old, new, decision, found = promotion.old, promotion.candidate, promotion.decision, promotion.doubts
    promoted = None
    if (decision.verdict == NOT_WORSE and not found) or because.strip():
        about = {
            "by": by,
            "because": because.strip(),
            "verdict": decision.verdict,
            "doubts": list(found),
            "reasons": list(decision.reasons),
            "compared with": _named(old),
        }
        finished = _finished(new, decision, found, promotion.judged, promotion.calibration, because, by)
        promoted = promote_bundle(finished.folder, about)
    outcome = _outcome(old, new, decision, found, promoted, because, by, install=True)
    return replace(promotion, promoted=promoted, outcome=outcome)


def still_holds(promotion: Promotion) -> bool:
    """Whether the candidate and the bundle in use are still those that were compared."""
    try:
        new = load_bundle(promotion.candidate.folder)
        compared = promotion.candidate.fingerprint, promotion.old.fingerprint
        return (new.fingerprint, _before(new).fingerprint) == compared
    except BundleError:
        return False


def save_page(promotion: Promotion, page: Path) -> None:
    """Write the comparison as one HTML page.

    Raises:
        LandmarkDetectorError: it cannot be; what is in use now is said all the same.
    """
    try:
        with atomic_write(page, "w", encoding="utf-8") as stream:
            stream.write(promotion_page(promotion))
    except LandmarkDetectorError as error:
        raise LandmarkDetectorError(f"{promotion.outcome} But its page: {error}") from error


def check_page_place(page: Path) -> None:
    """Raise LandmarkFileError now, not after the comparison, where no page can be written; its folder is made."""
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LandmarkFileError(f"{page.parent} cannot be made ({error.strerror}); choose another folder.") from None
    if page.is_dir():
        raise LandmarkFileError(f"{page} is a folder; give the page the name of a file.")


def promotion_page(promotion: Promotion) -> str:
    """The comparison as one HTML page; images are read again where they are shown."""
    from LandmarkDetectorLib.evaluation.changes import largest_changes
    from LandmarkDetectorLib.evaluation.promotion_page import render_promotion

    judged, unit = promotion.judged, promotion.decision.unit
    parts = [part for part in (judged.unseen, judged.trained) if len(part)]
    changes = []
    for part in parts:
        truths, old, new = (part.positions(found) for found in (part.truths, part.old, part.new))
        changes += largest_changes(truths, old, new, part.labels, part.names, _reader(part.cases), 8)
    lineage = promotion.candidate.card.lineage[0]
    about = {
        "In use until now": _words(promotion.old),
        "Candidate": _words(promotion.candidate),
        "Corrections": f"{lineage.corrections} landmarks on {lineage.cases} cases, {lineage.corrections_sha256[:12]}",
        "Rehearsed": f"{lineage.rehearsed} cases of the original data",
        "Retrained by": lineage.by,
        "Taken off confirmed landmarks": f"{judged.let_pass:.3g} {unit}, what people let pass",
        "Kept back": f"{len(judged.unseen)} cases that trained neither",
    }
    return render_promotion(
        promotion.decision,
        title=f"{promotion.candidate.name} {promotion.candidate.version} beside {promotion.old.version}",
        outcome=promotion.outcome,
        doubts=promotion.doubts,
        judged=_compared(judged.unseen, promotion, unit),
        trained=_compared(judged.trained, promotion, unit),
        changes=changes,
        about=about,
        notices=judged.notices,
        measured=None if promotion.calibration is None else promotion.calibration.sheet.measured,
    )


def _before(new: Bundle) -> Bundle:
    """What is in use under the candidate's name, else its parent."""
    current = in_use(new.name)
    if current is not None and current.fingerprint != new.fingerprint:
        return current
    parent = new.card.lineage[0]
    try:
        found = load_bundle(find_bundle(parent.parent))
    except BundleError:
        found = None
    if found is None or found.fingerprint != parent.fingerprint:
        raise BundleError(
            f"The bundle {parent.parent} {parent.version} from which {new.name} comes is not installed; say where it "
            "is with --against."
        )
    return found


def _unit(judged: Judged, new: Bundle) -> str:
    for part in (judged.unseen, judged.trained):
        for marks in part.truths:
            return marks.unit
    return new.card.unit


def _doubts(judged: Judged, old: Bundle, unit: str) -> list[str]:
    """What speaks against the newly reviewed cases, those on the locked side included that were not there before."""
    usual = _usual(judged, old, unit)
    unseen, trained = judged.unseen, judged.trained
    rows = np.flatnonzero(~unseen.earlier)
    truths = [*trained.truths, *(unseen.truths[row] for row in rows)]
    found = [*trained.old, *(unseen.old[row] for row in rows)]
    if not truths:
        return []
    part = Beside(
        trained.cases + tuple(unseen.cases[row] for row in rows),
        (),
        (),
        tuple(truths),
        tuple(found),
        (),
        np.zeros(0),
        np.zeros(0, bool),
        trained.labels,
        np.zeros((len(truths), len(trained.labels))),
    )
    before = unseen.distances(unseen.old)[unseen.earlier]
    return doubts_about(part.positions(part.truths), part.positions(part.old), part.labels, unit, usual, before)


def _usual(judged: Judged, old: Bundle, unit: str) -> float | None:
    """The 95th percentile of the old bundle's errors: on cases judged before, else by its card."""
    unseen = judged.unseen
    errors = unseen.distances(unseen.old)[unseen.earlier]
    errors = errors[np.isfinite(errors)]
    if errors.size >= 20:
        return float(np.percentile(errors, 95))
    stated = old.card.errors
    return stated.p95 if stated is not None and stated.unit == unit else None


def _calibrated(unseen: Beside, new: Bundle) -> Calibration | None:
    pipeline = read_pipeline(new.settings, new.name)
    detected = Detected.of(unseen.new, unseen.truths, unseen.units.tolist(), unseen.groups, unseen.labels)
    if not np.isfinite(detected.errors).any():
        return None
    return calibrate(detected, pipeline.calibration.tolerance, _protocol(unseen))


def _protocol(unseen: Beside) -> str:
    known = int(np.isfinite(unseen.positions(unseen.truths)).all(-1).sum())
    confirmed = int((unseen.slack > 0).sum())
    return (
        f"{len(unseen)} images of {len(set(unseen.groups))} subjects or families that never trained: the locked test "
        f"set of a review store, judged by what its observers vouch for; {confirmed} of {known} landmarks were not "
        "placed by a person but confirmed where a model had put them."
    )


def _finished(
    new: Bundle,
    decision: Decision,
    doubts: tuple[str, ...],
    judged: Judged,
    calibration: Calibration | None,
    because: str,
    by: str,
) -> Bundle:
    """The candidate with what was measured of it in its card, and its calibration."""
    files: dict[str, Path | bytes] = {}
    report = {"doubts": list(doubts), "because": because.strip(), "by": by, **decision.to_json()}
    files[REPORT] = (json.dumps(report, indent=1, allow_nan=False) + "\n").encode()
    change: dict[str, Any] = {}
    errors = judged.unseen.distances(judged.unseen.new)
    if np.isfinite(errors).any():
        summary = summarise(errors, judged.unseen.labels, decision.unit, cases=list(judged.unseen.groups)).to_json()
        each = {
            k: {"mean": v["mean"], "p95": v["p95"], "n": v["n"]} for k, v in summary["per_landmark"].items() if v["n"]
        }
        change["errors"] = {
            "protocol": _protocol(judged.unseen),
            **{key: summary[key] for key in ("mean", "median", "p95")},
            "per_landmark": {k: v for k, v in each.items() if v["mean"] is not None},
            "unit": decision.unit,
            "extra": {"missed": float(summary["missed"]), "cases": float(len(errors))},
        }
    folder = new.folder.parent / PROMOTED / new.name
    return with_calibration(new, folder, calibration, change=change, files=files)


def _outcome(
    old: Bundle,
    new: Bundle,
    decision: Decision,
    doubts: tuple[str, ...],
    promoted: Bundle | None,
    because: str,
    by: str,
    install: bool,
) -> str:
    name = f"{new.name} {new.version}"
    if promoted is not None and because.strip() and (decision.verdict != NOT_WORSE or doubts):
        who = f"{by} says" if by else "a person says"
        return f"{name} is in use although the comparison does not speak for it, because {who}: {because.strip()}"
    if promoted is not None:
        return f"{name} is not worse than {old.name} {old.version} and is in use now."
    if decision.verdict == NOT_WORSE and not doubts:
        return f"{name} is not worse than {old.name} {old.version}."
    if doubts and decision.verdict == NOT_WORSE:
        why = "its corrections look strange"
    else:
        why = {"worse": "it is worse", "undecided": "it cannot be told whether it is worse"}[decision.verdict]
    stays = f"; {old.name} {old.version} stays in use" if install else ""
    return f"{name} is not promoted: {why}{stays}."


def _compared(part: Beside, promotion: Promotion, unit: str) -> Comparison | None:
    if not len(part) or not np.isfinite(part.errors(part.old)).any():
        return None
    names = (f"{promotion.old.version}", f"{promotion.candidate.version}")
    if names[0] == names[1]:
        names = ("old", "new")
    return compare_models(
        part.errors(part.old), part.errors(part.new), part.labels, unit, names=names, cases=list(part.groups)
    )


def _reader(cases: Sequence[Case]) -> Callable[[int], Image]:
    return lambda row: cases[row].image()


def _words(bundle: Bundle) -> str:
    return f"{bundle.name} {bundle.version}, {bundle.fingerprint[:12]}"


def _named(bundle: Bundle) -> dict[str, str]:
    return {"name": bundle.name, "version": bundle.version, "fingerprint": bundle.fingerprint}

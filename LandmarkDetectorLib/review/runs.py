"""Where a store, or a landmark set, keeps its trainings: ``training/run-001`` and so on; no torch."""

from __future__ import annotations

import json
from pathlib import Path

from LandmarkDetectorLib.bundles import Bundle, load_bundle
from LandmarkDetectorLib.core import BundleError

RUNS = "training"
PROMOTED = "promoted"
"""Beside a candidate: the same as it was put in use."""
_MATERIAL, _PLAN, _MANIFEST = "corrections.json", "plan.json", "*/manifest.json"


def runs_of(folder: Path | str) -> list[Path]:
    """The folders of the trainings of a store or a set, the oldest first."""
    found = [run for run in (Path(folder) / RUNS).glob("run-*") if run.is_dir() and run.name[4:].isdecimal()]
    return sorted(found, key=number_of)


def number_of(run: Path) -> int:
    """The number of a run, by its folder's name."""
    return int(run.name[4:])


def next_run(folder: Path | str) -> Path:
    """The folder of the next training of a store or a set, one behind all that are there; it is not made."""
    number = max(map(number_of, runs_of(folder)), default=0) + 1
    return Path(folder) / RUNS / f"run-{number:03d}"


def unfinished_run(store: Path | str, bundle: Bundle) -> Path | None:
    """The newest retraining of a store, if it was interrupted and began from this very bundle; else ``None``.

    One that was interrupted before its plan was settled has lost nothing and is not worth going on with.
    """
    newest = next(reversed(runs_of(store)), None)
    if newest is None or any(newest.glob(_MANIFEST)) or not (newest / _MATERIAL).is_file():
        return None
    try:
        plan = json.loads((newest / _PLAN).read_text(encoding="utf-8"))
        return newest if plan["parent"] == bundle.fingerprint else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def undecided_candidate(store: Path | str, bundle: Bundle) -> Path | None:
    """The newest retraining's bundle, if it comes from this very one and was never put in use; else ``None``."""
    newest = next(reversed(runs_of(store)), None)
    found = None if newest is None or (newest / PROMOTED).exists() else next(newest.glob(_MANIFEST), None)
    if found is None:
        return None
    try:
        lineage = load_bundle(found.parent).card.lineage
    except BundleError:
        return None
    return found.parent if lineage and lineage[0].fingerprint == bundle.fingerprint else None

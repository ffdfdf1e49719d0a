"""Where a store keeps its retrainings when nobody says another place: ``training/run-001`` and so on; no torch."""

from __future__ import annotations

import json
from pathlib import Path

from LandmarkDetectorLib.bundles import Bundle, load_bundle
from LandmarkDetectorLib.core import BundleError

RUNS = "training"
PROMOTED = "promoted"
"""Beside a candidate: the same as it was put in use."""
_MATERIAL, _PLAN, _MANIFEST = "corrections.json", "plan.json", "*/manifest.json"


def next_run(store: Path | str) -> Path:
    """The folder of the next retraining of a store; it is not made."""
    numbers = [int(folder.name[4:]) for folder in _runs(store)]
    return Path(store) / RUNS / f"run-{max(numbers, default=0) + 1:03d}"


def unfinished_run(store: Path | str, bundle: Bundle) -> Path | None:
    """The newest retraining of a store, if it was interrupted and began from this very bundle; else ``None``.

    One that was interrupted before its plan was settled has lost nothing and is not worth going on with.
    """
    newest = max(_runs(store), default=None)
    if newest is None or any(newest.glob(_MANIFEST)) or not (newest / _MATERIAL).is_file():
        return None
    try:
        plan = json.loads((newest / _PLAN).read_text(encoding="utf-8"))
        return newest if plan["parent"] == bundle.fingerprint else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def undecided_candidate(store: Path | str, bundle: Bundle) -> Path | None:
    """The newest retraining's bundle, if it comes from this very one and was never put in use; else ``None``."""
    newest = max(_runs(store), default=None)
    found = None if newest is None or (newest / PROMOTED).exists() else next(newest.glob(_MANIFEST), None)
    if found is None:
        return None
    try:
        lineage = load_bundle(found.parent).card.lineage
    except BundleError:
        return None
    return found.parent if lineage and lineage[0].fingerprint == bundle.fingerprint else None


def _runs(store: Path | str) -> list[Path]:
    folders = (Path(store) / RUNS).glob("run-*")
    return sorted(folder for folder in folders if folder.is_dir() and folder.name[4:].isdigit())

"""The data set that a bundle was trained on, beside a store: whom and what both have.

A subject may be called otherwise in the store, or not at all, and its image may have been copied; by its voxels an
image is known under whatever name it comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib.datasets.cases import Case, Dataset
from LandmarkDetectorLib.io import load_image
from LandmarkDetectorLib.review.errors import ReviewError
from LandmarkDetectorLib.review.images import code_of, digest

if TYPE_CHECKING:
    from LandmarkDetectorLib.review.store import ReviewStore

KINDS = ("subject", "family")


def codes_of(store: ReviewStore, words: Iterable[str]) -> set[str]:
    """The store's codes of names, each as a subject's and as a family's."""
    return {store.pseudonym(kind, word) for word in words for kind in KINDS}


def case_of(store: ReviewStore, case: Case) -> str:
    """The id that a case's image has in the store, whether it is there or not; the image is read.

    Raises:
        ImageError: it cannot be read.
    """
    path = case.image_path
    if path.is_dir():
        return store.id_of(digest(case.image()))
    status = path.stat()
    return store.id_of(_digest(path, case.spacing, status.st_mtime_ns, status.st_size))


def _checksum(store: ReviewStore, case_id: str) -> str:
    try:
        return str(store.case(case_id).image["sha256"])
    except ReviewError:  # a damaged case, which teaches and judges nothing
        return ""


@lru_cache(maxsize=8192)
def _digest(path: Path, spacing: tuple[float, ...] | None, _changed: int, _size: int) -> str:
    """Of an image that is looked for more than once; read anew where its file has changed."""
    return digest(load_image(path, spacing=spacing))


def trained_on(store: ReviewStore, split: Mapping[str, Any], dataset: Dataset | None = None) -> set[str]:
    """What must not be locked any more: codes and ids of all that has trained a bundle.

    Args:
        store: the store.
        split: of the bundle, see :meth:`~LandmarkDetectorLib.bundles.Bundle.split`.
        dataset: the original data, where they are at hand; without them, an image that trained is only known where its
            subject is called as it was there.

    Raises:
        ImageError: an image of the data cannot be read.
    """
    trained = set(split.get("trained", ()))
    # A bundle that was trained on an export of this store calls its subjects by the store's own ids and codes.
    found = trained | codes_of(store, trained) | set(split.get("reviewed", ()))
    if any(word.startswith(code_of("")) for word in trained):
        found |= {row.case for row in store.cases() if code_of(_checksum(store, row.case)) in trained}
    cases = () if dataset is None else dataset.cases
    return found | {case_of(store, case) for case in cases if case.subject in trained}


def held_out_beside(
    store: ReviewStore, dataset: Dataset, splits: Sequence[Mapping[str, Any]], taken: Iterable[str], taught: set[str]
) -> list[Case]:
    """The cases of the original data that trained none of the bundles and that may judge them.

    Args:
        store: the store.
        dataset: the original data.
        splits: of the bundles, the first of which says which annotations may judge.
        taken: ids of cases of the store that judge or train already; their images are not judged twice.
        taught: codes of subjects and families that trained one of them.

    Raises:
        ImageError: an image cannot be read.
    """
    held = set.intersection(*(set(split.get("held_out", ())) for split in splits))
    origins, taken = splits[0].get("origins"), set(taken)
    return [
        case
        for case in dataset.cases
        if case.subject in held
        and (origins is None or case.origin in origins)
        and not codes_of(store, (case.subject, case.family)) & taught
        and case_of(store, case) not in taken
    ]

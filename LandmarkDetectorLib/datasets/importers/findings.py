"""What several importers need: images by name, rows of numbers, one truth of several observers."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.core import DatasetError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.datasets.observers import mean_of
from LandmarkDetectorLib.io.images import image_suffixes
from LandmarkDetectorLib.io.names import shown, stem_of, suffix_of
from LandmarkDetectorLib.io.tables import number
from LandmarkDetectorLib.io.text_files import read_text


def subfolder(folder: Path, *candidates: str, holding: str) -> Path:
    """The first of these folders, relative to ``folder``, that is there.

    Raises:
        DatasetError: none is; ``holding`` says in words what was looked for.
    """
    for candidate in candidates:
        if (folder / candidate).is_dir():
            return folder / candidate
    raise DatasetError(f"{folder.name}: there is no folder {candidates[0]} in it, with {holding}; check the layout.")


class Images:
    """The images below a folder, by stem; hidden files and folders are passed over."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: defaultdict[str, list[Path]] = defaultdict(list)
        for path in visible_files(folder):
            if suffix_of(path) in image_suffixes():
                self._found[stem_of(path)].append(path)

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __contains__(self, stem: str) -> bool:
        return stem in self._found

    def named(self, stem: str, prefer: str = "") -> Path:
        """The one image of this stem; of several, the one in a folder called ``prefer``.

        Raises:
            DatasetError: there is none, or more than one.
        """
        found = self._found.get(stem, [])
        if len(found) > 1 and prefer:
            found = [path for path in found if path.parent.name.lower() == prefer] or found
        if not found:
            raise DatasetError(f"{self._folder.name}: the image {stem} is not there; put it in place.")
        if len(found) > 1:
            both = " and ".join(str(path.relative_to(self._folder)) for path in sorted(found)[:2])
            raise DatasetError(f"{self._folder.name}: {both} are two images of one name; move one of them away.")
        return found[0]


def visible_files(folder: Path) -> Iterator[Path]:
    """The files below a folder in order, none of them hidden or in a hidden folder."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def number_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of a CSV file without a header, with their numbers; empty ones are left out.

    Raises:
        LandmarkFileError: it cannot be read, or split into columns.
    """
    rows = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    try:
        for row, cells in enumerate(rows, 1):
            if any(cell.strip() for cell in cells):
                yield row, cells
    except csv.Error as error:
        raise LandmarkFileError(f"{shown(path)}: it is no table of comma-separated values ({error}).") from None


def numbers(cells: Sequence[str], count: int, place: str) -> np.ndarray:
    """Exactly ``count`` finite numbers.

    Raises:
        LandmarkFileError: there are more or fewer, or one is no number; ``place`` begins the message.
    """
    if len(cells) != count:
        raise LandmarkFileError(f"{place} has {len(cells)} values and should have {count}; mend the file.")
    return np.array([number(cell, place) for cell in cells])


def true_set(truth: str, raters: Mapping[str, LandmarkSet], labels: Sequence[str], name: str) -> LandmarkSet:
    """What counts as true: ``"mean"``, or one observer.

    Raises:
        DatasetError: no observer of this name.
    """
    if truth == "mean":
        return mean_of(raters, labels, name)
    if truth not in raters:
        offer: Iterable[str] = ("mean", *raters)
        raise DatasetError(f"{name}: nobody called {truth!r} annotated it; take one of {', '.join(offer)} as truth.")
    return LandmarkSet(raters[truth].reordered(labels).landmarks, raters[truth].unit, name)

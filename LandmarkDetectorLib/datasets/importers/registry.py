"""Importers by name, and what one of them hands over."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.core import DatasetError, LandmarkSet, Registry

_UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$')


@dataclass(frozen=True)
class ImportedCase:
    """One annotated image, as an importer found it.

    Args:
        subject: its name, unlike the others of the set; files are called after it.
        image: where the image lies; a file, or the folder of a DICOM series.
        landmarks: what counts as true, in LPS, in the unit that the image has with this spacing.
        spacing: mm along x, y[, z], where the image's own header does not say; ``None`` leaves the image as it is.
        raters: the same landmarks as each observer placed them.
        extra: what else ``dataset.json`` shall say of the case (``part``, ``fold``, ``family``, ...); JSON values.
    """

    subject: str
    image: Path
    landmarks: LandmarkSet
    spacing: tuple[float, ...] | None = None
    raters: Mapping[str, LandmarkSet] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportedDataset:
    """All that an importer found in a folder.

    Args:
        name: of the set, a word.
        labels: of the landmarks, in order.
        cases: in order, at least one.
        extra: what else ``dataset.json`` shall say of the set (``modality``, ``source``, ...); JSON values.

    Raises:
        DatasetError: no case, no label, two labels or subjects alike, or a subject that no file can be called after.
    """

    name: str
    labels: tuple[str, ...]
    cases: tuple[ImportedCase, ...]
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.cases:
            raise DatasetError(f"{self.name}: the folder holds no annotated image of this form; check its layout.")
        if not self.labels:
            raise DatasetError(f"{self.name}: its files hold no landmark; see whether they were saved, and as points.")
        if len(set(self.labels)) < len(self.labels):
            raise DatasetError(f"{self.name}: two landmarks have the same label; rename one of them.")
        seen: set[str] = set()
        for case in self.cases:
            if not case.subject or _UNSAFE.search(case.subject):
                raise DatasetError(f"{self.name}: no file can be called {case.subject!r}; rename that image.")
            if case.subject.casefold() in seen:  # on most desktops A and a are one file
                raise DatasetError(f"{self.name}: the subject {case.subject!r} stands there twice; rename one of them.")
            seen.add(case.subject.casefold())


Importer = Callable[..., ImportedDataset]
_IMPORTERS: Registry[Importer] = Registry("importer", DatasetError)
register_importer = _IMPORTERS.register
importer_names = _IMPORTERS.names


def run_importer(name: str, folder: Path, options: Mapping[str, Any]) -> ImportedDataset:
    """What an importer finds in a folder.

    Raises:
        DatasetError: no importer of this name, an option that it does not have, no such folder, or a folder that is
            not of its form.
        LandmarkFileError: a file of landmarks is damaged.
        ImageError: a header that is needed cannot be read.
    """
    importer = _IMPORTERS[name]
    known = [option for option in inspect.signature(importer).parameters if option != "folder"]
    unknown = sorted(set(options) - set(known))
    if unknown:
        offer = f"it knows {', '.join(known)}" if known else "it has none"
        raise DatasetError(f"The importer {name!r} has no option {unknown[0]!r}; {offer}.")
    if not folder.is_dir():
        raise DatasetError(f"{folder}: there is no such folder; give the one that holds the data set.")
    return importer(folder, **options)

"""A data set that somebody has, into the form that :func:`LandmarkDetectorLib.datasets.read_dataset` reads."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.cases import Dataset, read_dataset
from LandmarkDetectorLib.datasets.importers.registry import ImportedCase, run_importer
from LandmarkDetectorLib.io import save_landmarks
from LandmarkDetectorLib.io.names import shown, suffix_of

Progress = Callable[[str, float], None]

_DETACHED = (".nhdr", ".mhd", ".hdr", ".img")


def import_dataset(
    name: str,
    folder: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    copy_images: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Dataset:
    """Write ``dataset.json`` and the landmarks of a data set into a new folder, whole or not at all.

    Landmarks go to ``landmarks/SUBJECT.mrk.json``, those of single observers to ``landmarks/raters/``; the cases that
    come back have them as ``landmarks`` and ``raters``. Nothing is downloaded, and the data's licence stays as it is.

    Args:
        name: the data set's form, one of :func:`~LandmarkDetectorLib.datasets.importers.importer_names`.
        folder: where it lies; nothing is written there.
        output: the folder to make, which is not there yet or empty.
        copy_images: copy the images to ``images/``; else they are referred to where they lie, relative to ``output``.
        progress: told the stage and the fraction done.
        options: of the importer.

    Returns:
        The data set as it reads from ``output``.

    Raises:
        DatasetError: as :func:`~LandmarkDetectorLib.datasets.importers.registry.run_importer` says, ``output`` holds
            something, or a spacing is given and no image is a picture.
        LandmarkFileError: a file of landmarks cannot be read or written.
    """
    folder, output = Path(folder), Path(output)
    told = progress or (lambda stage, fraction: None)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise DatasetError(f"{output} is there already and not empty; give another folder, or remove it first.")
    told("reading annotations", 0.0)
    found = run_importer(name, folder, options)
    if options.get("spacing") is not None and all(case.spacing is None for case in found.cases):
        raise DatasetError(f"{found.name}: the spacing is of pictures, and there is none; leave it out.")
    with _staged(output) as stage:
        entries = []
        for number, case in enumerate(found.cases):
            told(f"writing {case.subject}", (number + 1) / (len(found.cases) + 1))
            entries.append(_written(case, stage, output, copy_images))
        content = {"name": found.name, "landmark_labels": list(found.labels), **found.extra, "training": entries}
        (stage / "dataset.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        read_dataset(stage)  # what is handed over can be read
    told("done", 1.0)
    return read_dataset(output)


@contextmanager
def _staged(output: Path) -> Iterator[Path]:
    """A hidden neighbour of ``output`` that takes its name when the block ends well, and vanishes when it does not."""
    parent = output.resolve().parent
    made = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    parent.mkdir(parents=True, exist_ok=True)
    stage = parent / f".importing-{secrets.token_hex(8)}"
    try:
        (stage / "landmarks").mkdir(parents=True)
        yield stage
        if output.exists():
            output.rmdir()  # empty; elsewhere than on POSIX nothing is renamed onto it
        os.rename(stage, output.resolve())
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        for folder in made:  # the innermost first; none goes that holds something, such as the output
            with suppress(OSError):
                folder.rmdir()


def _written(case: ImportedCase, stage: Path, output: Path, copy_images: bool) -> dict[str, Any]:
    """The entry of a case, whose files are then there."""
    file = f"landmarks/{case.subject}.mrk.json"
    save_landmarks(case.landmarks, stage / file)
    entry: dict[str, Any] = {"image": _image(case, stage, output, copy_images), "landmarks": file}
    entry["subject"] = case.subject
    absent = [mark.label for mark in case.landmarks if mark.status == "missing"]
    if absent:  # what training learns absence from
        entry["absent"] = absent
    if case.spacing is not None:
        entry["spacing_mm"] = list(case.spacing)
    if case.raters:
        (stage / "landmarks" / "raters").mkdir(exist_ok=True)
        entry["raters"] = {}
        for rater, marks in case.raters.items():
            entry["raters"][rater] = f"landmarks/raters/{case.subject}.{rater}.mrk.json"
            save_landmarks(marks, stage / entry["raters"][rater])
    return {**entry, **case.extra}


def _image(case: ImportedCase, stage: Path, output: Path, copy_images: bool) -> str:
    """Where the image is, as ``dataset.json`` says it: relative where one disk holds both, with forward slashes."""
    if not case.image.exists():
        raise DatasetError(f"The image {shown(case.image)} of subject {case.subject} is not there; put it in place.")
    if not copy_images:
        try:
            return Path(os.path.relpath(case.image.resolve(), output.resolve())).as_posix()
        except ValueError:  # another drive of Windows
            return case.image.resolve().as_posix()
    suffix = suffix_of(case.image)
    if suffix in _DETACHED:
        raise DatasetError(
            f"The image {shown(case.image)} keeps its values in a second file, which its copy would miss; "
            "import without copying, or save it as one file."
        )
    target = stage / "images" / (case.subject if case.image.is_dir() else f"{case.subject}{suffix}")
    target.parent.mkdir(exist_ok=True)
    if case.image.is_dir():
        shutil.copytree(case.image, target)
    else:
        shutil.copyfile(case.image, target)
    return f"images/{target.name}"

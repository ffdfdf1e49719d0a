"""The files of ``landmark-detector measure``: landmarks, the images that belong to them, what will be written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from LandmarkDetectorLib.core.errors import ImageError, LandmarkFileError
from LandmarkDetectorLib.io.names import stem_of, suffix_of


@dataclass(frozen=True)
class Output:
    """A file to be written: of one subject, or with ``subject`` ``None`` of all."""

    file: Path
    subject: str | None
    wide: bool | None = None


def find_landmarks(paths: Sequence[Path]) -> list[Path]:
    """The files of landmarks: files as they are given, of folders each subject's.

    Raises:
        LandmarkFileError: a path that is not there, a folder without landmarks, or two subjects of one name.
    """
    from LandmarkDetectorLib.io.landmarks import LANDMARK_SUFFIXES, landmark_files

    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = landmark_files(path)
            if not inside:
                raise LandmarkFileError(
                    f"{path.name}: the folder holds no files of landmarks ({', '.join(LANDMARK_SUFFIXES)})."
                )
            found += inside.values()
        elif path.is_file():
            found.append(path)
        else:
            raise LandmarkFileError(f"{path.name}: there is no such file; check the path.")
    seen: dict[str, Path] = {}
    for file in found:
        name = stem_of(file).casefold()
        if name in seen:
            raise LandmarkFileError(f"{seen[name].name} and {file.name} are of the same name; rename one of them.")
        seen[name] = file
    return found


def plan(files: Sequence[Path], outputs: Sequence[Path], formats: str, *, overwrite: bool) -> list[Output]:
    """The files to be written; nothing is written here.

    Raises:
        LandmarkFileError: a suffix without a form, one file for several subjects, a file that is there already, or
            that of the landmarks themselves.
        LandmarkDetectorError: a package is not installed.
    """
    from LandmarkDetectorLib.measure.reports import MANY, SUFFIXES, check_can_be_written

    subjects = [stem_of(file) for file in files]
    planned: list[Output] = []
    for output in outputs:
        suffix = suffix_of(output)
        if output.is_dir() or suffix not in SUFFIXES:
            if not output.is_dir() and (
                output.exists() or suffix in (".json", ".txt", ".xml", ".xls", ".htm", ".fcsv")
            ):
                raise LandmarkFileError(
                    f"{output.name}: measurements are written as {', '.join(SUFFIXES)}; choose one of these suffixes."
                )
            planned += _of_folder(output, subjects, formats)
        elif suffix in MANY:
            planned.append(Output(output, None))
        elif len(subjects) > 1:
            raise LandmarkFileError(
                f"{output.name} is a file for one subject, and there are {len(subjects)}; give a folder as --output."
            )
        else:
            planned.append(Output(output, subjects[0]))
    check_can_be_written([each.file for each in planned])
    read = {file.resolve() for file in files}
    for each in planned:
        if each.file.resolve() in read:
            raise LandmarkFileError(f"{each.file.name} holds the landmarks that are measured; give another --output.")
    present = [each.file for each in planned if each.file.exists()]
    if present and not overwrite:
        others = f" and {len(present) - 1} more" if len(present) > 1 else ""
        raise LandmarkFileError(
            f"{present[0].name}{others} would be replaced; add --overwrite or give another --output."
        )
    return planned


def _of_folder(folder: Path, subjects: Sequence[str], formats: str) -> list[Output]:
    from LandmarkDetectorLib.io.landmarks import MEASURED
    from LandmarkDetectorLib.measure.reports import SUFFIXES

    wanted = [f".{word.strip().lstrip('.')}" for word in formats.split(",") if word.strip()]
    wrong = [suffix for suffix in wanted if suffix not in SUFFIXES]
    if wrong or not wanted:
        known = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise LandmarkFileError(f"--formats {formats}: name some of {known}, with commas between them.")
    planned = []
    for suffix in wanted:
        if suffix == ".csv":
            planned += [
                Output(folder / f"{MEASURED}.csv", None, False),
                Output(folder / f"{MEASURED}-wide.csv", None, True),
            ]
        elif suffix == ".xlsx":
            planned.append(Output(folder / f"{MEASURED}.xlsx", None))
        else:
            planned += [Output(folder / f"{subject}.{MEASURED}{suffix}", subject) for subject in subjects]
    return planned


def image_path(file: Path, given: Path | None, several: bool) -> Path | None:
    """The image of a file of landmarks: the one given, or the one of the same name in the folder that was given.

    A folder given for a single file is that of its DICOM series, unless it holds something of the file's name.

    Raises:
        ImageError: a folder without an image of that name, or one image for several subjects.
    """
    if given is None:
        return None
    if given.is_dir():
        name = stem_of(file)
        named = [each for each in sorted(given.iterdir()) if _is_image_of(each, name)]
        if named:
            return named[0]
        if several:
            raise ImageError(
                f"{given.name}: the folder holds no image called {name}; put it there, or leave --image out."
            )
    elif several:
        raise ImageError(f"--image {given.name} is one image for several subjects; give the folder with their images.")
    return given


def _is_image_of(path: Path, name: str) -> bool:
    from LandmarkDetectorLib.io.images import image_suffixes

    if path.is_dir():
        return path.name == name
    return stem_of(path) == name and suffix_of(path) in image_suffixes()

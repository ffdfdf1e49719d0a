"""What ``landmark-detector measure`` does: find files, measure each, write and print what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.cli.console import Steps, print_json, results, say
from LandmarkDetectorLib.cli.endings import REFUSED
from LandmarkDetectorLib.cli.measured_tables import measured_record, measured_table, suggestion_table
from LandmarkDetectorLib.core.errors import ImageError, LandmarkDetectorError, LandmarkFileError
from LandmarkDetectorLib.io.names import shown, stem_of, suffix_of

if TYPE_CHECKING:
    from LandmarkDetectorLib.core import Image, LandmarkSet
    from LandmarkDetectorLib.measure.sets import MeasurementSet
    from LandmarkDetectorLib.measure.subject import Measured

READ = (".mrk.json", ".fcsv", ".csv", ".xlsx", ".json")
"""Suffixes of landmarks in a folder; of several files of one name the first kind is taken."""

MANY_FILES = 8
"""More are counted and not named."""

OURS = "measurements"
"""How the files that a folder gets are called, which are no landmarks."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of every subject."""

    sets: tuple[str, ...]
    how: Mapping[str, Any]
    image: Path | None = None
    spacing: str | None = None
    bundle: str | None = None
    reviewed_by: str = ""
    with_patient: bool = False
    wide: bool = False


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
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = _in_folder(path)
            if not inside:
                raise LandmarkFileError(f"{path.name}: the folder holds no files of landmarks ({', '.join(READ)}).")
            found += inside
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


def _in_folder(folder: Path) -> list[Path]:
    chosen: dict[str, Path] = {}
    for suffix in READ:
        for file in sorted(folder.iterdir()):
            name = stem_of(file)
            ours = name.startswith(OURS) or name.endswith(f".{OURS}") or name == "dataset"
            if file.is_file() and suffix_of(file) == suffix and not ours:
                chosen.setdefault(name, file)
    return [chosen[name] for name in sorted(chosen)]


def plan(files: Sequence[Path], outputs: Sequence[Path], formats: str, *, overwrite: bool) -> list[Output]:
    """The files to be written; nothing is written here.

    Raises:
        LandmarkFileError: a suffix without a form, one file for several subjects, or a file that is there already.
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
    present = [each.file for each in planned if each.file.exists()]
    if present and not overwrite:
        others = f" and {len(present) - 1} more" if len(present) > 1 else ""
        raise LandmarkFileError(
            f"{present[0].name}{others} would be replaced; add --overwrite or give another --output."
        )
    return planned


def _of_folder(folder: Path, subjects: Sequence[str], formats: str) -> list[Output]:
    from LandmarkDetectorLib.measure.reports import SUFFIXES

    wanted = [f".{word.strip().lstrip('.')}" for word in formats.split(",") if word.strip()]
    wrong = [suffix for suffix in wanted if suffix not in SUFFIXES]
    if wrong or not wanted:
        known = ", ".join(suffix[1:] for suffix in SUFFIXES)
        raise LandmarkFileError(f"--formats {formats}: name some of {known}, with commas between them.")
    planned = []
    for suffix in wanted:
        if suffix == ".csv":
            planned += [Output(folder / f"{OURS}.csv", None, False), Output(folder / f"{OURS}-wide.csv", None, True)]
        elif suffix == ".xlsx":
            planned.append(Output(folder / f"{OURS}.xlsx", None))
        else:
            planned += [Output(folder / f"{subject}.{OURS}{suffix}", subject) for subject in subjects]
    return planned


def measure_all(files: Sequence[Path], wanted: Wanted, outputs: Sequence[Output], *, as_json: bool) -> None:
    """Measure, write and print each; what one file lacks does not stop the others.

    Raises:
        LandmarkDetectorError: a set that cannot be loaded, or the only file failed.
        typer.Exit: with 2, when some of several files failed.
    """
    sets = _sets(files, wanted)
    _check_patient(wanted, outputs)
    done: list[Measured] = []
    records: list[dict[str, Any]] = []
    with Steps() as steps:
        for number, file in enumerate(files):
            steps(f"measuring {number + 1}/{len(files)}", number / len(files))
            try:
                measured = measure_one(file, wanted, sets, several=len(files) > 1)
                own = [each for each in outputs if each.subject == measured.subject]
                _write_own(measured, own, wanted, image_path(file, wanted.image, len(files) > 1))
            except (LandmarkDetectorError, OSError) as error:
                if len(files) == 1:
                    raise
                said = str(error)
                say(f"Error: {said}" if shown(file) in said else f"Error: {shown(file)}: {said}")
                records.append({"landmarks": str(file), "error": said})
                continue
            done.append(measured)
            written = [str(each.file) for each in own]
            records.append({"landmarks": str(file), **measured_record(measured), "files": written})
    shared = [each for each in outputs if each.subject is None]
    if done:
        for each in shared:
            _save(done, each, wanted)
    _tell(done, records, shared, as_json=as_json)
    failed = len(files) - len(done)
    if failed:
        say(f"{failed} of {len(files)} files failed, see above; the others are measured.")
        raise typer.Exit(REFUSED)


def _tell(done: Sequence[Measured], records: list[dict[str, Any]], shared: Sequence[Output], *, as_json: bool) -> None:
    written = [str(each.file) for each in shared] if done else []
    if as_json:
        print_json({"landmark-detector": __version__, "subjects": records, "files": written})
        return
    for measured in done:
        results.print(measured_table(measured))
    written = [file for record in records for file in record.get("files", [])] + written
    if len(written) > MANY_FILES:
        folders = dict.fromkeys(str(Path(file).parent) for file in written)
        say(f"Written: {len(written)} files in {', '.join(folders)}")
    elif written:
        say(f"Written: {', '.join(written)}")


def _sets(files: Sequence[Path], wanted: Wanted) -> list[MeasurementSet]:
    from LandmarkDetectorLib.io import load_landmarks
    from LandmarkDetectorLib.measure import load_set, suggest_sets

    if wanted.sets:
        return [load_set(name) for name in dict.fromkeys(wanted.sets)]
    allowed = suggest_sets(load_landmarks(files[0]).labels)
    names = ", ".join(each.name for each in allowed[:4])
    hint = f"these landmarks allow {names}" if allowed else "these landmarks allow none that comes with the library"
    raise LandmarkDetectorError(f"Say by --set what to measure: {hint}; --list names all.")


def measure_one(file: Path, wanted: Wanted, sets: Sequence[MeasurementSet], *, several: bool = False) -> Measured:
    """A file of landmarks, measured, with its image, its model's card and what is known of a review.

    Raises:
        LandmarkDetectorError: one of these cannot be read, or they do not belong to each other.
    """
    from LandmarkDetectorLib.io import load_landmarks
    from LandmarkDetectorLib.io.markups_review import review_statuses
    from LandmarkDetectorLib.measure.subject import Reviewed, measure_subject

    landmarks = load_landmarks(file)
    image = _image(file, wanted, several)
    if image is not None and image.dimension == 2:
        landmarks = landmarks.to_plane()
    statuses = review_statuses(landmarks)
    said = {} if statuses is None else dict(zip(landmarks.labels, statuses, strict=True))
    reviewed = Reviewed(wanted.reviewed_by, said)
    card = card_of(landmarks, wanted.bundle)
    return measure_subject(
        landmarks, sets, subject=stem_of(file), image=image, card=card, reviewed=reviewed, **wanted.how
    )


def _image(file: Path, wanted: Wanted, several: bool) -> Image | None:
    path = image_path(file, wanted.image, several)
    if path is None:
        return None
    from LandmarkDetectorLib.cli.batch import read_image
    from LandmarkDetectorLib.cli.detect import parse_spacing

    return read_image(path, parse_spacing(wanted.spacing))


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


def card_of(landmarks: LandmarkSet, bundle: str | None) -> dict[str, Any] | None:
    """The card of the model that found landmarks, as a plain dict.

    Args:
        landmarks: whose ``info`` may name a bundle.
        bundle: the one that a person named; otherwise the installed one is taken, if it is the very same.

    Raises:
        LandmarkDetectorError: the bundle that was named is not there, or another one found the landmarks.
    """
    from LandmarkDetectorLib.bundles import load_bundle

    name, fingerprint = landmarks.info.get("bundle"), landmarks.info.get("fingerprint")
    if bundle is None:
        if not isinstance(name, str) or not fingerprint:
            return None
        try:
            loaded = load_bundle(name)
        except LandmarkDetectorError:
            return None  # the report says then that no card is at hand
        if loaded.fingerprint != fingerprint:
            return None
    else:
        loaded = load_bundle(bundle)
        if fingerprint and loaded.fingerprint != fingerprint:
            said = f"{name} {landmarks.info.get('version', '')}".strip()
            raise LandmarkDetectorError(
                f"{landmarks.name}: its landmarks were found by {said} and not by {loaded.name} {loaded.version}; "
                "give that bundle, or leave --bundle out."
            )
    return {**loaded.card.model_dump(mode="json"), "fingerprint": loaded.fingerprint}


def _check_patient(wanted: Wanted, outputs: Sequence[Output]) -> None:
    if not wanted.with_patient:
        return
    if wanted.image is None or not any(suffix_of(each.file) == ".dcm" for each in outputs):
        raise LandmarkDetectorError("--with-patient is for .dcm files, and needs the DICOM images as --image.")


def _write_own(measured: Measured, outputs: Sequence[Output], wanted: Wanted, image: Path | None) -> None:
    """Write a subject's files: all of them, or none that was not there before."""
    fresh = [each.file for each in outputs if not each.file.exists()]
    try:
        for each in outputs:
            _save([measured], each, wanted, image)
    except BaseException:
        for file in fresh:
            file.unlink(missing_ok=True)
        raise


def _save(subjects: Sequence[Measured], output: Output, wanted: Wanted, image: Path | None = None) -> None:
    from LandmarkDetectorLib.measure.reports import save_measurements

    source: list[Any] = []
    if wanted.with_patient and image is not None and suffix_of(output.file) == ".dcm":
        from LandmarkDetectorLib.io.dicom_source import source_headers

        source = source_headers(image)
    output.file.parent.mkdir(parents=True, exist_ok=True)
    wide = wanted.wide if output.wide is None else output.wide
    save_measurements(subjects, output.file, wide=wide, source=source)


def list_them(files: Sequence[Path], names: Sequence[str], *, as_json: bool) -> None:
    """Say which sets there are and, of files of landmarks, what each allows.

    Raises:
        LandmarkDetectorError: a set or a file that cannot be read.
    """
    from LandmarkDetectorLib.io import load_landmarks
    from LandmarkDetectorLib.measure import load_set, measure_sets, suggest_sets

    sets = [load_set(name) for name in (names or measure_sets())]
    known = {each.name: each for each in sets}
    if not files:
        records = [
            {
                "name": each.name,
                "title": each.title,
                "measurements": each.names,
                "description": each.definition.description,
            }
            for each in sets
        ]
        if as_json:
            print_json({"sets": records})
        else:
            results.print(suggestion_table([(each, None) for each in sets], "Sets of measurements"))
        return
    told = []
    for file in files:
        allowed = suggest_sets(load_landmarks(file).labels, sets)
        if as_json:
            told.append({"landmarks": str(file), "sets": [_suggested(each) for each in allowed]})
        elif allowed:
            rows = [(known[each.name], each) for each in allowed]
            results.print(suggestion_table(rows, f"{shown(file)} allows"))
        else:
            say(f"{shown(file)}: its labels allow no set; name them by --label, or write a set of your own.")
    if as_json:
        print_json(told)


def _suggested(each: Any) -> dict[str, Any]:
    missing = {name: list(lacking) for name, lacking in each.missing.items()}
    return {"name": each.name, "title": each.title, "computable": list(each.computable), "missing": missing}

"""What ``landmark-detector measure`` does: find files, measure each, write and print what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.cli.console import Steps, print_json, results, say, say_failed
from LandmarkDetectorLib.cli.endings import REFUSED, refusal
from LandmarkDetectorLib.cli.measure_files import Output, image_path
from LandmarkDetectorLib.cli.measured_tables import measured_record, measured_table, suggestion_table
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.core.errors import Cancelled, LandmarkDetectorError
from LandmarkDetectorLib.io.names import shown, stem_of, suffix_of

if TYPE_CHECKING:
    from LandmarkDetectorLib.bundles import Bundle
    from LandmarkDetectorLib.core import Image, LandmarkSet
    from LandmarkDetectorLib.measure.sets import MeasurementSet
    from LandmarkDetectorLib.measure.subject import Measured

MANY_FILES = 8
"""More are counted and not named."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of every subject."""

    sets: tuple[str, ...]
    how: Mapping[str, Any]
    distances: tuple[tuple[str, str], ...] = ()
    image: Path | None = None
    spacing: str | None = None
    bundle: str | None = None
    reviewed_by: str = ""
    with_patient: bool = False
    wide: bool = False


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
    shared: list[str] = []
    try:
        with Steps() as steps:
            for number, file in enumerate(files):
                steps(f"measuring {number + 1}/{len(files)}", number / len(files))
                try:
                    measured = measure_one(file, wanted, sets, several=len(files) > 1)
                    own = [each for each in outputs if each.subject == measured.subject]
                    _write_own(measured, own, wanted, image_path(file, wanted.image, len(files) > 1))
                except Cancelled:
                    raise
                except Exception as error:  # a defect of ours with one file must not keep the others waiting
                    if len(files) == 1:
                        raise
                    defect = f"a defect of landmark-detector ({type(error).__name__})"
                    said = refusal(error) or f"{defect}; measure it alone with --debug, and report that."
                    say_failed(shown(file), said)
                    records.append({"landmarks": str(file), "error": said})
                    continue
                done.append(measured)
                _say_what_does_not_fit(measured, file)
                written = [str(each.file) for each in own]
                records.append({"landmarks": str(file), **measured_record(measured), "files": written})
        for each in outputs if done else ():
            if each.subject is None:
                _save(done, each, wanted)
                shared.append(str(each.file))
    except (Cancelled, KeyboardInterrupt):
        before = _named(_files_of(records) + shared)
        what = f"written before: {before}" if before else "nothing was written"
        raise Cancelled(f"Cancelled; {what}.") from None
    _tell(done, records, shared, as_json=as_json)
    failed = len(files) - len(done)
    if failed:
        rest = "the others are measured" if done else "nothing was measured"
        say(f"{failed} of {len(files)} files failed, see above; {rest}.")
        raise typer.Exit(REFUSED)


def _tell(done: Sequence[Measured], records: list[dict[str, Any]], shared: list[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"landmark-detector": __version__, "subjects": records, "files": shared})
        return
    for measured in done:
        results.print(measured_table(measured))
    written = _named(_files_of(records) + shared)
    if written:
        say(f"Written: {written}")


def _files_of(records: Sequence[dict[str, Any]]) -> list[str]:
    return [file for record in records for file in record.get("files", [])]


def _named(files: Sequence[str]) -> str:
    """Files in words: their names, or how many in which folders."""
    if len(files) <= MANY_FILES:
        return ", ".join(files)
    folders = dict.fromkeys(str(Path(file).parent) for file in files)
    return f"{counted(len(files), 'file')} in {', '.join(folders)}"


def _sets(files: Sequence[Path], wanted: Wanted) -> list[MeasurementSet]:
    from LandmarkDetectorLib.io import load_landmarks
    from LandmarkDetectorLib.measure import load_set

    if wanted.sets or wanted.distances:
        return [load_set(name) for name in dict.fromkeys(wanted.sets)]
    hint = _what_is_allowed(load_landmarks(files[0]).labels)
    raise LandmarkDetectorError(f"Say by --set what to measure: {hint}; --list names all.")


def _what_is_allowed(labels: Sequence[str]) -> str:
    from LandmarkDetectorLib.measure import suggest_sets

    names = ", ".join(each.name for each in suggest_sets(labels)[:4])
    return f"these landmarks allow {names or 'none that comes with the library'}"


def _say_what_does_not_fit(measured: Measured, file: Path) -> None:
    """Of landmarks of another anatomy every row lacks something, and no row says that the set is the wrong one."""
    from LandmarkDetectorLib.measure import suggest_sets

    labels = measured.landmarks.labels
    for each in measured.sets:
        used = any(result.labels for result in measured.results if result.set_name == each.name)
        if not used and not suggest_sets(labels, [each]):
            hint = _what_is_allowed(labels)
            say(f"Note: {shown(file)} has no landmark that {each.name} could use; {hint}, and --label renames them.")


def measure_one(file: Path, wanted: Wanted, sets: Sequence[MeasurementSet], *, several: bool = False) -> Measured:
    """A file of landmarks, measured, with its image, its model's card and what is known of a review.

    Raises:
        LandmarkDetectorError: one of these cannot be read, or they do not belong to each other.
    """
    from LandmarkDetectorLib.io import load_landmarks
    from LandmarkDetectorLib.io.markups_review import review_statuses
    from LandmarkDetectorLib.measure import distance_set
    from LandmarkDetectorLib.measure.subject import Reviewed, measure_subject

    landmarks = load_landmarks(file)
    image = _image(file, wanted, several)
    if image is not None and image.dimension == 2:
        landmarks = landmarks.to_plane()
    if image is not None and wanted.spacing is not None:
        landmarks = _with_scale(landmarks, image)
    statuses = review_statuses(landmarks)
    said = {} if statuses is None else dict(zip(landmarks.labels, statuses, strict=True))
    reviewed = Reviewed(wanted.reviewed_by, said)
    card = card_of(landmarks, wanted.bundle)
    if wanted.distances:
        sets = [*sets, distance_set(landmarks.labels, wanted.distances)]
    return measure_subject(
        landmarks, sets, subject=stem_of(file), image=image, card=card, reviewed=reviewed, **wanted.how
    )


def _with_scale(landmarks: LandmarkSet, image: Image) -> LandmarkSet:
    """Landmarks in the pixels of a picture in mm, once a person has said how large these are; others as they are."""
    if landmarks.unit != "px" or image.grid.unit != "mm" or landmarks.dimension != image.dimension:
        return landmarks
    scale = image.grid.matrix[:-1, :-1]
    marks = [
        mark
        if mark.position is None
        else replace(
            mark,
            position=image.grid.to_world(mark.position),
            covariance=None if mark.covariance is None else scale @ mark.covariance @ scale.T,
        )
        for mark in landmarks
    ]
    return replace(landmarks, landmarks=tuple(marks), unit="mm")


def _image(file: Path, wanted: Wanted, several: bool) -> Image | None:
    path = image_path(file, wanted.image, several)
    if path is None:
        return None
    from LandmarkDetectorLib.cli.options import parse_spacing
    from LandmarkDetectorLib.io.images import load_scaled

    return load_scaled(path, parse_spacing(wanted.spacing))


def card_of(landmarks: LandmarkSet, bundle: str | None) -> dict[str, Any] | None:
    """The card of the model that found landmarks, as a plain dict.

    Args:
        landmarks: whose ``info`` may name a bundle.
        bundle: the one that a person named; otherwise the installed one is taken, if it is the very same.

    Raises:
        LandmarkDetectorError: the bundle that was named is not there, another one found the landmarks, or, where
            nothing says which one did, it finds none of these.
    """
    name, fingerprint = landmarks.info.get("bundle"), landmarks.info.get("fingerprint")
    if bundle is None:
        if not isinstance(name, str) or not fingerprint:
            return None
        try:
            loaded = _bundle(name)
        except LandmarkDetectorError:
            return None  # the report says then that no card is at hand
        if loaded.fingerprint != fingerprint:
            return None
    else:
        from LandmarkDetectorLib.measure.labels import plain

        loaded = _bundle(bundle)
        if not fingerprint and not set(map(plain, landmarks.labels)) & set(map(plain, loaded.labels)):
            raise LandmarkDetectorError(
                f"{landmarks.name}: none of its landmarks is one that {loaded.name} finds; leave --bundle out."
            )
        if fingerprint and loaded.fingerprint != fingerprint:
            said = f"{name} {landmarks.info.get('version', '')}".strip()
            raise LandmarkDetectorError(
                f"{landmarks.name}: its landmarks were found by {said} and not by {loaded.name} {loaded.version}; "
                "give that bundle, or leave --bundle out."
            )
    return {**loaded.card.model_dump(mode="json"), "fingerprint": loaded.fingerprint}


@cache
def _bundle(name: str) -> Bundle:
    """A bundle, read and checked once for all files of a batch."""
    from LandmarkDetectorLib.bundles import load_bundle

    return load_bundle(name)


def _check_patient(wanted: Wanted, outputs: Sequence[Output]) -> None:
    if not wanted.with_patient:
        return
    if wanted.image is None or not any(suffix_of(each.file) == ".dcm" for each in outputs):
        raise LandmarkDetectorError("--with-patient is for .dcm files, and needs the DICOM images as --image.")


def _write_own(measured: Measured, outputs: Sequence[Output], wanted: Wanted, image: Path | None) -> None:
    """Write a subject's files: all of them, or none that was not there before."""
    from LandmarkDetectorLib.io.atomic import all_or_none

    with all_or_none([each.file for each in outputs]):
        for each in outputs:
            _save([measured], each, wanted, image)


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
        landmarks = load_landmarks(file)
        allowed = suggest_sets(landmarks.labels, sets, landmarks.dimension)
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

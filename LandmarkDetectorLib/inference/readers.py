"""What readers placed on the same images: observers of a data set, bundles that are run on it, folders of files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.bundles.manifest import MANIFEST
from LandmarkDetectorLib.core import DatasetError, LandmarkSet
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.datasets.cases import Case, Dataset, read_dataset
from LandmarkDetectorLib.inference.evaluate import evaluate_bundle, folds_of, notice_of_training
from LandmarkDetectorLib.io import load_landmarks
from LandmarkDetectorLib.io.landmarks import LANDMARK_SUFFIXES, landmark_files
from LandmarkDetectorLib.io.names import stem_of

Progress = Callable[[str, float], None]
MEAN = "mean"
"""Of a data set, what counts as true: with several observers their mean."""

Key = tuple[str, str]
"""Subject, and the stem of the image's name."""


@dataclass(frozen=True, eq=False)
class Readings:
    """Landmarks of several readers on the same images.

    Attributes:
        labels: of the landmarks that all readers look for.
        subjects: of each image.
        readers: name -> the landmarks of each image, in one order.
        about: name -> what the reader is, in words.
        notices: what a person must know.
        derived: readers that are made of others here, as the mean of observers who stand beside it.
    """

    labels: tuple[str, ...]
    subjects: tuple[str, ...]
    readers: Mapping[str, list[LandmarkSet]]
    about: Mapping[str, str]
    notices: list[str] = field(default_factory=list)
    derived: tuple[str, ...] = ()


def gather_readings(
    readers: Sequence[str],
    data: Path | str | None = None,
    *,
    subjects: str = "held-out",
    device: str = "auto",
    progress: Progress | None = None,
) -> Readings:
    """Read, or find, what each reader says.

    Args:
        readers: each an observer of the data set, ``mean`` for what counts as true there, a bundle's name or folder,
            the folder of a cross-validation (``fold-0/NAME``, ...: every case by the bundle that held it out), or a
            folder of landmark files, one an image and called like it.
        data: a folder with ``dataset.json``; without, folders of files are paired by the files' names.
        subjects: of bundles: ``held-out``, ``all``, or a file with one subject a line.
        device: as for :class:`Detector`.
        progress: called with a sentence and the fraction done.

    Raises:
        DatasetError: fewer than two readers, one that is not known, or no image that all of them read.
        LandmarkDetectorError: a bundle, file or data set that is not usable.
    """
    if len(readers) < 2:
        raise DatasetError("Agreement needs two readers or more; give observers, bundles or folders of landmarks.")
    if len(set(readers)) < len(readers):
        raise DatasetError("One reader is given twice; give each once.")
    dataset = None if data is None else read_dataset(data)
    found: dict[str, dict[Key, LandmarkSet]] = {}
    about: dict[str, str] = {}
    notices: list[str] = []
    for number, reader in enumerate(readers):

        def step(words: str, fraction: float, number: int = number, reader: str = reader) -> None:
            if progress is not None:
                progress(f"{Path(reader).name}: {words}", (number + fraction) / len(readers))

        name, words, said = _reader(reader, dataset, data, subjects, device, step, notices)
        name = name if name not in found else str(reader)
        found[name], about[name] = said, words
    observers = {name for case in (dataset.cases if dataset else ()) for name in case.raters}
    derived = (MEAN,) if MEAN in found and observers & set(found) else ()
    return _joined(found, about, notices, derived)


def _reader(
    reader: str,
    dataset: Dataset | None,
    data: Path | str | None,
    subjects: str,
    device: str,
    step: Progress,
    notices: list[str],
) -> tuple[str, str, dict[Key, LandmarkSet]]:
    """Name, description and landmarks of a reader; what a person must know of it is added to the notices."""
    if dataset is not None:
        observers = list(dict.fromkeys(name for case in dataset.cases for name in case.raters))
        if reader in observers:
            return reader, f"observer of {dataset.name}", {
                _key(case): case.raters[reader] for case in dataset.cases if reader in case.raters
            }  # fmt: skip
        if reader == MEAN:
            of = f" (mean of {', '.join(observers)})" if len(observers) > 1 else ""
            return MEAN, f"what counts as true in {dataset.name}{of}", {
                _key(case): case.landmarks for case in dataset.cases
            }  # fmt: skip
    path = Path(reader)
    folds = folds_of(path)
    if path.is_dir() and not folds and not (path / MANIFEST).is_file():
        return path.name, f"files in {path.name}", _files(path, dataset)
    if dataset is None or data is None:
        raise DatasetError(
            f"{path.name} is no folder of landmark files; add --data for observers, and for bundles to be run."
        )
    bundles = [load_bundle(folder) for folder in folds] if folds else [_bundle(reader, dataset)]
    said: dict[Key, LandmarkSet] = {}

    def keep(case: Case, landmarks: LandmarkSet) -> None:
        said[_key(case)] = landmarks

    for number, bundle in enumerate(bundles):

        def listen(words: str, fraction: float, number: int = number) -> None:
            step(words, (number + fraction) / len(bundles))

        # Of a fold, the others trained on what this one held out.
        chosen = "held-out" if folds else subjects
        evaluate_bundle(bundle, data, subjects=chosen, device=device, progress=listen, keep=keep)
    if not folds:
        notices += notice_of_training(bundles[0], [subject for subject, _ in said])
    of = f"{len(bundles)} folds of " if folds else ""
    return path.name if folds else bundles[0].name, f"{of}{bundles[0].name} {bundles[0].version}", said


def _bundle(reader: str, dataset: Dataset):
    from LandmarkDetectorLib.core import BundleError

    try:
        return load_bundle(reader)
    except BundleError as error:
        if Path(reader).exists():
            raise
        observers = ", ".join(dict.fromkeys(name for case in dataset.cases for name in case.raters)) or "none"
        raise DatasetError(
            f"{reader} is no observer of {dataset.name} (it has {observers}), no folder and no bundle; mend the name."
        ) from error


def _key(case: Case) -> Key:
    return case.subject, stem_of(case.image_path)


def _files(folder: Path, dataset: Dataset | None) -> dict[Key, LandmarkSet]:
    """The landmarks of a folder by image: of a data set by the image's name, or its subject where that is the only."""
    chosen = landmark_files(folder)
    if not chosen:
        raise DatasetError(f"{folder.name}: the folder holds no files of landmarks ({', '.join(LANDMARK_SUFFIXES)}).")
    if dataset is None:
        return {(name, name): load_landmarks(file) for name, file in chosen.items()}
    said: dict[Key, LandmarkSet] = {}
    for case in dataset.cases:
        subject, image = _key(case)
        alone = sum(other.subject == subject for other in dataset.cases) == 1
        own = chosen.get(image) or (chosen.get(subject) if alone else None)
        if own is not None:
            marks = load_landmarks(own)
            said[subject, image] = marks.to_plane() if case.landmarks.dimension == 2 else marks
    return said


def _joined(
    found: Mapping[str, Mapping[Key, LandmarkSet]],
    about: Mapping[str, str],
    notices: list[str],
    derived: tuple[str, ...],
) -> Readings:
    """The images and labels that all readers have; what is left out comes before the notices."""
    first = next(iter(found.values()))
    keys = [key for key in first if all(key in said for said in found.values())]
    if not keys:
        raise DatasetError("There is no image that all readers read; give readings of the same images, named alike.")
    every = {key for said in found.values() for key in said}
    left_out = []
    if len(keys) < len(every):
        left_out.append(f"All readers read {counted(len(keys), 'image')}; left out: {len(every) - len(keys)}.")
    sets = [dict.fromkeys(label for key in keys for label in said[key].labels) for said in found.values()]
    labels = tuple(label for label in sets[0] if all(label in own for own in sets))
    if not labels:
        raise DatasetError("The readers have no landmark in common; give readings of the same landmarks, named alike.")
    left = len({label for own in sets for label in own} - set(labels))
    if left:
        left_out.append(f"Left out, for only some readers have them: {counted(left, 'landmark')}.")
    readers = {name: [said[key] for key in keys] for name, said in found.items()}
    return Readings(labels, tuple(subject for subject, _ in keys), readers, about, [*left_out, *notices], derived)

"""The forms in which an export is written; one class a form."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.core import Image, ImageError, Landmark, LandmarkSet
from LandmarkDetectorLib.io import save_landmarks
from LandmarkDetectorLib.io.copies import write_copy

_BIDS = "1.10.0"
Place = tuple[Path, Mapping[str, Any]]


@dataclass(frozen=True)
class Outgoing:
    """A case on its way out, with nothing on it that identifies anybody.

    Args:
        case: its id, by which its files are called.
        landmarks: what counts as true.
        raters: what each observer said, where there are several.
        subject: whose image it is, as a code.
        family: what stands on one side of each split, as a code.
        unit: of positions.
    """

    case: str
    landmarks: LandmarkSet
    raters: Mapping[str, LandmarkSet]
    subject: str
    family: str
    unit: str


def only(marks: LandmarkSet, labels: Iterable[str]) -> LandmarkSet:
    """The landmarks with these labels, in this order; one that is not there is undefined: nobody looked for it."""
    known = {mark.label: mark for mark in marks}
    chosen = tuple(known.get(label) or Landmark(label, None, "undefined") for label in labels)
    return LandmarkSet(chosen, marks.unit, marks.name)


class Form(ABC):
    """Writes an export.

    Args:
        folder: where it is written, which will be renamed.
        target: what the folder will be called.
        name: of the data set.
        labels: of the landmarks, in order.
    """

    def __init__(self, folder: Path, target: Path, name: str, labels: Sequence[str]) -> None:
        self.folder, self.target, self.name, self.labels = folder, target, name, list(labels)
        self.entries: list[dict[str, Any]] = []

    @abstractmethod
    def add(self, case: Outgoing, image: Image, place: Place | None) -> None:
        """Write a case; ``place``: where its image lies and how it is read, if it shall only be referred to."""

    @abstractmethod
    def finish(self) -> None:
        """Write what lists the cases."""

    def copied(self, image: Image, case: str) -> str:
        """Write an image to ``images/``; its path in the export. Volumes as NIfTI, which every program reads."""
        (self.folder / "images").mkdir(exist_ok=True)
        return f"images/{write_copy(image, self.folder / 'images', case, '.nii.gz').name}"

    def write_json(self, relative: str, content: Mapping[str, Any]) -> None:
        """A JSON file of the export."""
        text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (self.folder / relative).write_text(text, encoding="utf-8")


class DatasetForm(Form):
    """``dataset.json`` as :func:`LandmarkDetectorLib.datasets.read_dataset` reads it; every file names every label."""

    def add(self, case: Outgoing, image: Image, place: Place | None) -> None:
        """Write a case."""
        (self.folder / "landmarks").mkdir(exist_ok=True)
        file = f"landmarks/{case.case}.mrk.json"
        save_landmarks(only(case.landmarks, self.labels), self.folder / file)
        entry: dict[str, Any] = {
            "image": self.copied(image, case.case) if place is None else self._reference(place, case.case),
            "landmarks": file,
            "subject": case.case,
            "family": case.family,
        }
        absent = [mark.label for mark in only(case.landmarks, self.labels) if mark.status == "missing"]
        if absent:
            entry["absent"] = absent
        if place is not None and place[1].get("spacing"):
            entry["spacing_mm"] = place[1]["spacing"]
        for name, marks in case.raters.items():
            raters = self.folder / "landmarks" / "raters"
            raters.mkdir(exist_ok=True)
            file = f"{case.case}.{len(entry.setdefault('raters', {})) + 1}.mrk.json"
            entry["raters"][name] = f"landmarks/raters/{file}"
            save_landmarks(only(marks, self.labels), raters / file)
        self.entries.append(entry)

    def finish(self) -> None:
        """Write ``dataset.json``."""
        self.write_json("dataset.json", {"name": self.name, "landmark_labels": self.labels, "training": self.entries})

    def _reference(self, place: Place, case: str) -> str:
        path, how = place
        if how.get("series"):
            raise ImageError(f"{case}: its image is one series of several in a folder; export it with its image.")
        try:
            return Path(os.path.relpath(path, self.target)).as_posix()
        except ValueError:  # another drive of Windows
            return path.as_posix()


class MonaiForm(Form):
    """``datalist.json`` as ``monai.data.load_decathlon_datalist`` reads it.

    An entry's ``landmarks`` are positions (K, D) in LPS in the order of ``labels``, null where there is none;
    ``present`` and ``labelled`` are those of :mod:`LandmarkDetectorLib.datasets.samples`.
    """

    def add(self, case: Outgoing, image: Image, place: Place | None) -> None:
        """Write a case."""
        marks = only(case.landmarks, self.labels)
        self.entries.append(
            {
                "image": self.copied(image, case.case),
                "landmarks": [None if mark.position is None else mark.position.tolist() for mark in marks],
                "present": [mark.position is not None for mark in marks],
                "labelled": [mark.status != "undefined" for mark in marks],
                "unit": case.unit,
                "subject": case.subject,
                "family": case.family,
            }
        )

    def finish(self) -> None:
        """Write ``datalist.json``."""
        about = {"name": self.name, "labels": self.labels, "space": "LPS", "numTraining": len(self.entries)}
        self.write_json("datalist.json", {**about, "training": self.entries})


class BidsForm(Form):
    """Folders like those of BIDS: an image a subject, landmarks as a derivative.

    The file's suffix ``image`` is no BIDS modality, since the store does not know one.
    """

    def add(self, case: Outgoing, image: Image, place: Place | None) -> None:
        """Write a case."""
        name = f"sub-{case.case.replace('-', '')}"
        kind = "anat" if image.dimension == 3 else "photo"
        raw, derived = self.folder / name / kind, self.folder / "derivatives" / "landmarks" / name / kind
        raw.mkdir(parents=True)
        derived.mkdir(parents=True)
        write_copy(image, raw, f"{name}_image", ".nii.gz")
        marks = only(case.landmarks, self.labels)
        save_landmarks(marks, derived / f"{name}_desc-reviewed_landmarks.mrk.json")
        rows = ["label\tx\ty\tz\tunit\tstatus"]
        for mark in marks:
            at = [] if mark.position is None else [repr(float(value)) for value in mark.position]
            label = " ".join(mark.label.split())
            rows.append("\t".join([label, *at, *["n/a"] * (3 - len(at)), marks.unit, mark.status or "n/a"]))
        (derived / f"{name}_desc-reviewed_landmarks.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        self.entries.append({"participant_id": name, "subject": case.subject, "family": case.family})

    def finish(self) -> None:
        """Write what describes the data set."""
        maker = [{"Name": "landmark-detector", "Version": __version__}]
        about = {"Name": self.name, "BIDSVersion": _BIDS}
        self.write_json("dataset_description.json", {**about, "DatasetType": "raw"})
        derivative = {**about, "DatasetType": "derivative", "GeneratedBy": maker}
        self.write_json("derivatives/landmarks/dataset_description.json", derivative)
        rows = ["\t".join(entry) for entry in [list(self.entries[0]), *(entry.values() for entry in self.entries)]]
        (self.folder / "participants.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        space = (
            "Positions in the .tsv files are LPS; one without a place is missing (absent) or undefined (unreviewed).\n"
        )
        (self.folder / "README").write_text(space, encoding="utf-8")


FORMS: dict[str, type[Form]] = {"dataset": DatasetForm, "monai": MonaiForm, "bids": BidsForm}

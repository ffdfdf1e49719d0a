"""Anatomical fiducials (AFIDs) of the brain: 32 landmarks in T1-weighted MR, several observers, in a BIDS tree.

::

    sub-01/[ses-1/]anat/sub-01_[ses-1_]T1w.nii.gz
    .../sub-01/.../sub-01_space-T1w_desc-groundtruth_afids.fcsv
    .../sub-01/.../sub-01_space-T1w_desc-<observer>_afids.fcsv

An ``.fcsv`` calls its landmarks 1 to 32 and says itself whether it is in RAS or LPS. The observer stands in the entity
``desc-``; ``groundtruth`` is the mean that the set's authors published. The 32 names are those of the protocol.

Taha et al. 2023, Magnetic resonance imaging datasets with anatomical fiducials for quality control and registration,
doi 10.1038/s41597-023-02330-9; protocol: Lau et al. 2019, doi 10.1002/hbm.24693; https://github.com/afids/afids-data.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from LandmarkDetectorLib.core import DatasetError, LandmarkFileError, LandmarkSet
from LandmarkDetectorLib.datasets.importers.findings import true_set, visible_files
from LandmarkDetectorLib.datasets.importers.registry import ImportedCase, ImportedDataset, register_importer
from LandmarkDetectorLib.io.fcsv import read_fcsv
from LandmarkDetectorLib.io.names import shown, stem_of, suffix_of

LABELS = (
    "AC",
    "PC",
    "infracollicular sulcus",
    "PMJ",
    "superior interpeduncular fossa",
    "R superior LMS",
    "L superior LMS",
    "R inferior LMS",
    "L inferior LMS",
    "culmen",
    "intermammillary sulcus",
    "R MB",
    "L MB",
    "pineal gland",
    "R LV at AC",
    "L LV at AC",
    "R LV at PC",
    "L LV at PC",
    "genu of CC",
    "splenium of CC",
    "R AL temporal horn",
    "L AL temporal horn",
    "R superior AM temporal horn",
    "L superior AM temporal horn",
    "R inferior AM temporal horn",
    "L inferior AM temporal horn",
    "R indusium griseum origin",
    "L indusium griseum origin",
    "R ventral occipital horn",
    "L ventral occipital horn",
    "R olfactory sulcal fundus",
    "L olfactory sulcal fundus",
)

_VOLUMES = (".nii.gz", ".nii")
_PUBLISHED = "groundtruth"
_Scan = tuple[str, str]  # subject and session, the latter empty where the tree has none


@register_importer("afids")
def afids(folder: Path, *, truth: str = _PUBLISHED, contrast: str = "T1w") -> ImportedDataset:
    """The annotated scans of a BIDS tree; scans without annotation are passed over.

    Args:
        folder: the tree; annotations may lie anywhere in it.
        truth: ``"groundtruth"`` as published, ``"mean"`` of the observers who are here, or one of them.
        contrast: how the images' names end: ``T1w``, or ``T2w``.

    Raises:
        DatasetError: nothing is annotated, a scan is missing or not the only one, an observer stands there twice, or
            nobody of the name in ``truth`` annotated.
        LandmarkFileError: an ``.fcsv`` is damaged or does not hold the 32 landmarks.
    """
    notes: defaultdict[_Scan, dict[str, Path]] = defaultdict(dict)
    scans: defaultdict[_Scan, list[Path]] = defaultdict(list)
    for path in visible_files(folder):
        entities = _entities(path)
        scan = (entities.get("sub", ""), entities.get("ses", ""))
        if not scan[0]:
            continue
        if path.name.endswith("_afids.fcsv"):
            observer = entities.get("desc", "")
            if not observer:
                raise DatasetError(f"{shown(path)}: its name has no desc- to tell the observer; rename it.")
            if observer in notes[scan]:
                raise DatasetError(f"{shown(path)}: there are two files of {observer} for this scan; keep one.")
            notes[scan][observer] = path
        elif _is_scan(path, folder, contrast):
            scans[scan].append(path)
    if not notes:
        raise DatasetError(
            f"{folder}: no file sub-..._desc-..._afids.fcsv lies in it or below; give the folder of the BIDS tree, "
            "with its derivatives."
        )
    cases = []
    for scan, files in sorted(notes.items()):
        name = "_".join(word for word in (f"sub-{scan[0]}", f"ses-{scan[1]}" if scan[1] else "") if word)
        raters = {observer: _read(path) for observer, path in files.items()}
        observed = {observer: marks for observer, marks in raters.items() if observer != _PUBLISHED}
        if truth == "mean" and not observed:
            raise DatasetError(f"{name}: no single observer is here; take the truth {_PUBLISHED!r}.")
        marks = true_set(truth, observed if truth == "mean" else raters, LABELS, name)
        image = _scan_of(scan, scans, name, contrast)
        cases.append(ImportedCase(name, image, marks, raters=observed, extra={"family": f"sub-{scan[0]}"}))
    about = {
        "modality": f"brain MR, {contrast}",
        "truth": truth,
        "source": "Taha et al. 2023, doi 10.1038/s41597-023-02330-9",
    }
    return ImportedDataset("afids", LABELS, tuple(cases), about)


def _entities(path: Path) -> dict[str, str]:
    """The entities of a BIDS name: ``sub-01_ses-1_T1w`` says sub and ses."""
    return dict(word.split("-", 1) for word in stem_of(path).split("_") if "-" in word)


def _is_scan(path: Path, folder: Path, contrast: str) -> bool:
    """Whether a file is an image as it was acquired, of this contrast."""
    acquired = "derivatives" not in path.relative_to(folder).parts
    return acquired and suffix_of(path) in _VOLUMES and stem_of(path).endswith(f"_{contrast}")


def _scan_of(scan: _Scan, scans: dict[_Scan, list[Path]], name: str, contrast: str) -> Path:
    """The one image of a scan; of the whole subject where the annotation names no session."""
    meant = [key for key in scans if key == scan or (not scan[1] and key[0] == scan[0])]
    found = [path for key in meant for path in scans[key]]
    if len(found) != 1:
        count = f"{len(found)} images end" if found else "no image ends"
        raise DatasetError(f"{name}: {count} in _{contrast}.nii.gz outside derivatives; leave exactly one in the tree.")
    return found[0]


def _read(path: Path) -> LandmarkSet:
    """The 32 landmarks of a file, by their names."""
    marks = read_fcsv(path)
    numbers = [str(number) for number in range(1, len(LABELS) + 1)]
    if sorted(marks.labels) != sorted(numbers):
        odd = next((label for label in marks.labels if label not in numbers), None)
        fault = f"the landmark {odd[:20]!r}" if odd is not None else f"{len(marks)} landmarks, some of them lacking"
        raise LandmarkFileError(
            f"{shown(path)}: it has {fault} and should have each of 1 to {len(LABELS)} once; mend the file."
        )
    positions = marks.reordered(numbers).positions
    return LandmarkSet.from_positions(LABELS, positions, "mm", stem_of(path))

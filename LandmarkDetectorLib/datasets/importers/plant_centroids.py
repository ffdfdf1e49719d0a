"""Plants in the field with the points where their stems emerge: one class of landmarks, many instances a picture.

::

    A_W4/label_sparse/*.png    A_W4/rgb_undistorted/*.png    A_W4/nir/*.png      A_W4, B_W5 ...: field and week

Whatever is not 0 in a picture of ``label_sparse`` marks stems; each connected part of it is one, and its middle is the
landmark. A label and its picture belong together by their name, or, in a session whose names differ, by their order.
A field and its weeks are of one ``family``.

Kraemer et al. 2017, From plants to landmarks: time-invariant plant localization that uses deep pose regression in
agricultural fields, arXiv:1709.04751; set at http://plantcentroids.cs.uni-freiburg.de.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from LandmarkDetectorLib.core import DatasetError, Image
from LandmarkDetectorLib.datasets.importers.findings import Images
from LandmarkDetectorLib.datasets.importers.registry import ImportedCase, ImportedDataset, register_importer
from LandmarkDetectorLib.io.names import shown, stem_of
from LandmarkDetectorLib.io.pixels import picture_size

LABEL = "stem"

_LABELS = "label_sparse"
_PICTURES = {"rgb": "rgb_undistorted", "nir": "nir"}
_PARTS = {name: "test" for name in ("A_W4", "B_W5", "C_W8")}
_PARTS |= {name: "training" for name in ("G_W5", "H_W5", "I_W6", "J_W8", "K_W8")}
"""What those who compare methods on the set train on and test on; other sessions have no part."""


@register_importer("plant-centroids")
def plant_centroids(folder: Path, *, light: str = "rgb") -> ImportedDataset:
    """The sessions below a folder.

    Args:
        folder: holds the sessions, at any depth.
        light: which pictures to take, ``"rgb"`` or ``"nir"`` (near infrared).

    Raises:
        DatasetError: there is no session, labels and pictures of one do not pair, or differ in size, or a light that
            there is not.
        ImageError: a label cannot be read.
    """
    if light not in _PICTURES:
        raise DatasetError(f"There are no pictures in the light {light!r}; choose rgb or nir.")
    drawn = sorted(path for path in folder.rglob(_LABELS) if path.is_dir())
    if not drawn:
        raise DatasetError(f"{folder}: no folder {_LABELS} lies in it or below; give the one that holds the sessions.")
    cases = []
    for labels in drawn:
        session = labels.parent.name
        pictures = labels.parent / _PICTURES[light]
        if not pictures.is_dir():
            raise DatasetError(f"{session}: there is no folder {pictures.name} beside {_LABELS}; unpack the set again.")
        cases += [_case(session, label, picture) for label, picture in _paired(session, labels, pictures)]
    about = {"modality": f"plants in the field ({light})", "source": "Kraemer et al. 2017, arXiv:1709.04751"}
    return ImportedDataset("plant-centroids", (LABEL,), tuple(cases), about)


def _paired(session: str, labels: Path, pictures: Path) -> list[tuple[Path, Path]]:
    """Each label and its picture."""
    drawn, seen = Images(labels), Images(pictures)
    if all(stem in seen for stem in drawn):  # pictures that nobody labelled may be there too
        return [(drawn.named(stem), seen.named(stem)) for stem in sorted(drawn)]
    if len(list(drawn)) != len(list(seen)):
        raise DatasetError(
            f"{session}: {len(list(drawn))} labels and {len(list(seen))} pictures differ in their names and do not "
            "pair; unpack the set again."
        )
    return [(drawn.named(a), seen.named(b)) for a, b in zip(sorted(drawn), sorted(seen), strict=True)]


def _case(session: str, label: Path, picture: Path) -> ImportedCase:
    from LandmarkDetectorLib.datasets.masks import landmarks_of_mask, load_mask  # torch takes a second

    mask = load_mask(label)
    if mask.channels > 1:  # saved in colour
        mask = Image(np.asarray(mask.array.any(0, keepdims=True), dtype=np.uint8), mask.grid)
    if mask.grid.size != tuple(picture_size(picture)):
        raise DatasetError(f"{session}: {shown(label)} and {shown(picture)} differ in size; unpack the set again.")
    subject = f"{session}-{stem_of(picture)}"
    extra: dict[str, Any] = {"family": f"field {session.split('_')[0]}"}
    if session in _PARTS:
        extra["part"] = _PARTS[session]
    return ImportedCase(subject, picture, landmarks_of_mask(mask, [LABEL], instances=True, name=subject), extra=extra)

"""Labels that mean a place in the picture: the left end of a diameter is the one that lies left, however it turns."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.transforms import InvertibleTransform

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.samples import IMAGE, LABELLED, LABELS, LANDMARKS, PRESENT, Sample
from LandmarkDetectorLib.datasets.transforms.carry import LandmarkTransform
from LandmarkDetectorLib.datasets.transforms.mirror import reorder_rows
from LandmarkDetectorLib.datasets.transforms.resample import same_voxels

AXES = "xyz"


class OrderByPosition(LandmarkTransform, InvertibleTransform):
    """Gives the labels of a group out anew, in the order in which its landmarks now lie along an axis of the image.

    To be put after what turns or mirrors the picture. Where a landmark of a group has no place, nobody knows which of
    the labels the others bear now: the whole group is then not labelled, so that nothing is learnt from it.

    Args:
        groups: labels in the order of ascending coordinate, with the axis: ``[(("left end", "right end"), "x")]``.

    Raises:
        DatasetError: an axis that is none; when called, a label that the sample does not have, or classes of several
            instances.
    """

    def __init__(self, groups: Sequence[tuple[Sequence[str], str]]) -> None:
        super().__init__()
        for group in groups:
            if isinstance(group, str) or len(group) != 2 or isinstance(group[0], str) or group[1] not in tuple(AXES):
                raise DatasetError(f"OrderByPosition takes pairs of labels and an axis, x, y or z, not {group!r}.")
        self.groups = tuple((tuple(str(label) for label in labels), AXES.index(axis)) for labels, axis in groups)

    def __call__(self, sample: Sample) -> Sample:
        """Exchange the rows of each group."""
        order = list(range(len(sample[LABELS])))
        labelled = sample[LABELLED].clone()
        for labels, axis in self.groups:
            rows = _rows(sample, labels, axis)
            if not bool(sample[PRESENT][rows].all()):
                labelled[rows] = False
                continue
            ranks = torch.argsort(sample[LANDMARKS][rows, axis], stable=True).tolist()
            for row, rank in zip(rows, ranks, strict=True):
                order[row] = rows[rank]
        out = reorder_rows({**sample, LABELLED: labelled}, order)
        out[IMAGE] = same_voxels(out[IMAGE])
        self.push_transform(out[IMAGE], extra_info={"order": order, "labelled": sample[LABELLED].tolist()})
        return out

    def inverse(self, sample: Sample) -> Sample:
        """Give the labels back as they were given before."""
        out = {**sample, IMAGE: same_voxels(sample[IMAGE])}
        info = self.pop_transform(out[IMAGE])["extra_info"]
        back = sorted(range(len(info["order"])), key=info["order"].__getitem__)
        labelled = torch.tensor(info["labelled"], dtype=torch.bool, device=sample[LABELLED].device)
        return {**reorder_rows(out, back), LABELLED: labelled}


def _rows(sample: Sample, labels: Sequence[str], axis: int) -> list[int]:
    known = list(sample[LABELS])
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise DatasetError(f"There is no landmark {unknown[0]!r} to order; the labels are {', '.join(known)}.")
    places = sample[LANDMARKS]
    if places.ndim != 2 or axis >= places.shape[1]:
        raise DatasetError(
            f"Landmarks of shape {tuple(places.shape)} have no order along {AXES[axis]}; give classes of one instance, "
            "and an axis of the image."
        )
    return [known.index(label) for label in labels]

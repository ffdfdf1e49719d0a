"""Every image with its axes along the same anatomical directions, by permuting and turning axes round."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform
from scipy.optimize import linear_sum_assignment

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.samples import IMAGE, Sample, index_affine, move_landmarks
from LandmarkDetectorLib.datasets.transforms.carry import LandmarkTransform
from LandmarkDetectorLib.datasets.transforms.resample import in_array_order, same_voxels

DIRECTIONS = {"L": (0, 1), "R": (0, -1), "P": (1, 1), "A": (1, -1), "S": (2, 1), "I": (2, -1)}
"""For each letter the axis of the world (LPS) and the sense along it."""


class Reorient(LandmarkTransform, InvertibleTransform):
    """Stores an image anew so that its axes x, y[, z] run towards the directions named, as nearly as they can.

    No voxel is interpolated. What is seen is the same patient, so no label is swapped.

    Args:
        axes: letters of :data:`DIRECTIONS`, of x, y[, z] in turn, as ``"LPS"`` or ``"RAS"``; for a picture two of L, R,
            P, A.
        keys: images to store anew; the landmarks follow ``image``.

    Raises:
        DatasetError: letters that name no axes; when called, an image of another dimension.
    """

    def __init__(self, axes: str = "LPS", keys: Sequence[str] = (IMAGE,)) -> None:
        super().__init__()
        wanted = [DIRECTIONS.get(letter) for letter in axes.upper()]
        named = {way[0] for way in wanted if way is not None}
        if len(axes) not in (2, 3) or named != set(range(len(axes))):
            raise DatasetError(f"Reorient: {axes!r} names no axes; give letters as 'LPS', or 'LP' for a picture.")
        self.wanted = tuple(way for way in wanted if way is not None)
        self.keys = tuple(keys)

    def __call__(self, sample: Sample) -> Sample:
        """Store the images anew, and move the landmarks."""
        out, before = dict(sample), index_affine(sample[IMAGE])
        for key in self.keys:
            out[key] = self._reoriented(sample[key])
        if IMAGE in self.keys:
            move_landmarks(out, torch.linalg.solve(index_affine(out[IMAGE]), before))
        return out

    def inverse(self, sample: Sample) -> Sample:
        """The images as they were stored, and the landmarks with them."""
        out, before = dict(sample), index_affine(sample[IMAGE])
        for key in self.keys:
            image = same_voxels(sample[key])
            info = self.pop_transform(image)["extra_info"]
            source, turned = info["source"], info["turned"]
            back = [source.index(axis) for axis in range(len(source))]
            out[key] = _stored(image, back, [turned[place] for place in back])
        if IMAGE in self.keys:
            move_landmarks(out, torch.linalg.solve(index_affine(out[IMAGE]), before))
        return out

    def _reoriented(self, image: MetaTensor) -> MetaTensor:
        linear = index_affine(image)[:-1, :-1]
        if len(linear) != len(self.wanted):
            raise DatasetError(f"Reorient: {len(self.wanted)} axes do not fit an image in {len(linear)}D.")
        linear = linear / torch.linalg.norm(linear, dim=0)
        # The permutation under which the axes follow the world's most closely, all of them together.
        world, stored = linear_sum_assignment(-linear.abs().numpy())
        axis_of = dict(zip(world.tolist(), stored.tolist(), strict=True))
        source = [axis_of[axis] for axis, _ in self.wanted]
        turned = [bool(linear[axis, axis_of[axis]] * sense < 0) for axis, sense in self.wanted]
        out = _stored(image, source, turned)
        self.push_transform(out, orig_size=tuple(image.shape[1:]), extra_info={"source": source, "turned": turned})
        return out


def _stored(image: MetaTensor, source: Sequence[int], turned: Sequence[bool]) -> MetaTensor:
    """The image whose axis x, y[, z] number i is the old one number ``source[i]``, turned round or not."""
    d = len(source)
    matrix = torch.zeros((d + 1, d + 1), dtype=torch.float64)  # from the new index to the old one, in x, y[, z]
    matrix[d, d] = 1
    for new, (old, flip) in enumerate(zip(source, turned, strict=True)):
        matrix[old, new] = -1 if flip else 1
        matrix[old, d] = image.shape[d - old] - 1 if flip else 0
    values = image.as_tensor().permute(0, *[d - old for old in reversed(source)])
    values = values.flip([d - new for new, flip in enumerate(turned) if flip])
    out = MetaTensor(values.contiguous()).copy_meta_from(image)
    out.affine = image.affine.to(torch.float64) @ in_array_order(matrix)
    return out

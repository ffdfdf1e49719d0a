"""An image on a grid of a given size, exact to the half voxel, its aspect kept by padding if one wishes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from monai.data import MetaTensor
from monai.transforms import InvertibleTransform
from torch import Tensor

from LandmarkDetectorLib.core import DatasetError
from LandmarkDetectorLib.datasets.samples import IMAGE, Sample, index_affine, move_landmarks
from LandmarkDetectorLib.datasets.transforms.carry import LandmarkTransform
from LandmarkDetectorLib.datasets.transforms.resample import (
    MODES,
    PADDING_MODES,
    in_array_order,
    one_per_key,
    resampled,
    same_voxels,
)


class Resize(LandmarkTransform, InvertibleTransform):
    """Resizes images and moves the landmarks with them.

    The middle of the old grid becomes the middle of the new one, and each axis is scaled about it: by the ratio of the
    sizes, so that the outer borders of the voxels (not their centres) meet; or, where the aspect is kept, by one factor
    for all axes, in mm, the largest with which the whole image fits. What is then left is padded evenly on both sides,
    to half a voxel.

    Args:
        shape: of the new images, ([Z, ]Y, X).
        keep_aspect: one scale for all axes, and padding.
        keys: images to resize; the landmarks follow ``image``.
        mode: ``bilinear`` or ``nearest``, for all keys or for each.
        padding: what lies outside of the old image: ``zeros``, ``border`` or ``reflection``, for all keys or for each.
        anti_alias: blur before making an image smaller (never with ``nearest``).

    Raises:
        DatasetError: a shape that is not of two or three positive sizes, a setting that does not fit the keys; when
            called, an image of another dimension.
    """

    def __init__(
        self,
        shape: Sequence[int],
        *,
        keep_aspect: bool = False,
        keys: Sequence[str] = (IMAGE,),
        mode: str | Sequence[str] = "bilinear",
        padding: str | Sequence[str] = "zeros",
        anti_alias: bool = True,
    ) -> None:
        super().__init__()
        self.shape = tuple(int(n) for n in shape)
        if len(self.shape) not in (2, 3) or min(self.shape) < 1:
            raise DatasetError(f"Resize: {tuple(shape)} is not the shape of an image; give (Y, X) or (Z, Y, X).")
        self.keys = tuple(keys)
        self.keep_aspect = keep_aspect
        self.anti_alias = anti_alias
        self.mode = one_per_key(mode, self.keys, MODES)
        self.padding = one_per_key(padding, self.keys, PADDING_MODES)

    def __call__(self, sample: Sample) -> Sample:
        """Resize the images of a sample, and move its landmarks."""
        out, before = dict(sample), index_affine(sample[IMAGE])
        for number, key in enumerate(self.keys):
            out[key] = self._resized(sample[key], number)
        if IMAGE in self.keys:
            move_landmarks(out, torch.linalg.solve(index_affine(out[IMAGE]), before))
        return out

    def inverse(self, sample: Sample) -> Sample:
        """The images at their former sizes, and the landmarks with them."""
        out, before = dict(sample), index_affine(sample[IMAGE])
        for key, mode, padding in zip(self.keys, self.mode, self.padding, strict=True):
            image = same_voxels(sample[key])
            info = self.pop_transform(image)
            shape = tuple(int(n) for n in info["orig_size"])
            matrix = torch.tensor(info["extra_info"]["matrix"], dtype=torch.float64)
            back = MetaTensor(resampled(image, torch.linalg.inv(matrix), shape, mode, padding)).copy_meta_from(image)
            back.affine = image.affine @ in_array_order(torch.linalg.inv(matrix))
            out[key] = back
        if IMAGE in self.keys:
            move_landmarks(out, torch.linalg.solve(index_affine(out[IMAGE]), before))
        return out

    def _resized(self, image: MetaTensor, number: int) -> MetaTensor:
        old = tuple(image.shape[1:])
        if len(old) != len(self.shape):
            raise DatasetError(f"Resize: an image of shape {old} does not become one of shape {self.shape}.")
        size = torch.tensor(old[::-1], dtype=torch.float64)
        wanted = torch.tensor(self.shape[::-1], dtype=torch.float64)
        if self.keep_aspect:
            steps = torch.linalg.norm(index_affine(image)[:-1, :-1], dim=0)
            scale = ((size * steps) / wanted).max() / steps  # old voxels for each new one
        else:
            scale = size / wanted
        matrix = torch.eye(len(old) + 1, dtype=torch.float64)
        matrix[:-1, :-1] = torch.diag(scale)
        matrix[:-1, -1] = (size - 1) / 2 - scale * (wanted - 1) / 2
        source: Tensor = image
        if self.anti_alias and self.mode[number] != "nearest":
            source = smoothed(image.as_tensor(), (0.5 * (scale - 1)).clamp_min(0).tolist())
        values = resampled(source, matrix, self.shape, self.mode[number], self.padding[number])
        out = MetaTensor(values).copy_meta_from(image)
        self.push_transform(out, affine=in_array_order(matrix), orig_size=old, extra_info={"matrix": matrix.tolist()})
        return out


def smoothed(values: Tensor, sigma: Sequence[float]) -> Tensor:
    """Values (C, [Z, ]Y, X) under a Gaussian of sigma voxels along x, y[, z], float32; the border goes on beyond it."""
    out = values.float()[None]
    d = values.ndim - 1
    for axis, width in enumerate(sigma):
        reach = min(int(4 * width + 0.5), values.shape[-1 - axis] - 1)
        if reach < 1:
            continue
        steps = torch.arange(-reach, reach + 1, dtype=torch.float32, device=values.device)
        kernel = torch.exp(-0.5 * (steps / width) ** 2)
        view = [1] * d
        view[-1 - axis] = len(kernel)
        margin = [0] * (2 * d)
        margin[2 * axis] = margin[2 * axis + 1] = reach
        weight = (kernel / kernel.sum()).view(1, 1, *view).expand(len(values), *[-1] * (d + 1))
        convolve = F.conv2d if d == 2 else F.conv3d
        out = convolve(F.pad(out, margin, mode="replicate"), weight, groups=len(values))
    return out[0]

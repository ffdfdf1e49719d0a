"""Random variation of a training sample: of its frame (before sampling) and of its values (after).

All draws come from one generator that is seeded by the step, so a run that was interrupted goes on as if it had not
been.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.spatial.transform import Rotation
from torch import Tensor

from LandmarkDetectorLib.training.recipe import Augmentation


def random_rotation(rng: np.random.Generator, dimension: int) -> np.ndarray:
    """A rotation drawn uniformly from all."""
    if dimension == 3:
        return Rotation.random(random_state=rng).as_matrix()
    return _turn(rng.uniform(-np.pi, np.pi))


def random_affine(rng: np.random.Generator, dimension: int, how: Augmentation, unit: float) -> np.ndarray:
    """A random (d+1, d+1) affine about the origin: rotation, scale, shear, shift."""
    if how.rotation == "full":
        rotation = random_rotation(rng, dimension)
    elif dimension == 3:
        rotation = Rotation.from_rotvec(rng.normal(0, np.radians(how.rotation) / np.sqrt(3), 3)).as_matrix()
    else:
        rotation = _turn(rng.normal(0, np.radians(how.rotation)))
    stretch = np.eye(dimension) * np.exp(rng.normal(0, how.scale))
    bend = rng.normal(0, how.shear, (dimension, dimension))
    matrix = np.eye(dimension + 1)
    matrix[:-1, :-1] = rotation @ stretch @ (np.eye(dimension) + (bend + bend.T) / 2)
    matrix[:-1, -1] = rng.normal(0, how.shift * unit, dimension)
    return matrix


def vary_values(images: Tensor, rng: np.random.Generator, how: Augmentation) -> Tensor:
    """Gain, gamma and noise, drawn for each image (B, C, ...) apart; what is 0 (not scanned) stays 0."""
    view = (-1, *[1] * (images.ndim - 1))
    gain = torch.from_numpy(np.exp(rng.normal(0, how.gain, len(images)))).float().view(view)
    gamma = torch.from_numpy(np.exp(rng.normal(0, how.gamma, len(images)))).float().view(view)
    images = images.clamp_min(0).pow(gamma) * gain
    if how.noise:
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        level = torch.from_numpy(np.abs(rng.normal(0, how.noise, len(images)))).float().view(view)
        images = torch.addcmul(images, torch.randn(images.shape, generator=generator), level * (images > 0))
    return images


def wrong_pose(rng: np.random.Generator, dimension: int, size: float) -> np.ndarray:
    """A change of pose after which a frame holds something else: turned, moved by half a shape's ``size``, scaled."""
    matrix = np.eye(dimension + 1)
    matrix[:-1, :-1] = random_rotation(rng, dimension) * np.exp(rng.normal(0, 0.4))
    away = rng.normal(size=dimension)
    matrix[:-1, -1] = away / np.linalg.norm(away) * size * rng.uniform(0.4, 0.8)
    return matrix


def clouds(rng: np.random.Generator, like: Tensor) -> Tensor:
    """An image of nothing, (B, C, [Z, ]Y, X): noise, smooth over a random number of samples, of random brightness."""
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    step = int(rng.integers(1, 9))
    small = [-(-n // step) for n in like.shape[2:]]
    noise = torch.randn((*like.shape[:2], *small), generator=generator)
    mode = "bilinear" if like.ndim == 4 else "trilinear"
    noise = F.interpolate(noise, scale_factor=step, mode=mode)
    for axis, n in enumerate(like.shape[2:], start=2):
        noise = noise.narrow(axis, 0, n)
    return (noise * rng.uniform(0, 0.5) + rng.uniform(0, 0.8)).clamp_min(0)


def random_half_space(rng: np.random.Generator, shape: tuple[int, ...], keep: float = 0.5) -> tuple[np.ndarray, float]:
    """A plane (normal in x, y[, z] index, offset) beyond which nothing was scanned; about ``keep`` remains at least."""
    normal = rng.normal(size=len(shape))
    normal /= np.linalg.norm(normal)
    size = np.asarray(shape[::-1], dtype=float)
    reach = np.abs(normal) @ size / 2
    return normal, float(normal @ ((size - 1) / 2) + rng.uniform(2 * keep - 1, 1) * reach)


def cut_image(image: Tensor, normal: np.ndarray, offset: float) -> None:
    """Zero one image (C, [Z, ]Y, X) beyond a plane, in place."""
    distance = torch.full((1,) * (image.ndim - 1), -offset)
    for axis, n in enumerate(normal):
        shape = [1] * (image.ndim - 1)
        shape[-1 - axis] = image.shape[-1 - axis]
        distance = distance + float(n) * torch.arange(image.shape[-1 - axis], dtype=torch.float32).view(shape)
    image.mul_(distance <= 0)


def _turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])

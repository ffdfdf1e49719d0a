"""Rows about data sets, transforms and pictures."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import monai.transforms as mt
import numpy as np
import torch
from beside import Said, answer, number, numbers, row
from landmarker.data import landmark_dataset as their_data
from landmarker.transforms.images import resize_with_pad
from landmarker.transforms.landmarks import elastic_deform_landmarks, resize_landmarks
from landmarker.visualize.utils import inspection_plot

from LandmarkDetectorLib.core import Grid, Image, LandmarkSet
from LandmarkDetectorLib.datasets import (
    Case,
    Dataset,
    HeatmapDataset,
    LandmarkDataset,
    MaskDataset,
    MaskFileDataset,
    PatchDataset,
    dataset_from_masks,
    make_sample,
    world,
)
from LandmarkDetectorLib.datasets.transforms import Elastic, Resize, SwapOnMirror, carry
from LandmarkDetectorLib.evaluation import figure_png, inspection_figure, slices_figure
from LandmarkDetectorLib.heatmaps import GaussianHeatmaps
from LandmarkDetectorLib.io import save_image

DATA, MOVE, SHOW = "Data sets", "Transforms", "Pictures"
FOLDER = tempfile.TemporaryDirectory(prefix="beside-")
OBLIQUE = Grid((10, 12, 14), (0.5, 0.6, 0.7), (3.0, 4.0, 5.0), np.diag([-1.0, -1.0, 1.0]))


def blob(shape: Sequence[int], at: Sequence[float]) -> torch.Tensor:
    """An image (1, [Z, ]Y, X) with a blob at an index in the order of the axes."""
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float32) for n in shape], indexing="ij")
    return torch.exp(-0.5 * sum((axis - a) ** 2 for axis, a in zip(axes, at, strict=True)) / 2**2)[None]


def middle(image: torch.Tensor) -> torch.Tensor:
    """Where the mass of an image (1, [Z, ]Y, X) lies, in the order of the axes."""
    values = torch.as_tensor(image)[0].double()
    axes = torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in values.shape], indexing="ij")
    return torch.stack([(axis * values).sum() for axis in axes]) / values.sum()


def sample_of(shape: Sequence[int], at: Sequence[float], labels: Sequence[str] = ("a",)) -> dict:
    """Ours, with a landmark in the blob."""
    image = Image(blob(shape, at).numpy(), Grid.regular(tuple(reversed(shape))))
    places = np.array([list(reversed(at))] * len(labels), dtype=float)
    return make_sample(image, LandmarkSet.from_positions(labels, places))


def written() -> Path:
    """A volume on an oblique grid, as a file."""
    path = Path(FOLDER.name) / "volume.nii.gz"
    if not path.exists():
        values = np.random.default_rng(0).integers(0, 255, (1, *OBLIQUE.shape)).astype(np.float32)
        save_image(Image(values, OBLIQUE), path)
    return path


def cases(count: int, shape: Sequence[int], landmarks: int) -> Dataset:
    """Ours, of files that are all one volume or picture."""
    d = len(shape)
    path = Path(FOLDER.name) / f"image{d}.nii.gz"
    save_image(Image(np.ones((1, *shape), np.float32), Grid.regular(tuple(reversed(shape)))), path)
    labels = tuple(f"landmark {k}" for k in range(landmarks))
    marks = LandmarkSet.from_positions(labels, np.full((landmarks, d), 5.0))
    return Dataset("made", labels, tuple(Case(str(n), path, marks, str(n)) for n in range(count)))


@row(DATA, "spacing and orientation of the header are thrown away", "spacing of a file with 0.5 × 0.6 × 0.7 mm")
def spacing() -> tuple[Said, Said]:
    path = written()

    def ours() -> str:
        case = Case("a", path, LandmarkSet.from_positions(["a"], [[3.0, 4.0, 5.0]]), "a")
        affine = LandmarkDataset(Dataset("made", ("a",), (case,)))[0]["image"].affine
        return numbers(affine[:3, :3].abs().amax(0).flip(0))

    def theirs() -> str:
        there = their_data.LandmarkDataset([str(path)], torch.zeros(1, 1, 3), 3)
        return numbers(there[0]["spacing"].flip(0))

    return theirs, ours


@row(DATA, "no RAS, no LPS", "where the first voxel of a file lies that says 3, 4, 5 in LPS mm")
def world_of() -> tuple[Said, Said]:
    path = written()

    def ours() -> str:
        case = Case("a", path, LandmarkSet.from_positions(["a"], [[3.0, 4.0, 5.0]]), "a")
        return numbers(world(LandmarkDataset(Dataset("made", ("a",), (case,)))[0])[0])

    def theirs() -> str:
        there = their_data.LandmarkDataset([str(path)], torch.zeros(1, 1, 3), 3)[0]
        return numbers((there["affine"][:3, :3] @ there["landmark"][0] + there["affine"][:3, 3]).flip(0))

    return theirs, ours


@row(DATA, "the caller's list is changed", "shape of the caller's image of 20 × 30 after resizing to 10 × 10")
def changed() -> tuple[Said, Said]:
    def theirs() -> str:
        images = [torch.ones(1, 20, 30)]
        their_data.LandmarkDataset(images, torch.zeros(1, 1, 2), dim_img=(10, 10))
        return " × ".join(map(str, images[0].shape[1:]))

    def ours() -> str:
        sample = sample_of((20, 30), (5, 5))
        Resize((10, 10))(sample)
        return " × ".join(map(str, sample["image"].shape[1:]))

    return theirs, ours


@row(DATA, "masks of more than one class from files: always an error", "the landmarks of two classes, from a file")
def classes() -> tuple[Said, Said]:
    values = np.zeros((1, 20, 20), np.uint8)
    values[0, 4:7, 4:7], values[0, 12:15, 8:11] = 1, 2
    image, mask = Path(FOLDER.name) / "picture.png", Path(FOLDER.name) / "mask.png"
    save_image(Image(values * 50, Grid.regular((20, 20), unit="px")), image)
    save_image(Image(values, Grid.regular((20, 20), unit="px")), mask)

    def theirs() -> str:
        there = their_data.MaskDataset([str(image)], mask_paths=[str(mask)], nb_landmarks=2)
        return numbers(there[0]["landmark"].flatten())

    def ours() -> str:
        found = MaskFileDataset(dataset_from_masks([image], [mask], ["a", "b"]))[0]["landmarks"]
        return "; ".join(numbers(place) for place in found)

    return theirs, ours


@row(DATA, "heatmaps and patches crash in 3D", "a heatmap of the last of 33 volumes of 6 × 7 × 8; a patch of 4 × 4 × 4")
def in_3d() -> tuple[Said, Said]:
    def shape(values: torch.Tensor) -> str:
        return " × ".join(map(str, values.shape[1:]))

    def theirs() -> str:
        images, marks = [torch.ones(1, 6, 7, 8)] * 33, torch.full((33, 2, 3), 5.0)
        maps = answer(lambda: shape(their_data.HeatmapDataset(images, marks, 3)[32]["mask"]))
        patches = {"spatial_dims": 3, "store_imgs": True, "dim_patch": (4, 4, 4), "range_aug_patch": 1}
        return f"{maps}; {answer(lambda: shape(their_data.PatchDataset(images, marks, **patches)[0]['image']))}"

    def ours() -> str:
        given = cases(33, (6, 7, 8), 2)
        maps = HeatmapDataset(given, GaussianHeatmaps(2, 3, 2.0))[32]["heatmaps"]
        return f"{shape(maps)}; {shape(PatchDataset(given, (4, 4, 4))[0]['image'])}"

    return theirs, ours


@row(DATA, "masks cut decimals off: -0.5 px", "mean of what the voxel of the mask is off, 200 landmarks, px")
def decimals() -> tuple[Said, Said]:
    places = 2 + 15 * torch.rand(200, 2, generator=torch.Generator().manual_seed(0))

    def theirs() -> str:
        there = their_data.MaskDataset([torch.ones(1, 20, 20)], places.flip(1)[None])
        voxels = there[0]["mask"].nonzero()[:, 1:].flip(1)
        return number((voxels - places).mean())

    def ours() -> str:
        labels = [str(k) for k in range(200)]
        marks = LandmarkSet.from_positions(labels, places.numpy())
        sample = make_sample(Image(np.ones((1, 20, 20), np.float32), Grid.regular((20, 20))), marks)
        voxels = MaskDataset([sample], 0, "voxel")[0]["mask"].nonzero()[:, 1:].flip(1)
        return number((voxels - sample["landmarks"]).mean())

    return theirs, ours


@row(DATA, "all maps are held in memory", "MB of maps held, 8 pictures of 256 × 256 with 19 landmarks")
def held() -> tuple[Said, Said]:
    def theirs() -> str:
        there = their_data.HeatmapDataset([torch.ones(1, 256, 256) for _ in range(8)], torch.full((8, 19, 2), 99.0))
        return number(there.heatmaps.numel() * 4 / 1e6)

    def ours() -> str:
        given = HeatmapDataset(cases(8, (256, 256), 19), GaussianHeatmaps(19, 2, 5.0))
        for number_ in range(8):
            given[number_]
        kept = [value for value in vars(given).values() if isinstance(value, torch.Tensor)]
        return number(sum(each.numel() * 4 / 1e6 for each in kept))

    return theirs, ours


@row(DATA, "left stays left in a mirrored picture", "how far the left landmark is from what is left then, px")
def mirrored() -> tuple[Said, Said]:
    places = torch.tensor([[4.0, 10.0], [15.0, 10.0]])  # x, y of the left one and of the right one, in 20 × 20

    def theirs() -> str:
        flip = mt.Compose([mt.Flipd("image", 1)])
        there = their_data.LandmarkDataset([torch.ones(1, 20, 20)], places.flip(1)[None], transform=flip)
        return number((there[0]["landmark"].flip(1)[0] - places[0]).norm())

    def ours() -> str:
        marks = LandmarkSet.from_positions(["left", "right"], places.numpy())
        sample = make_sample(Image(np.ones((1, 20, 20), np.float32), Grid.regular((20, 20))), marks)
        flip = SwapOnMirror(mt.Flipd("image", 1), [("left", "right")])
        return number((flip(sample)["landmarks"][0] - places[0]).norm())

    return theirs, ours


@row(DATA, "no mask of what is valid", "what is told of a landmark beside its place")
def valid() -> tuple[Said, Said]:
    def told(keys: object) -> str:
        return ", ".join(key for key in keys if key in ("valid", "present", "labelled")) or "nothing"  # type: ignore[attr-defined]

    return (
        lambda: told(their_data.HeatmapDataset([torch.ones(1, 9, 9)], torch.zeros(1, 1, 2))[0]),
        lambda: told(HeatmapDataset(cases(1, (9, 9), 1), GaussianHeatmaps(1, 2, 2.0))[0]),
    )


@row(
    MOVE, "padding in 3D moves landmarks by half of it", "how far the landmark is from its blob after resizing, voxels"
)
def padding() -> tuple[Said, Said]:
    return apart((24, 48, 48), (7, 24, 24), (24, 24, 24))


@row(MOVE, "half a pixel off in 2D", "the same in a picture of 16 × 16 enlarged to 64 × 64, px")
def half_pixel() -> tuple[Said, Said]:
    return apart((16, 16), (7.0, 8.0), (64, 64))


def apart(shape: Sequence[int], at: Sequence[float], new: tuple[int, ...]) -> tuple[Said, Said]:
    def theirs() -> str:
        image, padded = resize_with_pad(blob(shape, at), new)
        moved = resize_landmarks(torch.tensor(at), tuple(shape), new, padded)
        return number((middle(image) - moved).abs().max())

    def ours() -> str:
        out = Resize(new, keep_aspect=True)(sample_of(shape, at))
        return number((middle(out["image"]).flip(0) - out["landmarks"][0]).abs().max())

    return theirs, ours


@row(MOVE, "elastic: not implemented", "how far the landmark is from its blob, px")
def elastic() -> tuple[Said, Said]:
    def ours() -> str:
        turned = carry(Elastic(32, 3.0))
        turned.set_random_state(0)
        out = turned(sample_of((64, 64), (30.0, 33.0)))
        return number((middle(out["image"]).flip(0) - out["landmarks"][0]).norm())

    return lambda: numbers(elastic_deform_landmarks(torch.zeros(1, 2), torch.zeros(2, 9, 9)).flatten()), ours


@row(SHOW, "2D only", "kB of a picture of a volume with its landmark")
def volumes() -> tuple[Said, Said]:
    image = Image(blob((20, 20, 20), (9, 9, 9)).numpy(), Grid.regular((20, 20, 20)))
    marks = LandmarkSet.from_positions(["a"], [[9.0, 9.0, 9.0]])

    def theirs() -> str:
        there = their_data.LandmarkDataset([str(written())], torch.full((1, 1, 3), 5.0), 3)
        return kilobytes(inspection_plot(there, [0]))

    return theirs, lambda: kilobytes(slices_figure(image, marks))


@row(SHOW, "images in memory crash", "kB of a picture of an array with its landmark")
def in_memory() -> tuple[Said, Said]:
    image = Image(blob((20, 20), (9, 9)).numpy(), Grid.regular((20, 20)))

    def theirs() -> str:
        there = their_data.LandmarkDataset([torch.ones(1, 20, 20)], torch.full((1, 1, 2), 9.0))
        return kilobytes(inspection_plot(there, [0]))

    return theirs, lambda: kilobytes(inspection_figure(image, LandmarkSet.from_positions(["a"], [[9.0, 9.0]])))


def kilobytes(figure: object) -> str:
    return number(len(figure_png(figure)) / 1000)  # type: ignore[arg-type]

"""Rows about generators and decoders."""

from __future__ import annotations

import torch
from beside import Said, number, numbers, row
from landmarker.heatmap import GaussianHeatmapGenerator, decoder

from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, decode, decode_instances, find_peaks, gaussian_heatmaps

MAKE, READ = "Heatmap generators", "Decoders"
SIZE = (41, 41)
BOTH = torch.full((1, 2, 2), 20.0)
"""Two landmarks in one place, in the middle."""


def theirs_of(count: int, sigma: object = 3.0, **options: object) -> GaussianHeatmapGenerator:
    return GaussianHeatmapGenerator(count, sigmas=sigma, heatmap_size=SIZE, **options)


def random_maps(sigma: float = 2.0, count: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    """Centres (1, K, 2) at least three sigma inside 64 × 64, and their maps."""
    generator = torch.Generator().manual_seed(0)
    centres = 3 * sigma + torch.rand(1, count, 2, generator=generator) * (63 - 6 * sigma)
    return centres, gaussian_heatmaps(centres, (64, 64), sigma)[0]


@row(MAKE, "instances are summed: two in one place reach 2.0", "the highest value")
def summed() -> tuple[Said, Said]:
    two = BOTH[:, None]
    return (
        lambda: number(theirs_of(1)(two).max()),
        lambda: number(GaussianHeatmaps(1, 2, 3.0)(two, SIZE)[0].max()),
    )


@row(MAKE, "the background can be -1", "its lowest value, two landmarks in one place")
def background() -> tuple[Said, Said]:
    return (
        lambda: number(theirs_of(2, background=True)(BOTH)[:, 0].min()),
        lambda: number(GaussianHeatmaps(2, 2, 3.0, background=True)(BOTH, SIZE)[0][:, 2].min()),
    )


@row(MAKE, "a NaN landmark makes a NaN map", "values of its map that are NaN, %")
def absent() -> tuple[Said, Said]:
    nobody = torch.full((1, 1, 2), torch.nan)
    return (
        lambda: number(100 * theirs_of(1)(nobody).isnan().float().mean()),
        lambda: number(100 * GaussianHeatmaps(1, 2, 3.0)(nobody, SIZE)[0].isnan().float().mean()),
    )


@row(MAKE, "a list with a σ per landmark crashes", "σ of three landmarks")
def listed() -> tuple[Said, Said]:
    return (
        lambda: numbers(theirs_of(3, [1.0, 2.0, 3.0]).sigmas[:, 0].tolist()),
        lambda: numbers(GaussianHeatmaps(3, 2, [1.0, 2.0, 3.0]).sigma[:, 0].tolist()),
    )


@row(MAKE, "nothing keeps σ positive", "σ of 1 after a step of gradient descent that shrinks it by 5")
def positive() -> tuple[Said, Said]:
    def stepped(generator: torch.nn.Module, sigma: str) -> str:
        value = getattr(generator, sigma)
        optimiser = torch.optim.SGD(generator.parameters(), lr=5.0)
        value.sum().backward()
        optimiser.step()
        return number(getattr(generator, sigma).min())

    return (
        lambda: stepped(theirs_of(1, 1.0, learnable=True), "sigmas"),
        lambda: stepped(GaussianHeatmaps(1, 2, 1.0, learnable="sigma"), "sigma"),
    )


@row(MAKE, "σ in voxels only", "σ of 3 mm at 0.5 × 2 mm a voxel, in voxels")
def millimetres() -> tuple[Said, Said]:
    def ours() -> str:
        maps = GaussianHeatmaps(1, 2, 3.0, unit="mm")(BOTH[:, :1], SIZE, (0.5, 2.0))[0]
        return numbers(decode(maps).covariance[0, 0].diagonal().sqrt())

    return lambda: str(theirs_of(1, 3.0, unit="mm")), ours


@row(
    MAKE,
    "setting σ leaves the optimiser with a parameter that nobody reads",
    "by how much the next step moves σ after it was set",
)
def set_again() -> tuple[Said, Said]:
    def moved(generator: torch.nn.Module, name: str, set_sigma: str) -> str:
        optimiser = torch.optim.SGD(generator.parameters(), lr=0.1)
        getattr(generator, set_sigma)(torch.full((1, 2), 2.0))
        getattr(generator, name).sum().backward()
        optimiser.step()
        return number((getattr(generator, name) - 2).abs().max())

    return (
        lambda: moved(theirs_of(1, 1.0, learnable=True), "sigmas", "set_sigmas"),
        lambda: moved(GaussianHeatmaps(1, 2, 1.0, learnable="sigma"), "sigma", "set_sigma"),
    )


@row(MAKE, "hooks never fire", "calls of a forward hook in one call")
def hooks() -> tuple[Said, Said]:
    def fired(generator: torch.nn.Module, *given: object) -> str:
        calls: list[int] = []
        generator.register_forward_hook(lambda *_: calls.append(1))
        generator(*given)
        return number(len(calls))

    return lambda: fired(theirs_of(2), BOTH), lambda: fired(GaussianHeatmaps(2, 2, 3.0), BOTH, SIZE)


@row(READ, "exponentials without taking the maximum off: NaN", "mean error at logits of ±100, voxels")
def exponentials() -> tuple[Said, Said]:
    centres, maps = random_maps()
    logits = 200 * maps - 100
    return (
        lambda: number((decoder.coord_local_soft_argmax(logits).flip(-1) - centres).norm(dim=-1).mean()),
        lambda: number((decode(logits, "local_soft_argmax").positions - centres).norm(dim=-1).mean()),
    )


@row(READ, "an even window crashes", "mean error with a window of 6, voxels")
def even() -> tuple[Said, Said]:
    centres, maps = random_maps()
    return (
        lambda: number((decoder.coord_local_soft_argmax(maps, window=6).flip(-1) - centres).norm(dim=-1).mean()),
        lambda: number((decode(maps, "local_soft_argmax", window=6).positions - centres).norm(dim=-1).mean()),
    )


@row(READ, "a map of NaN is (0, 0), in silence", "its position")
def nothing() -> tuple[Said, Said]:
    maps = torch.full((1, 1, 9, 9), torch.nan)
    return (
        lambda: numbers(decoder.coord_argmax(maps)[0, 0]),
        lambda: numbers(decode(maps, "argmax").positions[0, 0]),
    )


@row(
    READ,
    "enlarging moves by half a pixel (+0.375 px at ×4) and is worse than the arg-max",
    "mean signed error at ×4, and mean error; that of the arg-max is 0.38",
)
def enlarged() -> tuple[Said, Said]:
    centres, maps = random_maps()

    def both(positions: torch.Tensor) -> str:
        error = positions - centres
        return f"{error.mean():+.3f}, {error.norm(dim=-1).mean():.3f}"

    return (
        lambda: both(decoder.heatmap_to_coord_enlarge(maps, enlarge_factor=4).flip(-1)),
        lambda: both(decode(maps, "enlarged_argmax", factor=4).positions),
    )


@row(
    READ,
    "least squares in 2D only, with a fixed height (peak 0.5: σ² 9 is read as 3.73)",
    "σ² of a peak of height 0.5 and σ² 9",
)
def height() -> tuple[Said, Said]:
    maps = 0.5 * gaussian_heatmaps(BOTH[:, :1], SIZE, 3.0)[0]
    return (
        lambda: number(decoder.coord_cov_from_gaussian_ls(maps)[1][0, 0, 0, 0]),
        lambda: number(decode(maps).covariance[0, 0, 0, 0]),
    )


@row(READ, "instances in 2D only", "instances found of three in a volume")
def volume() -> tuple[Said, Said]:
    centres = torch.tensor([[[8.0, 8, 8], [22, 20, 9], [10, 22, 21]]])
    maps = gaussian_heatmaps(centres, (30, 30, 30), 2.0)[0].amax(1, keepdim=True)
    return (
        lambda: number(len(decoder.heatmap_to_multiple_coord(maps, threshold=0.5, spatial_dims=3)[0][0][0])),
        lambda: number(decode_instances(maps, 5, threshold=0.5).found.sum()),
    )


@row(READ, "peaks in the last rows are lost", "peaks found of four in the last two rows and columns")
def last() -> tuple[Said, Said]:
    maps = torch.zeros(1, 1, 20, 20)
    for y, x in ((19, 4), (18, 12), (5, 19), (12, 18)):
        maps[0, 0, y, x] = 1
    return (
        lambda: number(len(decoder.heatmap_to_multiple_coord(maps, threshold=0.5)[0][0][0])),
        lambda: number(find_peaks(maps, 9, 2, 0.5).values.isfinite().sum()),
    )


@row(READ, "dozens of candidates for one peak", "candidates in a map with one peak, without a threshold")
def candidates() -> tuple[Said, Said]:
    maps = gaussian_heatmaps(torch.tensor([[[30.3, 20.6]]]), (64, 64), 1.5)[0]
    return (
        lambda: number(len(decoder.heatmap_to_multiple_coord(maps)[0][0][0])),
        lambda: number(find_peaks(maps, 200, 2).values.isfinite().sum()),
    )

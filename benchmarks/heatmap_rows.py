"""What is put beside landmarker 0.4.1: every generator and decoder of ours with its counterpart, input and truth."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import torch
from machine import ROOT
from torch import Tensor

sys.path.insert(0, str(ROOT))

from LandmarkDetectorLib.heatmaps import (  # noqa: E402
    GaussianHeatmaps,
    LaplaceHeatmaps,
    decode,
    decode_instances,
    find_peaks,
    gaussian_heatmaps,
)

NOISE = 0.02
SIGMA = 3.0
WIDTHS = (2.0, 4.0, 3.0)
TURN = {2: 0.5, 3: [0.3, 0.2, 0.5]}
SIZES = {
    "2D": (4, 19, 512, 512),
    "3D": (1, 32, 128, 128, 128),
    "2D, small": (1, 4, 128, 128),
    "3D, small": (1, 4, 48, 48, 48),
}
FEW = (1, 2, 96, 96)
"""Theirs takes a second for a least-squares fit, and for the peaks of a few maps."""
CLASSES = {"2D": (1, 4, 256, 256), "3D": (1, 4, 64, 64, 64)}
INSTANCES = 5
CHECKED = 3
"""Maps whose every voxel is compared with the formula."""

Call = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Given:
    """What the calls of a row take, and what is true of it: positions, or positions of all instances of a class."""

    values: Tensor
    truth: Tensor


@dataclass(frozen=True)
class Row:
    """One thing that both sides can do.

    Args:
        name: what.
        given: which input of :func:`given`.
        measure: which error of :data:`ERRORS`.
        ours: call from the input to what the error is measured on.
        theirs: the same of landmarker's, or None.
        without: why there is none of theirs.
    """

    name: str
    given: str
    measure: str
    ours: Call
    theirs: Call | None = None
    without: str = ""


def landmarker() -> ModuleType | None:
    """Their module of decoders, which imports that of generators; None where it is not installed."""
    try:
        from landmarker.heatmap import decoder
    except ImportError:
        return None
    return decoder


def given(name: str, space: str) -> Given:
    """The input of this name, alike in every process."""
    size = {"few": FEW, "few, height 0.8": FEW, "classes": CLASSES[space[:2]]}.get(name, SIZES[space])
    batch, landmarks, *shape = size
    generator = torch.Generator().manual_seed(0)
    extent = torch.tensor(shape[::-1])
    margin = 3 * SIGMA
    count = INSTANCES if name == "classes" else 1
    share = torch.rand(batch, landmarks * count, len(shape), generator=generator)
    centres = margin + share * (extent - 1 - 2 * margin)
    if name == "centres":
        return Given(centres, centres)
    if name == "classes":
        centres = _apart(centres.view(batch, landmarks, count, -1), extent, margin, generator)
        maps = torch.stack(
            [gaussian_heatmaps(each, shape, SIGMA / 2)[0].amax(1) for each in centres.flatten(0, 1)[:, None]]
        )
        maps = maps.view(batch, landmarks, *shape)
    else:
        maps = gaussian_heatmaps(centres, shape, SIGMA)[0]
    if name.endswith("height 0.8"):
        maps *= 0.8
    if name.startswith(("noisy", "few", "classes")):
        for each in maps.flatten(0, 1):
            each += NOISE * torch.randn(each.shape, generator=generator)
    if name.startswith("logits"):
        most = float(name.split("±")[1])
        maps.mul_(2 * most).sub_(most)
    return Given(maps, centres)


def _apart(centres: Tensor, extent: Tensor, margin: float, generator: torch.Generator) -> Tensor:
    """Centres (B, K, N, D), those of a class drawn anew until they lie 6 sigma apart."""
    for each in centres.flatten(0, 1):
        while torch.pdist(each).min() < 6 * SIGMA:
            each.copy_(margin + torch.rand(each.shape, generator=generator) * (extent - 1 - 2 * margin))
    return centres


def makers(space: str) -> list[Row]:
    """From centres (B, K, D) in x, y[, z] to heatmaps."""
    batch, count, *shape = SIZES[space]
    d = len(shape)
    rows = []
    their_package = landmarker()
    kinds: list[tuple[str, type[GaussianHeatmaps] | type[LaplaceHeatmaps], str, bool]] = [
        ("Gaussian", GaussianHeatmaps, "GaussianHeatmapGenerator", False),
        ("Gaussian, turned", GaussianHeatmaps, "GaussianHeatmapGenerator", True),
        ("Laplace", LaplaceHeatmaps, "LaplacianHeatmapGenerator", False),
        ("Laplace, turned", LaplaceHeatmaps, "LaplacianHeatmapGenerator", True),
    ]
    for name, kind, their_name, turned in kinds:
        covariance = turned_covariance(d) if turned else SIGMA**2 * torch.eye(d)
        ours = kind(count, d, covariance=covariance) if turned else kind(count, d, SIGMA)
        call = _maker(ours, shape)
        there_is = their_package is not None and not (d == 3 and name.startswith("Laplace"))
        theirs = _their_maker(their_name, count, tuple(shape), turned) if there_is else None
        measure = f"{kind.__name__}{' turned' if turned else ''}"
        if name == "Gaussian":
            rows.append(
                Row(
                    "Gaussian, as a function",
                    "centres",
                    measure,
                    lambda c: gaussian_heatmaps(c, shape, SIGMA)[0],
                    theirs,
                )
            )
        rows.append(Row(name, "centres", measure, call, theirs, "theirs: 2D only"))
    return rows


def _maker(generator: GaussianHeatmaps | LaplaceHeatmaps, shape: list[int]) -> Call:
    return lambda centres: generator(centres, shape)[0]


def _their_maker(name: str, count: int, shape: tuple[int, ...], turned: bool) -> Call:
    from landmarker import heatmap

    d = len(shape)
    sigma = [list(WIDTHS[:d])] * count if turned else SIGMA
    rotation = (TURN[2] if d == 2 else [TURN[3]] * count) if turned else 0
    generator = getattr(heatmap, name)(count, sigmas=sigma, rotation=rotation, heatmap_size=shape)
    return lambda centres: generator(centres.flip(-1))


def turned_covariance(d: int) -> Tensor:
    """The covariance in x, y[, z] of the widths and the turn, as their generator takes them, or ours without it."""
    turn = TURN[d] if d == 2 else [TURN[d]]
    if landmarker() is None:
        return GaussianHeatmaps(1, d, WIDTHS[:d], rotation=turn).covariance[0].detach()
    from landmarker.heatmap import GaussianHeatmapGenerator

    made = GaussianHeatmapGenerator(1, sigmas=[list(WIDTHS[:d])], rotation=turn, heatmap_size=(8,) * d)
    return made.get_covariance_matrix()[0].flip(0, 1)


def readers(space: str) -> list[Row]:
    """From heatmaps to positions (B, K, D) in x, y[, z], or to covariances (B, K, D, D)."""
    theirs = landmarker()
    d = int(space[0])
    only_2d = "theirs: 2D only"

    def position(method: str, **options: object) -> Call:
        return lambda maps: decode(maps, method, **options).positions

    def covariance(method: str, **options: object) -> Call:
        return lambda maps: decode(maps, method, **options).covariance

    def other(name: str, **options: object) -> Call | None:
        if theirs is None:
            return None
        return lambda maps: getattr(theirs, name)(maps, spatial_dims=d, **options).flip(-1).float()

    def other_covariance(call: Call) -> Call | None:
        return None if theirs is None else lambda maps: call(maps).flip(-1, -2)

    rows = [Row("arg-max", "noisy", "position", position("argmax"), other("coord_argmax"))]
    rows += [
        Row(
            f"weighted mean, {name}",
            on,
            "position",
            position("weighted_mean", weights=ours),
            other(mean, activation=act),
        )
        for mean in ["coord_weighted_spatial_mean"]
        for name, on, ours, act in [
            ("none", "clean", "none", None),
            ("ReLU", "clean", "relu", "ReLU"),
            ("sigmoid of ±20", "logits ±20", "sigmoid", "sigmoid"),
            ("softmax of ±20", "logits ±20", "softmax", "softmax"),
            ("sigmoid of ±100", "logits ±100", "sigmoid", "sigmoid"),
            ("softmax of ±100", "logits ±100", "softmax", "softmax"),
        ]
    ]
    mode = "bilinear" if d == 2 else "trilinear"
    enlarged = other("heatmap_to_coord_enlarge", enlarge_factor=2, enlarge_mode=mode)
    rows += [
        Row("local soft-arg-max", "noisy", "position", position("local_soft_argmax"), other("coord_local_soft_argmax")),
        Row(
            "local mean, ReLU",
            "noisy",
            "position",
            position("local_mean"),
            other("coord_local_weighted", activation="ReLU"),
        ),
        Row("enlarged arg-max, 2 ×", "noisy", "position", position("enlarged_argmax", factor=2), enlarged),
        Row(
            "enlarged arg-max, 8 ×",
            "noisy",
            "position",
            position("enlarged_argmax"),
            None,
            "theirs: 5 GB in 2D, 137 in 3D",
        ),
        Row("DARK", "noisy", "position", position("dark"), None, "theirs: none"),
        Row("log-quadratic fit", "noisy", "position", position("log_quadratic"), None, "theirs: none"),
        Row("Gaussian fit", "noisy", "position", position("gaussian_fit"), None, "theirs: see the small input"),
    ]
    weighted = other_covariance(
        lambda maps: theirs.heatmap_to_coord_cov(  # type: ignore[union-attr]
            maps, "weighted_spatial_mean_relu", require_grad=False, spatial_dims=d
        )[1]
    )
    truth = given("centres", space).truth.flip(-1)
    windowed = other_covariance(
        lambda maps: theirs.windowed_weigthed_sample_cov(maps, truth[: len(maps), : maps.shape[1]])  # type: ignore[union-attr]
    )
    squares = other_covariance(lambda maps: theirs.coord_cov_from_gaussian_ls(maps)[1])  # type: ignore[union-attr]
    small = f"covariance, {{}}, {' × '.join(map(str, FEW))}"
    rows += [
        Row("covariance, weighted", "clean", "covariance", covariance("weighted_mean", weights="relu"), weighted),
        Row(
            "covariance, windowed",
            "clean",
            "covariance",
            covariance("local_mean"),
            windowed if d == 2 else None,
            only_2d,
        ),
    ]
    if d == 2:
        # Theirs takes the height for 1; ours does so where it is told.
        told, free = covariance("gaussian_fit", window=4.0, height=1.0), covariance("gaussian_fit", window=4.0)
        quick = covariance("log_quadratic")
        rows += [
            Row(small.format("Gaussian fit, height known"), "few", "covariance", told, squares),
            Row(small.format("Gaussian fit"), "few, height 0.8", "covariance", free, squares),
            Row(
                small.format("log-quadratic fit"),
                "few",
                "covariance",
                covariance("log_quadratic"),
                None,
                "theirs: none",
            ),
            Row(small.format("log-quadratic fit"), "few, height 0.8", "covariance", quick, squares),
        ]
    else:
        rows.append(
            Row("covariance, Gaussian fit", "noisy", "covariance", covariance("gaussian_fit"), None, only_2d),
        )
    return rows


def finders(space: str) -> list[Row]:
    """From maps with several peaks each to their positions (B, K, N, D), NaN where there are fewer."""
    theirs = landmarker()

    def several(maps: Tensor) -> Tensor:
        found = theirs.heatmap_to_multiple_coord(maps, window=5, threshold=0.5)[0]  # type: ignore[union-attr]
        most = max(len(each) for image in found for each in image)
        out = torch.full((*maps.shape[:2], most, 2), torch.nan)
        for b, image in enumerate(found):
            for k, each in enumerate(image):
                out[b, k, : len(each)] = torch.stack(each).flip(-1) if each else torch.nan
        return out

    other = several if theirs is not None and space[0] == "2" else None
    why = "theirs: 2D only"
    return [
        Row("peaks, whole voxels", "classes", "instances", lambda m: find_peaks(m, 10, 2, 0.5).positions, other, why),
        Row(
            "peaks, by Gaussian fit",
            "classes",
            "instances",
            lambda m: decode_instances(m, 10, radius=2, threshold=0.5).positions,
            other,
            why,
        ),
    ]


def all_rows(space: str) -> dict[str, list[Row]]:
    """Every row, by what it does."""
    return {"make": makers(space), "read": readers(space), "find": finders(space)}


def error(row: Row, result: Tensor, truth: Tensor) -> float:
    """How wrong a result is, in the unit of the row's measure; NaN where a number of the result is none."""
    if row.measure == "position":
        return float((result.double() - truth).norm(dim=-1).mean())
    if row.measure == "covariance":
        form = SIGMA**2 * torch.eye(truth.shape[-1], dtype=torch.float64)
        return float((result.double() - form).norm(dim=(-2, -1)).mean() / form.norm())
    if row.measure == "instances":
        distance = (result[..., :, None, :].double() - truth[..., None, :, :]).norm(dim=-1)
        missed = distance.nan_to_num(torch.inf).amin(-2)
        spurious = distance.amin(-1).nanmean()  # of what was found, how far from any truth
        return float((missed.mean() + spurious) / 2)
    return _departure(row.measure, result, truth)


def _departure(measure: str, maps: Tensor, centres: Tensor) -> float:
    """The largest difference between the first maps and their formula."""
    shape = maps.shape[2:]
    d = len(shape)
    form = turned_covariance(d).double() if "turned" in measure else SIGMA**2 * torch.eye(d, dtype=torch.float64)
    grid = torch.stack(torch.meshgrid(*[torch.arange(n, dtype=torch.float64) for n in shape], indexing="ij")[::-1], -1)
    worst = 0.0
    for k in range(CHECKED):
        offset = grid - centres[0, k].double()
        squared = ((offset @ torch.linalg.inv(form)) * offset).sum(-1)
        exact = (-0.5 * squared).exp() if measure.startswith("Gaussian") else (-((d + 1) * squared).sqrt()).exp()
        worst = max(worst, float((maps[0, k] - exact).abs().max()))
    return worst

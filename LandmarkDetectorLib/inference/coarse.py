"""The coarse pass: see the whole image, find where the shape lies and how it is turned."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.bundles.pipeline import Pipeline
from LandmarkDetectorLib.core import ImageError
from LandmarkDetectorLib.core.similarity import apply
from LandmarkDetectorLib.datasets.frames import Frame, whole_frame
from LandmarkDetectorLib.datasets.sampling import Pyramid, sample
from LandmarkDetectorLib.heatmaps import find_peaks
from LandmarkDetectorLib.heatmaps.window import window_moments
from LandmarkDetectorLib.inference.memory import MemoryPlan
from LandmarkDetectorLib.inference.networks import Networks
from LandmarkDetectorLib.inference.stopwatch import Stopwatch
from LandmarkDetectorLib.models import RobustPose, ShapePrior, find_pose

MOST = 1 << 26
"""Samples of an image along the world's axes: a whole body at 2 mm has about as many, and is hours of looking on a CPU.
An image of more is of another kind, or its header says a wrong spacing."""
OVERLAP = 16
"""Samples by which tiles of a large image overlap: what a network must see around a landmark."""


def coarse_pose(
    pyramid: Pyramid,
    pipeline: Pipeline,
    prior: ShapePrior,
    networks: Networks,
    plan: MemoryPlan,
    watch: Stopwatch,
    progress: Callable[[float], None],
    name: str,
) -> RobustPose | None:
    """The pose of the shape in the image, or ``None`` where too little speaks for any.

    One view, along the world's axes, is mostly enough. Where the landmarks do not agree on a pose, further views are
    taken, turned about, and the peaks of all are put together: a network is surer of a head in some poses than in
    others. ``progress`` is told of every tile, and may raise.

    Raises:
        ImageError: the image is beyond all proportion to the shape.
    """
    stage = pipeline.coarse
    assert stage is not None
    unit = pipeline.unit(pyramid.grid)
    spacing = stage.spacing * unit
    template = pipeline.design @ prior.mean
    positions: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    found: RobustPose | None = None
    support = 0.0
    for number, rotation in enumerate(_views(pipeline.dimension, stage.views)):
        frame = whole_frame(pyramid.grid, spacing, networks.factor("coarse"), rotation)
        if number == 0 and math.prod(frame.shape) > MOST:
            image, shape = np.max(pyramid.grid.extent), np.ptp(prior.mean, axis=0).max()
            raise ImageError(
                f"{name}: it is {image:.0f} {pyramid.grid.unit} long and what is to be found in it {shape:.0f}; see "
                "whether its voxels are as large as it says, or cut out the part that holds it."
            )
        side = min(plan.tile, stage.tile)

        def listen(share: float, number: int = number) -> None:
            progress((number + share) / stage.views)

        where, mass = _peaks(pyramid, frame, networks, side, watch, stage.peaks, listen)
        positions.append(where)
        weights.append(mass)
        with watch("shape"):
            # Each view has its say on each landmark, as if they were landmarks of their own.
            repeated = np.tile(template, (len(weights), 1))
            tolerance = stage.tolerance * unit
            found = find_pose(prior, repeated, np.concatenate(positions), np.concatenate(weights), tolerance)
        support = max(support, found.support if found is not None else 0.0)
        if support >= stage.enough:
            break
    return found if support >= stage.support else None


def _peaks(
    pyramid: Pyramid,
    frame: Frame,
    networks: Networks,
    side: int,
    watch: Stopwatch,
    count: int,
    progress: Callable[[float], None],
) -> tuple[np.ndarray, np.ndarray]:
    """Peaks (M, count, d) in the world, NaN where there are fewer, and their probabilities (M, count).

    A large frame is seen in overlapping tiles; a peak counts in the tile whose core holds it. Only peaks outlive a
    tile, and of a tile the maps of a few landmarks at a time.
    """
    where, logits, total = [], [], None
    tiles = list(_tiles(frame, side, networks.factor("coarse")))
    for number, (tile, low, high) in enumerate(tiles, 1):
        with watch("sampling"):
            image = sample(pyramid, tile.matrix[None], tile.shape)
        features, _ = networks.features("coarse", image, watch)
        places, sizes, sums = [], [], []
        for maps in networks.head("coarse", features, watch):
            with watch("decoding"):
                log_sum = maps.flatten(2).logsumexp(-1)
                peaks = find_peaks(maps, count)
                moments = window_moments(maps, peaks.positions, 1, log_sum)
                places.append(moments.mean[0].double().cpu().numpy())
                sizes.append((moments.mass[0].clamp_min(1e-30).log() + log_sum[0, :, None]).double().cpu().numpy())
                sums.append(log_sum[0].double().cpu().numpy())
        mean = np.concatenate(places)
        inside = np.all((mean >= low) & (mean < high), axis=-1)
        where.append(apply(tile.matrix, np.where(inside[..., None], mean, np.nan)))
        logits.append(np.concatenate(sizes))
        # The probability is over all tiles: the sum is carried along.
        whole = np.concatenate(sums)
        total = whole if total is None else np.logaddexp(total, whole)
        progress(number / len(tiles))
    positions = np.concatenate(where, 1)
    assert total is not None
    mass = np.exp(np.concatenate(logits, 1) - total[:, None])
    mass[~np.isfinite(positions).all(-1)] = 0.0
    best = np.argsort(-mass, axis=1)[:, :count]
    return np.take_along_axis(positions, best[..., None], 1), np.take_along_axis(mass, best, 1)


def _tiles(frame: Frame, side: int, multiple: int) -> Iterator[tuple[Frame, np.ndarray, np.ndarray]]:
    """Tiles of a frame, each with the range of its own index, [low, high), within which its peaks count."""
    side = max(multiple, side // multiple * multiple)
    overlap = min(OVERLAP, side // 4)
    axes = []
    for n in frame.shape[::-1]:
        if n <= side:
            axes.append([(0, n, -np.inf, np.inf)])
            continue
        count = -(-(n - overlap) // (side - overlap))
        starts = np.linspace(0, n - side, count).round().astype(int)
        middles = (starts[1:] + starts[:-1] + side) / 2
        edges = [-np.inf, *middles, np.inf]
        axes.append([(int(s), side, edges[i] - s, edges[i + 1] - s) for i, s in enumerate(starts)])
    for numbers in np.ndindex(*[len(a) for a in axes]):
        chosen = [axes[i][k] for i, k in enumerate(numbers)]
        matrix = frame.matrix.copy()
        matrix[:-1, -1] += matrix[:-1, :-1] @ np.array([c[0] for c in chosen], dtype=float)
        tile = Frame(matrix, tuple(c[1] for c in chosen)[::-1])
        yield tile, np.array([c[2] for c in chosen]), np.array([c[3] for c in chosen])


def _views(dimension: int, count: int) -> Iterator[np.ndarray | None]:
    """The upright view, then fixed rotations spread over all; the same for every image."""
    yield None
    if dimension == 2:
        for number in range(1, count):
            angle = 2 * np.pi * number / count
            yield np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    else:
        for number in range(1, count):
            yield Rotation.random(random_state=number).as_matrix()

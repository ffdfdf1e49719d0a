"""Heatmaps beside landmarker 0.4.1: time, memory and error of making them and of reading them.

    python benchmarks/heatmaps.py [--repeats 5] [--no-write]

Run it where landmarker is installed (``pip install --no-deps landmarker==0.4.1``); elsewhere it prints our figures
alone. It takes the least time of several repeats, with the two sides in turn, and takes memory in a process of its own
per case. The report goes to ``benchmarks/results/heatmaps.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path

import torch
from machine import ROOT, provenance
from torch import Tensor

sys.path.insert(0, str(ROOT))

from LandmarkDetectorLib.heatmaps import decode, find_peaks, gaussian_heatmaps  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results" / "heatmaps.md"
NOISE = 0.02
SIGMA = 3.0
SIZES = {"2D": (4, 19, 512, 512), "3D": (1, 32, 128, 128, 128)}
FIELDS = {"2D": ((96, 128), 200), "3D": ((40, 48, 56), 100)}
ERRORS = ((1.0, 0.0), (1.0, NOISE), (2.0, NOISE), (3.0, NOISE), (5.0, NOISE))
PROMISED_SPEED = {"2D": 8, "3D": 25}
PROMISED_ERROR = 0.022

WHOLE = "landmarker weighted mean and covariance"
"""It reads all of a map, so that noise anywhere counts; its error beside the others would say nothing."""

Call = Callable[[Tensor], object]


def landmarker() -> object | None:
    """Their package, or None; it is made of pieces that are imported one by one."""
    try:
        import landmarker.heatmap as package
    except ImportError:
        return None
    return package


def makers(space: str, theirs: object | None) -> dict[str, Call]:
    """From centres (B, K, D) in x, y[, z] to heatmaps."""
    shape = SIZES[space][2:]
    calls: dict[str, Call] = {"gaussian_heatmaps": lambda centres: gaussian_heatmaps(centres, shape, SIGMA)[0]}
    if theirs:
        generator = theirs.GaussianHeatmapGenerator(SIZES[space][1], sigmas=SIGMA, heatmap_size=shape)
        calls["landmarker GaussianHeatmapGenerator"] = lambda centres: generator(centres.flip(-1))
    return calls


def readers(space: str, theirs: object | None) -> dict[str, Call]:
    """From heatmaps to positions (B, K, D) in x, y[, z]."""
    d = int(space[0])
    calls: dict[str, Call] = {
        f"decode, {name}": lambda maps, name=name: decode(maps, name).positions
        for name in ("gaussian_fit", "local_mean", "argmax")
    }
    if theirs:
        from landmarker.heatmap.decoder import coord_local_weighted

        calls |= {
            "landmarker local soft-argmax": lambda maps: theirs.coord_local_soft_argmax(maps, spatial_dims=d).flip(-1),
            "landmarker local weighted, ReLU": lambda maps: coord_local_weighted(
                maps, spatial_dims=d, activation="ReLU"
            ).flip(-1),
            "landmarker argmax": lambda maps: theirs.coord_argmax(maps, spatial_dims=d).flip(-1).float(),
            WHOLE: lambda maps: (
                theirs.heatmap_to_coord_cov(maps, "weighted_spatial_mean_relu", spatial_dims=d, require_grad=False)[0]
            ).flip(-1),
        }
    return calls


def finders(theirs: object | None) -> dict[str, Call]:
    """From heatmaps to several peaks each; theirs reads 2D alone."""
    calls: dict[str, Call] = {"find_peaks": lambda maps: find_peaks(maps, 5, radius=2)}
    if theirs:
        calls["landmarker non_maximum_surpression"] = lambda maps: theirs.non_maximum_surpression(maps, 5)
    return calls


def timed_centres(space: str) -> Tensor:
    """Centres (B, K, D) of the maps that are timed, away from the border."""
    batch, landmarks, *shape = SIZES[space]
    size = torch.tensor(shape[::-1])
    share = torch.rand(batch, landmarks, len(shape), generator=torch.Generator().manual_seed(0))
    return 3 * SIGMA + share * (size - 1 - 6 * SIGMA)


def timed_maps(space: str) -> Tensor:
    """The maps that are read against time, with noise."""
    maps = gaussian_heatmaps(timed_centres(space), SIZES[space][2:], SIGMA)[0]
    generator = torch.Generator().manual_seed(1)
    for each in maps.flatten(0, 1):
        each += NOISE * torch.randn(each.shape, generator=generator)
    return maps


def least_times(calls: dict[str, Call], given: Tensor, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of every repeat of each call, in turn, sorted; the first round warms up and does not count."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call(given)
            if turn:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: sorted(values) for name, values in times.items()}


def memory(job: str, space: str, name: str) -> float | None:
    """MB that a call takes at its highest beside what is given to it, in a process of its own."""
    words = [sys.executable, __file__, "--memory", job, space, name]
    out = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT)
    if out.returncode:
        print(f"memory of {name}, {space}: {out.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    return float(json.loads(out.stdout.splitlines()[-1]))


def measure_memory(job: str, space: str, name: str) -> float:
    """The child's half of :func:`memory`."""
    import psutil

    given = timed_centres(space) if job == "make" else timed_maps(space)
    jobs = {"make": lambda: makers(space, landmarker()), "read": lambda: readers(space, landmarker())}
    call = (jobs | {"find": lambda: finders(landmarker())})[job]()[name]
    call(given[:1, :1] if job != "make" else given[:1])  # what is loaded on the first call is no use of memory
    with contextlib.suppress(OSError, AttributeError):  # where it exists: give back what is free, to be counted anew
        ctypes.CDLL(None).malloc_trim(0)
    process, highest, done = psutil.Process(), [0], threading.Event()
    before = process.memory_info().rss

    def watch() -> None:
        while not done.is_set():
            highest[0] = max(highest[0], process.memory_info().rss)
            time.sleep(0.0005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    kept = call(given)
    highest[0] = max(highest[0], process.memory_info().rss)
    done.set()
    watcher.join()
    del kept
    return max(0.0, (highest[0] - before) / 1e6)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a Markdown table."""
    head = list(head)
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]


def speed_report(job: str, space: str, calls: dict[str, Call], given: Tensor, repeats: int) -> list[str]:
    """Time and memory of every call; the ratios are against our first."""
    times = least_times(calls, given, repeats)
    first = next(iter(times.values()))[0]
    rows = []
    for name, values in times.items():
        used = memory(job, space, name)
        middle = values[len(values) // 2]
        ratio = f"{values[0] / first:.1f}" if name.startswith("landmarker") else ""
        rows.append([name, f"{values[0]:.1f}", f"{middle:.1f}", "?" if used is None else f"{used:.0f}", ratio])
    return table(["", "least ms", "median ms", "memory MB", "times ours"], rows)


def field(space: str, sigma: float, noise: float, near_corner: bool = False) -> tuple[Tensor, Tensor]:
    """Centres (1, K, D) and their maps to measure errors on: inside by three sigma, or within two of a corner."""
    shape, count = FIELDS[space]
    generator = torch.Generator().manual_seed(2)
    size = torch.tensor(shape[::-1], dtype=torch.float64)
    share = torch.rand(1, count, len(shape), generator=generator, dtype=torch.float64)
    margin = torch.minimum(torch.tensor(3 * sigma), size / 3)
    centres = 2 * share if near_corner else margin + share * (size - 1 - 2 * margin)
    maps = gaussian_heatmaps(centres, shape, sigma)[0]
    return centres, maps + noise * torch.randn(maps.shape, generator=generator)


def error_report(space: str, theirs: object | None) -> tuple[list[str], float]:
    """Mean distances in voxels, and the largest of our default decoder with noise inside the view."""
    worst, rows = 0.0, []
    for name, call in readers(space, theirs).items():
        if name == WHOLE:
            continue
        row = [name]
        for sigma, noise in ERRORS:
            centres, maps = field(space, sigma, noise)
            error = (call(maps) - centres).norm(dim=-1)
            missed = int(error.isnan().sum())
            row.append(f"{error.nanmean():.4f}" + (f" ({missed} not found)" if missed else ""))
            if name == "decode, gaussian_fit" and noise:
                worst = max(worst, float(error.nanmean()) if not missed else float("inf"))
        for sigma in (1.0, 3.0):
            centres, maps = field(space, sigma, NOISE, near_corner=True)
            signed = (call(maps) - centres)[0]
            missed = int(signed[:, 0].isnan().sum())
            text = f"{signed.norm(dim=-1).nanmean():.3f}, {signed.nanmean():+.3f}"
            row.append(text + (f" ({missed} not found)" if missed else ""))
        rows.append(row)
    head = ["", *(f"σ {sigma:g}, noise {noise:g}" for sigma, noise in ERRORS)]
    return table([*head, *(f"corner σ {s}: error, bias" for s in (1, 3))], rows), worst


def report(repeats: int) -> list[str]:
    """The whole report, in Markdown."""
    theirs = landmarker()
    facts = provenance()
    with_version = f"landmarker {version('landmarker')}" if theirs else "landmarker not installed: ours alone"
    lines = ["# Heatmaps beside landmarker", ""]
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    lines += [f"- {with_version}; torch uses {torch.get_num_threads()} threads; {repeats} repeats, in turn", ""]
    lines += [f"Gaussians of σ {SIGMA:g} voxels. Memory is what a call takes at its highest beside its input."]
    promises = []
    for space, size in SIZES.items():
        calls = makers(space, theirs)
        lines += ["", f"## Making {space}: {' × '.join(map(str, size))}", ""]
        part = speed_report("make", space, calls, timed_centres(space), repeats)
        lines += part
        if theirs:
            ours, other = (call(timed_centres(space)[:1]) for call in calls.values())
            ratio = float(part[-1].split("|")[-2])
            lines += ["", f"Largest difference between the two: {(ours - other).abs().max():.1e}."]
            promises.append(
                (
                    f"making {space} at least {PROMISED_SPEED[space]} times as fast",
                    ratio,
                    ratio >= PROMISED_SPEED[space],
                )
            )
            del ours, other
    for space, size in SIZES.items():
        lines += ["", f"## Reading {space}: {' × '.join(map(str, size))}, noise {NOISE:g}", ""]
        part = speed_report("read", space, readers(space, theirs), timed_maps(space), repeats)
        lines += part
        if theirs:
            ratio = next(float(line.split("|")[-2]) for line in part if "soft-argmax" in line)
            promises.append((f"reading {space} faster than local soft-argmax", ratio, ratio > 1))
    lines += ["", "## Several peaks, 2D", ""]
    lines += speed_report("find", "2D", finders(theirs), timed_maps("2D"), max(1, repeats // 2))
    for space, (shape, count) in FIELDS.items():
        part, worst = error_report(space, theirs)
        size = " × ".join(map(str, shape))
        lines += ["", f"## Mean error in voxels, {space}: {size}, {count} random centres", ""]
        lines += ["Corner: centres within 2 voxels of a corner; the bias is signed, outwards negative.", "", *part]
        promises.append((f"error {space} at most {PROMISED_ERROR} with noise, every σ", worst, worst <= PROMISED_ERROR))
    rows = [[name, f"{value:.3g}", "kept" if kept else "BROKEN"] for name, value, kept in promises]
    return [*lines, "", "## Promises", "", *table(["", "measured", ""], rows)]


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-write", action="store_true", help="print the report and leave the file as it is")
    parser.add_argument("--memory", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory:
        print(json.dumps(measure_memory(*options.memory)))
        return
    text = "\n".join(report(options.repeats)) + "\n"
    print(text)
    if not options.no_write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

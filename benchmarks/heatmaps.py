"""Heatmaps beside landmarker 0.4.1: time, memory and error of making them and of reading them.

    python benchmarks/heatmaps.py [--repeats 5] [--no-write] [--small]

Run it where landmarker can be imported: ``pip install --no-deps --target FOLDER landmarker==0.4.1``, and FOLDER on
PYTHONPATH, leaves the environment as it is. Elsewhere it prints our figures alone. Times are medians of repeats that
take a second and a half together or more, the two sides in turn; memory is taken in a process of its own per case.
What is put beside what stands in ``heatmap_rows.py``. The report goes to ``benchmarks/results/heatmaps.md``.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import itertools
import math
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch
from heatmap_rows import NOISE, SIGMA, SIZES, Call, Given, Row, all_rows, error, given, landmarker, readers
from machine import provenance
from torch import Tensor

from LandmarkDetectorLib.heatmaps import gaussian_heatmaps

RESULTS = Path(__file__).resolve().parent / "results" / "heatmaps.md"
FIELDS = {"2D": ((96, 128), 200), "3D": ((40, 48, 56), 100)}
ERRORS = ((1.0, 0.0), (1.0, NOISE), (2.0, NOISE), (3.0, NOISE), (5.0, NOISE))
PROMISED_SPEED = {"2D": 8, "3D": 25}
PROMISED_ERROR = 0.022

LONGEST = 5.0
"""Seconds after which a call is not repeated."""

SHORTEST = 1.5
"""Seconds that the repeats of a call take together at least: one pause of the machine must not be the median."""

SAME_MEMORY = 4.0
"""MB within which two figures are alike: what the allocator holds back."""

SAME_ERROR = {"position": 1e-4, "covariance": 1e-4, "instances": 1e-4}
"""Errors nearer than this, or than a hundredth of themselves, are alike; of maps the rounding of single precision."""

JOBS = {"make": "Making", "read": "Reading", "find": "Several landmarks of a class in"}
UNITS = {"position": "voxels", "covariance": "relative", "instances": "voxels"}


@lru_cache(maxsize=1)
def made(name: str, space: str) -> Given:
    """The input of this name; one is held at a time."""
    return given(name, space)


def timed(row: Row, values: Tensor, repeats: int) -> tuple[list[float], list[Tensor]]:
    """Median milliseconds of ours and of theirs, in turn after a call that warms up; and what they returned."""
    calls = [call for call in (row.ours, row.theirs) if call]
    times: list[list[float]] = [[] for _ in calls]
    results: list[Tensor] = [values] * len(calls)
    for turn in itertools.count():
        if turn > repeats and all(sum(spent) > SHORTEST for spent in times):
            break
        for place, (call, spent) in enumerate(zip(calls, times, strict=True)):
            if turn > 1 and sum(spent) > LONGEST:
                continue
            results[place] = values  # the one before is given back
            start = time.perf_counter()
            results[place] = call(values)
            spent.append(time.perf_counter() - start)
    return [1000 * statistics.median(spent[1:]) for spent in times], results


@contextmanager
def processes() -> Iterator[ProcessPoolExecutor]:
    """Processes that measure one case each; where it can be, they are forked from one that has read the libraries."""
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(["heatmap_rows"])
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        yield pool


def memory(space: str, job: str, number: int, theirs: bool) -> float:
    """MB that a call takes at its highest beside what is given to it."""
    import psutil

    row = all_rows(space)[job][number]
    call = row.theirs if theirs else row.ours
    assert call is not None
    values = given(row.given, space).values
    call(values[:1, :1] if job == "read" else values[:1])  # what is loaded on the first call is no use of memory
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
    kept = call(values)
    highest[0] = max(highest[0], process.memory_info().rss)
    done.set()
    watcher.join()
    del kept
    return max(0.0, (highest[0] - before) / 1e6)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a Markdown table."""
    head = list(head)
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]


def verdict(row: Row, ours: tuple[float, ...], theirs: tuple[float, ...]) -> dict[str, str]:
    """For time, memory and error: ahead, level or behind."""
    same_error = max(SAME_ERROR.get(row.measure, 2e-6), 0.01 * abs(ours[2]))
    verdicts = {}
    for what, mine, other, same in zip(
        ("time", "memory", "error"), ours, theirs, (0.0, SAME_MEMORY, same_error), strict=True
    ):
        if math.isnan(other) or mine < other - same:
            verdicts[what] = "ahead"
        else:
            verdicts[what] = "level" if mine <= other + same else "BEHIND"
    return verdicts


def said(verdicts: dict[str, str]) -> str:
    """A cell of the table."""
    groups = {
        word: [what for what, found in verdicts.items() if found == word] for word in ("ahead", "level", "BEHIND")
    }
    return "; ".join(f"{word}: {', '.join(each)}" for word, each in groups.items() if each)


def number(value: float, digits: int = 3) -> str:
    """A figure in few digits."""
    if math.isnan(value):
        return "NaN"
    if value == 0:
        return "0"
    if abs(value) < 0.001:
        return f"{value:.0e}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.{digits}f}"


def side_by_side(
    space: str, job: str, repeats: int, pool: ProcessPoolExecutor
) -> tuple[list[str], list[list[str]], float]:
    """The table of a job, the rows that are behind, and how many times ours the first of theirs takes."""
    lines, behind, first = [], [], math.nan
    for place, row in enumerate(all_rows(space)[job]):
        inputs = made(row.given, space)
        times, results = timed(row, inputs.values, repeats)
        errors = [error(row, result, inputs.truth) for result in results]
        del results
        used = [pool.submit(memory, space, job, place, theirs).result() for theirs in (False, True)[: len(times)]]
        figures = list(zip(times, used, errors, strict=True))
        unit = UNITS.get(row.measure, "")
        line = [row.name, row.given]
        if row.theirs:
            found = verdict(row, *figures)
            behind += [[f"{space}, {row.name}", what] for what, word in found.items() if word == "BEHIND"]
            ratio = times[1] / times[0]
            first = ratio if math.isnan(first) else first
            both = zip(*figures, strict=True)
            line += [" / ".join(number(v, d) for v in pair) for pair, d in zip(both, (1, 1, 4), strict=True)]
            line += [f"{ratio:.1f}", said(found)]
        else:
            line += [f"{number(v, d)} / –" for v, d in zip(figures[0], (1, 1, 4), strict=True)]
            line += ["–", row.without if landmarker() else "landmarker not installed"]
        line[4] += f" {unit}"
        lines.append(line)
        print(" | ".join(line), file=sys.stderr, flush=True)
    head = ["", "input", "ms ours / theirs", "MB ours / theirs", "error ours / theirs", "times as fast", "ours is"]
    return table(head, lines), behind, first


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


def error_report(space: str) -> tuple[list[str], float]:
    """Mean distances in voxels, and the largest of our default decoder with noise inside the view.

    A mean of the whole map is left out: noise anywhere counts in it, so that its error would say nothing.
    """
    worst, rows = 0.0, []
    calls: dict[str, Call] = {}
    for row in readers(space):
        if row.given == "noisy" and row.measure == "position":
            calls[row.name] = row.ours
            if row.theirs:
                calls[f"landmarker: {row.name}"] = row.theirs
    for name, call in sorted(calls.items(), key=lambda item: item[0].startswith("landmarker")):
        line = [name]
        for sigma, noise in ERRORS:
            centres, maps = field(space, sigma, noise)
            distance = (call(maps) - centres).norm(dim=-1)
            missed = int(distance.isnan().sum())
            line.append(f"{distance.nanmean():.4f}" + (f" ({missed} not found)" if missed else ""))
            if name == "Gaussian fit" and noise:
                worst = max(worst, float(distance.nanmean()) if not missed else float("inf"))
        for sigma in (1.0, 3.0):
            centres, maps = field(space, sigma, NOISE, near_corner=True)
            signed = (call(maps) - centres)[0]
            missed = int(signed[:, 0].isnan().sum())
            text = f"{signed.norm(dim=-1).nanmean():.3f}, {signed.nanmean():+.3f}"
            line.append(text + (f" ({missed} not found)" if missed else ""))
        rows.append(line)
    head = ["", *(f"σ {sigma:g}, noise {noise:g}" for sigma, noise in ERRORS)]
    return table([*head, *(f"corner σ {s}: error, bias" for s in (1, 3))], rows), worst


NOTES = f"""
Times are medians. Gaussians of σ {SIGMA:g} voxels (turned: 2, 4[, 3]); the instances of a class {SIGMA / 2:g}. Inputs:
"centres" to be made into maps; "clean" maps; "noisy" ones, with noise {NOISE:g}; "logits" from minus to plus so much;
"few" small noisy ones, where theirs takes a second a map and takes the height for 1; "classes", noisy ones with five
peaks each. MB is what a call takes at its highest beside its input. Errors: of maps, the largest difference from the
formula in any voxel; of positions and instances, the mean distance (for instances the mean of missed and spurious); of
covariances, the Frobenius norm of the difference as a share of the truth's. A row is level where the two differ by less
than {SAME_MEMORY:g} MB, or by 1e-4 or 1 % in error (2e-6 for maps). Our weighted mean gives the covariance along;
theirs of the position does not.
"""


def report(repeats: int, small: bool) -> list[str]:
    """The whole report, in Markdown."""
    facts = provenance()
    with_version = f"landmarker {version('landmarker')}" if landmarker() else "landmarker not installed: ours alone"
    lines = ["# Heatmaps beside landmarker", ""]
    lines += [f"- {key}: {value}" for key, value in facts.items()]
    lines += [
        f"- {with_version}; torch uses {torch.get_num_threads()} threads; {repeats} repeats or more, in turn",
        NOTES.rstrip(),
    ]
    promises: list[tuple[str, float, bool]] = []
    behind: list[list[str]] = []
    with processes() as pool:
        for job, title in JOBS.items():
            for space in [space for space in SIZES if space.endswith("small") == small]:
                size = SIZES[space]
                lines += ["", f"## {title} {space}" + (f": {' × '.join(map(str, size))}" if job != "find" else ""), ""]
                part, late, ratio = side_by_side(space, job, repeats, pool)
                lines += part
                behind += late
                if job == "make" and landmarker():
                    wanted = PROMISED_SPEED[space[:2]]
                    promises.append((f"making {space} at least {wanted} times as fast", ratio, ratio >= wanted))
    made.cache_clear()
    for space, (shape, count) in FIELDS.items():
        part, worst = error_report(space)
        size = " × ".join(map(str, shape))
        lines += ["", f"## Mean error in voxels, {space}: {size}, {count} random centres", ""]
        lines += ["Corner: centres within 2 voxels of a corner; the bias is signed, outwards negative.", "", *part]
        promises.append((f"error {space} at most {PROMISED_ERROR} with noise, every σ", worst, worst <= PROMISED_ERROR))
    if landmarker():
        promises.append(("rows in which theirs is ahead", len(behind), not behind))
    rows = [[name, f"{value:.3g}", "kept" if kept else "BROKEN"] for name, value, kept in promises]
    lines += ["", "## Promises", "", *table(["", "measured", ""], rows)]
    return lines + (["", "## Where theirs is ahead", "", *table(["", "in"], behind)] if behind else [])


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-write", action="store_true", help="print the report and leave the file as it is")
    parser.add_argument("--small", action="store_true", help="small maps, to see that it runs; nothing is written")
    options = parser.parse_args()
    text = "\n".join(report(options.repeats, options.small)) + "\n"
    print(text)
    if not (options.no_write or options.small):
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

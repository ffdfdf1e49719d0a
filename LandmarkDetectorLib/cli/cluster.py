"""``landmark-detector detect --cluster``: every image below some folders, on a Dask cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from LandmarkDetectorLib.cli.console import Steps, messages, print_json, results, say
from LandmarkDetectorLib.cli.detecting import how_many_failed
from LandmarkDetectorLib.cli.endings import REFUSED
from LandmarkDetectorLib.cli.interrupt import first_interrupt_asks
from LandmarkDetectorLib.cli.outputs import names_a_file, stem
from LandmarkDetectorLib.core.errors import ImageError, LandmarkFileError

if TYPE_CHECKING:
    from LandmarkDetectorLib.inference.batch import Row, Source

PAUSE = 2.0
"""Seconds between two writings of the summary: of thousands of images it is long."""


def detect_on_cluster(
    images: Sequence[Path],
    bundles: Sequence[str],
    output: Path,
    address: str,
    *,
    workers: int | None = None,
    augment: int = 1,
    device: str = "auto",
    engine: str = "torch",
    spacing: tuple[float, ...] | None = None,
    as_json: bool = False,
) -> None:
    """Detect on a cluster and print how many images ended how; what is done already is skipped.

    Raises:
        LandmarkDetectorError: the bundle, the cluster or the images are not to be had.
        Cancelled: at Ctrl-C; the same call goes on.
        typer.Exit: with 2, when some images failed.
    """
    from LandmarkDetectorLib.bundles import load_bundle
    from LandmarkDetectorLib.inference.batch import Batch
    from LandmarkDetectorLib.inference.cluster import (
        LOCAL,
        Order,
        cluster_client,
        local_workers,
        new_token,
        run_on_cluster,
        threads_of,
    )

    if names_a_file(output):
        raise LandmarkFileError(f"{output} is one file; give a folder as --output for a cluster.")
    loaded = [load_bundle(name) for name in dict.fromkeys(bundles)]
    with messages.status("Looking for images"):
        sources = find_sources(images)
    name = ", ".join(dict.fromkeys(bundle.name for bundle in loaded))  # as the files that they write say it
    version = ", ".join(dict.fromkeys(bundle.version for bundle in loaded))
    batch = Batch(sources, output, name, pause=PAUSE, version=version)
    processes = min(workers or local_workers(), len(sources)) if address == LOCAL else None
    order = Order(
        new_token(),
        tuple(str(Path(each).absolute()) if Path(each).is_dir() else each for each in dict.fromkeys(bundles)),
        tuple(bundle.fingerprint for bundle in loaded),
        tuple(str(folder.absolute()) for folder in (*filter(Path.is_dir, images), output)),
        augment,
        device,
        engine,
        spacing,
        threads=None if processes is None else threads_of(processes),
    )
    with Steps() as steps, first_interrupt_asks(_PROMISE, _BROKEN_OFF) as asked:
        steps("starting the workers", 0.0)
        with cluster_client(address, processes) as client:
            rows = run_on_cluster(
                batch, client, order, lambda done, all: steps(f"{done} of {all} images", done / all), asked.is_set
            )
    _say_how_it_ended(rows, batch.summary, as_json)


def find_sources(images: Sequence[Path]) -> list[Source]:
    """Every image of some files and folders; of several folders, each image's name begins with its folder's.

    Raises:
        ImageError: there is none, or two would have the same name.
    """
    from LandmarkDetectorLib.inference.batch import Source, find_images

    sources: list[Source] = []
    for path in images:
        if not path.is_dir():
            sources.append(Source(path, stem(path)))
            continue
        found = find_images(path)
        for trouble in found.troubles:
            say(f"Warning: {trouble}")
        own = stem(path)
        for source in found:
            alone = len(images) == 1 or source.path == path
            sources.append(source if alone else Source(source.path, f"{own}/{source.name}", source.series))
    if not sources:
        raise ImageError(f"{', '.join(map(str, images))}: no image was found there; give another folder.")
    seen: dict[str, Source] = {}
    for source in sources:
        other = seen.setdefault(source.name.casefold(), source)
        if other is not source:
            raise ImageError(
                f"{other.path} and {source.path} would both be written as {source.name}; detect them apart."
            )
    return sources


_PROMISE = "Ending what is under way; Ctrl-C once more breaks off at once."
_BROKEN_OFF = "Cancelled; the same command goes on from what is written."


def _say_how_it_ended(rows: Sequence[Row], summary: Path, as_json: bool) -> None:
    count = {status: sum(row.status == status for row in rows) for status in ("done", "skipped", "failed")}
    if as_json:
        images = [{"image": row.image, "status": row.status, "error": row.error or None} for row in rows]
        print_json({**count, "summary": str(summary), "images": images})
    else:
        words = f"{count['done']} detected, {count['skipped']} done before, {count['failed']} failed: {summary}"
        results.print(words, markup=False, soft_wrap=True)
    if count["failed"]:
        say(how_many_failed(count["failed"], len(rows), summary.name))
        raise typer.Exit(REFUSED)

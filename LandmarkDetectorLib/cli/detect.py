"""``landmark-detector detect``: images in, files of landmarks out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from LandmarkDetectorLib.cli.detecting import detect_all
from LandmarkDetectorLib.cli.options import (
    BundlesOption,
    DeviceOption,
    EngineOption,
    JsonOption,
    OverwriteOption,
    parse_spacing,
)
from LandmarkDetectorLib.cli.outputs import check_report_can_be_written, plan
from LandmarkDetectorLib.core.errors import DeviceError, LandmarkFileError, MeasurementError


def detect(
    images: Annotated[
        list[Path],
        typer.Argument(
            help="Image files, or folders with a DICOM series; with --cluster, folders with any number of images.",
            metavar="IMAGE",
        ),
    ],
    bundle: BundlesOption,
    output: Annotated[
        Path,
        typer.Option(
            help="For one image a .mrk.json, .fcsv, .csv, .xlsx or .html file; else a folder, which gets "
            "NAME.mrk.json, NAME.csv and NAME.html of each image.",
            metavar="FILE|DIR",
        ),
    ],
    augment: Annotated[
        int,
        typer.Option(
            help="Look so many times: at the image as it is, at its mirror image where the bundle knows left and "
            "right, and at it turned, scaled and moved a little. Takes that much longer.",
            min=1,
            max=64,
            metavar="N",
        ),
    ] = 1,
    device: DeviceOption = "auto",
    engine: EngineOption = "torch",
    spacing: Annotated[
        str | None,
        typer.Option(help="Size of a pixel of an image whose file does not say it, x[,y[,z]].", metavar="MM[,MM[,MM]]"),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option(
            help="Measure what was found with a set that measure --list names, or a YAML file; a folder gets "
            "NAME.measurements.csv and .html as well. May be given several times.",
            metavar="SET",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    report: Annotated[bool, typer.Option(help="Write an HTML page of each image into the folder.")] = True,
    overwrite: OverwriteOption = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Detect on a Dask cluster: tcp://HOST:PORT, a scheduler's JSON file, or local (also without a word "
            "behind it) for this machine's cores or GPUs. What is done is skipped; no HTML pages are written.",
            metavar="[ADDRESS]",
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes of a local cluster.", min=1, metavar="N", show_default=False)
    ] = None,
) -> None:
    """Find the landmarks of one or several images.

    One image that cannot be read does not stop the others; the exit code is 2 then. Several bundles of the same
    landmarks, each after a --bundle of its own, look one after another and are joined.
    """
    if workers is not None and cluster != "local":
        raise DeviceError("--workers counts the processes of a local cluster; give it with --cluster and no address.")
    if cluster is not None:
        if engine != "torch":
            raise DeviceError(f"--engine {engine} does not go with --cluster, which runs the networks by torch.")
        if overwrite:
            raise LandmarkFileError(
                "--overwrite does not go with --cluster, which skips what is done; give another --output."
            )
        if measure:
            raise MeasurementError("--measure does not go with --cluster; measure the folder afterwards.")
        from LandmarkDetectorLib.cli.cluster import detect_on_cluster

        steps = parse_spacing(spacing)
        options: dict[str, Any] = {"augment": augment, "device": device, "engine": engine, "spacing": steps}
        detect_on_cluster(images, bundle, output, cluster, workers=workers, as_json=as_json, **options)
        return
    jobs = plan(images, output, report=report, measured=bool(measure), overwrite=overwrite)
    if any(file.suffix.lower() == ".html" for job in jobs for file in job.files):
        check_report_can_be_written()
    steps = parse_spacing(spacing)
    how: dict[str, Any] = {"augment": augment, "device": device, "engine": engine, "spacing": steps}
    detect_all(jobs, bundle, sets=measure or (), as_json=as_json, **how)

"""``landmark-detector demo``: detection on the sample that comes with a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from LandmarkDetectorLib.cli.detecting import detect_all
from LandmarkDetectorLib.cli.options import BundleOption, DeviceOption, JsonOption
from LandmarkDetectorLib.cli.outputs import check_report_can_be_written, plan
from LandmarkDetectorLib.core.errors import BundleError


def demo(
    bundle: BundleOption = "mouse-skull-ct",
    output: Annotated[
        Path, typer.Option(help="Folder for the files; an earlier demo's are replaced.", metavar="DIR", file_okay=False)
    ] = Path("output"),
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Find the landmarks of a bundle's own sample image, which did not train it."""
    from LandmarkDetectorLib.bundles import load_bundle

    samples = load_bundle(bundle).samples()
    if not samples:
        raise BundleError(f"The bundle {bundle} has no sample image; run detect with an image of yours.")
    check_report_can_be_written()
    detect_all(plan(samples[:1], output, overwrite=True), bundle, device=device, as_json=as_json)

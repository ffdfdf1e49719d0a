"""Options that several commands share, spelt once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from LandmarkDetectorLib.core.errors import ImageError, LandmarkDetectorError

DeviceOption = Annotated[
    str,
    typer.Option(help="Where the networks run; auto takes CUDA where there is one.", metavar="auto|cpu|cuda|cuda:N"),
]
EngineOption = Annotated[
    str, typer.Option(help="What runs the networks; onnx needs the extra of that name.", metavar="torch|onnx")
]
BundleOption = Annotated[
    str, typer.Option(help="Name of an installed bundle, or the folder of one.", metavar="NAME|PATH")
]
BundlesOption = Annotated[
    list[str],
    typer.Option(
        "--bundle",
        help="Name of an installed bundle, or the folder of one; several are joined into one detector.",
        metavar="NAME|PATH",
    ),
]
DataOption = Annotated[
    Path,
    typer.Option(help="Folder with images, landmarks and dataset.json.", exists=True, file_okay=False, metavar="DIR"),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]
ReadersDataOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder with images, landmarks and dataset.json; observers are read from it, bundles run on it.",
        exists=True,
        file_okay=False,
        metavar="DIR",
    ),
]
SubjectsOption = Annotated[
    str,
    typer.Option(
        help="Of bundles: held-out, those that the bundle was not trained on; all; or a file with one a line.",
        metavar="held-out|all|FILE",
    ),
]
SetsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="What is measured: a set that measure --list names, or a YAML file. May be given several times.",
        metavar="NAME|FILE",
        show_default=False,
    ),
]
ChoiceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="An option other than the set's own, such as mandibular_plane=Go-Me.",
        metavar="NAME=OPTION",
        show_default=False,
    ),
]


def pairs(words: list[str], option: str, form: str) -> dict[str, str]:
    """``NAME=VALUE`` words as a mapping.

    Raises:
        LandmarkDetectorError: a word without a name or a value.
    """
    found = {}
    for word in words:
        name, sign, value = (part.strip() for part in word.partition("="))
        if not (name and sign and value):
            raise LandmarkDetectorError(f"{option} {word}: write it as {form}.")
        found[name] = value
    return found


def parse_spacing(text: str | None) -> tuple[float, ...] | None:
    """Millimetres of a pixel: one number for all axes, or one for each of x, y[, z].

    Raises:
        ImageError: these are not one to three positive numbers.
    """
    if text is None:
        return None
    try:
        steps = tuple(float(part) for part in text.split(","))
    except ValueError:
        steps = ()
    if not 1 <= len(steps) <= 3 or not all(0 < step < float("inf") for step in steps):
        raise ImageError(
            f"--spacing {text} is not one to three positive numbers; write millimetres such as 0.3 or 0.3,0.3."
        )
    return steps

"""Options that several commands share, spelt once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of tables.")]

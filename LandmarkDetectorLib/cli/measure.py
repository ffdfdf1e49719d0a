"""``landmark-detector measure``: files of landmarks in, measurements out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from LandmarkDetectorLib.cli.options import ChoiceOption, JsonOption, OverwriteOption, SetsOption, pairs
from LandmarkDetectorLib.core.errors import LandmarkDetectorError


def measure(
    landmarks: Annotated[
        list[Path] | None,
        typer.Argument(
            help="Files of landmarks (.mrk.json, .fcsv, .csv, .xlsx, .json), or folders of them.",
            metavar="LANDMARKS",
            show_default=False,
        ),
    ] = None,
    sets: SetsOption = None,
    distance: Annotated[
        list[str] | None,
        typer.Option(
            help="Of landmarks of any name: the distance of two labels, A,B, and the centroid size of all.",
            metavar="A,B",
            show_default=False,
        ),
    ] = None,
    list_sets: Annotated[
        bool, typer.Option("--list", help="Say which sets there are, and what the landmarks allow of each.")
    ] = False,
    output: Annotated[
        list[Path] | None,
        typer.Option(
            help="A .csv, .xlsx, .html, .pdf, .dcm (DICOM SR) or .mrk.json file, or a folder; may stand several times.",
            metavar="FILE|DIR",
            show_default=False,
        ),
    ] = None,
    formats: Annotated[
        str, typer.Option(help="What a folder gets, of csv, xlsx, html, pdf, dcm, mrk.json.", metavar="LIST")
    ] = "csv,xlsx,html",
    image: Annotated[
        Path | None,
        typer.Option(
            help="The image, for pictures; of several subjects the folder with their images, of the same names.",
            metavar="IMAGE|DIR",
            exists=True,
        ),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(help="Size of a pixel of an image whose file does not say it, x[,y[,z]].", metavar="MM[,MM[,MM]]"),
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option(
            help="The bundle that found the landmarks, for its card; by default the installed one that the file names.",
            metavar="NAME|PATH",
        ),
    ] = None,
    reviewed_by: Annotated[
        str, typer.Option(help="Who has looked at every landmark and vouches for them.", metavar="NAME")
    ] = "",
    view: Annotated[
        list[str] | None,
        typer.Option(help="Of volumes: 3D, mid-sagittal, or both by default.", metavar="VIEW", show_default=False),
    ] = None,
    sides: Annotated[
        str | None,
        typer.Option(
            help="How landmarks of two sides are used; by default as the set says.",
            metavar="midpoint|left|right|each",
        ),
    ] = None,
    choice: ChoiceOption = None,
    include: Annotated[
        list[str] | None,
        typer.Option(help="A measurement that is off by default, such as GA.", metavar="NAME", show_default=False),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="Which label is which landmark, where the words do not say it, such as Po=P7.",
            metavar="LANDMARK=LABEL",
            show_default=False,
        ),
    ] = None,
    sex: Annotated[
        str | None, typer.Option(help="For norms that differ between the sexes.", metavar="female|male")
    ] = None,
    level: Annotated[float, typer.Option(help="Of the intervals.", metavar="LEVEL")] = 0.95,
    wide: Annotated[
        bool, typer.Option("--wide", help="Of .csv files: a row a subject instead of a row a number.")
    ] = False,
    with_patient: Annotated[
        bool,
        typer.Option(
            "--with-patient",
            help="Of .dcm files: copy patient and study from the DICOM images of --image, and refer to these.",
        ),
    ] = False,
    as_json: JsonOption = False,
    overwrite: OverwriteOption = False,
) -> None:
    """Measure landmarks: angles, distances and ratios with their intervals and norms.

    A measurement whose landmark is missing is not computed, never 0. One file that cannot be read does not stop the
    others; the exit code is 2 then.
    """
    from LandmarkDetectorLib.cli.measure_files import find_landmarks, plan
    from LandmarkDetectorLib.cli.measuring import Wanted, list_them, measure_all

    if spacing is not None and image is None:
        raise LandmarkDetectorError("--spacing is of the image; give that by --image.")
    files = find_landmarks(landmarks or [])
    if list_sets:
        list_them(files, sets or [], as_json=as_json)
        return
    if not files:
        raise LandmarkDetectorError("Give files of landmarks, or --list to see what can be measured.")
    wanted = Wanted(
        sets=tuple(sets or ()),
        distances=tuple(two_labels(word) for word in distance or ()),
        how={
            "views": tuple(view) if view else None,
            "bilateral": sides,
            "choices": pairs(choice or [], "--choice", "NAME=OPTION"),
            "include": tuple(include or ()),
            "mapping": pairs(label or [], "--label", "LANDMARK=LABEL"),
            "sex": sex,
            "level": level,
        },
        image=image,
        spacing=spacing,
        bundle=bundle,
        reviewed_by=reviewed_by.strip(),
        with_patient=with_patient,
        wide=wide,
    )
    jobs = plan(files, output or [], formats, overwrite=overwrite)
    measure_all(files, wanted, jobs, as_json=as_json)


def two_labels(word: str) -> tuple[str, str]:
    """The labels of ``A,B``.

    Raises:
        LandmarkDetectorError: these are not two.
    """
    first, sign, second = (part.strip() for part in word.partition(","))
    if not (first and sign and second):
        raise LandmarkDetectorError(f"--distance {word}: write two labels with a comma between them.")
    return first, second

"""``landmark-detector new``: a landmark set of one's own, from its names to a first bundle."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from LandmarkDetectorLib.cli.console import Steps, print_json, results, say, say_failed
from LandmarkDetectorLib.cli.endings import REFUSED
from LandmarkDetectorLib.cli.interrupt import first_interrupt_asks
from LandmarkDetectorLib.cli.options import DeviceOption, JsonOption
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.core.errors import LandmarkDetectorError

new = typer.Typer(help="Make a landmark set of your own, and train a bundle of it.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder of the landmark set.", metavar="SET")]


@new.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the set and of its bundle: small letters, digits, hyphens.")],
    labels: Annotated[
        str,
        typer.Option(
            help="The landmarks, separated by commas; or a text file with one a line, 'label: definition'.",
            metavar="A,B,...|FILE",
        ),
    ],
    folder: Annotated[Path | None, typer.Option(help="Where it goes; by default ./NAME.", metavar="DIR")] = None,
    mirror: Annotated[
        list[str] | None,
        typer.Option(help="A pair left,right, or one landmark of the midline; may stand several times.", metavar="L,R"),
    ] = None,
    title: Annotated[str, typer.Option(help="What it finds, in words.", metavar="TEXT")] = "",
    modality: Annotated[str, typer.Option(help="What the images are, in words.", metavar="TEXT")] = "not said",
    spacing: Annotated[
        float | None, typer.Option(help="mm a pixel of pictures, where their files do not say.", metavar="MM")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Name and define landmarks: a folder with a template to place them on."""
    from LandmarkDetectorLib.review.set_folder import LandmarkList, create_set, parse_mirror

    names, definitions = _labels(labels)
    steps = None if spacing is None else (spacing, spacing)
    landmarks = LandmarkList(name, names, definitions, parse_mirror(mirror or []), title, modality, steps)
    target = create_set(folder or Path(name), landmarks)
    if as_json:
        print_json({"folder": str(target), "landmarks": list(names)})
        return
    results.print(f"{counted(len(names), 'landmark')}: {target}", markup=False, soft_wrap=True)
    say(f"Next: landmark-detector new add {target} IMAGE...; README.txt there says the rest.")


@new.command()
def add(
    folder: Folder,
    images: Annotated[
        list[Path], typer.Argument(help="Image files, or folders of a DICOM series.", metavar="IMAGE...")
    ],
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Copy images into a set, each with a list of landmarks to place, or with proposals once a bundle was trained."""
    from LandmarkDetectorLib.review.new_set import add_images, newest_bundle

    refused: dict[str, str] = {}

    def note(image: Path, error: LandmarkDetectorError) -> None:
        if len(images) == 1:
            raise error
        refused[str(image)] = str(error)
        say_failed(image.name, str(error))

    with Steps("adding") as steps:
        files = add_images(folder, images, device=device, progress=steps, failed=note)
    if as_json:
        proposed = newest_bundle(folder) is not None
        print_json({"landmarks": [str(file) for file in files], "proposed": proposed, "errors": refused})
    else:
        _say_what_is_next(folder, files)
    if refused:
        raise typer.Exit(REFUSED)


def _say_what_is_next(folder: Path, files: list[Path]) -> None:
    from LandmarkDetectorLib.review.new_set import newest_bundle

    for file in files:
        results.print(str(file), markup=False, soft_wrap=True)
    if not files:
        return
    if newest_bundle(folder) is None:
        say("Open each with its image in 3D Slicer, place the points, and save.")
    else:
        say("These are proposals. Open each with its image in 3D Slicer, correct it, and save; only then it trains.")


@new.command()
def train(
    folder: Folder,
    minutes: Annotated[float, typer.Option(help="How long it may take.", min=0.05)] = 20.0,
    recipe: Annotated[
        Path | None, typer.Option(help="A recipe of yours; by default one is derived.", dir_okay=False, metavar="FILE")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the last run, if interrupted.")] = False,
    install: Annotated[bool, typer.Option("--install", help="Put it among your bundles at once.")] = False,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Train a bundle on all images of a set whose landmarks were placed; five are enough to begin."""
    from LandmarkDetectorLib.bundles.versions import promote_bundle
    from LandmarkDetectorLib.review.new_set import train_set

    with Steps() as steps, first_interrupt_asks() as asked:
        done = train_set(
            folder,
            minutes=minutes,
            recipe=recipe,
            resume=resume,
            device=device,
            progress=steps,
            cancelled=asked.is_set,
        )
    for sentence in done.left_out:
        say(f"Left out: {sentence}")
    bundle = done.bundle
    if install:
        promote_bundle(bundle.folder, {"because": "trained as a new landmark set"})
    if as_json:
        about = {"name": bundle.name, "version": bundle.version, "fingerprint": bundle.fingerprint}
        print_json({**about, "folder": str(bundle.folder), "images": done.cases, "recipe": str(done.recipe)})
        return
    if done.measured is not None:
        pose = "in one pose" if done.measured.one_pose else "in any pose"
        say(f"The images come {pose}; the recipe that was derived stands in {done.recipe}.")
    results.print(
        f"Bundle {bundle.name} {bundle.version} from {done.cases} images: {bundle.folder}", markup=False, soft_wrap=True
    )
    say(f"The next images: landmark-detector new add {folder} IMAGE...; it proposes their landmarks.")


def _labels(text: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """Labels and definitions from a list or a file."""
    from LandmarkDetectorLib.review.set_folder import parse_labels

    path = Path(text)
    if "," not in text and path.is_file():
        try:  # Windows' editor puts a byte order mark first, which is no part of a label
            lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise LandmarkDetectorError(f"--labels: {path.name} is no text file in UTF-8; save it as one.") from error
    elif ": " not in text and _PATH.search(text):
        raise LandmarkDetectorError(
            f"--labels: there is no file {text!r}; check its name, or put a comma behind it if a landmark is called so."
        )
    else:
        lines = [word.strip() for word in text.split(",")]
    return parse_labels(lines)


_PATH = re.compile(r"^[^,]*([\\/]|\.[A-Za-z]{2,4}$)[^,]*$")
"""One word with a folder before it or a suffix behind it."""

"""``landmark-detector review``: a store of what people say of proposals; what is in it, what is next, in and out."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from LandmarkDetectorLib.cli.console import Steps, print_json, results, say, say_failed
from LandmarkDetectorLib.cli.endings import REFUSED
from LandmarkDetectorLib.cli.options import JsonOption, parse_spacing
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.core.errors import LandmarkDetectorError

if TYPE_CHECKING:
    from LandmarkDetectorLib.bundles import Bundle
    from LandmarkDetectorLib.core import Image

review = typer.Typer(
    help="Keep corrections: review stores, what waits in them, and what comes out.", no_args_is_help=True
)

Store = Annotated[Path, typer.Argument(help="Folder of a review store.", metavar="STORE")]
CopyOption = Annotated[bool, typer.Option("--copy", help="Keep voxels and grid in the store, without headers.")]
SpacingOption = Annotated[
    str | None, typer.Option(help="Voxel size in mm, where the file does not say.", metavar="MM|X,Y[,Z]")
]


@review.command()
def create(
    folder: Annotated[Path, typer.Argument(help="A folder that is not there yet, or empty.", metavar="STORE")],
    as_json: JsonOption = False,
) -> None:
    """Make an empty store, which only you can read."""
    from LandmarkDetectorLib.review import ReviewStore

    store = ReviewStore.create(folder)
    if as_json:
        print_json({"store": str(store.folder)})
    else:
        say(f"Made the review store {store.folder.name}; add images with landmark-detector review add.")


@review.command()
def add(
    store: Store,
    images: Annotated[
        list[Path], typer.Argument(help="Image files, or folders of a DICOM series.", metavar="IMAGE...")
    ],
    proposal: Annotated[
        Path | None, typer.Option(help="Landmarks that a detector found in the image.", metavar="FILE")
    ] = None,
    bundle: Annotated[
        str | None, typer.Option(help="The bundle that found them, where the file does not say.", metavar="NAME|PATH")
    ] = None,
    copy: CopyOption = False,
    spacing: SpacingOption = None,
    subject: Annotated[str, typer.Option(help="Whose image it is, where there are several.", metavar="NAME")] = "",
    family: Annotated[str, typer.Option(help="What related subjects share.", metavar="NAME")] = "",
    as_json: JsonOption = False,
) -> None:
    """Add images, or one image with what a detector proposed on it."""
    from LandmarkDetectorLib.bundles import load_bundle
    from LandmarkDetectorLib.io import load_landmarks
    from LandmarkDetectorLib.io.images import load_scaled, spacing_of_axes
    from LandmarkDetectorLib.review import ReviewStore
    from LandmarkDetectorLib.review.proposals import in_grid

    if proposal is not None and len(images) > 1:
        raise LandmarkDetectorError(f"--proposal is of one image and {len(images)} are given; add them one by one.")
    opened, loaded = ReviewStore.open(store), None if bundle is None else load_bundle(bundle)
    added: list[dict[str, Any]] = []
    steps, marks, unlike = parse_spacing(spacing), None, []
    if proposal is not None:  # looked at before the image is a case, which stays
        marks, image = load_landmarks(proposal), load_scaled(images[0], steps)
        in_grid(marks, {"size": image.grid.size, "unit": image.grid.unit}, images[0].name)
        unlike = [] if loaded is None else _differences(image, loaded)
    for path in images:
        try:
            axes = spacing_of_axes(path, steps)
            case = opened.add_image(path, copy=copy, spacing=axes, subject=subject, family=family)
        except LandmarkDetectorError as error:
            if len(images) == 1:
                raise
            say_failed(path.name, str(error))
            added.append({"image": str(path), "error": str(error)})
            continue
        added.append({"case": case, "image": str(path)})
        if marks is not None:
            added[-1]["proposal"] = opened.add_proposal(case, marks, loaded, unlike)
    if as_json:
        print_json(added)
    for one in added:
        if "case" in one and not as_json:
            results.print(f"{one['case']}  {Path(one['image']).name}", markup=False, soft_wrap=True)
    if any("error" in one for one in added):
        raise typer.Exit(REFUSED)


@review.command("list")
def list_(store: Store, as_json: JsonOption = False) -> None:
    """The cases, with what is reviewed and what waits."""
    from LandmarkDetectorLib.review import ReviewStore

    opened = ReviewStore.open(store)
    stale = opened.index.refresh()
    rows = opened.cases()
    if as_json:
        print_json({"cases": [asdict(row) for row in rows], "read_anew": len(stale)})
        return
    if not rows:
        say("There are no cases in this store; add images first.")
        return
    table = Table(box=box.SIMPLE)
    for name in ("case", "landmarks", "waiting", "reviewed", "last change (UTC)", ""):
        table.add_column(name, overflow="fold")
    for row in rows:
        said = ", ".join(f"{name} {count}" for name, count in row.reviewed.items()) or "–"
        trouble = f"{row.problems} damaged" if row.problems else ""
        changed = row.changed[:16].replace("T", " ") or "–"
        cells = (row.case, str(row.landmarks), str(row.waiting), said, changed, trouble)
        table.add_row(*(Text(cell) for cell in cells))
    results.print(table)
    if any(row.problems for row in rows):
        say("Something is damaged; landmark-detector review verify says what.")


@review.command("next")
def next_(
    store: Store,
    observer: Annotated[str | None, typer.Option(help="Whose review; by default anybody's.", metavar="NAME")] = None,
    limit: Annotated[int, typer.Option(help="How many cases.", min=1)] = 10,
    as_json: JsonOption = False,
) -> None:
    """What to review next, and why: uncertainty × disagreement × novelty."""
    from LandmarkDetectorLib.review import ReviewStore

    found = ReviewStore.open(store).next_cases(observer, limit)
    if as_json:
        print_json([asdict(one) for one in found])
        return
    if not found:
        say("No case waits for a review.")
        return
    table = Table(box=box.SIMPLE)
    for name in ("case", "score", "waiting", "why"):
        table.add_column(name, overflow="fold")
    for one in found:
        table.add_row(*(Text(cell) for cell in (one.case, f"{one.score:.3f}", str(one.waiting), one.reason)))
    results.print(table)


@review.command("import")
def import_(
    store: Store,
    source: Annotated[Path, typer.Argument(help="A file of landmarks, or a folder with images.", metavar="PATH")],
    observer: Annotated[str, typer.Option(help="Who placed the landmarks.", metavar="NAME")],
    image: Annotated[Path | None, typer.Option(help="The image of a file of landmarks.", metavar="PATH")] = None,
    spacing: SpacingOption = None,
    ending: Annotated[
        str, typer.Option(help="What landmark files' names have more than images'.", metavar="TEXT")
    ] = "",
    copy: CopyOption = False,
    reviewed: Annotated[
        bool, typer.Option("--reviewed", help="A person vouches for all landmarks of files that a detector wrote.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Take annotations that are there already as an observer's corrections.

    What cannot be taken does not stop the others; the exit code is 2 then.
    """
    from LandmarkDetectorLib.io.images import spacing_of_axes
    from LandmarkDetectorLib.review import ReviewStore

    given = parse_spacing(spacing)
    if image is not None:
        given = spacing_of_axes(image, given)
    elif given is not None and len(given) == 1:
        given *= 2  # of a folder's images only pictures take one
    with Steps("importing") as steps:
        done = ReviewStore.open(store).import_annotations(
            observer,
            source,
            image,
            spacing=given,
            ending=ending,
            copy=copy,
            reviewed=reviewed,
            progress=steps,
        )
    for sentence in done.left_out:
        say(f"Left out: {sentence}")
    if as_json:
        print_json(asdict(done))
    else:
        say(f"New: {counted(len(done.cases), 'case')}, {counted(done.stored, 'landmark')}.")
    if done.left_out:
        raise typer.Exit(REFUSED)


@review.command()
def export(
    store: Store,
    output: Annotated[Path, typer.Argument(help="A new folder.", metavar="DIR")],
    form: Annotated[str, typer.Option(help="dataset: as train reads it.", metavar="dataset|monai|bids")] = "dataset",
    observer: Annotated[
        str, typer.Option(help="Whose landmarks; by default what all observers say together.", metavar="NAME")
    ] = "consensus",
    names: Annotated[bool, typer.Option("--names", help="Keep the names of observers.")] = False,
    no_images: Annotated[
        bool, typer.Option("--no-images", help="Refer to the images where they lie; not to be passed on.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write what was reviewed, with its images, de-identified."""
    from LandmarkDetectorLib.review import ReviewStore
    from LandmarkDetectorLib.review.export import export as write

    with Steps("exporting") as steps:
        done = write(
            ReviewStore.open(store),
            output,
            form,
            observer=observer,
            pseudonyms=not names,
            copy_images=not no_images,
            progress=steps,
        )
    if as_json:
        print_json({**asdict(done), "folder": str(done.folder)})
        return
    for case, reason in done.left_out:
        say(f"Left out: {case} ({reason})")
    written = counted(len(done.cases), "case")
    say(f"Wrote {written}; what was taken off and what was not stands in DEIDENTIFICATION.txt.")


@review.command()
def verify(
    store: Store,
    images: Annotated[bool, typer.Option("--images", help="Also compare every image with its checksum.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check every record of a store; ends with 2 where something is damaged or gone."""
    from LandmarkDetectorLib.review import ReviewStore

    with Steps("verifying") as steps:
        found = ReviewStore.open(store).verify(images=images, progress=steps)
    counts = Counter(finding.kind for finding in found)
    if as_json:
        print_json({"sound": not counts["damage"], "findings": [asdict(finding) for finding in found]})
    else:
        for finding in found:
            results.print(f"{finding.kind}: {finding.message}", markup=False, soft_wrap=True)
    if counts["damage"]:
        raise LandmarkDetectorError(
            f"{store.absolute().name}: {counted(counts['damage'], 'record is', 'records are')} damaged or gone, and "
            "the others are sound; take what is lost from a copy of the store."
        )
    if not as_json:
        say("Every record is there and unaltered.")


@review.command()
def rebuild(store: Store, as_json: JsonOption = False) -> None:
    """Make the index anew from the files; nothing else is touched."""
    from LandmarkDetectorLib.review import ReviewStore

    count = ReviewStore.open(store).rebuild_index()
    if as_json:
        print_json({"cases": count})
    else:
        say(f"Made the index anew: {counted(count, 'case')}.")


def _differences(image: Image, bundle: Bundle) -> list[str]:
    """In what an image differs from those that trained the bundle, without its name."""
    from LandmarkDetectorLib.bundles.appearance import appearance_of, differences

    known = appearance_of(bundle.settings, bundle.name)
    return differences(replace(image, name="the image"), known)

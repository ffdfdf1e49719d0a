"""``landmark-detector bundles``: which models are here, what they are for, and how they come and go."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.markdown import Markdown
from rich.table import Table
from rich.text import Text

from LandmarkDetectorLib.cli.console import messages, print_json, results, say
from LandmarkDetectorLib.cli.options import JsonOption
from LandmarkDetectorLib.core.counted import counted
from LandmarkDetectorLib.core.errors import BundleError, Cancelled

if TYPE_CHECKING:
    from LandmarkDetectorLib.bundles import Bundle

bundles = typer.Typer(help="List, show, verify, import, export, return and remove bundles.", no_args_is_help=True)

WEB = ("https://", "http://")

Named = Annotated[str, typer.Argument(help="Name of a bundle, or the folder of one.", metavar="NAME|PATH")]


@bundles.command("list")
def list_(as_json: JsonOption = False) -> None:
    """The bundles that can be used, shipped and imported."""
    from LandmarkDetectorLib.bundles import list_bundles

    found = list_bundles()
    if as_json:
        print_json([_summary(bundle) for bundle in found])
        return
    if not found:
        say("There are no bundles here; import one, or train one.")
        return
    table = Table(box=box.SIMPLE)
    for name in ("bundle", "version", "finds", "in", "licence"):
        table.add_column(name, overflow="fold")
    for bundle in found:
        card = bundle.card
        finds = f"{counted(len(bundle.labels), 'landmark')}, {card.dimension}D {card.modality}"
        table.add_row(*(Text(words) for words in (bundle.name, bundle.version, card.title, finds, card.licence)))
    results.print(table)


@bundles.command()
def show(bundle: Named, as_json: JsonOption = False) -> None:
    """The card of a bundle: what it is for, its errors, its limits, its data."""
    from LandmarkDetectorLib.bundles import load_bundle
    from LandmarkDetectorLib.bundles.calibration import worth
    from LandmarkDetectorLib.bundles.card import card_markdown

    loaded = load_bundle(bundle)
    sheet, problem = loaded.calibration(), loaded.calibration_problem()
    if as_json:
        calibration = None if sheet is None else sheet.model_dump(mode="json")
        about = {"card": loaded.card.model_dump(mode="json"), "calibration": calibration, "problem": problem or None}
        print_json({**_summary(loaded), **about})
        return
    words = card_markdown(loaded.card, worth(sheet, problem))
    if results.is_terminal:
        results.print(Markdown(words))
    else:
        print(words)


@bundles.command()
def verify(bundle: Named, as_json: JsonOption = False) -> None:
    """Check every file of a bundle, to the last weight."""
    from LandmarkDetectorLib.bundles import verify_bundle

    checks = verify_bundle(bundle)
    if as_json:
        print_json({"bundle": bundle, "sound": True, "checks": checks})
        return
    for check in checks:
        results.print(check, markup=False, soft_wrap=True)


@bundles.command("import")
def import_(
    source: Annotated[
        str, typer.Argument(help="A folder, a .zip or .tar.gz, or an https address.", metavar="PATH|URL")
    ],
    sha256: Annotated[
        str | None, typer.Option(help="What the archive must be; needed with an address.", metavar="HEX")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a bundle of the same name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Copy a bundle into your own folder of bundles, if everything about it is sound."""
    from LandmarkDetectorLib.bundles import fetch_bundle, import_bundle

    if source.lower().startswith(WEB):
        if sha256 is None:
            raise BundleError(
                f"{source}: an address needs --sha256 HEX from somebody whom you trust, to know what comes."
            )
        imported = fetch_bundle(source, sha256, replace=replace)
    else:
        imported = import_bundle(source, sha256=sha256, replace=replace)
    if as_json:
        print_json(_summary(imported))
    else:
        say(f"Imported {imported.name} {imported.version}; use it with --bundle {imported.name}.")
        if imported.calibration_problem():
            say(f"Note: {imported.calibration_problem()}")


@bundles.command()
def export(
    bundle: Named,
    output: Annotated[Path, typer.Option(help="The folder to write, a bundle in itself.", metavar="FOLDER")],
    replace: Annotated[bool, typer.Option("--replace", help="Replace a bundle that is in that folder.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a bundle once more, with its networks as ONNX graphs beside the weights.

    Card, licence and checksums travel with them. The graphs serve detect --engine onnx, and programs of your own.
    """
    from LandmarkDetectorLib.bundles import load_bundle
    from LandmarkDetectorLib.inference.onnx_export import export_bundle
    from LandmarkDetectorLib.inference.onnx_graphs import FOLDER

    loaded = load_bundle(bundle)
    with messages.status("Exporting; some seconds a network"):
        exported = export_bundle(loaded, output, replace=replace)
    graphs = sorted(name for name in exported.manifest.files if name.startswith(FOLDER) and name.endswith(".onnx"))
    if as_json:
        print_json({**_summary(exported), "graphs": graphs})
    else:
        say(f"Written: {', '.join(graphs)} in {exported.folder}; detect with --bundle {output} --engine onnx.")


@bundles.command()
def history(
    name: Annotated[str, typer.Argument(help="Name of a bundle that was retrained.", metavar="NAME")],
    as_json: JsonOption = False,
) -> None:
    """Which versions of a bundle were in use, who put them there, and why."""
    from LandmarkDetectorLib.bundles.versions import SHORT, in_use, kept_versions
    from LandmarkDetectorLib.bundles.versions import history as entries_of

    entries, current = entries_of(name), in_use(name)
    kept = [bundle.version for bundle in kept_versions(name)]
    now = None if current is None else {"version": current.version, "fingerprint": current.fingerprint}
    if as_json:
        print_json({"name": name, "in_use": now, "kept": kept, "history": entries})
        return
    if not entries:
        say(f"Nothing was ever promoted or returned under the name {name}.")
        return
    table = Table(box=box.SIMPLE)
    for title in ("at (UTC)", "", "version", "fingerprint", "by", "because"):
        table.add_column(title, overflow="fold")
    for entry in entries:
        mark = " (in use)" if current and entry is entries[-1] and entry["to"] == now else ""
        version, fingerprint = entry["to"]["version"] + mark, entry["to"]["fingerprint"][:SHORT]
        cells = (entry["at"][:16].replace("T", " "), entry["action"], version, fingerprint)
        table.add_row(*(Text(cell) for cell in (*cells, str(entry.get("by", "")), str(entry.get("because", "")))))
    results.print(table)


@bundles.command("return")
def return_(
    name: Annotated[str, typer.Argument(help="Name of a bundle that was retrained.", metavar="NAME")],
    version: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="This version, or the one whose fingerprint begins so; by default the one before.",
            metavar="VERSION|FINGERPRINT",
        ),
    ] = None,
    because: Annotated[str, typer.Option(help="Why; it is recorded.", metavar="REASON")] = "",
    by: Annotated[str, typer.Option(help="Who does so; it is recorded.", metavar="NAME")] = "",
    as_json: JsonOption = False,
) -> None:
    """Put the version of a bundle that was in use before back into use; nothing is lost."""
    from LandmarkDetectorLib.bundles.versions import return_bundle

    back = return_bundle(name, version, {"by": by, "because": because})
    if as_json:
        print_json(_summary(back))
    else:
        say(f"{back.name} {back.version} is in use again.")


@bundles.command()
def remove(
    name: Annotated[str, typer.Argument(help="Name of a bundle that you imported.", metavar="NAME")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Remove a bundle that you imported; a terminal is asked first."""
    from LandmarkDetectorLib.bundles import find_bundle, remove_bundle

    folder = find_bundle(name)
    if not yes and at_a_terminal() and not typer.confirm(f"Remove {folder}?", err=True):
        raise Cancelled("Cancelled; nothing was removed.")
    remove_bundle(name)
    if as_json:
        print_json({"removed": name})
    else:
        say(f"Removed {name}.")


def at_a_terminal() -> bool:
    """Whether there is somebody who can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()


def _summary(bundle: Bundle) -> dict[str, Any]:
    card = bundle.card
    return {
        "name": bundle.name,
        "version": bundle.version,
        "title": card.title,
        "modality": card.modality,
        "dimension": card.dimension,
        "unit": card.unit,
        "landmarks": bundle.labels,
        "licence": card.licence,
        "fingerprint": bundle.fingerprint,
        "folder": str(bundle.folder),
    }

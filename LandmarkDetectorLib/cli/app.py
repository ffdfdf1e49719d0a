"""All commands under one name."""

from __future__ import annotations

from typing import Annotated

import typer

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.cli.agreement import agreement
from LandmarkDetectorLib.cli.bundles import bundles
from LandmarkDetectorLib.cli.compare import compare
from LandmarkDetectorLib.cli.demo import demo
from LandmarkDetectorLib.cli.detect import detect
from LandmarkDetectorLib.cli.endings import Endings
from LandmarkDetectorLib.cli.evaluate import evaluate
from LandmarkDetectorLib.cli.import_data import import_data
from LandmarkDetectorLib.cli.measure import measure
from LandmarkDetectorLib.cli.new import new
from LandmarkDetectorLib.cli.retrain import promote, retrain
from LandmarkDetectorLib.cli.review import review
from LandmarkDetectorLib.cli.train import train

app = typer.Typer(
    cls=Endings,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"landmark-detector {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and all warnings; may stand anywhere in the line.")
    ] = False,  # for the help only: Endings takes it out of the line
) -> None:
    """Find anatomical landmarks in 2D and 3D medical images.

    Every result is a proposal until a person has reviewed it.
    """


app.command()(detect)
app.command()(train)
app.command()(evaluate)
app.command()(compare)
app.command()(measure)
app.command()(agreement)
app.command()(retrain)
app.command()(promote)
app.command("import")(import_data)
app.command()(demo)
app.add_typer(bundles, name="bundles")
app.add_typer(review, name="review")
app.add_typer(new, name="new")

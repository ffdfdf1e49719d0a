"""Where the figures of evaluate, compare and agreement go: onto the screen, into JSON, onto a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from LandmarkDetectorLib.cli.console import print_json, results, say
from LandmarkDetectorLib.cli.outputs import check_report_can_be_written
from LandmarkDetectorLib.cli.tables import figure_tables
from LandmarkDetectorLib.core.errors import LandmarkFileError

FiguresOption = Annotated[
    Path | None, typer.Option("--json", help="Write the figures as JSON; - is stdout.", metavar="FILE")
]


@dataclass(frozen=True)
class FigureFiles:
    """The files that a command was asked for; ``-`` as the JSON file is standard output, in place of tables."""

    json_file: Path | None
    html: Path | None
    pictures: Path | None = None
    overwrite: bool = False

    def prepare(self) -> None:
        """Make the folders, and see that files and pages can be written: now, and not after an hour of work.

        Raises:
            LandmarkFileError: a file is there already, or the folder holds pictures.
        """
        files = [file for file in (self.json_file, self.html) if file is not None and file != _STDOUT]
        present = [file for file in files if file.exists()]
        # How the pictures will be called is known when they are drawn.
        present += [self.pictures] if self.pictures is not None and any(self.pictures.glob("*.png")) else []
        if present and not self.overwrite:
            what = f"Pictures in {present[0]}" if present[0] == self.pictures else str(present[0])
            raise LandmarkFileError(f"{what} would be replaced; add --overwrite or give another name.")
        for folder in [file.parent for file in files] + ([self.pictures] if self.pictures else []):
            folder.mkdir(parents=True, exist_ok=True)
        if self.html or self.pictures:
            check_report_can_be_written("leave --html and --figures out" if self.pictures else "leave --html out")

    def write(
        self,
        title: str,
        tables: dict[str, Any],
        document: dict[str, Any],
        page: Callable[[], str],
        notices: Iterable[str] = (),
    ) -> None:
        """Print the tables or the document, say the notices, write the files.

        Args:
            title: over the tables.
            tables: what is printed, narrow enough for a terminal.
            document: all of it, JSON-ready.
            page: draws the HTML, where it is asked for.
            notices: what a person should be told.

        Raises:
            LandmarkFileError: a file cannot be written.
        """
        if self.json_file == _STDOUT:
            print_json(document)
        else:
            for table in figure_tables(tables, title):
                results.print(table)
        for notice in notices:
            say(f"Note: {notice}")
        if self.json_file is not None and self.json_file != _STDOUT:
            write_json(document, self.json_file)
            say(f"Written: {self.json_file}")
        if self.html is not None:
            write_text(page(), self.html)
            say(f"Written: {self.html}")


_STDOUT = Path("-")


def write_json(figures: dict[str, Any], file: Path) -> None:
    """Write figures as standard JSON, whole or not at all.

    Raises:
        LandmarkFileError: the file cannot be written.
    """
    write_text(json.dumps(figures, indent=2, ensure_ascii=False, allow_nan=False) + "\n", file)


def write_text(text: str, file: Path) -> None:
    """Write a text as UTF-8, whole or not at all.

    Raises:
        LandmarkFileError: the file cannot be written.
    """
    from LandmarkDetectorLib.io.atomic import atomic_write

    with atomic_write(file, "w", encoding="utf-8") as stream:
        stream.write(text)

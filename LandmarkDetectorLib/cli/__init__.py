"""The command line: thin commands over the same calls that a program makes.

One file a command. What all of them share: how a command ends (:mod:`endings`), what it says while it runs
(:mod:`console`), and which files it will write (:mod:`outputs`).
"""

from __future__ import annotations


def main() -> None:
    """Entry of the script ``landmark-detector``; ends the process with 0, 2 (a sentence says why) or 130 (Ctrl-C)."""
    import io
    import sys

    from LandmarkDetectorLib.cli.app import app

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without a letter shows a ? and not a traceback
    app(prog_name="landmark-detector")

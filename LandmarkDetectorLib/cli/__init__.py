"""The command line: thin commands over the same calls that a program makes.

One file a command. What all of them share: how a command ends (:mod:`endings`), what it says while it runs
(:mod:`console`), and which files it will write (:mod:`outputs`).
"""

from __future__ import annotations


def main() -> None:
    """Entry of the script ``landmark-detector``; ends the process with 0, 2 (a sentence says why) or 130 (Ctrl-C)."""
    import io
    import sys

    try:
        from LandmarkDetectorLib.cli.app import app
    except KeyboardInterrupt:  # the commands take half a second to come, and more from a disk over the network
        print("Cancelled; nothing was written.", file=sys.stderr)
        sys.exit(130)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without a letter shows a ? and not a traceback
    try:
        app(prog_name="landmark-detector")
    finally:
        _drop_what_nobody_reads()


def _drop_what_nobody_reads() -> None:
    """Where the reader of our output has gone, forget what is still in the buffer: Python would complain at exit."""
    import os
    import sys

    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

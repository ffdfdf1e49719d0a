"""How a command ends: well, with one sentence and exit code 2, or cancelled with 130. Never with a traceback."""

from __future__ import annotations

import os
import re
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any

import typer
from typer.core import TyperGroup

from LandmarkDetectorLib.cli.console import say
from LandmarkDetectorLib.core.errors import Cancelled, LandmarkDetectorError, LandmarkDetectorWarning

REFUSED = 2
"""What was asked for cannot be done; a sentence on stderr says why and what to do."""
DEFECT = 1
"""A fault of this program."""
CANCELLED = 130
"""Ctrl-C, as shells count it: 128 and the number of the signal."""


class Endings(TyperGroup):
    """The root group: every error of a command below comes through here."""

    debug = False

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Take ``--debug`` out of the line, wherever it stands, and parse the rest."""
        self.debug = "--debug" in args
        words = _with_local_cluster([word for word in args if word != "--debug"])
        trouble = _empty_place(words) or _dashed_file(words)
        if trouble:
            say(f"Error: {trouble}")
            raise typer.Exit(REFUSED)
        try:
            return super().make_context(info_name, words, parent, **extra)
        except Exception as error:
            raise _misuse(error) or error from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command and turn whatever ends it into a sentence and an exit code."""
        with _spoken_warnings(everything=self.debug):
            try:
                return super().invoke(ctx)
            except (typer.Exit, BrokenPipeError):  # the last: whoever read our output has seen enough
                raise
            except (KeyboardInterrupt, typer.Abort, Cancelled) as error:  # Abort: Ctrl-C where a person is asked
                self._explain(error)
                say(str(error) or "Cancelled; what was finished before stays.")
                raise typer.Exit(CANCELLED) from None
            except Exception as error:
                misuse = _misuse(error)
                if misuse is not None:
                    raise misuse from None
                self._explain(error)
                sentence = refusal(error)
                if sentence is not None:
                    say(f"Error: {sentence}")
                    raise typer.Exit(REFUSED) from None
                say(f"Error: This is a defect of landmark-detector ({type(error).__name__}: {_line(error)}); ", end="")
                say("run it again with --debug and report what it prints.")
                raise typer.Exit(DEFECT) from None

    def _explain(self, error: BaseException) -> None:
        if self.debug:
            say("".join(traceback.format_exception(error)).rstrip())


def refusal(error: Exception) -> str | None:
    """One sentence about what cannot be done, and why; ``None`` of an error that is a fault of this program."""
    if isinstance(error, LandmarkDetectorError):
        return str(error)
    if isinstance(error, MemoryError):
        return "The memory does not suffice; close other programs or take a smaller image."
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        return f"The system refused: {error.strerror or error}{where}; mend that and try again."
    return None


def _with_local_cluster(words: list[str]) -> list[str]:
    """``--cluster`` without an address means this machine; the word behind it may be a folder."""
    said = []
    for word, following in zip_longest(words, words[1:]):
        said.append(word)
        if word == "--cluster" and (following is None or not _ADDRESS.fullmatch(following)):
            said.append("local")
    return said


_ADDRESS = re.compile(r"local|.*\.json|\w+://.*|[^\\/:]+:\d+", re.DOTALL)


def _empty_place(words: list[str]) -> str | None:
    """Where files shall go, but nothing stands there: the folder one happens to be in would be filled."""
    for word, following in zip_longest(words, words[1:]):
        if (word in _PLACES and following == "") or (word[-1:] == "=" and word[:-1] in _PLACES):
            return f"{word.rstrip('=')} is empty; write a file or a folder behind it."
    return None


_PLACES = ("--output", "--html", "--figures", "--pictures", "--folder")


def _dashed_file(words: list[str]) -> str | None:
    """A file whose name would be read as options, such as ``-head.nrrd``, which asks for help first."""
    before = words[: words.index("--")] if "--" in words else words
    for word in before:
        if word.startswith("-") and not _OPTION.fullmatch(word) and os.path.lexists(word):
            return f"{word} begins with a dash, as options do; if the file is meant, write ./{word}."
    return None


_OPTION = re.compile(r"-|-h|--[a-z-]*")


def _misuse(error: Exception) -> typer.Exit | None:
    """Where the line itself was wrong (click's usage errors, or typer's own copy of them): say so in one sentence."""
    message = getattr(error, "format_message", None)
    if message is None:
        return None
    if message():  # empty where the help has been printed instead
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "landmark-detector"
        words = " ".join(message().replace("Value error, ", "").split())
        say(f"Error: {words.rstrip('.')}; see {command} --help.")
    return typer.Exit(getattr(error, "exit_code", REFUSED))


def _line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0]


@contextmanager
def _spoken_warnings(everything: bool) -> Iterator[None]:
    """Show our warnings as one line each, each once, and those of other libraries only in a search for defects."""
    said: set[str] = set()

    def show(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
        sentence = f"Warning: {message}"
        if sentence not in said and (everything or issubclass(category, LandmarkDetectorWarning)):
            said.add(sentence)
            say(sentence)

    with warnings.catch_warnings():
        if not everything:
            warnings.simplefilter("ignore")
        warnings.simplefilter("always", LandmarkDetectorWarning)
        warnings.showwarning = show
        yield

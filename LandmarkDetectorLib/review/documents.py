"""Documents that are written once: the store's own, a case's, a proposal's; readable JSON with a checksum in it."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.core import LandmarkFileError
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.review.errors import ReviewError, disk_errors
from LandmarkDetectorLib.review.lines import sha256

FORMAT = 1
"""Of everything in a store; a newer one is not read."""


def checksum(content: dict[str, Any]) -> str:
    """Of a document without its own ``sha256``, whatever its white space and the order of its keys."""
    bare = {key: value for key, value in content.items() if key != "sha256"}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return sha256(text.encode("utf-8"))


def write_document(path: Path, kind: str, content: dict[str, Any], what: str) -> dict[str, Any]:
    """Write a new document, whole or not at all, through to the disk; then it is read-only.

    Args:
        path: nothing may be there yet.
        kind: what it is, such as ``"proposal"``.
        content: JSON values.
        what: the same for messages.

    Returns:
        The document with ``kind``, ``format`` and ``sha256``.

    Raises:
        ReviewError: it is there already, holds what JSON cannot, or the disk refuses.
    """
    if path.exists():
        raise ReviewError(f"{what} is there already, and nothing in a review store is written over.")
    document = {"kind": kind, "format": FORMAT, **content}
    try:
        document["sha256"] = checksum(document)
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        data = text.encode("utf-8")
    except (TypeError, ValueError) as error:
        raise ReviewError(f"{what} cannot be written as JSON ({error}); give plain numbers and words.") from None
    with disk_errors(f"{what} cannot be stored"):
        try:
            with atomic_write(path) as stream:
                stream.write(data)
        except LandmarkFileError as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise
        with suppress(OSError):  # a disk without modes: the checksum still shows a change
            os.chmod(path, 0o400)
    return document


def read_document(path: Path, kind: str, what: str) -> dict[str, Any]:
    """Read a document, its checksum verified.

    Raises:
        ReviewError: it is missing, damaged, altered, of another kind, or of a newer format.
    """
    try:
        with disk_errors(f"{what} cannot be read"):
            document = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ReviewError(f"{what} is damaged: {path.name} is no JSON; take it from a copy of the store.") from None
    if not isinstance(document, dict) or document.get("kind") != kind:
        raise ReviewError(f"{what}: {path.name} is no {kind} of a review store; take it from a copy of the store.")
    check_format(document.get("format"), what)
    if document.get("sha256") != checksum(document):
        raise ReviewError(f"{what} was altered: {path.name} has another checksum; take it from a copy of the store.")
    return document


def check_format(found: Any, what: str) -> None:
    """Refuse what a newer version wrote.

    Raises:
        ReviewError: the format is newer, or none.
    """
    if type(found) is not int or found < 1:
        raise ReviewError(f"{what} does not say its format; take it from a copy of the store.")
    if found > FORMAT:
        raise ReviewError(f"{what} has format {found} and this version reads up to {FORMAT}; update the software.")

"""Reading and writing small UTF-8 files, with errors in sentences."""

from __future__ import annotations

from pathlib import Path

from LandmarkDetectorLib.core import LandmarkFileError
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.io.names import shown

_LARGEST = 512 * 2**20
"""Bytes; a million landmarks fit, and a scan under the wrong suffix is refused before it fills the memory."""


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark, with its line ends as they are.

    Raises:
        LandmarkFileError: the file is missing, too large, or not UTF-8.
    """
    name = shown(path)
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise LandmarkFileError(f"{name}: {size / 2**20:.0f} MiB are too many for landmarks; give another file.")
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise LandmarkFileError(f"{name}: there is no such file; check the path.") from None
    except OSError as error:
        raise LandmarkFileError(f"{name}: it cannot be opened ({error.strerror}); give a file that can.") from None
    except UnicodeDecodeError as error:
        raise LandmarkFileError(f"{name}: byte {error.start} is not UTF-8 text; save the file as UTF-8.") from None
    except ValueError:
        raise LandmarkFileError(f"{name}: the file name holds a null character; choose another name.") from None


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 file, whole or not at all; line ends stay as they are.

    Raises:
        LandmarkFileError: the file cannot be written, or the text not as UTF-8.
    """
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        broken = text[error.start : error.end]
        raise LandmarkFileError(
            f"{shown(path)}: the character {broken!r} cannot be written as UTF-8; mend the label that holds it."
        ) from None
    with atomic_write(path) as stream:
        stream.write(data)

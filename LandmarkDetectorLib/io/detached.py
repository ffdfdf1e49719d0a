"""Where NRRD and MetaImage headers say that the values are: in the same file, or in others beside it.

A header may name any file of the computer, or one of another computer, and its bytes would become voxels that somebody
looks at and passes on. So it may name those in its own folder, and below, and no others. Fields are those of
https://teem.sourceforge.net/nrrd/format.html and of https://itk.org/Wiki/ITK/MetaIO/Documentation
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from LandmarkDetectorLib.core import ImageError

_FIELD = {
    "NRRD": re.compile(r"^\s*data ?file\s*:\s*(.*)$", re.MULTILINE | re.IGNORECASE),
    "MetaImage": re.compile(r"^\s*ElementDataFile\s*[:=]\s*(.*)$", re.MULTILINE),
}
_DRIVE = re.compile(r"[A-Za-z]:")
_LIMIT = 1 << 20  # bytes; a list of so many names is longer than any volume


def check_beside(path: Path, kind: str, name: str) -> None:
    """Refuse a header whose values stand outside of its folder, before anything of them is opened.

    Args:
        path: the file with the header.
        kind: ``"NRRD"`` or ``"MetaImage"``.
        name: the file's name, for the message.

    Raises:
        ImageError: it names such a file, or is too long to tell.
    """
    with open(path, "rb") as stream:
        text = stream.read(_LIMIT).decode("latin-1")
    cut, text = len(text) == _LIMIT, text.replace("\r\n", "\n")
    header, end, _ = text.partition("\n\n") if kind == "NRRD" else (text, "", "")
    field = _FIELD[kind].search(header)
    value = field[1] if field is not None else ""
    listed = value.upper().startswith("LIST")
    if cut and not end and (listed or not value):
        raise ImageError(f"{name}: its {kind} header is longer than {_LIMIT} bytes; save it again.")
    files = header[field.end() :].split("\n") if field is not None and listed else [value]
    if any(_leaves(file.strip().replace("\\", "/")) for file in files):
        raise ImageError(
            f"{name}: its header takes the values from outside of its folder, where nothing is opened; put both into "
            "one folder and mend the header."
        )


def _leaves(file: str) -> bool:
    return file.startswith("/") or _DRIVE.match(file) is not None or ".." in PurePosixPath(file).parts

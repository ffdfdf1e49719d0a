"""What a file's name says: its format, its stem, and how messages call it."""

from __future__ import annotations

import os
from pathlib import Path

_DOUBLE = (".nii.gz", ".mrk.json")


def suffix_of(path: str | os.PathLike[str]) -> str:
    """The suffix in lower case, ``.nii.gz`` and ``.mrk.json`` in one piece; empty where there is none."""
    name = Path(path).name.lower()
    return next((double for double in _DOUBLE if name.endswith(double)), Path(name).suffix)


def stem_of(path: str | os.PathLike[str], suffix: str | None = None) -> str:
    """The file's name without its suffix, or without the one given; never a path."""
    name = shown(path)
    suffix = suffix_of(name) if suffix is None else suffix
    return name[: len(name) - len(suffix)] or name


def shown(path: str | os.PathLike[str]) -> str:
    """The file's own name for messages, without its folders, which may carry a patient's name."""
    name = Path(path).name or Path(os.path.abspath(path)).name
    return name.encode("utf-8", "replace").decode("utf-8") or "the file"


def looks_like(start: bytes) -> str | None:
    """What a file is by its first bytes, in words, or ``None``; to explain why it does not fit its suffix."""
    if start[128:132] == b"DICM":
        return "DICOM"
    return next((kind for magic, kind in _MAGIC if start.startswith(magic)), None)


_MAGIC = (
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x89PNG", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"PK\x03\x04", "a zip archive"),
    (b"NRRD", "NRRD"),
    (b"ObjectType", "MetaImage"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x5c\x01\0\0", "NIfTI"),
    (b"\0\0\x01\x5c", "NIfTI"),
    (b"%PDF", "PDF"),
    (b"<", "a web page"),
    (b"{", "JSON"),
)

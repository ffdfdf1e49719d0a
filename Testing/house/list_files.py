"""Writes the lists of files in the CMake files anew: ``python Testing/house/list_files.py`` after files came or went.

Slicer builds from lists, not from globs, so that a build knows when a file was added; a test compares them with the
folders. What this script writes is everything between ``set(NAME`` and the closing bracket.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = {"__pycache__", "CMakeLists.txt"}


def in_folder(folder: Path) -> tuple[list[str], list[str]]:
    """The scripts and the resources of a module's folder, relative to it, as CMake wants them."""
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    names = [path.as_posix() for path in files if not LEFT_OUT & set(path.parts) and not path.name.startswith(".")]
    return [name for name in names if name.endswith(".py")], [name for name in names if not name.endswith(".py")]


def in_list(cmake: Path) -> tuple[list[str], list[str]]:
    """The scripts and the resources that a CMake file lists."""
    text = cmake.read_text(encoding="utf-8")
    found = [re.search(rf"set\({name}\n(.*?)\n\s*\)", text, re.DOTALL) for name in ("SCRIPTS", "RESOURCES")]
    assert all(found), f"{cmake}: there is no list of SCRIPTS or RESOURCES"
    return tuple([line.strip() for line in match.group(1).splitlines()] for match in found)  # type: ignore[union-attr]


def write(cmake: Path) -> None:
    """Make the lists of a CMake file those of its folder."""
    text = cmake.read_text(encoding="utf-8")
    for name, files in zip(("SCRIPTS", "RESOURCES"), in_folder(cmake.parent), strict=True):
        lines = "".join(f"  {file}\n" for file in files)
        text = re.sub(rf"set\({name}\n.*?\)", lambda _: f"set({name}\n{lines}  )", text, flags=re.DOTALL)  # noqa: B023
    cmake.write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    for name in ("LandmarkDetector", "LandmarkDetectorLib"):
        write(ROOT / name / "CMakeLists.txt")

"""Every image below a folder: files of the formats that are read, and DICOM series, however deep they lie."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from LandmarkDetectorLib.core import ImageError
from LandmarkDetectorLib.io.images import image_suffixes
from LandmarkDetectorLib.io.names import looks_like, shown, stem_of, suffix_of

SUMMARY = "summary"
"""What the table of a batch is called, without its suffix: it lies among the files of the images."""
_DICOM = (".dcm", ".dicom", ".ima")


@dataclass(frozen=True)
class Source:
    """One image.

    Args:
        path: a file, or the folder of a DICOM series.
        name: its place below the folder that was searched, ``/`` between the parts, without the suffix; no two sources
            of a search have the same, whatever the case, and none that of the batch's own table.
        series: the SeriesInstanceUID, where the folder holds more than one series.
    """

    path: Path
    name: str
    series: str | None = None


@dataclass(eq=False)
class Findings(Sequence[Source]):
    """What a search has found so far.

    Args:
        folder: that was searched.
        sources: in the order of their paths.
        ignored: how many files are no images.
        troubles: one sentence each, of folders and files that could not be looked into.
        looked_at: how many files were looked at.
    """

    folder: Path
    sources: list[Source] = field(default_factory=list)
    ignored: int = 0
    troubles: list[str] = field(default_factory=list)
    looked_at: int = 0

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, key):
        """By place or by slice."""
        return self.sources[key]


def find_images(folder: str | os.PathLike[str]) -> Findings:
    """Every image below a folder; see :func:`look_for_images`."""
    *_, findings = look_for_images(folder)
    return findings


def look_for_images(folder: str | os.PathLike[str]) -> Iterator[Findings]:
    """Search a folder and what lies below it, and yield after every file, so that an application stays alive meanwhile.

    Links to folders are followed, each folder is looked into once. Hidden files are no images. A DICOM series is one
    image; where its files do not say where they lie in the patient, each file is one.

    Yields:
        The same findings again and again; they are complete, named and in order when the iteration ends.

    Raises:
        ImageError: the folder is not there or cannot be opened.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImageError(f"{shown(folder)}: there is no such folder; choose another one.")
    findings = Findings(folder)
    drafts: list[_Draft] = []
    for place, files in _folders(folder, findings):
        yield findings
        dicom: list[Path] = []
        plain: list[Path] = []
        for path in files:
            kind = _kind(path, findings)
            findings.looked_at += 1
            findings.ignored += kind is None
            if kind is not None:
                (dicom if kind == "dicom" else plain).append(path)
            yield findings
        drafts += _of_files(plain, folder)
        for found in _of_series(place, dicom, folder, findings):
            drafts += found
            yield findings
    _name(drafts, findings)
    yield findings


@dataclass(frozen=True)
class _Draft:
    """A source before its name is settled: the name it would like, and a longer one for where two would like it."""

    path: Path
    short: str
    long: str
    series: str | None = None


def _folders(folder: Path, findings: Findings) -> Iterator[tuple[Path, list[Path]]]:
    """The folder and all below it, each once, in order, with their files."""
    waiting, seen = [folder], set()
    while waiting:
        place = waiting.pop()
        try:
            real = place.resolve()
            if real in seen:
                continue
            seen.add(real)
            with os.scandir(place) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
            reason = getattr(error, "strerror", None) or "a loop of links"
            sentence = f"{shown(place)}: the folder cannot be opened ({reason}); check its permissions."
            if place == folder:
                raise ImageError(sentence) from None
            findings.troubles.append(sentence)
            continue
        seen_here = [entry for entry in entries if not entry.name.startswith(".")]
        below = [entry for entry in seen_here if _is_folder(entry)]
        hidden = [entry for entry in entries if entry.name.startswith(".") and not _is_folder(entry)]
        findings.ignored += len(hidden)
        yield place, [Path(entry.path) for entry in seen_here if entry not in below]
        waiting += [Path(entry.path) for entry in reversed(below)]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _kind(path: Path, findings: Findings) -> str | None:
    """``dicom``, ``plain``, or ``None`` where it is no image."""
    suffix = suffix_of(path)
    if suffix in _DICOM:
        return "dicom"
    if suffix in image_suffixes():
        return "plain"
    try:
        if not path.is_file():  # a pipe would wait for ever
            return None
        with open(path, "rb") as stream:
            return "dicom" if looks_like(stream.read(132)) == "DICOM" else None
    except OSError as error:
        findings.troubles.append(f"{shown(path)}: it cannot be opened ({error.strerror}); check its permissions.")
        return None


def _of_files(paths: list[Path], folder: Path) -> Iterator[_Draft]:
    names = {path.name.lower() for path in paths}
    for path in paths:
        # An Analyze image is two files, of which the header is given.
        if suffix_of(path) != ".img" or f"{stem_of(path)}.hdr".lower() not in names:
            yield _draft(path, folder)


def _of_series(place: Path, files: list[Path], folder: Path, findings: Findings) -> Iterator[list[_Draft]]:
    """The series of one folder, after an empty list for every file that was looked at.

    A damaged file belongs to some series of its folder: reading that says so.
    """
    from LandmarkDetectorLib.io.dicom_header import header_of

    members: dict[str, list[Path]] = {}
    numbers: dict[str, str] = {}
    placed: set[str] = set()
    damaged: list[Path] = []
    for path in files:
        yield []
        try:
            header = header_of(path)
        except (ImageError, OSError):
            damaged.append(path)
            continue
        if header is None:
            findings.ignored += 1
            continue
        key = str(header.get("SeriesInstanceUID", ""))
        members.setdefault(key, []).append(path)
        numbers[key] = str(header.get("SeriesNumber") or "x")
        if header.get("ImagePositionPatient") or "PerFrameFunctionalGroupsSequence" in header:
            placed.add(key)
    if not members:
        yield [_draft(path, folder) for path in damaged]
    for key, paths in members.items():
        if len(paths) > 1 and key not in placed:
            yield [_draft(path, folder) for path in paths]
        elif len(members) == 1:
            own = shown(folder.resolve()) if place == folder else place.relative_to(folder).as_posix()
            yield [_Draft(place, own, own)]
        else:
            name = (place.relative_to(folder) / f"series-{numbers[key]}").as_posix()
            yield [_Draft(place, name, name, key)]


def _draft(path: Path, folder: Path) -> _Draft:
    relative = path.relative_to(folder)
    return _Draft(path, relative.with_name(stem_of(path)).as_posix(), relative.as_posix())


def _name(drafts: list[_Draft], findings: Findings) -> None:
    """Settle the names; on most desktops A and a are one file."""
    wanted = Counter(draft.short.casefold() for draft in drafts)
    taken = {SUMMARY}
    for draft in sorted(drafts, key=lambda draft: (draft.long, draft.series or "")):
        short = draft.short.casefold()
        name = draft.short if wanted[short] == 1 and short != SUMMARY else draft.long
        unique, number = name, 2
        while unique.casefold() in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique.casefold())
        findings.sources.append(Source(draft.path, unique, draft.series))

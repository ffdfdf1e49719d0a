r"""Lines that know whether they are whole, and which line stood before them.

A line is a JSON object that ends with ``"sha256"``, the SHA-256 of all that stands before that key. ``number`` counts
from 1, and ``previous`` is the ``sha256`` of the line before (of the first: of the log's *anchor*, which says whose
log of what it is). So a line that was cut short or altered is seen by itself, and one that was taken out, put in or
copied from another log is seen by its neighbours.

This shows damage and careless editing. It is no signature: who rewrites a whole log with care is not found out.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from LandmarkDetectorLib.review.errors import ReviewError

_END = b',"sha256":"'
_TAIL = len(_END) + 64 + len(b'"}')


def sha256(data: bytes) -> str:
    """64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def sealed(record: dict[str, Any]) -> bytes:
    """A record as one line without a line end, sealed with its own checksum.

    Raises:
        ReviewError: it holds what JSON cannot.
    """
    try:
        text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8")
    except (TypeError, ValueError) as error:
        raise ReviewError(f"A record cannot be written as JSON ({error}); give plain numbers and words.") from None
    return text[:-1] + _END + sha256(text[:-1]).encode("ascii") + b'"}'


def seal_of(line: bytes) -> str:
    """The checksum of a line that :func:`sealed` made."""
    return line[-_TAIL + len(_END) : -2].decode("ascii")


def unsealed(line: bytes) -> dict[str, Any] | None:
    """The record of a line with its ``sha256``, or ``None`` where the line is not whole and unaltered."""
    body, seal = line[:-_TAIL], line[-_TAIL:]
    if not seal.startswith(_END) or seal != _END + sha256(body).encode("ascii") + b'"}':
        return None
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


@dataclass
class Log:
    """What a log holds, as far as it has been read.

    Args:
        anchor: what the first line refers to.
        records: the whole lines, in order.
        problems: what is wrong, one sentence each, for people.
        unfinished: how many writes were cut short; nothing that was acknowledged is among them.
        number: of the last whole line; 0 without any.
        last: the ``sha256`` of the last whole line, or the anchor.
        offset: bytes read so far; an unfinished last line is not counted in.
        open_end: whether the last whole line lacks its line end.
    """

    anchor: str
    records: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    unfinished: int = 0
    number: int = 0
    last: str = ""
    offset: int = 0
    open_end: bool = False
    _damaged: int = 0

    def __post_init__(self) -> None:
        self.last = self.last or self.anchor

    @property
    def trouble(self) -> int:
        """Greater than before where something was read that does not fit what stands before it."""
        return len(self.problems) + self._damaged + self.unfinished

    def read(self, data: bytes) -> None:
        """Go on with the bytes after :attr:`offset`; a last line that is cut short is left for later."""
        if self.open_end and data.startswith(b"\n"):
            self.offset, self.open_end, data = self.offset + 1, False, data[1:]
        *lines, rest = data.split(b"\n")
        for line in lines:
            self.offset += len(line) + 1
            self._take(line)
        if rest and unsealed(rest) is not None:
            self.offset += len(rest)
            self.open_end = True
            self._take(rest)

    def _take(self, line: bytes) -> None:
        record = unsealed(line)
        if record is None:
            self._damaged += 1
            return
        number = record.get("number")
        if type(number) is not int or record.get("previous") is None:
            self.problems.append(f"After line {self.number} stands one that belongs to no log; it was left out.")
            return
        if number == self.number + 1 and record["previous"] == self.last:
            self.unfinished += self._damaged  # all that was acknowledged is there; what broke off was not
        elif number > self.number:
            lost = number - self.number - 1
            told = f"{lost} of them cannot be read" if lost else "what stood before it was altered"
            self.problems.append(
                f"Line {number} does not follow line {self.number}: lines were altered or lost ({told})."
            )
        else:
            self.problems.append(f"Line {number} stands after line {self.number}; it was put in later and left out.")
            return
        self._damaged = 0
        self.records.append(record)
        self.number, self.last = number, record["sha256"]

    def finish(self, head: tuple[int, str] | None, rest: bytes = b"") -> None:
        """Judge the end of the log.

        Args:
            head: number and ``sha256`` of the last line that was acknowledged, where that is known.
            rest: bytes after :attr:`offset`.
        """
        if head is not None and head[0] > self.number:
            self.problems.append(f"Lines {self.number + 1} to {head[0]} were stored and are not there any more.")
        elif head is not None and head[0] == self.number and head[1] != self.last:
            self.problems.append(f"Line {self.number} is not the one that was stored; it was altered.")
        elif head is None and self._damaged:
            self.problems.append(f"After line {self.number} {self._damaged} lines are damaged and were left out.")
        else:
            self.unfinished += self._damaged
        self.unfinished += bool(rest)

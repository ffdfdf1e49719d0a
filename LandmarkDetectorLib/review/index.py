"""The index of a store: one SQLite file that can be thrown away.

All that it says was read from the cases' files, and it remembers of each case which files it read, with their sizes and
times. Before it is asked anything it is compared with the folder, and cases whose files are not those that it read are
read anew: it cannot be out of date for longer than until the next question, whoever wrote the files.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.review.case import CASE, LOG
from LandmarkDetectorLib.review.errors import ReviewError, disk_errors
from LandmarkDetectorLib.review.journal import HEAD
from LandmarkDetectorLib.review.proposals import PREFIX

_Answer = TypeVar("_Answer")

NAME = "index.sqlite"
INDEX_FORMAT = 1
_WAIT = 10.0
_CHUNK = 500
_TABLE = """CREATE TABLE cases (id TEXT PRIMARY KEY, signature TEXT NOT NULL, added TEXT NOT NULL, sha256 TEXT NOT NULL,
landmarks INTEGER NOT NULL, waiting INTEGER NOT NULL, reviewed TEXT NOT NULL, proposals INTEGER NOT NULL,
changed TEXT NOT NULL, problems INTEGER NOT NULL, summary TEXT NOT NULL) WITHOUT ROWID"""
_COLUMNS = "id, added, landmarks, waiting, reviewed, proposals, changed, problems"


@dataclass(frozen=True)
class CaseRow:
    """One case in a list.

    Args:
        case: its id.
        added: when, UTC.
        landmarks: how many there are.
        waiting: how many of them nobody has reviewed.
        reviewed: how many each observer has reviewed, by name.
        proposals: how many detections.
        changed: when somebody last said something, UTC; empty where never.
        problems: how many damaged or missing records; ``verify`` names them.
    """

    case: str
    added: str
    landmarks: int
    waiting: int
    reviewed: dict[str, int]
    proposals: int
    changed: str
    problems: int

    @property
    def observers(self) -> tuple[str, ...]:
        """Who has said something."""
        return tuple(self.reviewed)


def signatures(folder: Path) -> dict[str, str]:
    """What tells of each case in a folder whether its files have changed, by the case's id."""
    found = {}
    with os.scandir(folder) as cases:
        for case in cases:
            if case.name.startswith(".") or not case.is_dir(follow_symlinks=False):
                continue
            with os.scandir(case.path) as files:
                parts, named = [], False
                for file in files:
                    named = named or file.name == CASE or file.name.startswith((LOG, PREFIX))
                    if not file.name.endswith(HEAD) and not file.name.startswith("."):
                        status = file.stat()
                        parts.append(f"{file.name}:{status.st_size}:{status.st_mtime_ns}")
            if named:  # else an image was being added and was not finished, and nobody has said anything of it
                found[case.name] = "|".join(sorted(parts))
    return found


class Index:
    """The index of one store.

    Args:
        folder: of the store.
        summarise: from a case's id to what the index shall know of it, see :mod:`~LandmarkDetectorLib.review.summary`.
    """

    def __init__(self, folder: Path, summarise: Callable[[str], Mapping[str, Any]]) -> None:
        self.path, self.cases, self.summarise = folder / NAME, folder / "cases", summarise
        self._memory: sqlite3.Connection | None = None
        self._turn = threading.RLock()  # one connection serves all threads there

    def stale(self) -> list[str]:
        """Ids of cases of which the index says something else than the folder, or nothing."""
        return self._ask(lambda connection: sorted(self._changed(connection, self._now())))

    def filled(self) -> bool:
        """Whether it has been filled at all."""
        return self._ask(lambda connection: connection.execute("SELECT count(*) FROM cases").fetchone() != (0,))

    def refresh(self) -> list[str]:
        """Read the stale cases anew; returns their ids."""
        return self._ask(self._refresh)

    def rows(self) -> list[CaseRow]:
        """All cases, the oldest first, as the folder is now."""

        def asked(connection: sqlite3.Connection) -> list[CaseRow]:
            self._refresh(connection)
            rows = connection.execute(f"SELECT {_COLUMNS} FROM cases ORDER BY added, id")
            return [
                CaseRow(case, added, landmarks, waiting, json.loads(reviewed), proposals, changed, problems)
                for case, added, landmarks, waiting, reviewed, proposals, changed, problems in rows
            ]

        return self._ask(asked)

    def summaries(self) -> dict[str, dict[str, Any]]:
        """What is known of each case, by its id, as the folder is now."""

        def asked(connection: sqlite3.Connection) -> dict[str, dict[str, Any]]:
            self._refresh(connection)
            rows = connection.execute("SELECT id, summary FROM cases ORDER BY added, id")
            return {case: json.loads(summary) for case, summary in rows}

        return self._ask(asked)

    def remove(self) -> None:
        """Throw it away."""
        self._memory = None
        for suffix in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.unlink(f"{self.path}{suffix}")

    def _changed(self, connection: sqlite3.Connection, now: Mapping[str, str]) -> set[str]:
        known = dict(connection.execute("SELECT id, signature FROM cases"))
        return {case for case in now.keys() | known.keys() if now.get(case) != known.get(case)}

    def _now(self) -> dict[str, str]:
        with disk_errors("The cases of the review store cannot be read"):
            return signatures(self.cases)

    def _refresh(self, connection: sqlite3.Connection) -> list[str]:
        now = self._now()
        changed = sorted(self._changed(connection, now))
        for start in range(0, len(changed), _CHUNK):  # short transactions: others want to read and write too
            rows = [(case, now[case], self.summarise(case)) for case in changed[start : start + _CHUNK] if case in now]
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                gone = [(case,) for case in changed[start : start + _CHUNK]]
                connection.executemany("DELETE FROM cases WHERE id = ?", gone)
                values = [_values(*row) for row in rows]
                connection.executemany("INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        return changed

    def _ask(self, question: Callable[[sqlite3.Connection], _Answer]) -> _Answer:
        """Ask the file; where it is damaged a new one, and where the disk takes none, the memory."""
        if self._memory is None and os.access(self.path.parent, os.W_OK):
            for last in (False, True):
                try:
                    with closing(self._opened(self.path)) as connection:
                        return question(connection)
                except sqlite3.OperationalError as error:  # full, locked, or of a kind that databases cannot lie on
                    self._keep_in_memory(str(error))
                    break
                except sqlite3.DatabaseError:  # damaged; it holds nothing that is not in the files
                    if last:
                        raise
                    notice("The index of the review store was damaged; it was made anew from the files.")
                    self.remove()
        if self._memory is None:
            self._keep_in_memory("the folder is read-only")
        with self._turn:
            assert self._memory is not None
            return question(self._memory)

    def _keep_in_memory(self, reason: str) -> None:
        notice(f"The index of the review store cannot be kept ({reason}); all cases are read, which takes longer.")
        self._memory = self._opened(":memory:")

    def _opened(self, path: Path | str) -> sqlite3.Connection:
        # Whoever calls from several threads takes turns, as with files.
        connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > INDEX_FORMAT:
                raise ReviewError(
                    f"The index of the review store has format {version} and this version reads up to {INDEX_FORMAT}; "
                    "update the software, or make the index anew with `landmark-detector review rebuild`."
                )
            if version == 0:
                connection.execute("BEGIN IMMEDIATE")
                with connection:
                    if connection.execute("PRAGMA user_version").fetchone() == (0,):  # nobody was faster
                        connection.execute(_TABLE)
                        connection.execute(f"PRAGMA user_version = {INDEX_FORMAT}")
            connection.execute("SELECT count(*) FROM cases")
        except BaseException:
            connection.close()
            raise
        return connection


def _values(case: str, signature: str, summary: Mapping[str, Any]) -> tuple[Any, ...]:
    reviewed = {name: sum(status != "" for status, _ in said.values()) for name, said in summary["observers"].items()}
    done = {label for said in summary["observers"].values() for label, (status, _) in said.items() if status}
    return (
        case,
        signature,
        summary["added"],
        summary["sha256"],
        len(summary["labels"]),
        len(set(summary["labels"]) - done),
        json.dumps(reviewed, ensure_ascii=False),
        summary["proposal_count"],
        summary["changed"],
        summary["problems"],
        json.dumps(summary, ensure_ascii=False),
    )

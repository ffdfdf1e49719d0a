"""Names of nodes as names of files."""

from __future__ import annotations

_LONGEST = 200
"""Bytes of a proposed name; disks take 255, and a suffix comes yet."""


def file_name(name: str) -> str:
    """A node's name as one that every file system takes."""
    kept = "".join("_" if character in '<>:"/\\|?*' or ord(character) < 32 else character for character in name)
    kept = kept.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
    return kept.strip(" .") or "landmarks"

"""Files to write: what is proposed for their name, and what is made of what a person answers."""

from __future__ import annotations

from pathlib import Path

from LandmarkDetector.Panel.texts import _

_LONGEST = 200
"""Bytes of a proposed name; disks take 255, and a suffix comes yet."""


def file_name(name: str) -> str:
    """A node's name as one that every file system takes."""
    kept = "".join("_" if character in '<>:"/\\|?*' or ord(character) < 32 else character for character in name)
    kept = kept.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
    return kept.strip(" .") or "landmarks"


def ask_path(dialogs, title: str, name: str, suffix: str, about: str) -> Path | None:
    """Ask for a file to write, which gets the suffix where the person leaves it out.

    Args:
        dialogs: how the person is asked.
        title: of the dialog.
        name: proposed, without the suffix.
        suffix: with its dot.
        about: title of the question whether to replace a file; the dialog asks that of the name that it is given.

    Returns:
        ``None`` when the person would rather not.
    """
    told = dialogs.save_file(title, f"{name}{suffix}", f"*{suffix}")
    if not told:
        return None
    path = Path(told)
    if path.name.lower().endswith(suffix):
        return path
    path = path.with_name(path.name + suffix)
    return path if not path.exists() or may_replace(dialogs, about, path) else None


def may_replace(dialogs, title: str, path: Path) -> bool:
    """Whether the person lets a file that is there be replaced."""
    question = _("{name} is there already; replace it?").format(name=path.name)
    return bool(dialogs.ask(title, question, [("replace", _("Replace"))]) == "replace")

"""The versions of the chosen bundle: what is in use, where it comes from, and the way back with one click."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from LandmarkDetector.Panel.combos import chosen_key, fill
from LandmarkDetector.Panel.note import Note
from LandmarkDetector.Panel.signals import Signal
from LandmarkDetector.Panel.texts import _, count


class VersionsView:
    """A list of the versions that ever were in use under the name of the chosen bundle.

    Tells by ``returned(name)`` that another version was put back into use.

    Args:
        ui: the widgets of the .ui file by name.
        by: the name that stands beside a return.
    """

    def __init__(self, ui, by: Callable[[], str]) -> None:
        self.returned = Signal()
        self._ui, self._by = ui, by
        self._name = ""
        self._shown: tuple[str, str] = ("", "")
        self._versions: list[Any] = []
        self._history: list[dict[str, Any]] = []
        self._current = ""
        self.message = Note(ui.versionsMessage)
        ui.versionsFrame.setVisible(False)
        ui.versionsCombo.currentIndexChanged.connect(self._describe)
        ui.versionsReturnButton.clicked.connect(self._on_return)

    def show(self, bundle: Any) -> None:
        """Show the versions of a bundle; nothing where no other one is kept."""
        shown = ("", "") if bundle is None else (bundle.name, bundle.fingerprint)
        if shown != self._shown:
            self.message.clear()
            self._read(bundle)

    def _read(self, bundle: Any) -> None:
        from LandmarkDetectorLib.bundles.versions import history, kept_versions
        from LandmarkDetectorLib.core import LandmarkDetectorError

        self._name, self._current = ("", "") if bundle is None else (bundle.name, bundle.fingerprint)
        self._shown = (self._name, self._current)
        self._versions, self._history = [], []
        if bundle is not None:
            self._versions = list(reversed(kept_versions(bundle.name)))
            try:
                self._history = history(bundle.name)
            except LandmarkDetectorError as error:
                self.message.show(str(error), "error")
        self._ui.versionsFrame.setVisible(bool(self._versions))
        self._fill()

    def _fill(self) -> None:
        lines = []
        for version in self._versions:
            use = _("in use") if version.fingerprint == self._current else _("kept")
            lines.append((_("{version}, {use}").format(version=version.version, use=use), version.fingerprint))
        fill(self._ui.versionsCombo, lines, self._current)
        self._describe()

    def _describe(self, *_arguments) -> None:
        version = self._chosen()
        self._ui.versionsReturnButton.setEnabled(version is not None and version.fingerprint != self._current)
        self._ui.versionsLabel.setText("" if version is None else about_version(version, self._history))

    def _chosen(self) -> Any:
        key = chosen_key(self._ui.versionsCombo)
        return next((version for version in self._versions if version.fingerprint == key), None)

    def _on_return(self, *_arguments) -> None:
        from LandmarkDetectorLib.bundles.versions import return_bundle
        from LandmarkDetectorLib.core import LandmarkDetectorError

        version = self._chosen()
        if version is None:
            return
        try:
            back = return_bundle(self._name, version.fingerprint, {"by": self._by()})
        except LandmarkDetectorError as error:
            self.message.show(str(error), "error")
            return
        self.returned.emit(back.name)
        self.message.show(_("{name} {version} is in use again.").format(name=back.name, version=back.version))


def about_version(version: Any, history: Sequence[Mapping[str, Any]]) -> str:
    """Where a version comes from, and when, by whom and why it was put in use; a line each.

    Args:
        version: a ``Bundle``.
        history: of ``bundles.versions.history``.
    """
    lines = []
    if version.card.lineage:
        born = version.card.lineage[0]
        text = _("From {parent} {version}, by {landmarks} on {cases}.")
        lines.append(
            text.format(
                parent=born.parent,
                version=born.version,
                landmarks=count(born.corrections, _("reviewed landmark"), _("reviewed landmarks")),
                cases=count(born.cases, _("case"), _("cases")),
            )
        )
    entries = [entry for entry in history if entry["to"].get("fingerprint") == version.fingerprint]
    if entries:
        last = entries[-1]
        who = _(" by {name}").format(name=last["by"]) if last.get("by") else ""
        lines.append(_("Put in use on {day}{who}.").format(day=str(last.get("at", ""))[:10], who=who))
        why = next((str(entry["because"]) for entry in reversed(entries) if entry.get("because")), "")
        if why:
            lines.append(_("Because: {why}").format(why=why))
    return "\n".join(lines)

"""What is looked at: the volume, the bundle and the device, and whether they suit each other."""

from __future__ import annotations

from typing import Any

import qt
import slicer

from LandmarkDetector.Panel.bundle_list import BundleList, judge
from LandmarkDetector.Panel.card_page import card_page
from LandmarkDetector.Panel.combos import choose, chosen_key, fill
from LandmarkDetector.Panel.note import Note
from LandmarkDetector.Panel.parameters import Parameters
from LandmarkDetector.Panel.reliability_page import reliability_section
from LandmarkDetector.Panel.signals import Signal, silent
from LandmarkDetector.Panel.texts import _

AUTOMATIC = "auto"


class InputView:
    """The section "Input".

    Tells by ``changed()`` that volume, bundle or device changed.

    Args:
        ui: the widgets of the .ui file by name.
        scene: the MRML scene.
        parameters: where choices are kept.
        dialogs: how the person is asked.
        bundles: the bundles that are offered.
    """

    def __init__(self, ui, scene, parameters: Parameters, dialogs, bundles: BundleList) -> None:
        self.changed = Signal()
        self.bundles = bundles
        self._ui, self._parameters, self._dialogs = ui, parameters, dialogs
        self._notice = Note(ui.noticeLabel)
        self._obstacle = ""
        self._image: Any = None
        self._looked_at: tuple[Any, ...] = ()
        ui.volumeSelector.setMRMLScene(scene)
        ui.volumeSelector.currentNodeChanged.connect(self._on_volume)
        ui.bundleCombo.currentIndexChanged.connect(self._on_bundle)
        ui.deviceCombo.currentIndexChanged.connect(self._on_device)
        ui.bundleInfoButton.clicked.connect(self._on_card)
        self._make_menu()
        self.show_devices([])

    @property
    def volume(self):
        """The volume node that was chosen, or ``None``."""
        return self._ui.volumeSelector.currentNode()

    @property
    def bundle(self) -> Any:
        """The bundle that was chosen, or ``None``."""
        return self.bundles.get(chosen_key(self._ui.bundleCombo))

    @property
    def device(self) -> str:
        """The device that was chosen, as the library calls it."""
        return chosen_key(self._ui.deviceCombo) or AUTOMATIC

    @property
    def obstacle(self) -> str:
        """Why nothing can be detected with these choices; empty when it can."""
        return self._obstacle

    @property
    def image(self) -> Any:
        """The library's ``Image`` of the volume, where nothing stands against it."""
        return self._image

    @property
    def notices(self) -> list[str]:
        """What is said of the volume, one sentence each."""
        return self._notice.text.splitlines()

    @property
    def told(self) -> bool:
        """Whether the obstacle stands in the line below the choices."""
        return bool(self._obstacle) and self._obstacle in self._notice.text

    def read_bundles(self) -> None:
        """Fill the list of bundles."""
        self.bundles.read()
        self._fill_bundles(self._parameters.text("bundle"))
        self.changed.emit()

    def restore(self) -> None:
        """Show what the scene keeps: another one was opened, or the panel begins."""
        self._ui.volumeSelector.setCurrentNode(self._parameters.node("volume"))
        self._fill_bundles(self._parameters.text("bundle"))
        choose(self._ui.deviceCombo, self._parameters.text("device", AUTOMATIC))
        self.look()

    def choose_volume(self, node) -> None:
        """Choose a volume for the person."""
        self._ui.volumeSelector.setCurrentNode(node)

    def choose_bundle(self, name: str) -> None:
        """Choose a bundle for the person."""
        choose(self._ui.bundleCombo, name)

    def set_enabled(self, enabled: bool) -> None:
        """Whether choices may change: not while a detection runs."""
        for widget in (self._ui.volumeSelector, self._ui.bundleCombo, self._ui.deviceCombo, self._ui.bundleMenuButton):
            widget.setEnabled(enabled)

    def show_devices(self, devices: list[dict[str, str]]) -> None:
        """Offer what the worker said that there is."""
        offered = [(_("Automatic"), AUTOMATIC), *((str(each["label"]), str(each["name"])) for each in devices)]
        fill(self._ui.deviceCombo, offered)
        choose(self._ui.deviceCombo, self._parameters.text("device", AUTOMATIC))

    def look(self) -> None:
        """Say whether the volume suits the bundle."""
        volume = self.volume
        if (volume, _age(volume), self.bundle) == self._looked_at:
            return
        told = _in_pixels(volume)
        self._suggest(volume)
        bundle = self.bundle
        self._looked_at = (volume, _age(volume), bundle)
        self._obstacle, self._image = "", None
        self._notice.clear()
        if not self.bundles.names():
            self._obstacle = _("There is no bundle here: import one with 'More'.")
            self._notice.show(" ".join([self._obstacle, *self.bundles.complaints]), "warning")
        elif bundle is None:
            self._obstacle = _("Choose a bundle.")
        elif volume is None:
            self._obstacle = _("Choose a volume, or load one.")
        elif volume.GetImageData() is None:
            self._obstacle = _("The volume holds no image yet; load one.")
        else:
            self._compare(volume, bundle, told)
        if self.bundles.names() and self.bundles.complaints:
            self._notice.show("\n".join(filter(None, [self._notice.text, *self.bundles.complaints])), "warning")

    def _compare(self, volume, bundle, told: list[str]) -> None:
        self._image, self._obstacle, more = judge(volume, bundle)
        if self._obstacle or told or more:
            self._notice.show(self._obstacle or "\n".join([*told, *more]), "warning")

    def _suggest(self, volume) -> None:
        """Choose the bundle that suits the volume best, as long as the person has chosen none."""
        if self._parameters.text("bundle") or volume is None or volume.GetImageData() is None:
            return

        def oddness(name: str) -> tuple[bool, int]:
            _image, obstacle, told = judge(volume, self.bundles.get(name))
            return bool(obstacle), len(told)

        with silent(self._ui.bundleCombo):  # it is no choice of the person's, and is not kept
            choose(self._ui.bundleCombo, min(self.bundles.names(), key=oddness, default=""))
        self._describe_bundle()

    def _fill_bundles(self, wanted: str) -> None:
        combo = self._ui.bundleCombo
        names = self.bundles.names()
        cards = {name: self.bundles.get(name).card for name in names}
        fill(combo, [(f"{c.title} ({c.dimension}D)", name) for name, c in cards.items()] or [(_("No bundle"), "")])
        for place, (name, card) in enumerate(cards.items()):
            combo.setItemData(place, f"{name} {card.version}: {card.description}", qt.Qt.ToolTipRole)
        choose(combo, wanted)
        self._ui.bundleInfoButton.setEnabled(bool(names))
        self._after_bundle()

    def _make_menu(self) -> None:
        self._menu = qt.QMenu(self._ui.bundleMenuButton)
        self.import_archive = self._menu.addAction(_("Import a bundle from an archive…"))
        self.import_folder = self._menu.addAction(_("Import a bundle from a folder…"))
        self.remove_action = self._menu.addAction(_("Remove this bundle…"))
        self.import_archive.triggered.connect(self._on_import_archive)
        self.import_folder.triggered.connect(self._on_import_folder)
        self.remove_action.triggered.connect(self._on_remove)
        self._ui.bundleMenuButton.setMenu(self._menu)
        self._ui.bundleMenuButton.setPopupMode(qt.QToolButton.InstantPopup)

    def _on_volume(self, *_arguments) -> None:
        self._parameters.set_node("volume", self.volume)
        self.look()
        self.changed.emit()

    def _on_bundle(self, *_arguments) -> None:
        self._parameters.set_text("bundle", self.bundle.name if self.bundle is not None else "")
        self._after_bundle()
        self.changed.emit()

    def _after_bundle(self) -> None:
        self._describe_bundle()
        self._looked_at = ()
        self.look()

    def _describe_bundle(self) -> None:
        name = self.bundle.name if self.bundle is not None else ""
        tip = f"{self.bundle.card.title}\n{self.bundle.card.description}" if name else ""
        self._ui.bundleCombo.setToolTip(tip or _("Import a bundle with 'More'."))
        self.remove_action.setEnabled(bool(name) and not self.bundles.is_shipped(name))

    def _on_device(self, *_arguments) -> None:
        self._parameters.set_text("device", self.device)
        self.changed.emit()

    def _on_card(self, *_arguments) -> None:
        if self.bundle is not None:
            card = self.bundle.card
            self._dialogs.show_page(str(card.title), card_page(card, reliability_section(self.bundle)))

    def _on_import_archive(self, *_arguments) -> None:
        self._take_in(self._dialogs.open_file(_("Import a bundle"), _("Bundles (*.zip *.tar.gz *.tgz);;All files (*)")))

    def _on_import_folder(self, *_arguments) -> None:
        self._take_in(self._dialogs.open_folder(_("Import a bundle")))

    def _take_in(self, path: str | None) -> None:
        if not path:
            return
        from LandmarkDetectorLib.core import LandmarkDetectorError

        try:
            name = self.bundles.take_in(path)
        except LandmarkDetectorError as error:
            self._notice.show(str(error), "error")
            return
        self._fill_bundles(name)
        self._on_bundle()

    def _on_remove(self, *_arguments) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError

        name = self.bundle.name
        question = _("Remove the bundle {name} from this computer?").format(name=name)
        if self._dialogs.ask(_("Remove a bundle"), question, [("remove", _("Remove"))]) != "remove":
            return
        try:
            self.bundles.remove(name)
        except LandmarkDetectorError as error:
            self._notice.show(str(error), "error")
            return
        self._fill_bundles("")
        self._on_bundle()


def _in_pixels(volume) -> list[str]:
    """Let a picture that came with its size for printing count pixels, if no point lies on it; what to say of it."""
    from LandmarkDetector.Scene.printed import bears_points, count_pixels, is_printed

    if volume is None or volume.GetImageData() is None or not is_printed(volume) or bears_points(volume):
        return []
    size = volume.GetSpacing()[0]
    count_pixels(volume)
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    words = _(
        "{name}: its voxel size of {size} mm was for printing, and is now 1 for each pixel. Where lengths matter, "
        "enter the true size under Image Spacing in Volumes > Volume Information."
    )
    return [words.format(name=volume.GetName(), size=f"{size:.4g}")]


def _age(volume) -> tuple[int, ...]:
    """What changes when the volume or its voxels do."""
    if volume is None:
        return ()
    data = volume.GetImageData()
    return (volume.GetMTime(), data.GetMTime() if data is not None else 0)

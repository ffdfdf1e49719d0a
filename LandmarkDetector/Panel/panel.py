"""The panel: joins the views with the worker and the scene. What each part does is in its own file.

Who wants to know what becomes of a click on "Detect" reads :mod:`LandmarkDetector.Panel.detecting`.
"""

from __future__ import annotations

from typing import Any

from LandmarkDetector.Panel.annotating import Annotating
from LandmarkDetector.Panel.batch_open import BatchReviews
from LandmarkDetector.Panel.batch_run import BatchRun
from LandmarkDetector.Panel.batch_view import BatchView
from LandmarkDetector.Panel.bundle_list import BundleList
from LandmarkDetector.Panel.cases_open import open_case
from LandmarkDetector.Panel.cases_view import CasesView
from LandmarkDetector.Panel.detect_view import DetectView
from LandmarkDetector.Panel.detecting import Detecting
from LandmarkDetector.Panel.detection import DetectionRun
from LandmarkDetector.Panel.dialogs import Dialogs
from LandmarkDetector.Panel.export_view import ExportView
from LandmarkDetector.Panel.halo_view import HaloView
from LandmarkDetector.Panel.input_view import InputView
from LandmarkDetector.Panel.measure_view import MeasureView
from LandmarkDetector.Panel.parameters import Parameters
from LandmarkDetector.Panel.place_mode import PlaceMode
from LandmarkDetector.Panel.placing import Placing
from LandmarkDetector.Panel.placing_all import PlacingAll
from LandmarkDetector.Panel.recording import Recording
from LandmarkDetector.Panel.retrain_view import RetrainView
from LandmarkDetector.Panel.review_view import ReviewView
from LandmarkDetector.Panel.set_view import SetView
from LandmarkDetector.Panel.texts import _
from LandmarkDetector.Panel.training_process import TrainingProcess
from LandmarkDetector.Panel.training_run import TrainingRun
from LandmarkDetector.Panel.versions_view import VersionsView
from LandmarkDetector.Panel.volume_view import VolumeView
from LandmarkDetector.Panel.worker_process import WorkerProcess


class Panel:
    """All of the panel.

    Args:
        root: the widget of the .ui file.
        ui: its widgets by name.
        scene: the MRML scene.
        trainer: what trains.
        requirements: which packages are missing, and how they are installed; ``None`` where nothing can be missing.
    """

    def __init__(self, root, ui, scene, *, trainer=None, requirements=None) -> None:
        from LandmarkDetector.Scene import export, history

        self.root, self.ui, self.scene = root, ui, scene
        self._requirements = requirements
        self._closing = self._begun = False
        root.setMRMLScene(scene)
        self.dialogs, self.parameters, self.history = Dialogs(root), Parameters(scene), history.History(scene)
        shared = self.parameters, self.dialogs
        # What is looked at, and what is found in it.
        self.worker = WorkerProcess()
        self.input = InputView(ui, scene, *shared, BundleList())
        self.volumes = VolumeView(scene, self._adopt_volume)
        self.place_mode = PlaceMode(scene)
        self.placing, self.placing_all = Placing(self.place_mode), PlacingAll(self.place_mode)
        self.review = ReviewView(
            ui, scene, self.parameters, self.history, self.placing, self._review_of, self._show_point
        )
        self.halo = HaloView(ui)
        self.detect, self.run = DetectView(ui), DetectionRun(self.worker)
        self.detecting = Detecting(
            scene, self.dialogs, self.detect, self.run, self.input, self.review, self.volumes, self.place_mode
        )
        # What becomes of it.
        self.recording = Recording(lambda number: self.cases.may_adopt(number))
        card_of, observer_of = self.input.bundles.card_of, self.recording.observer_of
        self.measure = MeasureView(ui, scene, *shared, self.review.go_to, card_of, observer_of)
        self.export = ExportView(ui, *shared, export.export)
        # Many images.
        self.batch_run = BatchRun(self.worker)
        self.batch = BatchView(ui, *shared, self.batch_run, self._batch_order)
        self._from_batch = BatchReviews(scene)
        self.cases = CasesView(ui, *shared, self.recording, self._open_case)
        # Bundles that are made here.
        self.training = TrainingRun(trainer or TrainingProcess())
        self.retrain = RetrainView(ui, self.dialogs, self.training, self.recording, self._bundle_and_device)
        self.versions = VersionsView(ui, lambda: self.recording.observer)
        annotating = Annotating(scene, lambda: self.input.volume, self.review, self.placing_all)
        self.sets = SetView(ui, self.dialogs, self.training, annotating, self._who_and_device)
        self._connect()
        self._begin()

    # --- what the host tells

    def enter(self) -> None:
        """The person comes: have the detector warm before the first click."""
        if self._begun:
            self._adopt_volume()
            self._warm()

    def exit(self) -> None:
        """The person goes."""
        self.place_mode.cancel()

    def close(self) -> None:
        """The panel is not needed any more: end the worker, let go of the scene."""
        self._closing = True
        for selector in (self.ui.volumeSelector, self.ui.resultSelector, self.ui.compareSelector):
            selector.blockSignals(True)  # after a reload Slicer keeps it, hidden; it would choose for the panel of now
            selector.setMRMLScene(None)
        self.detecting.stop()
        self.batch_run.stop()
        self.worker.close()
        self.training.close()
        self._release()
        self.volumes.release()
        self.cases.release()

    def scene_closes(self) -> None:
        """The scene is about to be emptied: end the detection, let go of its nodes."""
        self._closing = True
        self.detecting.stop()
        self._release()

    def scene_closed(self) -> None:
        """The scene is empty."""
        self._closing = False
        self.detect.message.clear()
        self._restore()

    def scene_opened(self) -> None:
        """A scene was read: show what it keeps."""
        self._restore()

    # --- beginning

    def _begin(self, *_arguments) -> None:
        """Begin, where all packages are there; else say which are missing."""
        missing = self._requirements.missing() if self._requirements is not None else []
        self.ui.packagesFrame.setVisible(bool(missing))
        for name in ("input", "detect", "review", "measure", "export", "batch", "cases", "set"):
            getattr(self.ui, f"{name}Section").setEnabled(not missing)
        if missing:
            text = _("These Python packages are needed first: {packages}.")
            self.ui.packagesLabel.setText(text.format(packages=", ".join(missing)))
            return
        self._begun = True
        self.input.read_bundles()
        self.cases.begin()
        self._restore()

    def _on_install(self, *_arguments) -> None:
        try:
            self._requirements.ensure()
        except RuntimeError as error:  # refused, or the network or Slicer itself did not serve
            self.ui.packagesLabel.setText(str(error))
            return
        self._begin()

    # --- what the views tell

    def _connect(self) -> None:
        self.ui.installButton.clicked.connect(self._on_install)
        self.input.changed.connect(self._on_input)
        self.detecting.changed.connect(self._show_ready)
        self.worker.ready.connect(self.input.show_devices)
        self.review.chosen.connect(self._on_result)
        self.review.changed.connect(self._on_reviewed)
        self.review.table.chosen.connect(self.recording.looked_at)
        self.batch.changed.connect(self._show_ready)
        self.batch.opened.connect(self._on_open)
        self.cases.changed.connect(self.retrain.show)
        for made in (self.retrain.promoted, self.versions.returned, self.sets.trained):
            made.connect(self._offer)

    def _show_ready(self, *_arguments) -> None:
        """Say what can be done now."""
        running = self.run.running
        self.input.set_enabled(not running)
        self.ui.resultSelector.setEnabled(not running)
        if running:
            self.batch.show_ready(_("A detection is running."))
        elif self.batch_run.running:
            self.detect.show_ready(_("A batch is running."))
        else:
            self.detect.show_ready(self.input.obstacle, self.input.told)
            self.batch.show_ready("" if self.input.bundle is not None else _("Choose a bundle."))

    def _on_input(self, *_arguments) -> None:
        from LandmarkDetector.Scene.result import volume_of

        self.volumes.show(self.input.volume)
        volume = None if self.review.node is None else volume_of(self.review.node)
        if self.input.volume is None:  # it may have been removed, and the landmarks lie in nothing any more
            self.review.deselect("")
        elif volume is not None and volume is not self.input.volume:
            self.review.deselect(volume.GetName())
        self.halo.show(self.review.review)
        self.measure.refresh()
        self.versions.show(self.input.bundle)
        self.retrain.show()
        self._show_ready()
        self._warm()

    def _warm(self) -> None:
        if self.input.bundle is not None and not self._busy and not self._closing:
            self.worker.warm(self.input.bundle.name, self.input.device)

    @property
    def _busy(self) -> bool:
        return self.run.running or self.batch_run.running

    # --- the batch

    def _batch_order(self) -> tuple[str, str, str]:
        return self.input.bundle.name, self.input.device, self.export.system

    def _on_open(self, source, files) -> None:
        from LandmarkDetectorLib.core import LandmarkDetectorError
        from LandmarkDetectorLib.io.notices import gathered

        try:
            with gathered() as notices:
                volume, node = self._from_batch.open(source, files)
        except LandmarkDetectorError as error:
            self.batch.message.show(str(error), "error")
            return
        if notices:
            self.batch.message.show("\n".join(notices), "warning")
        self._go_on_with(volume, node)

    def _go_on_with(self, volume, node) -> None:
        self.input.choose_volume(volume)
        self.review.choose_node(node)
        self.review.begin()

    # --- the cases

    def _open_case(self, store, case: str, observer: str) -> str:
        """Open a case of a review store; what went wrong, or nothing."""
        from LandmarkDetector.Scene.result import volume_of
        from LandmarkDetectorLib.core import LandmarkDetectorError

        if self._busy:
            return _("A detection is running; open the case when it is through.")
        here = volume_of(self.review.node) if case == self.recording.case else None
        try:
            self._go_on_with(*open_case(self.scene, store, case, observer, here))
        except LandmarkDetectorError as error:
            return str(error)
        return ""

    # --- bundles that are made here

    def _bundle_and_device(self) -> tuple[Any, str]:
        return self.input.bundle, self.input.device

    def _who_and_device(self) -> tuple[str, str]:
        return self.recording.observer, self.input.device

    def _offer(self, name: str) -> None:
        """Another bundle is in use under a name: offer it, and choose it unless a detection runs."""
        self.input.read_bundles()
        if not self.run.running:
            self.input.choose_bundle(name)

    # --- the scene

    def _adopt_volume(self, node_id: str = "") -> None:
        """Choose a volume for the person: one that was opened and is shown, or any where nothing was chosen.

        What is looked at must be what the person sees; what other modules make and do not show is left alone.
        """
        if self._closing or not self._begun or self.run.running:
            return
        node = self.scene.GetNodeByID(node_id) if node_id else None
        if node is not None and self.volumes.shown == node_id:
            self.input.choose_volume(node)
        elif self.input.volume is None:
            self.input.choose_volume(self.volumes.any(node))
        self.input.look()
        self._show_ready()

    def _restore(self) -> None:
        if not self._begun:
            return
        for section in (self.input, self.review, self.export, self.batch, self.measure, self.cases):
            section.restore()
        self.review.choose_node(self.parameters.node("result"))
        self._adopt_volume()

    def _release(self) -> None:
        self.review.release()
        self.halo.drop()
        self.place_mode.cancel()
        self.measure.release()

    # --- the result

    def _on_result(self, node) -> None:
        """The person chose a result: its volume comes with it."""
        from LandmarkDetector.Scene.result import volume_of

        volume = volume_of(node) if node is not None else None
        if volume is not None and not self._closing:
            self.input.choose_volume(volume)
            self.volumes.show(volume)
        self.halo.show(self.review.review)

    def _on_reviewed(self, *_arguments) -> None:
        self.export.show(self.review.node, self.review.left, self.review.total)
        self.measure.set_node(self.review.node)
        self.recording.follow(self.review.node, self.review.review)
        self.halo.show(self.review.review)

    def _review_of(self, node) -> Any:
        from LandmarkDetector.Scene.annotation import review_with_words
        from LandmarkDetector.Scene.result import bundle_of

        bundle = self.input.bundles.get(bundle_of(node))
        return review_with_words(node, None if bundle is None else bundle.card)

    def _show_point(self, node, index: int, turn: bool = True) -> None:
        """Bring all views to a control point of the volume that it lies in, and light it up; ``turn`` the cameras."""
        from LandmarkDetector.Scene.focus import jump_to, light_up
        from LandmarkDetector.Scene.result import volume_of

        if self.review.review is not None and self.review.review.interacting:
            return  # the markups widget drags the one that is lit
        if volume_of(node) is not None and not self.run.running:
            self.input.choose_volume(volume_of(node))
        jump_to(node, index, turn=turn)
        light_up(node, index)

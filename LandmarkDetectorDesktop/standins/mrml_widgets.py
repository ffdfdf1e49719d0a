"""Stand-ins for Slicer's widgets that know the scene."""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from qtpy.QtCore import Property, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QInputDialog, QWidget

from LandmarkDetector.Scene.observations import Observations


class qMRMLWidget(QWidget):
    """A widget that hands its scene on."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self._scene: Any = None

    def mrmlScene(self):
        """The scene, or None."""
        return self._scene

    def setMRMLScene(self, scene) -> None:
        """Set the scene."""
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


class qMRMLNodeComboBox(QWidget):
    """A box to choose a node of the scene in.

    It follows the scene: nodes that come, go or are renamed. Without ``noneEnabled`` the first node is chosen by
    itself, and another one when the chosen one goes.
    """

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)

    _NODE, _NONE, _CREATE, _RENAME, _REMOVE = "node", "none", "create", "rename", "remove"

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self._scene: Any = None
        self._observations = Observations()
        self._names = Observations()
        self._node: Any = None
        self._types: list[str] = []
        self._base_name = ""
        self._none_text = "None"
        self._flags = dict.fromkeys(("none", "remove", "rename"), False)
        self._flags.update(add=True, children=True)
        self._box = QComboBox(self)
        self._box.setObjectName("qt_box")
        self._box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._box.setMinimumContentsLength(12)
        self._box.activated.connect(self._on_activated)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        self.setFocusProxy(self._box)
        observations, names = self._observations, self._names
        self.destroyed.connect(lambda *_: observations.release())
        self.destroyed.connect(lambda *_: names.release())
        self._fill()

    # --- the scene

    def mrmlScene(self):
        """The scene, or None."""
        return self._scene

    def setMRMLScene(self, scene) -> None:
        """Show the nodes of this scene."""
        self._observations.release()
        self._scene = scene
        if scene is not None:
            events = slicer.vtkMRMLScene
            self._observations.add(scene, events.NodeAddedEvent, self._on_added, vtk.VTK_OBJECT)
            self._observations.add(scene, events.NodeRemovedEvent, self._on_removed, vtk.VTK_OBJECT)
            for event in (
                events.EndBatchProcessEvent,
                events.EndCloseEvent,
                events.EndImportEvent,
                events.EndRestoreEvent,
                events.EndUndoEvent,
                events.EndRedoEvent,
            ):
                self._observations.add(scene, event, self._on_scene)
        self._refresh()

    def _on_scene(self, *_) -> None:
        self._refresh()

    def _on_added(self, _scene, _event, node) -> None:
        if not self._fits(node):
            return
        if self._scene.IsBatchProcessing():
            return  # the end of the batch brings all of them
        self._refresh()

    def _on_removed(self, _scene, _event, node) -> None:
        if node is self._node or self._fits(node):
            self._refresh()

    def _fits(self, node) -> bool:
        if node is None or node.GetHideFromEditors():
            return False
        if self._flags["children"]:
            return any(node.IsA(kind) for kind in self._types)
        return node.GetClassName() in self._types

    def nodes(self) -> list:
        """The nodes that may be chosen, in the scene's order."""
        if self._scene is None:
            return []
        every = (self._scene.GetNthNode(index) for index in range(self._scene.GetNumberOfNodes()))
        return [node for node in every if self._fits(node)]

    def nodeCount(self) -> int:
        """How many nodes may be chosen."""
        return len(self.nodes())

    # --- the choice

    def currentNode(self):
        """The chosen node, or None."""
        return self._node

    def setCurrentNode(self, node) -> None:
        """Choose a node, or None."""
        if isinstance(node, str):
            node = self._scene.GetNodeByID(node) if self._scene is not None and node else None
        self._choose(node if self._fits(node) else None)
        self._fill()

    def setCurrentNodeID(self, node_id: str) -> None:
        """Choose a node by its id."""
        self.setCurrentNode(str(node_id))

    def _get_id(self) -> str:
        return "" if self._node is None else self._node.GetID() or ""

    def _choose(self, node) -> None:
        if node is self._node:
            return
        self._node = node
        self.currentNodeChanged.emit(node)
        self.currentNodeIDChanged.emit(self._get_id())

    def _refresh(self) -> None:
        nodes = self.nodes()
        node = self._node
        if node is None or not any(node is other for other in nodes):
            # an undo puts another object of the same id in the scene
            same = self._scene.GetNodeByID(node.GetID()) if node is not None and self._scene and node.GetID() else None
            node = same if self._fits(same) else None
        if node is None and nodes and not self._flags["none"]:
            node = nodes[0]
        self._choose(node)
        self._fill(nodes)

    def _fill(self, nodes: list | None = None) -> None:
        """Show the nodes and the actions; says nothing to anybody."""
        nodes = self.nodes() if nodes is None else nodes
        self._names.release()
        before = self._box.blockSignals(True)
        self._box.clear()
        if self._flags["none"]:
            self._box.addItem(self._none_text, (self._NONE, ""))
        for node in nodes:
            self._box.addItem(node.GetName() or node.GetID(), (self._NODE, node.GetID()))
            self._names.add(node, vtk.vtkCommand.ModifiedEvent, self._on_named)
        choices = self._box.count()
        for flag, action, text in (
            ("add", self._CREATE, "Create new…"),
            ("rename", self._RENAME, "Rename…"),
            ("remove", self._REMOVE, "Delete"),
        ):
            if self._flags[flag] and (flag == "add" or self._node is not None):
                if self._box.count() == choices and choices:
                    self._box.insertSeparator(choices)
                self._box.addItem(text, (action, ""))
        self._show_current()
        self._box.blockSignals(before)

    def _show_current(self) -> None:
        wanted = (self._NONE, "") if self._node is None else (self._NODE, self._node.GetID())
        rows = [row for row in range(self._box.count()) if self._box.itemData(row) == wanted]
        self._box.setPlaceholderText(self._none_text if self._flags["none"] else "Select a node")
        self._box.setCurrentIndex(rows[0] if rows else -1)

    def _on_named(self, node, *_) -> None:
        for row in range(self._box.count()):
            if self._box.itemData(row) == (self._NODE, node.GetID()):
                if self._box.itemText(row) != node.GetName():
                    self._box.setItemText(row, node.GetName())
                return

    def _on_activated(self, row: int) -> None:
        action, node_id = self._box.itemData(row) or (self._NONE, "")
        if action == self._NODE:
            self.setCurrentNodeID(node_id)
        elif action == self._NONE:
            self.setCurrentNode(None)
        else:
            self._show_current()
            {self._CREATE: self.addNode, self._RENAME: self.renameCurrentNode, self._REMOVE: self.removeCurrentNode}[
                action
            ]()

    # --- what a person may do with the nodes

    def addNode(self):
        """Add a node of the first type, and choose it."""
        if self._scene is None or not self._types:
            return None
        kind = self._types[0]
        base = self._base_name or kind.removeprefix("vtkMRML").removesuffix("Node")
        node = self._scene.AddNewNodeByClass(kind, self._scene.GenerateUniqueName(base))
        self.setCurrentNode(node)
        return node

    def renameCurrentNode(self) -> None:
        """Ask for a name."""
        if self._node is not None:
            name, given = QInputDialog.getText(self, "Rename", "New name:", text=self._node.GetName())
            if given and name.strip():
                self._node.SetName(name.strip())

    def removeCurrentNode(self) -> None:
        """Take the chosen node out of the scene."""
        if self._node is not None:
            self._scene.RemoveNode(self._node)

    # --- properties

    def _get_types(self) -> list[str]:
        return self._types

    def setNodeTypes(self, types: list[str]) -> None:
        """The classes of the nodes to offer; their subclasses as well."""
        self._types = [str(kind) for kind in types]
        self._refresh()

    def _get_base_name(self) -> str:
        return self._base_name

    def setBaseName(self, name: str) -> None:
        """What a new node is called."""
        self._base_name = name

    def _get_none_text(self) -> str:
        return self._none_text

    def setNoneDisplay(self, text: str) -> None:
        """What stands for no node."""
        self._none_text = text
        self._fill()

    def _set(self, flag: str, value: bool) -> None:
        self._flags[flag] = bool(value)
        self._refresh()

    def setNoneEnabled(self, value: bool) -> None:
        """Whether "None" is offered."""
        self._set("none", value)

    def setAddEnabled(self, value: bool) -> None:
        """Whether a new node can be made."""
        self._set("add", value)

    def setRemoveEnabled(self, value: bool) -> None:
        """Whether the node can be deleted."""
        self._set("remove", value)

    def setRenameEnabled(self, value: bool) -> None:
        """Whether the node can be renamed."""
        self._set("rename", value)

    def setShowChildNodeTypes(self, value: bool) -> None:
        """Whether subclasses are offered."""
        self._set("children", value)

    nodeTypes = Property("QStringList", _get_types, setNodeTypes)  # type: ignore[arg-type]
    baseName = Property(str, _get_base_name, setBaseName)
    noneDisplay = Property(str, _get_none_text, setNoneDisplay)
    currentNodeID = Property(str, _get_id, setCurrentNodeID, notify=currentNodeIDChanged)
    noneEnabled = Property(bool, lambda self: self._flags["none"], setNoneEnabled)
    addEnabled = Property(bool, lambda self: self._flags["add"], setAddEnabled)
    removeEnabled = Property(bool, lambda self: self._flags["remove"], setRemoveEnabled)
    renameEnabled = Property(bool, lambda self: self._flags["rename"], setRenameEnabled)
    showChildNodeTypes = Property(bool, lambda self: self._flags["children"], setShowChildNodeTypes)


WIDGETS = (qMRMLWidget, qMRMLNodeComboBox)

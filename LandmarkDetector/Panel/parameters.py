"""What was chosen in the panel, kept in a node of the scene: a saved scene opens as it was left."""

from __future__ import annotations

MODULE = "LandmarkDetector"
_CLASS = "vtkMRMLScriptedModuleNode"


class Parameters:
    """The panel's choices.

    Args:
        scene: the scene that holds them; the node is made with the first choice.
    """

    def __init__(self, scene) -> None:
        self._scene = scene

    def text(self, name: str, default: str = "") -> str:
        """A choice that is a word."""
        node = self._node()
        value = node.GetParameter(name) if node is not None else ""
        return value or default

    def set_text(self, name: str, value: str) -> None:
        """Keep a word."""
        if self.text(name) != value:
            self._made().SetParameter(name, value)

    def node(self, role: str):
        """A node that was chosen, or ``None``."""
        node = self._node()
        return node.GetNodeReference(role) if node is not None else None

    def set_node(self, role: str, chosen) -> None:
        """Keep a node of the scene, or none."""
        chosen_id = chosen.GetID() if chosen is not None else None
        if (self._node() or chosen) is not None and self._made().GetNodeReferenceID(role) != chosen_id:
            self._made().SetNodeReferenceID(role, chosen_id)

    def _node(self):
        return self._scene.GetSingletonNode(MODULE, _CLASS)

    def _made(self):
        node = self._node()
        if node is None:
            node = self._scene.CreateNodeByClass(_CLASS)
            node.UnRegister(None)
            node.SetSingletonTag(MODULE)
            node.SetModuleName(MODULE)
            node.SetName(MODULE)
            node.SetHideFromEditors(True)
            node.SetUndoEnabled(False)
            node = self._scene.AddNode(node)
        return node

"""What a person does to a proposal: confirm, correct, say that it is absent, take that back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import slicer
import vtk

from .control_points import CHANGES, Frame, index_of, is_alive, keep_ids_apart, keys_of, place, position_of, to_world
from .history import History
from .observations import Observations
from .reconcile import hardened, reconciled
from .record import ATTRIBUTE, is_spoken, read_state, spoken_of, write_state
from .state import ABSENT, CONFIRMED, NOT_FOUND, REVIEWED, UNREVIEWED, Entry, State


@dataclass(frozen=True)
class Row:
    """One landmark, as a table shows it.

    Args:
        index: its control point.
        point_id: that one's id, which stays when others are removed.
        label: the control point's label.
        name: what the bundle's card calls it; the label where the card is not there.
        definition: where it lies, by the card; empty without.
        confidence: of the position that stands there, or ``None`` where nobody said, or a person placed it.
        status: one of :data:`.state.STATUSES`.
        proposed: whether a detector said anything of it; what a person added, or has to place, it did not.
        position: in the world, LPS, (3,), or ``None``.
    """

    index: int
    point_id: str
    label: str
    name: str
    definition: str
    confidence: float | None
    status: str
    proposed: bool
    position: tuple[float, ...] | None


class Review:
    """The review of one result node.

    All that is said is kept in the node, see :mod:`.record`. Every action is one step of undo; a drag is one as well,
    which the markups widget saves by itself. Drags and placings are noticed here, wherever they are done; landmarks
    that others move, rename, add or remove are taken as they are found. A node that is removed from the scene, or a
    scene that is closed, leaves an empty review.

    Args:
        node: the ``vtkMRMLMarkupsFiducialNode``; a list that knows nothing of a review begins one.
        names: what the card calls landmarks, by label.
        definitions: where they lie, by label.

    Raises:
        LandmarkError: the node's record was damaged by others.
    """

    def __init__(
        self, node: Any, names: Mapping[str, str] | None = None, definitions: Mapping[str, str] | None = None
    ) -> None:
        self.node = node
        self.names = names or {}
        self.definitions = definitions or {}
        self.scene = node.GetScene()
        self.history = History(self.scene)
        self._callbacks: list[Callable[[], None]] = []
        self._known: tuple[str, State] | None = None
        self._busy = self._interacting = self._telling = False
        self._frame: Frame | None = None if node.GetParentTransformNode() is None else to_world(node)
        self._transform = node.GetTransformNodeID()
        node.SetUndoEnabled(True)
        if not node.GetAttribute(ATTRIBUTE):
            write_state(node, read_state(node))
        self.settled()
        self._observations = Observations()
        for name in CHANGES:
            self._observations.add(node, getattr(node, name), self._on_changed)
        for sender, event, slot in (
            (node, vtk.vtkCommand.ModifiedEvent, self._on_changed),
            (node, node.PointStartInteractionEvent, self._on_start),
            (node, node.PointEndInteractionEvent, self._on_end),
            (node, slicer.vtkMRMLTransformableNode.TransformModifiedEvent, self._on_transform),
            (self.scene, self.scene.EndUndoEvent, self._on_undone),
            (self.scene, self.scene.EndRedoEvent, self._on_undone),
        ):
            self._observations.add(sender, event, slot)

    # -- what is there --------------------------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether the node is still in the scene."""
        return is_alive(self.node, self.scene)

    def rows(self) -> list[Row]:
        """One row a landmark, those first that a person should look at first.

        Unreviewed ones come before reviewed ones, since only they need work. Among them those that were not found come
        first, as they ask for a hand and not for a glance; then the others from low confidence to high, and those of
        which nobody knows a confidence before all that have one. What is equal keeps the order of the bundle.
        """
        if not self.alive:
            return []
        state = self.settled()
        keys = keys_of(self.node)
        places = [position_of(self.node, i) for i in range(len(keys))]
        world, _ = to_world(self.node)(np.array([at or (0.0, 0.0, 0.0) for at in places]).reshape(-1, 3))
        rows = []
        for index, (key, label) in enumerate(keys):
            entry = state.points.get(key)
            if entry is None:  # it hangs on the mouse and is not placed yet
                continue
            position = None if places[index] is None else tuple(world[index].tolist())
            believed = entry.believed
            rows.append(
                Row(
                    index,
                    key,
                    label,
                    self.names.get(label, label),
                    self.definitions.get(label, ""),
                    None if believed is None else believed.confidence,
                    entry.status,
                    entry.proposal is not None,
                    position,
                )
            )
        return sorted(rows, key=_look_here_first)

    @property
    def interacting(self) -> bool:
        """Whether a person is dragging one of the landmarks."""
        return self._interacting

    def has_reviewed(self) -> bool:
        """Whether a person has reviewed, added or renamed any landmark."""
        return self.alive and any(entry.touched for entry in self.settled().points.values())

    # -- what a person does ---------------------------------------------------------------------------------------

    def confirm(self, ids: Iterable[str]) -> int:
        """The proposals are right. Those without a position, and those that a person has placed, stay as they are.

        Args:
            ids: of control points, as in all of these methods; unknown ones are passed over.

        Returns:
            How many landmarks changed.
        """
        return self._act(ids, lambda e: replace(e, status=CONFIRMED) if e.status == UNREVIEWED else e)

    def mark_absent(self, ids: Iterable[str]) -> int:
        """The landmarks are not in the image: their positions go. Returns how many changed."""
        return self._act(ids, lambda e: replace(e, status=ABSENT, at=None))

    def reset(self, ids: Iterable[str]) -> int:
        """Back to the proposals, unreviewed. One that a person added has none and stays. Returns how many changed."""
        return self._act(
            ids,
            lambda e: e if e.proposal is None else replace(e, status=e.proposal.status, at=e.proposal.position),
        )

    def begin_placing(self, point_id: str) -> bool:
        """Make a landmark that has no position the one that the next click in place mode fills; whether it can be."""
        index = index_of(self.node, point_id) if self.alive else -1
        if index < 0 or position_of(self.node, index) is not None:
            return False
        self.end_placing()
        with self._quietly():
            self.node.UnsetNthControlPointPosition(index)
            self.node.SetControlPointPlacementStartIndex(index)
        return True

    def end_placing(self) -> None:
        """Landmarks that were to be placed and were not are missing again; those of a list to place still wait."""
        if not self.alive:
            return
        waits = self.node.GetFixedNumberOfControlPoints()
        with self._quietly():
            for key, entry in self.state.points.items():
                index = index_of(self.node, key) if entry.at is None else -1
                if index < 0 or position_of(self.node, index) is not None:
                    continue
                if waits and entry.proposal is None and entry.status == NOT_FOUND:
                    self.node.UnsetNthControlPointPosition(index)
                else:
                    place(self.node, index, None)

    # -- who listens ----------------------------------------------------------------------------------------------

    def observe(self, callback: Callable[[], None]) -> None:
        """Have something called, without arguments, whenever :meth:`rows` may have changed."""
        self._callbacks.append(callback)

    def release(self) -> None:
        """Stop looking at the node; the review is of no use afterwards."""
        self._observations.release()
        self._callbacks.clear()

    # -- how it is done -------------------------------------------------------------------------------------------

    def _act(self, ids: Iterable[str], change: Callable[[Entry], Entry]) -> int:
        if not self.alive:
            return 0
        self._interacting = False  # a view that was closed in mid-drag never says that the drag is over
        state = self.settled()
        changed = {}
        for key in dict.fromkeys(ids):
            entry = state.points.get(key)
            if entry is not None and (new := change(entry)) != entry:
                changed[key] = new
        if not changed:
            return 0
        self.history.step()
        places = {key: index for index, (key, _) in enumerate(keys_of(self.node))}
        with self._quietly():
            for key, entry in changed.items():
                place(self.node, places[key], entry.at)
            self._write({**state.points, **changed}, state)
        self._tell()
        return len(changed)

    @property
    def state(self) -> State:
        """The node's own record, which a drag that goes on has not reached yet; read again only when it has changed."""
        text = self.node.GetAttribute(ATTRIBUTE) or ""
        if self._known is None or self._known[0] != text:
            self._known = (text, read_state(self.node))
        return self._known[1]

    def settled(self) -> State:
        """The state, brought up to what the control points say now.

        It is written down only where nobody is in the middle of something: hardening a transform, for one, moves the
        points first and lets go of the transform afterwards.
        """
        state = self.state
        if self._interacting or self._busy:
            return state
        now = reconciled(self.node, self._hardened(state))
        if now is state or self._telling:
            return now
        with self._quietly():
            self._write(now.points, state)
        if self.node.GetParentTransformNode() is None:
            self._frame = None
        return now

    def _hardened(self, state: State) -> State:
        """The state in world coordinates, where all landmarks have been hardened out of their transform."""
        if self._frame is None or self.node.GetParentTransformNode() is not None:
            return state
        return hardened(self.node, state, self._frame)

    def _write(self, points: dict[str, Entry], before: State) -> None:
        for index, (key, _) in enumerate(keys_of(self.node)):
            entry, earlier = points.get(key), before.points.get(key)
            if entry is earlier or (entry is not None and earlier is not None and entry.believed is earlier.believed):
                continue
            if is_spoken(self.node.GetNthControlPointDescription(index) or "", earlier, before):
                self.node.SetNthControlPointDescription(index, spoken_of(entry, before))
        state = before.with_points(points)
        self._known = (write_state(self.node, state), state)

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Events that we cause ourselves are folded into one and not answered."""
        was, self._busy = self._busy, True
        folded = self.node.StartModify()
        try:
            yield
        finally:
            self.node.EndModify(folded)
            self._busy = was

    def _tell(self) -> None:
        for callback in list(self._callbacks):
            callback()

    @property
    def _deaf(self) -> bool:
        return self._busy or self._interacting or self.scene.IsUndoing() or self.scene.IsRedoing()

    def _on_changed(self, *_: Any) -> None:
        if self._deaf or self._telling:
            return
        self._telling = True
        try:
            self._tell()
        finally:
            self._telling = False

    def _on_transform(self, *_: Any) -> None:
        if self.node.GetTransformNodeID() != self._transform and not self._deaf:
            self.history.forget()  # a step back would take the landmarks out of it again, and leave the volume there
        self._transform = self.node.GetTransformNodeID()
        if self.node.GetParentTransformNode() is not None:
            self._frame = to_world(self.node)
        elif self._frame is not None and not self._deaf:
            self.settled()  # if this was hardening, it is over now
        self._on_changed()

    def _on_start(self, *_: Any) -> None:
        self._interacting = True

    def _on_end(self, *_: Any) -> None:
        self._interacting = False
        if self._busy or not self.alive:
            return
        before = self.state
        if self.settled() is not before:
            self._tell()

    def _on_undone(self, *_: Any) -> None:
        if not self.alive:
            return
        with self._quietly():
            keep_ids_apart(self.node)
        if self.node.GetParentTransformNode() is None:
            self._frame = None
        # What undo makes of a click that placed something is a point that hangs on the mouse again.
        self.end_placing()
        if not self._in_place_mode():
            with self._quietly():
                known = self.state.points
                for key in [key for key, _ in keys_of(self.node) if key not in known]:
                    index = index_of(self.node, key)
                    if self.node.GetNthControlPointPositionStatus(index) == self.node.PositionPreview:
                        self.node.RemoveNthControlPoint(index)
        self._tell()

    def _in_place_mode(self) -> bool:
        interaction = self.scene.GetNodeByID("vtkMRMLInteractionNodeSingleton")
        return interaction is not None and interaction.GetCurrentInteractionMode() == interaction.Place


def _look_here_first(row: Row) -> tuple[bool, bool, float, int]:
    reviewed = row.status in REVIEWED
    confidence = -1.0 if row.confidence is None else row.confidence
    return reviewed, not reviewed and row.status != NOT_FOUND, 0.0 if reviewed else confidence, row.index

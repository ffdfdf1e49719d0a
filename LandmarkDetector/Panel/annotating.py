"""Between a landmark set and the scene: a list to place on the chosen image, and what was placed, for the set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from LandmarkDetector.Panel.file_names import file_name


@dataclass(frozen=True, eq=False)
class Annotated:
    """What a person placed on an image.

    Args:
        name: under which a set keeps it.
        image: the library's ``Image``.
        landmarks: the ``LandmarkSet``, in the image's own coordinates.
        left: landmarks that nobody has looked at yet.
    """

    name: str
    image: Any
    landmarks: Any
    left: tuple[str, ...]


class Annotating:
    """Makes lists to place, and reads what was placed.

    Args:
        scene: the MRML scene.
        volume: the volume that is chosen.
        review: the review view.
        placing: a :class:`~LandmarkDetector.Panel.placing_all.PlacingAll`.
    """

    def __init__(self, scene, volume: Callable[[], Any], review, placing) -> None:
        self._scene, self._volume, self._review, self.placing = scene, volume, review, placing

    def begin(self, known: Any) -> None:
        """Make the list of a ``LandmarkList`` on the chosen volume, and let clicks place it.

        A list of this set that is open and has landmarks left is gone on with.

        Raises:
            LandmarkDetectorError: no volume is chosen, or it holds no image.
        """
        from LandmarkDetector.Scene.annotation import is_list_to_place, list_to_place
        from LandmarkDetector.Scene.image_volume import image_for_store
        from LandmarkDetector.Scene.result import volume_of
        from LandmarkDetectorLib.core import ImageError

        volume, node = self._volume(), self._review.node
        if volume is None:
            raise ImageError("Choose a volume at the top of the panel, or load one.")
        mine = node is not None and is_list_to_place(node) and volume_of(node) is volume
        if not mine or {row.label for row in self._review.review.rows()} != set(known.labels):
            image, _file = image_for_store(volume)
            about = (known.name, known.labels, known.definitions, image.grid.unit, image.dimension)
            node = list_to_place(self._scene, volume, *about)
            self._review.choose_node(node)
            self._review.begin()
        self.placing.begin(node)

    def finished(self) -> Annotated:
        """What is placed in the open result or list.

        Raises:
            LandmarkDetectorError: none is open, its image is gone, or two landmarks have one label.
        """
        from LandmarkDetector.Scene.annotation import annotation_of
        from LandmarkDetector.Scene.image_volume import image_for_store
        from LandmarkDetector.Scene.result import volume_of
        from LandmarkDetectorLib.core import ImageError, LandmarkSet

        node, review = self._review.node, self._review.review
        if node is None or review is None:
            raise ImageError("Nothing is open: place landmarks, or detect them and review them, first.")
        volume = volume_of(node)
        if volume is None:
            raise ImageError("The image of these landmarks is not in the scene; open it and place them there.")
        self.placing.cancel()
        image, _file = image_for_store(volume)
        marks = annotation_of(node, review.settled())
        marks = LandmarkSet(marks.landmarks, image.grid.unit, marks.name)
        left = tuple(mark.label for mark in marks if mark.status == "undefined")
        if image.dimension == 2:
            marks = marks.to_plane()
        return Annotated(file_name(volume.GetName()), image, marks, left)

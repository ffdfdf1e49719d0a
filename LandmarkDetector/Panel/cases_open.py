"""A case of a review store, opened in the scene where its observer left it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import slicer


def open_case(scene, store: Any, case: str, observer: str, volume: Any = None) -> tuple[Any, Any]:
    """Load the image of a case and make a result of where an observer has left it.

    Args:
        scene: the MRML scene.
        store: the ``ReviewStore``.
        case: the case's id.
        observer: whose review is taken up; one who has not said anything begins with the newest proposal.
        volume: the node of the case's image, where that is in the scene already.

    Returns:
        The volume node and the result.

    Raises:
        LandmarkDetectorError: the image is gone or was changed, or the case is damaged.
    """
    from LandmarkDetector.Scene.case_result import result_of_case

    state = store.state(case, observer)
    proposals = store.case(case).proposals()
    volume = volume or _volume(scene, store, case)
    node = result_of_case(scene, volume, state, proposals)
    slicer.util.setSliceViewerLayers(background=volume, fit=True)
    return volume, node


def image_name(store: Any, case: str) -> str:
    """What a person knows the image of a case by: the name of its file, else the case's id."""
    from LandmarkDetectorLib.core import LandmarkDetectorError

    try:
        found = store.image_path(case)
    except LandmarkDetectorError:
        return case
    if found is None or Path(found[0]).parent.name == case:  # a copy in the store, which is called "image"
        return case
    return Path(found[0]).name


def _volume(scene, store: Any, case: str) -> Any:
    from LandmarkDetector.Scene.image_volume import volume_of_image

    image = store.image(case)
    return volume_of_image(scene, image, scene.GetUniqueNameByString(image_name(store, case).split(".")[0]))

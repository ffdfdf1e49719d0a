"""The bundles that the panel offers, and whether one of them suits an image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from LandmarkDetector.Panel.texts import _


class BundleList:
    """The shipped and imported bundles; read when first asked for and after every change."""

    def __init__(self) -> None:
        self._bundles: dict[str, Any] = {}
        self.complaints: list[str] = []

    def read(self) -> None:
        """Look which bundles are there; of those that cannot be loaded :attr:`complaints` says why."""
        from LandmarkDetectorLib.bundles import list_bundles
        from LandmarkDetectorLib.io.notices import gathered

        with gathered() as complaints:
            self._bundles = {bundle.name: bundle for bundle in list_bundles()}
        self.complaints = complaints

    def names(self) -> list[str]:
        """Names, the shipped ones first."""
        return list(self._bundles)

    def get(self, name: str) -> Any:
        """The bundle of that name, or ``None``."""
        return self._bundles.get(name)

    def card_of(self, source: Mapping[str, Any]) -> dict[str, Any] | None:
        """The card of the bundle that found landmarks, as a plain dict with its fingerprint, for reports.

        Args:
            source: bundle and fingerprint, as landmarks know them.

        Returns:
            ``None`` where that very bundle is not here.
        """
        bundle = self.get(str(source.get("bundle", "")))
        if bundle is None or bundle.fingerprint != source.get("fingerprint"):
            return None
        return {**bundle.card.model_dump(mode="json"), "fingerprint": bundle.fingerprint}

    def take_in(self, path: str) -> str:
        """Import a bundle from an archive or a folder and return its name.

        Raises:
            BundleError: it is not sound, or there is one of that name.
        """
        from LandmarkDetectorLib.bundles import import_bundle

        bundle = import_bundle(path)
        self.read()
        return str(bundle.name)

    def remove(self, name: str) -> None:
        """Remove an imported bundle.

        Raises:
            BundleError: it came with the software.
        """
        from LandmarkDetectorLib.bundles import remove_bundle

        remove_bundle(name)
        self.read()

    def is_shipped(self, name: str) -> bool:
        """Whether it came with the software and stays."""
        from LandmarkDetectorLib.bundles.store import SHIPPED

        bundle = self.get(name)
        return bundle is not None and SHIPPED in bundle.folder.parents


def judge(volume: Any, bundle: Any) -> tuple[Any, str, list[str]]:
    """Whether a bundle suits a volume node that holds voxels.

    Returns:
        The library's ``Image`` (``None`` where it cannot be looked at), why it cannot be (else empty), and what is to
        be said of it, one sentence each.
    """
    from LandmarkDetector.Scene.volume_image import image_of_volume
    from LandmarkDetectorLib.core import LandmarkDetectorError
    from LandmarkDetectorLib.io.notices import gathered

    try:
        with gathered() as told:
            image = image_of_volume(volume, bundle.card.channels)
    except LandmarkDetectorError as error:
        return None, str(error), []
    obstacle = why_not(image, bundle)
    if obstacle:
        return None, obstacle, []
    return image, "", told + unlike_training(image, bundle)


def why_not(image: Any, bundle: Any) -> str | None:
    """Why a bundle cannot look at an image at all, in one sentence; ``None`` when it can."""
    card = bundle.card
    dimension = 2 if image.grid.size[2:] == (1,) else image.dimension  # in a scene a picture is a volume of one slice
    if dimension != card.dimension:
        return _("{name} is {image}D and the bundle {bundle} is for {wanted}D images; choose another bundle.").format(
            name=image.name, image=dimension, bundle=bundle.name, wanted=card.dimension
        )
    if image.channels != card.channels:
        return _(
            "{name} has {image} channels and the bundle {bundle} wants {wanted}; choose another bundle or image."
        ).format(name=image.name, image=image.channels, bundle=bundle.name, wanted=card.channels)
    return None


def unlike_training(image: Any, bundle: Any) -> list[str]:
    """In which ways an image does not look like what the bundle was trained on, one sentence each."""
    from LandmarkDetectorLib.bundles.appearance import appearance_of, differences

    return list(differences(image, appearance_of(bundle.settings, bundle.name)))

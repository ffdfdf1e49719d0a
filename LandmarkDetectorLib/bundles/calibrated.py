"""A bundle with its calibration, and what becomes of a calibration when a bundle is written anew."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.bundles.bundle import CARD, METADATA, README, Bundle, read_bundle
from LandmarkDetectorLib.bundles.calibration import FILE, PICTURE, CalibrationSheet, calibration_bytes, worth
from LandmarkDetectorLib.bundles.card import Card, card_bytes, card_markdown
from LandmarkDetectorLib.bundles.metadata import make_metadata
from LandmarkDetectorLib.bundles.strict_json import to_bytes
from LandmarkDetectorLib.bundles.write import extend_bundle
from LandmarkDetectorLib.core.errors import BundleError, LandmarkDetectorWarning


def with_sheet(
    bundle: Bundle,
    folder: Path,
    sheet: CalibrationSheet | None,
    picture: bytes | None,
    *,
    change: Mapping[str, Any] | None = None,
    files: Mapping[str, Path | bytes] | None = None,
) -> Bundle:
    """Write a bundle once more with a calibration in the place of the one that it has; weights stay byte for byte.

    Args:
        bundle: to write again.
        folder: where, its own folder included.
        sheet: what was measured of this very bundle; the checksum of what detects is put in here.
        picture: the reliability diagram, PNG.
        change: fields of the card that change, such as its errors.
        files: further files.

    Raises:
        BundleError: the card is not valid, or the disk refuses; nothing is left behind.
    """
    new: dict[str, Path | bytes] = dict(files or {})
    before = bundle.any_calibration()
    # Figures of the calibration that goes would speak of the one that comes.
    gone = set(before.measured) if before is not None else set()
    figures: dict[str, Any] = {key: value for key, value in bundle.card.figures.items() if key not in gone}
    if sheet is not None:
        sheet = sheet.model_copy(update={"detector": bundle.detecting})
        new[FILE] = calibration_bytes(sheet)
        figures |= {key: value for key, value in sheet.measured.items() if value is not None}
    if sheet is not None and picture is not None:
        new[PICTURE] = picture
    card = Card.model_validate({**bundle.card.model_dump(), "figures": figures, **(change or {})})
    new[CARD] = card_bytes(card)
    new[README] = card_markdown(card, worth(sheet), PICTURE in new).encode("utf-8")
    new[METADATA] = to_bytes({**bundle.metadata, **make_metadata(card)}, METADATA)
    return extend_bundle(bundle, folder, new, without=(FILE, PICTURE), replace=True)


@dataclass(frozen=True, eq=False)
class Carried:
    """The calibration of a bundle that is about to be written over, so that it outlives that where it may.

    Args:
        bundle: its name.
        sheet: the calibration.
        picture: its reliability diagram, PNG.
        detecting: the weights and settings that it was made for.
    """

    bundle: str
    sheet: CalibrationSheet
    picture: bytes | None
    detecting: str

    @classmethod
    def of(cls, folder: Path) -> Carried | None:
        """That of the bundle in ``folder``; ``None`` where there is no sound bundle, or none that is calibrated."""
        try:
            bundle = read_bundle(folder)
            sheet = bundle.calibration()
        except BundleError:
            return None  # what is damaged or no bundle is for the writer to replace or to refuse
        return None if sheet is None else cls(bundle.name, sheet, bundle.reliability_diagram(), bundle.detecting)

    def over_to(self, bundle: Bundle) -> Bundle:
        """The bundle that was written, with this calibration where it detects by the same weights and settings.

        Where it does not, a :class:`LandmarkDetectorWarning` says that the calibration is gone.

        Raises:
            BundleError: the disk refuses.
        """
        if bundle.detecting == self.detecting:
            return with_sheet(bundle, bundle.folder, self.sheet, self.picture)
        warnings.warn(
            f"The calibration of the bundle {self.bundle} was made for the weights and settings that were there before "
            "and is gone with them; calibrate the new bundle.",
            LandmarkDetectorWarning,
            stacklevel=2,
        )
        return bundle

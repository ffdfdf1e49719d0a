"""A bundle on disk, read and verified."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib.bundles.calibration import FILE as CALIBRATION
from LandmarkDetectorLib.bundles.calibration import PICTURE, CalibrationSheet, parse_calibration
from LandmarkDetectorLib.bundles.card import Card, parse_card
from LandmarkDetectorLib.bundles.config import read_settings
from LandmarkDetectorLib.bundles.manifest import Manifest, read_listed, verify_manifest
from LandmarkDetectorLib.bundles.metadata import check_metadata
from LandmarkDetectorLib.bundles.staging import disk_errors
from LandmarkDetectorLib.bundles.strict_json import parse_object
from LandmarkDetectorLib.bundles.weights import SAFETENSORS, STATE_DICT, inspect_weights, load_weights
from LandmarkDetectorLib.core.errors import BundleError

if TYPE_CHECKING:
    from torch import Tensor

LICENCE = "LICENSE"
CARD = "configs/card.json"
METADATA = "configs/metadata.json"
CONFIG = "configs/inference.json"
README = "docs/README.md"
SAMPLES = "samples/"
SPLIT = "docs/split.json"
"""Subjects that trained it, that it held out, and which annotations may judge."""
REQUIRED = (LICENCE, CARD, METADATA, CONFIG, README)
IMAGE_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A verified bundle. Made by :func:`read_bundle`, ``load_bundle`` and ``write_bundle``, not by hand.

    Args:
        folder: where it lies.
        card: what it is for and how well it does.
        settings: the pipeline's numbers, plain JSON values; all that inference reads beside the weights.
        metadata: MONAI's ``metadata.json``.
        fingerprint: SHA-256 of the manifest's canonical content: the same for the same bytes, wherever they lie.
        manifest: the files with their sizes and SHA-256.
    """

    folder: Path
    card: Card
    settings: dict[str, Any]
    metadata: dict[str, Any] = field(repr=False)
    fingerprint: str
    manifest: Manifest = field(repr=False)

    @property
    def name(self) -> str:
        """The name by which it is found."""
        return self.card.name

    @property
    def version(self) -> str:
        """Major, minor and patch, as ``1.0.0``."""
        return self.card.version

    @property
    def labels(self) -> list[str]:
        """Labels of the landmarks, in the order of the output."""
        return self.card.labels

    def read(self, relative: str) -> bytes:
        """The bytes of one of its files, checked against the manifest as they are read.

        Raises:
            BundleError: the file is not listed, has changed since the bundle was loaded, or cannot be read.
        """
        with disk_errors(f"Reading {relative} of the bundle {self.name}"):
            return read_listed(self.folder, self.manifest, relative)

    def split(self) -> dict[str, Any]:
        """Who ``trained`` it and who was ``held_out``, as its training wrote it down; empty where nobody did.

        Raises:
            BundleError: as for :meth:`read`.
        """
        return (
            parse_object(self.read(SPLIT), f"{SPLIT} of the bundle {self.name}") if SPLIT in self.manifest.files else {}
        )

    def state_dict(self) -> dict[str, Tensor]:
        """The weights, on the CPU; imports torch.

        Raises:
            BundleError: the file has changed, or is anything but a plain state dict of finite, dense tensors.
        """
        relative = weights_file(self.manifest, self.folder.name)
        return load_weights(self.read(relative), relative)

    @property
    def detecting(self) -> str:
        """SHA-256 of what detects, the weights and the settings: all that a calibration depends on.

        Unlike the fingerprint it stays when a card, a sample or ONNX graphs are added.
        """
        parts = (weights_file(self.manifest, self.folder.name), CONFIG)
        return hashlib.sha256("\n".join(self.manifest.files[name].sha256 for name in parts).encode()).hexdigest()

    def calibration(self) -> CalibrationSheet | None:
        """What its confidences and regions are worth; ``None`` where nobody measured it of these weights and settings.

        Raises:
            BundleError: the file has changed since the bundle was loaded, or is not valid.
        """
        sheet = self.any_calibration()
        return None if sheet is None or sheet.detector != self.detecting else sheet

    def calibration_problem(self) -> str:
        """Why a calibration that is there does not count, in one sentence; empty where all is well.

        Raises:
            BundleError: as :meth:`calibration`.
        """
        sheet = self.any_calibration()
        if sheet is None or sheet.detector == self.detecting:
            return ""
        if sheet.detector is None:
            why = "does not say which weights it was made for"
        else:
            why = "was made for other weights or settings"
        return f"The calibration in the bundle {self.name} {why}, so it is not used; calibrate the bundle anew."

    def reliability_diagram(self) -> bytes | None:
        """The diagram of its calibration as PNG, where it has a calibration that counts, and a diagram.

        Raises:
            BundleError: as :meth:`calibration`.
        """
        return self.read(PICTURE) if PICTURE in self.manifest.files and self.calibration() is not None else None

    def any_calibration(self) -> CalibrationSheet | None:
        """The calibration that is there, also where it was made for other weights; nobody should detect by that.

        Raises:
            BundleError: as :meth:`calibration`.
        """
        if CALIBRATION not in self.manifest.files:
            return None
        return parse_calibration(self.read(CALIBRATION), self.labels, f"{self.folder.name}/{CALIBRATION}")

    def samples(self) -> list[Path]:
        """The sample images, none of which trained; their landmarks lie beside them."""
        names = [name for name in self.manifest.files if name.startswith(SAMPLES)]
        return [self.folder / name for name in names if name.lower().endswith(IMAGE_SUFFIXES)]


def read_bundle(folder: Path, *, hard_links: bool = False) -> Bundle:
    """The bundle in ``folder``, everything about it verified; imports no torch.

    Args:
        folder: the bundle's folder.
        hard_links: see :func:`~LandmarkDetectorLib.bundles.manifest.verify_manifest`.

    Raises:
        BundleError: a file is missing, extra or altered, a link, or too large; card, metadata or settings are not
            valid; or the weights are anything but a plain state dict.
    """
    where = folder.name
    with disk_errors(f"Reading the bundle {where}"):
        manifest = verify_manifest(folder, hard_links=hard_links)
        for relative in REQUIRED:
            if relative not in manifest.files:
                raise BundleError(f"{where}: the bundle has no {relative}; get it again.")
        card = parse_card(read_listed(folder, manifest, CARD), f"{where}/{CARD}")
        metadata = parse_object(read_listed(folder, manifest, METADATA), f"{where}/{METADATA}")
        check_metadata(metadata, card, f"{where}/{METADATA}")
        config = parse_object(read_listed(folder, manifest, CONFIG), f"{where}/{CONFIG}")
        settings = read_settings(config, f"{where}/{CONFIG}")
        if CALIBRATION in manifest.files:
            content = read_listed(folder, manifest, CALIBRATION)
            parse_calibration(content, card.labels, f"{where}/{CALIBRATION}")
        weights = weights_file(manifest, where)
        inspect_weights(read_listed(folder, manifest, weights), weights)
    return Bundle(folder, card, settings, metadata, manifest.fingerprint, manifest)


def weights_file(manifest: Manifest, where: str) -> str:
    """Path within the bundle of its one file of weights.

    Raises:
        BundleError: there is none, or there are two.
    """
    found = [name for name in (STATE_DICT, SAFETENSORS) if name in manifest.files]
    if len(found) != 1:
        raise BundleError(f"{where}: the bundle has {len(found)} files of weights where it must have one.")
    return found[0]

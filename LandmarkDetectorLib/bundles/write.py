"""Writing a bundle."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib.bundles.bundle import CARD, CONFIG, LICENCE, METADATA, README, SAMPLES, Bundle, read_bundle
from LandmarkDetectorLib.bundles.calibration import FILE as CALIBRATION
from LandmarkDetectorLib.bundles.calibration import worth
from LandmarkDetectorLib.bundles.card import Card, card_bytes, card_markdown
from LandmarkDetectorLib.bundles.config import make_config
from LandmarkDetectorLib.bundles.manifest import (
    MANIFEST,
    build_manifest,
    manifest_bytes,
    most_bytes,
    read_manifest,
)
from LandmarkDetectorLib.bundles.metadata import make_metadata
from LandmarkDetectorLib.bundles.names import safe_relative
from LandmarkDetectorLib.bundles.staging import (
    disk_errors,
    put_in_place,
    restore_replaced,
    staging_folder,
    write_file,
)
from LandmarkDetectorLib.bundles.strict_json import to_bytes
from LandmarkDetectorLib.bundles.weights import STATE_DICT, save_weights
from LandmarkDetectorLib.core.errors import BundleError

if TYPE_CHECKING:
    from torch import Tensor


def write_bundle(
    folder: Path | str,
    *,
    card: Card,
    settings: Mapping[str, Any],
    state_dict: Mapping[str, Tensor],
    licence_text: str,
    metadata_overrides: Mapping[str, Any] | None = None,
    files: Mapping[str, Path | bytes] | None = None,
    samples: Mapping[str, Path | bytes] | None = None,
    replace: bool = False,
) -> Bundle:
    """Write a bundle; it appears whole or not at all. Imports torch.

    Args:
        folder: the folder to make; its parents are made too.
        card: the card, from which ``docs/README.md`` and the metadata follow.
        settings: the pipeline's numbers, plain JSON values.
        state_dict: the weights.
        licence_text: the full text of the weights' licence, for ``LICENSE``.
        metadata_overrides: top-level keys of ``metadata.json`` to add or to put in the place of ours.
        files: further files by their path within the bundle (``docs/training.csv``), as a path to copy or as bytes.
        samples: images that did not train, and their landmarks, by their path below ``samples/``.
        replace: whether a bundle that is there may be replaced; it stays until the new one is complete.

    Raises:
        BundleError: the folder is there, the content is not valid, or the disk refuses; nothing is left behind.
    """
    folder = Path(folder).absolute()
    if not licence_text.strip():
        raise BundleError("A bundle needs the full text of its weights' licence; give it as licence_text.")
    contents: dict[str, Path | bytes] = {
        LICENCE: licence_text.encode("utf-8"),
        CARD: card_bytes(card),
        METADATA: to_bytes({**make_metadata(card), **(metadata_overrides or {})}, METADATA),
        CONFIG: to_bytes(make_config(settings), CONFIG),
        README: card_markdown(card, () if CALIBRATION in (files or {}) else worth(None)).encode("utf-8"),
        STATE_DICT: save_weights(state_dict),
    }
    extra = {**(files or {}), **{f"{SAMPLES}{name}": content for name, content in (samples or {}).items()}}
    for name, content in extra.items():
        relative = safe_relative(name, "files")
        if relative in contents or relative == MANIFEST:
            raise BundleError(f"{relative} is written by the library; give the file another name.")
        contents[relative] = content
    return _write(folder, contents, replace)


def extend_bundle(
    bundle: Bundle,
    folder: Path | str,
    files: Mapping[str, Path | bytes],
    *,
    without: Collection[str] = (),
    replace: bool = False,
) -> Bundle:
    """Write a bundle once more, byte for byte, with further files; it appears whole or not at all.

    Args:
        bundle: to write again.
        folder: the folder to make; its parents are made too.
        files: by their path within the bundle, as a path to copy or as bytes.
        without: paths within the bundle that are left out.
        replace: whether a bundle that is there may be replaced; it stays until the new one is complete.

    Raises:
        BundleError: the folder is there, the bundle has changed meanwhile, or the disk refuses; nothing is left behind.
    """
    contents: dict[str, Path | bytes] = {}
    for name in bundle.manifest.files:
        if name not in files and name not in without:
            contents[name] = bundle.read(name)
    for name, content in files.items():
        contents[safe_relative(name, "files")] = content
    return _write(Path(folder).absolute(), contents, replace)


def _write(folder: Path, contents: Mapping[str, Path | bytes], replace: bool) -> Bundle:
    with disk_errors(f"Writing the bundle {folder.name}"):
        restore_replaced(folder.parent)
        _check_target(folder, replace)
        with staging_folder(folder.parent) as stage:
            for relative, content in contents.items():
                write_file(stage / relative, _content(content, most_bytes(relative)))
            write_file(stage / MANIFEST, manifest_bytes(build_manifest(stage)))
            bundle = read_bundle(stage)
            put_in_place(stage, folder, replace=replace)
    return dataclasses.replace(bundle, folder=folder)


def _check_target(folder: Path, replace: bool) -> None:
    """Refuse before the work begins, and never replace what is not a bundle: it may be somebody's home."""
    if not folder.exists():
        return
    if not replace:
        raise BundleError(f"{folder} is there already; choose another name, or say that it may be replaced.")
    try:
        read_manifest(folder)
    except BundleError as exc:
        raise BundleError(f"{folder} is not a bundle, so it is not replaced; choose another folder.") from exc


def _content(content: Path | bytes, most: int) -> bytes:
    if isinstance(content, bytes):
        return content
    with open(content, "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise BundleError(f"{Path(content).name} is larger than the {most >> 20} MB a file may have.")
    return data

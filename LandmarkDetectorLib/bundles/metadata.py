"""``configs/metadata.json``: what MONAI wants to know about a bundle.

Written from MONAI's bundle specification (docs.monai.io, "MONAI Bundle Specification") and from what is known of its
schema of 2024-07-25, whose address every file names; the schema file itself lies on the web and is never fetched. The
model below asks for everything that the specification calls mandatory, with two differences: inputs and outputs are
tensors only, though that schema also knows numbers, words and booleans, and all nine properties of a tensor are wanted,
of which some schemas leave three (modality, is_patch_data, channel_def) to the writer. Further top-level keys are free,
as in the specification.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from LandmarkDetectorLib.bundles.card import Card, first_problem
from LandmarkDetectorLib.bundles.config import check_inert
from LandmarkDetectorLib.core.errors import BundleError

SCHEMA_URL = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"

Word = Annotated[str, StringConstraints(min_length=1)]
Number = Annotated[str, StringConstraints(pattern=r"^\d+\.\d+(\.\d+)?([.+-]?[A-Za-z0-9.]+)?$")]
Extent = Annotated[int, Field(ge=1)] | Annotated[str, StringConstraints(pattern=r"^[*+/0-9a-z() -]+$")]


class TensorFormat(BaseModel):
    """A tensor that goes in or comes out: the nine properties of the specification's tensor format specifier."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    type: Word
    format: Word
    modality: Word
    num_channels: Annotated[int, Field(ge=1)]
    spatial_shape: Annotated[list[Extent], Field(min_length=1, max_length=3)]
    dtype: Word
    value_range: list[float]
    is_patch_data: bool
    channel_def: dict[Annotated[str, StringConstraints(pattern=r"^\d+$")], str]

    @model_validator(mode="after")
    def _range_has_two_ends(self) -> TensorFormat:
        if len(self.value_range) not in (0, 2):
            raise ValueError("value_range is neither [minimum, maximum] nor []")
        return self


class NetworkFormat(BaseModel):
    """Inputs and outputs by name."""

    model_config = ConfigDict(strict=True, extra="allow")

    inputs: Annotated[dict[Word, TensorFormat], Field(min_length=1)]
    outputs: Annotated[dict[Word, TensorFormat], Field(min_length=1)]


class Metadata(BaseModel):
    """The mandatory keys of ``metadata.json``; others are free, but every ``*_data_format`` must be one."""

    model_config = ConfigDict(strict=True, extra="allow")

    schema_url: Word = Field(alias="schema")
    version: Number
    changelog: dict[Word, str]
    monai_version: Number
    pytorch_version: Number
    numpy_version: Number
    required_packages_version: dict[Word, str] | None = None
    optional_packages_version: dict[Word, str] | None = None
    task: Word
    description: Word
    authors: Word
    copyright: Word
    network_data_format: NetworkFormat

    @model_validator(mode="after")
    def _packages_are_named(self) -> Metadata:
        if self.required_packages_version is None and self.optional_packages_version is None:
            raise ValueError("required_packages_version: Field required")
        return self


def check_metadata(metadata: Mapping[str, Any], card: Card, where: str) -> None:
    """Check ``metadata`` against the specification and against the card.

    Raises:
        BundleError: a key is missing or wrong, the card tells another version, or MONAI would evaluate a word of it.
    """
    try:
        Metadata.model_validate(dict(metadata))
        for key in metadata:
            if key.endswith("_data_format"):
                NetworkFormat.model_validate(metadata[key])
    except ValidationError as exc:
        raise BundleError(f"{where} is not valid MONAI metadata ({first_problem(exc)}); write it again.") from exc
    if metadata["version"] != card.version:
        raise BundleError(f"{where} says version {metadata['version']}, the card {card.version}; write it again.")
    check_inert(metadata, where)


def make_metadata(card: Card) -> dict[str, Any]:
    """The metadata that follow from a card and from the packages that are installed.

    The input is an image (channels, [Z, ]Y, X) of any size; the output is one position a landmark, (landmarks, d), in
    the card's unit.

    Raises:
        BundleError: MONAI or torch is not installed, so that no version can be named.
    """
    data = card.training_data
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": card.modality,
        "num_channels": card.channels,
        "spatial_shape": ["*"] * card.dimension,
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {str(i): f"channel {i}" for i in range(card.channels)},
    }
    landmarks = {
        "type": "tuples",
        "format": "points",
        "modality": "n/a",
        "num_channels": len(card.landmarks),
        "spatial_shape": [card.dimension],
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {str(i): mark.label for i, mark in enumerate(card.landmarks)},
    }
    metadata = {
        "schema": SCHEMA_URL,
        "version": card.version,
        "changelog": {card.version: f"created {card.created.isoformat()}"},
        "monai_version": _installed("monai"),
        "pytorch_version": _installed("torch"),
        "numpy_version": _plain_version(np.__version__),
        "required_packages_version": {name: _installed(name) for name in ("pydantic", "scipy")},
        "name": card.title,
        "task": f"Anatomical landmark detection: {card.title}",
        "description": card.description,
        "authors": card.credit,
        "copyright": f"{card.credit} (licence of the weights: {card.licence})",
        "intended_use": card.intended_use,
        "data_source": f"{data.name}, {data.licence}",
        "data_type": card.modality,
        "references": [data.citation],
        "network_data_format": {"inputs": {"image": image}, "outputs": {"landmarks": landmarks}},
    }
    if card.errors is not None:
        unit = card.errors.unit
        metadata["eval_metrics"] = {
            f"{name}_error_{unit}": getattr(card.errors, name) for name in ("mean", "median", "p95")
        }
    return metadata


def _installed(package: str) -> str:
    try:
        return _plain_version(importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError as exc:
        raise BundleError(f"A bundle names the version of {package}, which is not here; install it first.") from exc


def _plain_version(version: str) -> str:
    """``2.6.0`` of ``2.6.0+cpu``: the schema knows numbers only."""
    match = re.match(r"\d+\.\d+(\.\d+)?", version)
    if match is None:
        raise BundleError(f"The version {version!r} has no number to write into a bundle; install a released version.")
    return match.group()

"""A bundle of ours in the hands of MONAI: it is read as a bundle, and nothing in it is evaluated."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.bundles.metadata import SCHEMA_URL, check_metadata, make_metadata
from LandmarkDetectorLib.core import BundleError


@pytest.fixture
def parser(folder: Path):
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(str(folder / "configs" / "inference.json"))
    parser.read_meta(str(folder / "configs" / "metadata.json"))
    parser["bundle_root"] = str(folder)
    return parser


def test_monai_resolves_the_detector_and_its_bundle(parser, folder: Path):
    from monai.bundle.config_item import ConfigComponent

    item = parser.get_parsed_content("detector", instantiate=False)
    assert isinstance(item, ConfigComponent)
    assert item.get_config()["_target_"] == "LandmarkDetectorLib.inference.Detector"
    assert item.resolve_args() == {"bundle": str(folder), "device": "auto"}
    assert load_bundle(item.resolve_args()["bundle"]).name == "toy-head"


def test_monai_calls_our_detector_with_arguments_that_it_has(parser, folder: Path, monkeypatch):
    import inspect

    from LandmarkDetectorLib import inference

    signature = inspect.signature(inference.Detector)
    # The toy bundle describes no network, so the call is looked at and not made.
    monkeypatch.setattr(inference, "Detector", lambda **given: signature.bind(**given).arguments)
    assert parser.get_parsed_content("detector") == {"bundle": str(folder), "device": "auto"}


def test_monai_reads_settings_and_metadata_as_they_stand(parser, folder: Path):
    bundle = load_bundle(folder)
    assert parser.get_parsed_content("landmark_detector") == bundle.settings
    assert parser.get_parsed_content("_meta_") == bundle.metadata
    assert bundle.settings["note"] == "50% of $5"


def test_monais_own_loader_reads_the_weights(folder: Path, state_dict: dict):
    import torch

    loaded = torch.load(folder / "models" / "model.pt", weights_only=True)
    assert loaded.keys() == state_dict.keys()


def test_the_metadata_name_what_monai_asks_for(card):
    metadata = make_metadata(card)
    check_metadata(metadata, card, "metadata.json")
    assert metadata["schema"] == SCHEMA_URL
    assert metadata["version"] == "1.2.3" in metadata["changelog"]
    assert metadata["monai_version"] == importlib.metadata.version("monai").split("+")[0]
    assert "+" not in metadata["pytorch_version"]
    assert metadata["eval_metrics"]["mean_error_mm"] == 0.2
    outputs = metadata["network_data_format"]["outputs"]["landmarks"]
    assert outputs["channel_def"] == {"0": "1", "1": "2L", "2": "2R"}
    assert json.loads(json.dumps(metadata)) == metadata


@pytest.mark.parametrize(
    "key",
    [
        *("schema", "version", "changelog", "monai_version", "pytorch_version", "numpy_version"),
        *("required_packages_version", "task", "description", "authors", "copyright", "network_data_format"),
    ],
)
def test_metadata_without_a_mandatory_key_are_refused(card, key: str):
    metadata = make_metadata(card)
    del metadata[key]
    with pytest.raises(BundleError, match=key):
        check_metadata(metadata, card, "metadata.json")


def test_the_older_name_of_the_packages_will_do(card):
    metadata = make_metadata(card)
    metadata["optional_packages_version"] = metadata.pop("required_packages_version")
    check_metadata(metadata, card, "metadata.json")


@pytest.mark.parametrize(
    "key",
    [
        *("type", "format", "modality", "num_channels", "spatial_shape", "dtype", "value_range", "is_patch_data"),
        "channel_def",
    ],
)
def test_a_tensor_without_a_property_is_refused(card, key: str):
    metadata = make_metadata(card)
    del metadata["network_data_format"]["inputs"]["image"][key]
    with pytest.raises(BundleError, match=key):
        check_metadata(metadata, card, "metadata.json")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_channels", 0),
        ("num_channels", "1"),
        ("spatial_shape", []),
        ("spatial_shape", [0]),
        ("spatial_shape", ["__import__('os')"]),
        ("value_range", [0]),
        ("is_patch_data", "false"),
        ("channel_def", {"first": "x"}),
        ("channel_def", ["x"]),
    ],
)
def test_a_tensor_with_a_wrong_property_is_refused(card, key: str, value):
    metadata = make_metadata(card)
    metadata["network_data_format"]["inputs"]["image"][key] = value
    with pytest.raises(BundleError, match=key):
        check_metadata(metadata, card, "metadata.json")


@pytest.mark.parametrize("value", [[0, 1], [0.5, 2], []])
def test_shapes_and_ranges_of_the_specification_are_accepted(card, value: list):
    metadata = make_metadata(card)
    image = metadata["network_data_format"]["inputs"]["image"]
    image.update(value_range=value, spatial_shape=["2**p*n", 160, "*"])
    check_metadata(metadata, card, "metadata.json")


def test_a_second_network_is_described_as_strictly(card):
    metadata = make_metadata(card)
    metadata["refiner_data_format"] = {"inputs": {}}
    with pytest.raises(BundleError, match="inputs"):
        check_metadata(metadata, card, "metadata.json")


@pytest.mark.parametrize(
    "change",
    [
        {"run": "$__import__('os').system('true')"},
        {"imports": ["$import os"]},
        {"more": {"_target_": "os.system", "command": "true"}},
        {"detector": {"_target_": "os.system", "command": "true"}},
        {"detector": {"_target_": "LandmarkDetectorLib.inference.Detector", "bundle": "$1/0", "device": "@device"}},
        {"bundle_root": "$__import__('os').getcwd()"},
        {"device": "%other.json"},
        {"landmark_detector": {"a": [{"_target_": "os.system"}]}},
        {"landmark_detector": {"a": " $1"}},
        {"landmark_detector": []},
        {"detector": None},
    ],
)
def test_a_bundle_in_which_monai_would_run_something_is_refused(folder: Path, reseal, change: dict):
    path = folder / "configs" / "inference.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BundleError):
        load_bundle(reseal(folder))


def test_an_expression_in_the_metadata_is_refused(folder: Path, reseal):
    path = folder / "configs" / "metadata.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "task": "$1 + 1"}))
    with pytest.raises(BundleError, match="as an expression"):
        load_bundle(reseal(folder))


def test_further_plain_entries_are_welcome(folder: Path, reseal):
    path = folder / "configs" / "inference.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "dataset_dir": "data", "numbers": [1, 2]}))
    assert load_bundle(reseal(folder)).name == "toy-head"

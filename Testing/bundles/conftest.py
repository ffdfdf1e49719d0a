"""A small bundle to write, break and import; every test has a user's folder of its own."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import pytest

from LandmarkDetectorLib.bundles import Bundle, Card, write_bundle
from LandmarkDetectorLib.bundles.manifest import MANIFEST, build_manifest, manifest_bytes

SETTINGS = {"format": 1, "dimension": 3, "coarse": {"spacing": 0.9, "peaks": 4}, "note": "50% of $5"}


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder of bundles, which does not exist yet."""
    folder = tmp_path / "store"
    monkeypatch.setenv("LANDMARK_DETECTOR_BUNDLES", str(folder))
    return folder


def _values() -> dict:
    return {
        "name": "toy-head",
        "version": "1.2.3",
        "title": "Toy head",
        "description": "Finds three landmarks of a head that was made for a test.",
        "modality": "CT",
        "dimension": 3,
        "channels": 1,
        "unit": "mm",
        "landmarks": [
            {"label": "1", "name": "Tip", "definition": "The foremost place."},
            {"label": "2L", "name": "Left eye", "mirror": "2R"},
            {"label": "2R", "name": "Right eye", "mirror": "2L"},
        ],
        "training_data": {"name": "Toy set", "citation": "Nobody (2024)", "licence": "CC0-1.0", "subjects": 7},
        "licence": "GPL-3.0-only",
        "credit": "Nobody in particular",
        "errors": {
            "protocol": "Leave one out, against one observer.",
            "mean": 0.2,
            "median": 0.15,
            "p95": 0.5,
            "per_landmark": {"1": {"mean": 0.1, "p95": 0.3, "n": 7}},
            "unit": "mm",
            "extra": {"within 1 mm, %": 99.0},
        },
        "limits": ["Heads only."],
        "not_tested_on": ["Anything real."],
        "intended_use": "Tests.",
        "created": datetime.date(2024, 5, 17),
        "figures": {"sigma, mm": 0.3, "network": "U-Net"},
    }


@pytest.fixture
def card_values() -> dict:
    """What the toy card says."""
    return _values()


@pytest.fixture
def card(card_values: dict) -> Card:
    return Card(**card_values)


@pytest.fixture(scope="session")
def state_dict() -> dict:
    import torch

    generator = torch.Generator().manual_seed(3)
    return {
        "stem.weight": torch.randn(4, 1, 3, 3, 3, generator=generator),
        "stem.bias": torch.zeros(4),
        "norm.num_batches_tracked": torch.tensor(5),
    }


@pytest.fixture(scope="session")
def _written(tmp_path_factory: pytest.TempPathFactory, state_dict: dict) -> Path:
    """One bundle for the whole session, which tests copy; writing imports torch."""
    folder = tmp_path_factory.mktemp("written") / "toy-head"
    write_bundle(
        folder,
        card=Card(**_values()),
        settings=SETTINGS,
        state_dict=state_dict,
        licence_text="Do what you like.\n",
        files={"docs/training.csv": b"epoch,loss\n1,0.5\n"},
        samples={"head.nii.gz": b"an image", "head.mrk.json": b"{}"},
    )
    return folder


@pytest.fixture
def folder(_written: Path, tmp_path: Path) -> Path:
    """A sound bundle that a test may break."""
    return Path(shutil.copytree(_written, tmp_path / "given" / "toy-head"))


@pytest.fixture
def write(card: Card, state_dict: dict):
    """Write the toy bundle somewhere, with something changed."""

    def make(target: Path, **changed) -> Bundle:
        words = {"card": card, "settings": SETTINGS, "state_dict": state_dict, "licence_text": "Do what you like.\n"}
        return write_bundle(target, **{**words, **changed})

    return make


@pytest.fixture
def reseal():
    """Give a folder a right manifest again, as somebody would who knows how they are made."""

    def seal(folder: Path) -> Path:
        (folder / MANIFEST).unlink(missing_ok=True)
        (folder / MANIFEST).write_bytes(manifest_bytes(build_manifest(folder)))
        return folder

    return seal


@pytest.fixture
def tree():
    """What lies below a folder: path → bytes, or the kind of what is no file."""

    def look(folder: Path) -> dict[str, bytes | str]:
        return {
            str(path.relative_to(folder)): path.read_bytes() if path.is_file() and not path.is_symlink() else "other"
            for path in folder.rglob("*")
        }

    return look


@pytest.fixture(autouse=True)
def _nothing_ships(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store of these tests holds what they put there; the bundles that really ship are tested with the detector."""
    monkeypatch.setattr("LandmarkDetectorLib.bundles.store.SHIPPED", tmp_path_factory.mktemp("shipped"))

"""A real bundle, real images and a real command line; only the networks are replaced."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner, Result

from LandmarkDetectorLib.bundles import Card
from LandmarkDetectorLib.cli.app import app
from LandmarkDetectorLib.core import Image, Landmark, LandmarkSet

CARD = Card.model_validate(
    {
        "name": "toy-skull",
        "version": "1.2.3",
        "title": "Three landmarks of a toy",
        "description": "Made for tests → nothing else.",
        "modality": "CT",
        "dimension": 3,
        "channels": 1,
        "unit": "mm",
        "landmarks": [{"label": label, "name": label} for label in ("nasion", "basion", "inion")],
        "training_data": {"name": "none", "citation": "none", "licence": "CC0-1.0", "subjects": 1},
        "licence": "CC0-1.0",
        "credit": "Nobody.",
        "intended_use": "Tests.",
        "created": datetime.date(2025, 1, 1),
    }
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words], prog_name="landmark-detector")


@pytest.fixture(scope="session")
def toy_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bundle with one sample; its weights are never used here."""
    import torch

    from LandmarkDetectorLib.bundles import write_bundle

    folder = tmp_path_factory.mktemp("bundle")
    sample = write_volume(folder / "sample.nii.gz")
    return write_bundle(
        folder / "toy-skull",
        card=CARD,
        settings={"sigma": 1.0},
        state_dict={"weight": torch.zeros(2)},
        licence_text="CC0",
        samples={"toy.nii.gz": sample},
    ).folder


def write_volume(path: Path, first: int = 0) -> Path:
    """A small volume on disk, whose values begin with ``first``."""
    image = sitk.GetImageFromArray(np.arange(first, first + 990, dtype=np.int16).reshape(9, 10, 11))
    image.SetSpacing((0.5, 0.6, 0.7))
    image.SetOrigin((-10.0, 20.0, 300.0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def volume() -> Callable[..., Path]:
    """Writes a small volume to a path."""
    return write_volume


class Detectors:
    """Stands for the networks: three landmarks near the middle, the last of them not found."""

    def __init__(self) -> None:
        self.devices: list[str] = []
        self.images: list[Image] = []
        self.notices: list[str] = []
        self.before: Callable[[Image], object] = lambda image: None

    def make(self, bundle: object, device: str = "auto", engine: str = "torch") -> Detectors:
        self.devices.append(device)
        return self

    def detect(self, image: Image, progress: Callable[[str, float], None] | None = None, cancelled=None):
        self.images.append(image)
        if progress is not None:
            progress("coarse", 0.1)
        self.before(image)
        d = image.dimension
        at = image.grid.centre
        marks = (
            Landmark("nasion", at, confidence=0.75, covariance=np.eye(d) * 0.04),
            Landmark("basion", at + 0.25, confidence=0.5),
            Landmark("inion", status="missing"),
        )
        if progress is not None:
            progress("done", 1.0)
        landmarks = LandmarkSet(marks, image.grid.unit, image.name)
        return SimpleNamespace(landmarks=landmarks, timing={"networks": 0.5}, notices=list(self.notices))


@pytest.fixture
def detectors(monkeypatch: pytest.MonkeyPatch) -> Detectors:
    double = Detectors()
    monkeypatch.setattr("LandmarkDetectorLib.inference.augmented.Detector", double.make)
    return double


def sentence(result: Result) -> str:
    """What a command that was refused said; fails unless that is one sentence and no traceback."""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stderr and lines[0].startswith("Error: ") and lines[0].endswith("."), lines
    return lines[0]


@pytest.fixture
def refused() -> Callable[[Result], str]:
    """The one sentence of a command that ended with exit code 2."""

    def check(result: Result) -> str:
        assert result.exit_code == 2, result.output
        return sentence(result)

    return check

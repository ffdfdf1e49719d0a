"""A part of one's own is one file beside the others, with one decorator."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

PARTS = {  # package -> where its decorator is, the decorator, the registry
    "heatmaps.generators": ("heatmaps.generators.registry", "register_generator", "_GENERATORS"),
    "heatmaps.decoders": ("heatmaps.decode", "decoder", "_DECODERS"),
    "losses": ("losses.registry", "register_loss", "_LOSSES"),
    "models": ("models.registry", "register_model", "_MODELS"),
    "datasets.importers": ("datasets.importers.registry", "register_importer", "_IMPORTERS"),
    "evaluation.regions": ("evaluation.regions.registry", "register_region_method", "_METHODS"),
}


@pytest.mark.parametrize("name", PARTS)
def test_a_file_beside_the_others_is_known_by_its_name(name: str, tmp_path: Path, monkeypatch) -> None:
    where, decorator, registry = PARTS[name]
    where, package = f"LandmarkDetectorLib.{where}", import_module(f"LandmarkDetectorLib.{name}")
    known = getattr(import_module(where), registry)
    monkeypatch.setattr(known, "_entries", dict(known._entries))
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    (tmp_path / "own.py").write_text(f"from {where} import {decorator}\n\n@{decorator}('own')\nclass Own: ...\n")
    try:  # what the package does when it is imported
        exec(Path(package.__file__).read_text("utf-8"), {"__name__": package.__name__, "__path__": package.__path__})
    finally:
        sys.modules.pop(f"{package.__name__}.own", None)
    assert "own" in known.names()

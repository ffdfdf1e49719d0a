"""Writes the figures of the table in ``networks.md`` anew: ``python docs/toolkit/networks_table.py``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import torch

PAGE = Path(__file__).resolve().with_name("networks.md")
sys.path.insert(0, str(PAGE.parents[2]))

from LandmarkDetectorLib.core import RecipeError  # noqa: E402
from LandmarkDetectorLib.models import HeatmapNetwork, build_model, model_names  # noqa: E402

ROW = re.compile(r"^\| `(\w+)` \|", re.MULTILINE)


def network(name: str, dimension: int, **more: bool) -> HeatmapNetwork:
    """The network by its defaults, with 19 landmarks and one channel; its weights take no memory."""
    with torch.device("meta"):
        return build_model(name, dimension=dimension, in_channels=1, landmarks=19, **more)


def figures(name: str) -> list[str]:
    """The last four columns of a row."""
    flat, solid = network(name, 2), network(name, 3)
    counts = [f"{sum(p.numel() for p in made.parameters()) / 1e6:.2f} M" for made in (flat, solid)]
    try:
        network(name, 2, covariance=True)
        covariance = "switch"
    except RecipeError:
        covariance = "–"
    return [*counts, str(len(flat.auxiliary_strides)), covariance]


def updated(page: str) -> str:
    """The page with the figures as the code has them.

    Raises:
        ValueError: a network has no row, or a row no network.
    """
    missing = set(model_names()) ^ set(ROW.findall(page))
    if missing:
        raise ValueError(f"networks.md and the registry differ in {sorted(missing)}; add or remove their rows")
    lines = page.split("\n")
    for number, line in enumerate(lines):
        if found := ROW.match(line):
            lines[number] = " | ".join([*line.split(" | ")[:3], *figures(found[1])]) + " |"
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(updated(PAGE.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")

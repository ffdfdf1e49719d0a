"""Errors on fundus photographs as the challenge states them: in original pixels, and beside the eye's own length.

    python benchmarks/fundus.py RESULTS.json --data DIR [--write]

RESULTS.json is what ``cross_validate.py fundus`` wrote. The photographs are scaled to 768 pixels of width from 4288; an
eye's own length is the distance between fovea and disc. ``--write`` adds the figures to the file, where a card quotes
them.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.datasets import read_dataset

ORIGINAL_WIDTH = 4288
LANDMARKS = ("Fovea", "Optic disc centre")


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    results = json.loads(options.results.read_text(encoding="utf-8"))
    figures = original_figures(results, options.data)
    print(json.dumps(figures, indent=1))
    if options.write:
        results["card"]["errors"]["extra"] |= figures
        options.results.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def original_figures(results: dict, data: Path) -> dict[str, float]:
    """Mean, median and largest error of each landmark that was found, and their means as shares of the eye's length."""
    cases = {case.subject: case for case in read_dataset(data).cases}
    rows = [case for fold in results["folds"] for case in fold["cases"]]
    figures = {}
    for label in LANDMARKS:
        found = [row for row in rows if isinstance(row["errors"][label], float)]
        errors = np.array([row["errors"][label] for row in found])
        factors = [ORIGINAL_WIDTH / cases[row["subject"]].image().grid.size[0] for row in found]
        places = [cases[row["subject"]].landmarks for row in found]
        lengths = np.array(
            [np.linalg.norm(marks[LANDMARKS[0]].position - marks[LANDMARKS[1]].position) for marks in places]
        )
        original = errors * factors
        for name, value in (("mean", original.mean()), ("median", np.median(original)), ("max", original.max())):
            figures[f"{label}: {name}, pixels of the original"] = round(float(value), 2)
        figures[f"{label}: mean share of the distance from fovea to disc"] = round(float(np.mean(errors / lengths)), 4)
    return figures


if __name__ == "__main__":
    main()

"""A sheet of the largest errors of each network: what ``cross_validate.py`` kept, seen from close by.

    python benchmarks/worst_cases.py benchmarks/results/fundus/*.json --data fundus --output benchmarks/results/fundus

Every sheet is a JPEG beside the figures, called after its file, with at most two landmarks of one image on it. Images
without a licence (the cephalograms) are looked at, but their sheets belong outside the repository.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from LandmarkDetectorLib.core import LandmarkSet
from LandmarkDetectorLib.datasets.cases import Case, read_dataset
from LandmarkDetectorLib.evaluation import error_tiles, radial_errors, worst_errors, worst_figure
from LandmarkDetectorLib.evaluation.canvas import figure_jpeg

COUNT, EACH = 12, 2
KEY = "ring: annotation, disc: found, cross: missed"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="the folder of the sheets")
    options = parser.parse_args()
    known = {(case.subject, case.image_path.name): case for case in read_dataset(options.data).cases}
    options.output.mkdir(parents=True, exist_ok=True)
    for file in options.results:
        content = json.loads(file.read_text(encoding="utf-8"))
        rows = [row for fold in content["folds"] for row in fold["cases"]]
        cases = [known[row["subject"], row["image"]] for row in rows]
        found = [positions(row["found"], case) for row, case in zip(rows, cases, strict=True)]
        truths = [case.landmarks for case in cases]
        errors = np.array([radial_errors(one, truth) for one, truth in zip(found, truths, strict=True)])
        wanted = worst_errors(errors, COUNT, EACH)
        tiles = error_tiles(wanted, lambda row, of=cases: of[row].image(), found, truths, [c.subject for c in cases])
        figure = worst_figure(tiles, f"{file.stem}: the largest errors of {len(cases)} images ({KEY})")
        path = options.output / f"{file.stem}.jpg"
        path.write_bytes(figure_jpeg(figure, 100))
        print(f"{path.name}: {path.stat().st_size // 1000} kB")


def positions(said: dict[str, list[float] | None], case: Case) -> LandmarkSet:
    """What a network found in an image; what it does not name is missing."""
    labels = case.landmarks.labels
    nowhere = [np.nan] * case.landmarks.dimension
    return LandmarkSet.from_positions(labels, [said.get(label) or nowhere for label in labels], case.landmarks.unit)


if __name__ == "__main__":
    main()

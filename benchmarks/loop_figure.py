"""The picture of a simulated loop of corrections: error and corrections a case, as more and more is reviewed.

    python benchmarks/loop_figure.py benchmarks/results/corrections-hippocampus.json --output FILE.png

Error is that of the bundle in use on cases that are in no store; circles are rounds after which a candidate took over.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.evaluation.canvas import blank_figure, figure_png, series_styles
from LandmarkDetectorLib.evaluation.promotion import NOT_WORSE


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.write_bytes(picture(json.loads(options.results.read_text(encoding="utf-8"))))


def picture(results: dict[str, Any]) -> bytes:
    """The PNG of one file of results."""
    figure = blank_figure((9, 3.8))
    errors, work = figure.subplots(1, 2)
    for (name, rounds), (colour, style) in zip(results["runs"].items(), series_styles(), strict=False):
        reviewed = [0, *(row["reviewed"] for row in rounds)]
        means = [results["start"]["mean"], *(row["in use"]["mean"] for row in rounds)]
        errors.plot(reviewed, means, color=colour, linestyle=style, label=f"{name} order")
        taken = [row for row in rounds if row["because"] or (row["verdict"] == NOT_WORSE and not row["doubts"])]
        places = [row["reviewed"] for row in taken], [row["in use"]["mean"] for row in taken]
        errors.plot(*places, "o", color=colour, markersize=4)
        share = [100 * row["corrections a case"] / row["landmarks a case"] for row in rounds]
        work.plot(reviewed[1:], share, color=colour, linestyle=style, marker=".", label=f"{name} order")
    if "scratch on everything" in results:
        scratch = results["scratch on everything"]["mean"]
        errors.axhline(scratch, color="black", linewidth=0.8, label="from scratch on everything")
        errors.axhspan(scratch, 1.1 * scratch, color="black", alpha=0.08, linewidth=0, label="within 10 % of it")
    errors.set(xlabel="cases reviewed", ylabel="mean error on cases in no store (mm)")
    work.set(xlabel="cases reviewed", ylabel="landmarks to correct in a batch (%)", ylim=(0, None))
    errors.legend(fontsize=8)
    work.legend(fontsize=8)
    for axes in (errors, work):
        axes.grid(alpha=0.3)
    figure.set_layout_engine("constrained")
    return figure_png(figure)


if __name__ == "__main__":
    main()

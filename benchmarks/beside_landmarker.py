"""Beside landmarker 0.4.1, row by row: both sides are given the same input, and what each says is written down.

    python benchmarks/beside_landmarker.py [--no-write]

It runs where landmarker and what it imports are installed; torchvision, of which it takes two functions, may lack. Time
and memory of generators and decoders are the matter of ``heatmaps.py``. The report goes to
``benchmarks/results/beside-landmarker.md``; the cells of ``docs/toolkit/landmarker.md`` are those of this report.
"""

from __future__ import annotations

import argparse
from importlib.metadata import version
from pathlib import Path

import beside
import torch
from machine import provenance

RESULTS = Path(__file__).resolve().parent / "results" / "beside-landmarker.md"
PARTS = (
    *("Heatmap generators", "Decoders", "Data sets", "Transforms", "Losses", "Networks", "Schedule", "Uncertainty"),
    *("Metrics", "Pictures"),
)


def report() -> str:
    """The whole report, in Markdown."""
    beside.without_torchvision()
    import beside_data  # noqa: F401  each registers its rows
    import beside_heatmaps  # noqa: F401
    import beside_judging  # noqa: F401
    import beside_learning  # noqa: F401
    import beside_values  # noqa: F401

    lines = ["# Beside landmarker, row by row", ""]
    lines += [f"- {key}: {value}" for key, value in provenance().items()]
    lines += [f"- landmarker {version('landmarker')}", ""]
    lines += ["Both sides are given the same input. What raises says what it raises."]
    for part in PARTS:
        lines += ["", f"## {part}", "", "| row | what is shown | theirs | ours |", "| --- | --- | --- | --- |"]
        for row in beside.ROWS:
            if row.part == part:
                torch.manual_seed(0)
                lines.append(f"| {row.what} | {row.measured} | {' | '.join(row.said())} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--no-write", action="store_true", help="print the report and leave the file as it is")
    options = parser.parse_args()
    text = report()
    print(text)
    if not options.no_write:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

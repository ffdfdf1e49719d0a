"""Networks beside each other and beside the observers, as a page of tables: what ``cross_validate.py`` kept of each.

    python benchmarks/networks.py benchmarks/results/cephalogram-reduced/*.json --data DIR --first unet --output FILE.md

Every network is compared with the first on the cases that all of them held out, in pairs, with 95 % intervals over
subjects and p values corrected by Holm. ``landmark-detector compare`` shows the same and
more on the screen and as HTML.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from machine import provenance

from LandmarkDetectorLib.bundles.pipeline import STAGES
from LandmarkDetectorLib.evaluation.standing import Standing
from LandmarkDetectorLib.inference.compare import compare


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--first", default="unet", help="the name of the file that the others are compared with")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    files = sorted(options.results, key=lambda file: (file.stem != options.first, file.stem))
    compared = compare(files, options.data)
    text = "\n".join(page(files, compared.standing, compared.notices)) + "\n"
    options.output.write_text(text, encoding="utf-8")
    print(text)


def page(files: list[Path], standing: Standing, notices: list[str]) -> list[str]:
    """The lines of the page."""
    unit, here = standing.unit, provenance()
    contents = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}
    cost = {name: trained(content) for name, content in contents.items()}
    differences = {row["models"].split(" − ")[0]: row for row in standing.differences()}
    shared = set.intersection(*(one["folds"] for one in cost.values()))
    rates = [name for name in standing.overall()[0] if name.startswith("within ")]
    head = [
        "",
        f"mean {unit}",
        "95 %",
        "median",
        "missed",
        *rates,
        f"minus {files[0].stem}",
        "95 %",
        "Holm's p",
        "minutes a fold",
    ]
    rows = []
    for row in standing.overall():
        pair = differences.get(row["who"])
        beside = [""] * 3
        if pair:
            beside = [cell(pair["difference"], "+.3f"), span(pair, "difference"), cell(pair["p corrected"], ".2g")]
        figures = [cell(row["mean"]), span(row, "mean"), cell(row["median"]), cell(row["missed"], "d")]
        figures += [cell(row[name], ".1f") for name in rates]
        rows.append([row["who"], *figures, *beside, cost.get(row["who"], {}).get("minutes", "")])
    lines = [
        f"# {files[0].parent.name}: networks and observers",
        "",
        f"- {len(set(standing.subjects))} subjects, {len(standing.labels)} landmarks; "
        f"folds {', '.join(sorted(shared))} of the cross-validation",
        f"- trained on {'; '.join(sorted({each for one in cost.values() for each in one['machine'].split('; ')}))}",
        f"- tables made by: {here['command']}, commit {here['commit']}",
        *(f"- {notice}" for notice in notices),
        "",
        *table(head, rows),
    ]
    if standing.against:
        head = ["", f"mean {unit}", "p95", "the other observers", "difference", "95 %", "p"]
        lines += ["", "## Distance from each observer", "", *table(head, map(at_observer, standing.at_observers()))]
    names = list(standing.columns)
    rows = [[row["landmark"], *(cell(row[name], ".2f") for name in names)] for row in standing.by_landmark()]
    lines += ["", f"## Mean by landmark, {unit}", "", *table(["", *names], rows)]
    return lines + learning(contents)


def learning(contents: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The curves of the last stage, where ``cross_validate.py`` kept them: losses differ in kind, errors do not."""
    rows = []
    for name, content in contents.items():
        for fold in content["folds"]:
            if "curves" in fold:
                steps = fold["curves"][max(fold["curves"], key=STAGES.index)]
                points = [f"{cell(step['validation_error'], '.2f')} after {step['step']:.0f}" for step in steps]
                rows.append([name, str(fold["fold"]), ", ".join(points)])
    if not rows:
        return []
    head = ["", "fold", "mean error of the last stage on the fold's images, in its samples, after steps"]
    return ["", "## How they learnt", "", *table(head, rows)]


def at_observer(row: Mapping[str, Any]) -> list[str]:
    """Cells of a network's distance from an observer, and of how much farther that is than the other observers'."""
    cells = [row["between"], f"{row['mean']:.3f}", f"{row['p95']:.3f}"]
    if row["difference"] is None:
        return cells + [""] * 4
    return [
        *cells,
        f"{row['the other observers']:.3f}",
        f"{row['difference']:+.3f}",
        span(row, "difference"),
        f"{row['p']:.2g}",
    ]


def trained(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a file of results says of how its folds came about."""
    folds = content["folds"]
    minutes = sum(sum(fold["training_seconds"].values()) for fold in folds) / len(folds) / 60
    where = {fold.get("provenance", content["provenance"])["machine"] for fold in folds}
    return {
        "minutes": f"{minutes:.1f}",
        "folds": {str(fold["fold"]) for fold in folds},
        "machine": "; ".join(sorted(where)),
    }


def cell(value: float | None, form: str = ".3f") -> str:
    """A figure in a cell; a dash where there is none, as the mean of a network that found nothing."""
    return "–" if value is None else format(value, form)


def span(row: Mapping[str, Any], name: str) -> str:
    """An interval in a cell."""
    low, high = row[f"{name} from"], row[f"{name} to"]
    return "" if low is None else f"{low:.3f} to {high:.3f}"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a Markdown table."""
    head = list(head)
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *rows)]


if __name__ == "__main__":
    main()

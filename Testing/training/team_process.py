"""One of the processes of a team, as ``torchrun`` would start it: ``python -m Testing.training.team_process FOLDER``.

Trains whole; then until this process alone is cancelled, and on to the end. Says what it saw in ``FOLDER/RANK.json``.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path

import torch

from LandmarkDetectorLib.core import Cancelled, LandmarkDetectorWarning
from LandmarkDetectorLib.training import train
from LandmarkDetectorLib.training.distributed import assembled


def main(folder: Path, ports: list[str]) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["RANK"])
    recipe, data = folder / "recipe.yaml", folder / "data"
    seen: list[tuple[str, float]] = []
    calls = [0]

    def after_a_while() -> bool:
        calls[0] += 1
        return rank == 1 and calls[0] == 6  # in the second stage

    os.environ["MASTER_PORT"] = ports[0]
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always", LandmarkDetectorWarning)
        bundle = train(recipe, data, folder / "whole", device="cpu", progress=lambda *step: seen.append(step))
    os.environ["MASTER_PORT"] = ports[1]
    sentence = ""
    try:
        train(recipe, data, folder / "parts", device="cpu", cancelled=after_a_while)
    except Cancelled as error:
        sentence = str(error)
    os.environ["MASTER_PORT"] = ports[2]
    train(recipe, data, folder / "parts", device="cpu", images="streamed", resume=True)
    os.environ["MASTER_PORT"] = ports[3]
    with assembled("cpu") as team:
        norm = torch.nn.BatchNorm2d(1)
        torch.nn.init.constant_(norm.running_mean, rank)
        team.mean_statistics(torch.nn.Sequential(norm))
        talk = [
            team.any(rank == 1),
            team.any(False),
            team.from_first(rank),
            *team.gather(rank),
            float(norm.running_mean),
        ]
    said = [str(w.message) for w in warned if issubclass(w.category, LandmarkDetectorWarning)]
    about = {"bundle": str(bundle.folder), "progress": len(seen), "sentence": sentence, "warned": said, "talk": talk}
    (folder / f"{rank}.json").write_text(json.dumps(about), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])

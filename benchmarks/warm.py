"""A warm detection, stage by stage: what the networks take, and everything beside them.

python benchmarks/warm.py IMAGE --bundle mouse-skull-ct --results benchmarks/results/warm.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from machine import provenance

from LandmarkDetectorLib import load_bundle, load_image
from LandmarkDetectorLib.inference import Detector

CALLS = 7


def main() -> None:
    """Run it; the median of the calls after the first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--bundle", default="mouse-skull-ct")
    parser.add_argument("--results", type=Path)
    options = parser.parse_args()
    detector, image = Detector(load_bundle(options.bundle), "cpu"), load_image(options.image)
    calls = [dict(detector.detect(image).timing) for _ in range(CALLS)][1:]
    stages = {name: round(float(np.median([call.get(name, 0.0) for call in calls])), 4) for name in calls[0]}
    beside = [(sum(call.values()) - call["networks"]) / call["networks"] for call in calls]
    figures = {"seconds": round(float(np.median([sum(call.values()) for call in calls])), 3), "stages": stages}
    figures |= {"everything beside the networks, of their time": round(float(np.median(beside)), 3)}
    text = json.dumps({"bundle": options.bundle, **figures, "provenance": provenance()}, indent=1)
    print(text)
    if options.results:
        options.results.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

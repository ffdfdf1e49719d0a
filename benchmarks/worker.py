"""What the worker costs: a warm detection through it beside the same in this process, in turns, so that both see the
same load of the machine.

python benchmarks/worker.py [--runs 15] [--json benchmarks/results/worker.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

from machine import provenance

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.client import SubprocessWorker
from LandmarkDetectorLib.io import load_image

BUNDLE = "mouse-skull-ct"
AIM = 1.15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    image = load_image(load_bundle(BUNDLE).samples()[0])
    detector = Detector(BUNDLE, options.device)
    direct, through = [], []
    with SubprocessWorker() as worker:
        start = time.perf_counter()
        worker.start()
        ready = time.perf_counter() - start
        start = time.perf_counter()
        worker.detect(image, BUNDLE, options.device)
        first = time.perf_counter() - start
        detector.detect(image)
        for _ in range(options.runs):
            start = time.perf_counter()
            detector.detect(image)
            middle = time.perf_counter()
            worker.detect(image, BUNDLE, options.device)
            direct.append(middle - start)
            through.append(time.perf_counter() - middle)
    ratio = statistics.median(through) / statistics.median(direct)
    results = {
        "runs": options.runs,
        "in_process_seconds": statistics.median(direct),
        "through_worker_seconds": statistics.median(through),
        "ratio": ratio,
        "aim": AIM,
        "ready_seconds": ready,
        "first_detection_seconds": first,
        **provenance(),
    }
    print(f"warm detection of the sample of {BUNDLE}, median of {options.runs}:")
    print(f"  in this process     {results['in_process_seconds']:.3f} s")
    print(f"  through the worker  {results['through_worker_seconds']:.3f} s   {ratio:.3f} times (aim {AIM})")
    print(f"worker ready after {ready:.2f} s, its first detection takes {first:.2f} s")
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Peak memory of a detection in a large volume with many landmarks, on the CPU, in a process of its own.

    python benchmarks/memory.py IMAGE --bundle mouse-skull-ct --voxels 512 --landmarks 50

The image is resampled to so many voxels a side (16 bit). A bundle with fewer landmarks is asked for some of them twice.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import provenance


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--bundle", default="mouse-skull-ct")
    parser.add_argument("--voxels", type=int, default=512)
    parser.add_argument("--landmarks", type=int, default=50)
    parser.add_argument("--results", type=Path)
    parser.add_argument("--measure", action="store_true", help="used by the script itself: detect in IMAGE as it is")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.image, options.bundle, options.landmarks)))
        return
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.nrrd"
        enlarge(options.image, large, options.voxels)
        command = [sys.executable, __file__, str(large), "--measure", "--bundle", options.bundle]
        command += ["--landmarks", str(options.landmarks)]
        figures = json.loads(
            subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
        )
    figures |= {"voxels a side": options.voxels, "provenance": provenance()}
    print(json.dumps(figures, indent=1))
    if options.results:
        options.results.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def enlarge(source: Path, target: Path, voxels: int | tuple[int, ...]) -> None:
    """Resample to so many voxels a side, or along x, y, z, of 16 bit over the same world."""
    import SimpleITK as sitk

    image = sitk.ReadImage(str(source), sitk.sitkInt16)
    old = np.array(image.GetSize(), dtype=float)
    spacing = np.array(image.GetSpacing()) * old / voxels
    direction = np.array(image.GetDirection()).reshape(3, 3)
    origin = np.array(image.GetOrigin()) + direction @ ((spacing - np.array(image.GetSpacing())) / 2)
    size = np.broadcast_to(voxels, 3).tolist()
    large = sitk.Resample(
        image, size, sitk.Transform(), sitk.sitkLinear, origin.tolist(), spacing.tolist(), image.GetDirection()
    )
    sitk.WriteImage(large, str(target))


def measure(path: Path, bundle: str, landmarks: int) -> dict[str, float]:

    from LandmarkDetectorLib import load_bundle, load_image
    from LandmarkDetectorLib.inference import Detector
    from LandmarkDetectorLib.io.limits import peak_memory

    start = time.perf_counter()
    image = load_image(path)
    read = time.perf_counter() - start
    detector = Detector(with_more_landmarks(load_bundle(bundle), landmarks), "cpu")
    start = time.perf_counter()
    detection = detector.detect(image)
    return {
        "landmarks": len(detection.landmarks),
        "found": sum(mark.position is not None for mark in detection.landmarks),
        "seconds to read": round(read, 2),
        "seconds to detect, first call": round(time.perf_counter() - start, 2),
        "volume MB": round(image.array.nbytes / 2**20),
        "peak MB": round(peak_memory() / 2**20),
    }


def with_more_landmarks(bundle, count: int):
    """The bundle, asked for its first landmarks a second time under other labels until there are ``count``."""
    import torch

    settings = json.loads(json.dumps(bundle.settings))
    labels = settings["labels"]
    have = len(labels)
    rows = [k % have for k in range(max(count, have))]
    d = settings["dimension"]
    flat = [k * d + axis for k in rows for axis in range(d)]
    prior = settings["prior"]
    settings["labels"] = [labels[k] + " again" * (n // have) for n, k in enumerate(rows)]
    prior["mean"] = [prior["mean"][k] for k in rows]
    prior["factors"] = [prior["factors"][k] for k in flat]
    prior["noise"] = [prior["noise"][k] for k in flat]
    if settings.get("offsets") is not None:
        settings["offsets"] = [settings["offsets"][k] for k in rows]
    state = bundle.state_dict()
    many = ("head.weight", "head.bias", "presence.weight", "presence.bias", "embedding.weight")
    grown = {
        name: value[torch.tensor(rows)] if name.split(".", 1)[1] in many else value for name, value in state.items()
    }

    class Grown(type(bundle)):  # type: ignore[misc]
        def state_dict(self):
            return grown

    fields = {f.name: getattr(bundle, f.name) for f in dataclasses.fields(bundle)}
    return Grown(**(fields | {"settings": settings}))


if __name__ == "__main__":
    main()

"""Time and memory on the CPU beside nnU-Net's own predictor: same volume, as many output channels as landmarks.

    python benchmarks/nnunet.py IMAGE --nnunet-python PYTHON --results benchmarks/results/nnunet.json

PYTHON is that of an environment with nnunetv2 and the torch of this one; nnU-Net is no dependency of ours. Each
measurement has a process of its own.

nnU-Net's plan is made by its own planner, 3d_fullres, for a data set of this size and spacing, and run by its
predictor as it comes: tiles that overlap by half, weighted, mirrored along all axes (8 passes a tile). Its weights are
untrained, which costs the same time. What is timed is the sliding window alone, without resampling, softmax or
writing. Some tiles are run, and their mean is multiplied by the number of tiles that the predictor would run: the
figures are marked so. Ours is a whole detection by a shipped bundle, the first call in its process: no warm-up.

A network that tells left from right would be trained without mirroring; what is left of the distance then is said.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PROMISED = {"250x250x166": 25, "512x512x512": 40}
BYTES = 2  # nnU-Net adds its logits up in half precision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--bundle", default="mouse-skull-ct")
    parser.add_argument("--nnunet-python", type=Path, help="of an environment with nnunetv2")
    parser.add_argument("--volumes", nargs="*", default=list(PROMISED), help="XxYxZ; the image is resampled to each")
    parser.add_argument("--tiles", type=int, default=2, help="that nnU-Net runs of each volume; 0 for all of the first")
    parser.add_argument("--threads", type=int, default=0, help="of both; 0 for as many as there are cores")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--measure", help="used by the script itself")
    options = parser.parse_args()
    if options.measure == "ours":
        print(json.dumps(ours(options.image, options.bundle, options.threads)))
    elif options.measure:
        print(json.dumps(theirs(**json.loads(options.measure), tiles=options.tiles, threads=options.threads)))
    else:
        compare(options)


def compare(options: argparse.Namespace) -> None:
    from machine import provenance
    from memory import enlarge

    from LandmarkDetectorLib import load_bundle, load_image

    if options.nnunet_python is None:
        raise SystemExit("Give --nnunet-python, the Python of an environment with nnunetv2.")
    landmarks = len(load_bundle(options.bundle).labels)
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.volumes:
            size = tuple(int(n) for n in name.split("x"))
            path = Path(folder) / f"{name}.nrrd"
            enlarge(options.image, path, size)
            grid = load_image(path).grid
            mine = run(sys.executable, path, "ours", options)
            about = {"shape": grid.size[::-1], "spacing": grid.spacing[::-1], "channels": landmarks}
            about["whole"] = name == options.volumes[0]
            nnunet = run(str(options.nnunet_python), path, json.dumps(about), options)
            times = nnunet["seconds"] / mine["seconds"]
            results[name] = {
                "ours": mine,
                "nnU-Net": nnunet,
                "times faster": round(times, 1),
                "times faster without mirroring": round(times / nnunet["passes a tile"], 1),
                "times promised": PROMISED.get(name),
            }
            show(name, results[name])
    document = {"bundle": options.bundle, "landmarks": landmarks, "volumes": results, "provenance": provenance()}
    document["provenance"]["nnunetv2"] = version(options.nnunet_python)
    if options.results:
        options.results.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def run(python: str, path: Path, what: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [python, __file__, str(path), "--measure", what, "--bundle", options.bundle]
    command += ["--tiles", str(options.tiles), "--threads", str(options.threads)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{what} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def version(python: Path) -> str:
    code = "from importlib.metadata import version as v; print(v('nnunetv2') + ', torch ' + v('torch'))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def show(name: str, result: dict[str, Any]) -> None:
    mine, theirs = result["ours"], result["nnU-Net"]
    print(f"{name}: ours {mine['seconds']} s and {mine['peak MB']} MB;", end=" ")
    print(f"nnU-Net {theirs['seconds']:.0f} s", end=" ")
    print(f"({theirs['tiles run']} of {theirs['tiles']} tiles run, {theirs['seconds a tile']} s each)", end=" ")
    print(f"and {theirs['peak MB']} MB ({theirs['memory']}).")
    print(f"  {result['times faster']} times faster ({result['times promised']} promised);", end=" ")
    print(f"{result['times faster without mirroring']} times without mirroring.", flush=True)


def peak() -> int:
    from LandmarkDetectorLib.io.limits import peak_memory

    return round(peak_memory() / 2**20)


def ours(path: Path, bundle: str, threads: int) -> dict[str, Any]:
    import torch

    from LandmarkDetectorLib import load_image
    from LandmarkDetectorLib.inference import Detector

    torch.set_num_threads(threads or torch.get_num_threads())
    image = load_image(path)
    detector = Detector(bundle, "cpu")
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        detection = detector.detect(image)
        seconds.append(round(time.perf_counter() - start, 2))
    return {
        "seconds": seconds[0],
        "seconds of later calls": seconds[1:],
        "found": sum(mark.position is not None for mark in detection.landmarks),
        "peak MB": peak(),
        "threads": torch.get_num_threads(),
    }


def theirs(
    shape: list[int], spacing: list[float], channels: int, whole: bool, tiles: int, threads: int
) -> dict[str, Any]:
    """nnU-Net's sliding window; ``whole``: over a volume of this shape, else over one of a tile."""
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    torch.set_num_threads(threads or torch.get_num_threads())
    plans, dataset = plan(shape, spacing, channels)
    configuration = plans.get_configuration("3d_fullres")
    predictor = nnUNetPredictor(device=torch.device("cpu"), allow_tqdm=False)
    predictor.manual_initialization(
        network(configuration, channels), plans, configuration, None, dataset, "nnUNetTrainer", (0, 1, 2)
    )
    predictor.network.eval()
    patch = configuration.patch_size
    all_of_them = predictor._internal_get_sliding_window_slicers(tuple(shape))
    data = torch.randn(1, *(shape if whole else patch))
    chosen = predictor._internal_get_sliding_window_slicers(tuple(data.shape[1:]))
    if tiles:
        chosen = (chosen * tiles)[:tiles] if not whole else chosen[:tiles]
    with torch.inference_mode():
        predictor.network(data[(slice(None), *(slice(0, n) for n in patch))][None])  # what is chosen once is not timed
        start = time.perf_counter()
        predictor._internal_predict_sliding_window_return_logits(data, chosen, False)
        each = (time.perf_counter() - start) / len(chosen)
    output = math.prod(shape) * channels * BYTES / 2**20
    return {
        "seconds": round(each * len(all_of_them), 1),
        "seconds a tile": round(each, 1),
        "tiles": len(all_of_them),
        "tiles run": len(chosen),
        "passes a tile": 8,
        "patch": [int(n) for n in patch],
        "parameters": sum(p.numel() for p in predictor.network.parameters()),
        "output MB": round(output),
        "peak MB": peak() if whole else round(output),
        "memory": "measured" if whole else "computed: its output array alone",
        "threads": torch.get_num_threads(),
    }


def plan(shape: list[int], spacing: list[float], channels: int) -> tuple[Any, dict[str, Any]]:
    """The plan that nnU-Net makes by default for 50 such volumes, and the description of their data set."""
    import numpy as np
    from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import ExperimentPlanner
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    labels = {"background": 0, **{f"landmark {k}": k for k in range(1, channels)}}
    dataset = {"channel_names": {"0": "CT"}, "labels": labels, "file_ending": ".nii.gz"}
    moments = ("mean", "std", "percentile_00_5", "percentile_99_5")

    class Planner(ExperimentPlanner):
        """Told what it would read from the folders of a data set."""

        def __init__(self, folder: str) -> None:
            import nnunetv2.experiment_planning.experiment_planners.default_experiment_planner as module

            values = {"foreground_intensity_properties_per_channel": {"0": dict.fromkeys(moments, 1.0)}}
            module.load_json = lambda path: values if "fingerprint" in str(path) else dataset
            module.isfile = lambda path: "fingerprint" in str(path)
            module.maybe_convert_to_dataset_name = lambda name: name
            module.get_filenames_of_train_images_and_targets = lambda folder, content: {}
            module.nnUNet_raw = module.nnUNet_preprocessed = folder
            super().__init__("Dataset001_Landmarks")
            self.dataset_fingerprint["median_relative_size_after_cropping"] = 1.0

    planner = Planner("nowhere")
    configuration = planner.get_plans_for_configuration(
        np.array(spacing), np.array(shape), "nnUNetPlans_3d_fullres", 50.0 * math.prod(shape), {}
    )
    plans = {
        "dataset_name": "Dataset001_Landmarks",
        "plans_name": "nnUNetPlans",
        "label_manager": "LabelManager",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {"3d_fullres": configuration},
    }
    return PlansManager(plans), dataset


def network(configuration: Any, channels: int) -> Any:
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

    return get_network_from_plans(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        1,
        channels,
        deep_supervision=False,
    )


if __name__ == "__main__":
    main()

"""What CoorTransformer's attention costs at three sizes of image: ours, and the form that was published.

    python benchmarks/attention_memory.py [--dimension 2 3] [--results FILE] [--device cpu]

One attention at half resolution, where it costs most, with the default widths and 19 landmarks, forward and backward,
each in a process of its own. Tokens double from one size to the next. Memory is the highest beside what stood before;
"plain" writes the table of weights down, as the published code does, "torch's" is the kernel that torch chooses.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from machine import ROOT, provenance

sys.path.insert(0, str(ROOT))

SIZES = {2: ((208, 256), (208, 512), (416, 512)), 3: ((64, 64, 64), (64, 64, 128), (64, 128, 128))}
FORMS, KERNELS = ("ours", "published"), ("plain", "torch's")
LANDMARKS, SAMPLES, REACH = 19, 8, 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dimension", type=int, nargs="+", default=[2, 3])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--results", type=Path)
    parser.add_argument("--measure", nargs="+", help="used by the script itself: FORM KERNEL SIZE...")
    options = parser.parse_args()
    if options.measure:
        form, kernel, *size = options.measure
        print(json.dumps(measure(form, kernel, tuple(map(int, size)), options.device)))
        return
    lines = ["# CoorTransformer's attention", "", *(f"- {key}: {value}" for key, value in provenance().items()), ""]
    lines += [(__doc__ or "").rsplit("\n\n", 1)[1].strip(), ""]
    lines += [
        "| image | tokens | form | kernel | memory MB | seconds | 10⁹ products |",
        "|---|---|---|---|---|---|---|",
    ]
    for dimension in options.dimension:
        for form in FORMS:
            for kernel in KERNELS:
                for size in SIZES[dimension]:
                    words = [sys.executable, __file__, "--device", options.device, "--measure", form, kernel]
                    command = words + [str(side) for side in size]
                    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                    name = " × ".join(map(str, size))
                    lines.append(
                        f"| {name} | {found['tokens']} | {form} | {kernel} | {found['memory']:.0f} "
                        f"| {found['seconds']:.2f} | {found['products'] / 1e9:.2f} |"
                    )
                    print(lines[-1], flush=True)
    if options.results:
        options.results.write_text("\n".join([*lines, ""]), encoding="utf-8")


def measure(form: str, kernel: str, size: tuple[int, ...], device: str) -> dict[str, float]:
    """Memory in MB, seconds, and products of one forward and backward pass."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from LandmarkDetectorLib.models.coortransformer import GRID, WIDTHS
    from LandmarkDetectorLib.models.landmark_attention import FreeAttention, LandmarkAttention

    torch.manual_seed(0)
    dimension = len(size)
    width = WIDTHS[dimension][0]
    attention: torch.nn.Module = FreeAttention(dimension, width)
    if form == "ours":
        attention = LandmarkAttention(dimension, width, LANDMARKS, SAMPLES, GRID[dimension], REACH)
    attention.to(device)
    centres = torch.rand(1, LANDMARKS, dimension, device=device) * 2 - 1
    plain = sdpa_kernel(SDPBackend.MATH) if kernel == "plain" else nullcontext()

    def step(shape: tuple[int, ...]) -> None:
        feature = torch.randn(1, width, *(side // 2 for side in shape), device=device, requires_grad=True)
        attention(feature, centres).sum().backward()
        if device != "cpu":
            torch.cuda.synchronize()

    with plain:
        step((32,) * dimension)  # libraries are loaded, threads are started
        before = peak_mb(device, reset=True)
        start = time.perf_counter()
        step(size)
        seconds, memory = time.perf_counter() - start, peak_mb(device) - before
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.device("meta"):
        attention.to("meta")
        attention(torch.empty(1, width, *(side // 2 for side in size)), torch.empty(1, LANDMARKS, dimension))
    tokens = 1
    for side in size:
        tokens *= side // 4
    return {"tokens": tokens, "memory": memory, "seconds": seconds, "products": counter.get_total_flops() / 2}


def peak_mb(device: str, reset: bool = False) -> float:
    """The most memory so far in MB: of the device, or of the process."""
    import torch

    if device != "cpu":
        if reset:
            torch.cuda.reset_peak_memory_stats()
        return torch.cuda.max_memory_allocated() / 2**20
    from LandmarkDetectorLib.io.limits import peak_memory

    return peak_memory() / 2**20


if __name__ == "__main__":
    main()

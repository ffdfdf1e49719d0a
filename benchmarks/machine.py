"""What a figure was measured on: machine, commit, versions, command."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def provenance() -> dict[str, str]:
    """JSON-ready; the command's paths are cut to their last part."""
    import torch

    words = [Path(word).name if os.path.sep in word else word for word in sys.argv]
    return {
        "machine": f"{_processor()}, {_cores()} cores",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "commit": _commit(),
        "command": "python benchmarks/" + " ".join(words),
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
    }


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    result = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return result.stdout.strip() or "unknown"

"""What a figure was measured on: machine, commit, versions, command; and rows of long runs, which are kept."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.core.counted import counted

ROOT = Path(__file__).resolve().parent.parent


def provenance() -> dict[str, str]:
    """JSON-ready; the command's paths are cut to their last part."""
    import torch

    words = [Path(word).name if os.path.sep in word else word for word in sys.argv]
    return {
        "machine": f"{_processor()}, {counted(_cores(), 'core')}",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "commit": _commit(),
        "command": "python benchmarks/" + " ".join(words),
        "versions": f"Python {platform.python_version()}, torch {torch.__version__}",
    }


def kept(file: Path, settings: dict[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """A row that was made before, or is made now and kept: with its settings, and what it was measured on.

    Raises:
        SystemExit: the file holds a row that was made otherwise.
    """
    if file.is_file():
        row = json.loads(file.read_text(encoding="utf-8"))
        if row.get("settings") != settings:
            sys.exit(f"{file} was made by {row.get('settings')} and not by {settings}; choose another --output.")
        return row
    row = make() | {"settings": settings, "provenance": provenance()}
    file.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    return row


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

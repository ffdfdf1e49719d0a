"""Where networks run."""

from __future__ import annotations

import torch

from LandmarkDetectorLib.core import DeviceError


def choose_device(device: str | torch.device) -> torch.device:
    """The device of this name; ``auto`` is CUDA where there is one.

    Raises:
        DeviceError: it is not there.
    """
    if str(device) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise DeviceError(f"There is no device {str(device)!r}; use auto, cpu or cuda.") from error
    if chosen.type not in ("cpu", "cuda"):
        raise DeviceError(f"The device {str(device)!r} is not supported; use auto, cpu or cuda.")
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise DeviceError("This machine has no usable CUDA device; use --device cpu, or auto.")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise DeviceError(f"There is no {chosen}; this machine has {torch.cuda.device_count()} CUDA device(s).")
    return chosen

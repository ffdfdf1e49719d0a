"""Figures as values that JSON knows: no NaN, no infinity, no number for a key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """The value for JSON: numeric keys become text, numbers that could not be computed ``None``."""
    if isinstance(value, Mapping):
        return {f"{key:g}" if isinstance(key, float) else key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value

"""JSON as a bundle may hold it: UTF-8, read as strictly as files of landmarks are, and not endless."""

from __future__ import annotations

import json
from typing import Any

from LandmarkDetectorLib.core.errors import BundleError
from LandmarkDetectorLib.io.json_files import parse_strictly

MAX_JSON_BYTES = 8 * 2**20


def parse_object(data: bytes, where: str) -> dict[str, Any]:
    """The JSON object in ``data``.

    Raises:
        BundleError: it is too large, not UTF-8, not JSON, not an object, or says something twice. (A second key of
            the same name would let two readers see two different files.)
    """
    if len(data) > MAX_JSON_BYTES:
        raise BundleError(
            f"{where} is larger than the {MAX_JSON_BYTES >> 20} MB a JSON file may have; the bundle is refused."
        )

    try:
        value = parse_strictly(data.decode("utf-8"))
    except ValueError as exc:
        raise BundleError(f"{where} is not JSON that can be read ({exc}); get the bundle again.") from exc
    if not isinstance(value, dict):
        raise BundleError(f"{where} is not a JSON object; get the bundle again.")
    return value


def to_bytes(value: Any, where: str) -> bytes:
    """``value`` as indented UTF-8 JSON with a final newline, the same bytes on every system.

    Raises:
        BundleError: a value that JSON has no word for (an array, NaN, a path).
    """
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise BundleError(f"{where} cannot be written as JSON ({exc}); use plain numbers, words and lists.") from exc
    return (text + "\n").encode("utf-8")

"""What a worker says of an error: its kind and one sentence, and of a defect nothing that might name a patient."""

from __future__ import annotations

import sys
import traceback

from LandmarkDetectorLib.core import LandmarkDetectorError


def failure(error: Exception, doing: str, memory: str) -> tuple[str, str]:
    """The kind and the sentence of an error, for whoever asked the worker.

    The place of a defect goes to standard error, without what the error itself says: that may name a file, and so a
    patient.

    Args:
        error: what ended the work.
        doing: what it was, for that log.
        memory: the sentence where the memory did not suffice.
    """
    if isinstance(error, LandmarkDetectorError):
        return type(error).__name__, str(error)
    if isinstance(error, MemoryError):
        return "DeviceError", memory
    name = type(error).__name__
    print(f"Defect in {doing}:\n{''.join(traceback.format_tb(error.__traceback__))}{name}", file=sys.stderr, flush=True)
    return "Defect", f"This is a defect of the worker ({name}); its log says where it happened."

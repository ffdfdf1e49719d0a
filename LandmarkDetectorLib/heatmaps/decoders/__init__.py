"""Decoders, one a file; each is registered when this package is imported."""

from LandmarkDetectorLib.core import import_parts

import_parts(__name__, __path__)

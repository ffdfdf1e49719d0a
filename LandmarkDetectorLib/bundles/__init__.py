"""A model on disk: a folder in the layout of a MONAI bundle, with a card, a manifest and a store. Imports no torch.

Nothing of a bundle is ever run. The weights are a plain state dict, the settings plain JSON, every file is listed with
its SHA-256, and a folder that holds anything else is refused.
"""

from LandmarkDetectorLib.bundles.bundle import Bundle
from LandmarkDetectorLib.bundles.card import Card
from LandmarkDetectorLib.bundles.fetch import fetch_bundle
from LandmarkDetectorLib.bundles.store import (
    find_bundle,
    import_bundle,
    list_bundles,
    load_bundle,
    remove_bundle,
    verify_bundle,
)
from LandmarkDetectorLib.bundles.write import write_bundle

__all__ = [
    "Bundle",
    "Card",
    "fetch_bundle",
    "find_bundle",
    "import_bundle",
    "list_bundles",
    "load_bundle",
    "remove_bundle",
    "verify_bundle",
    "write_bundle",
]

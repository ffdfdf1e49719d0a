"""Networks that were made for photographs, as pyramids of features at 1/2 to 1/32 of the image."""

from LandmarkDetectorLib.core import import_parts
from LandmarkDetectorLib.models.backbones.backbone import Backbone, backbone_names, build_backbone

__all__ = ["Backbone", "backbone_names", "build_backbone"]

import_parts(__name__, __path__)

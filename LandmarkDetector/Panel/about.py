"""What the module says of itself."""

from __future__ import annotations

from LandmarkDetector.Panel.texts import _

HELP = _(
    "Finds anatomical landmarks in 2D and 3D images by a trained bundle and shows them for review. "
    "Choose a volume and a bundle, press Detect, then go through the table: confirm what is right, drag what is not, "
    "mark what is absent. Every landmark is a proposal until a person has reviewed it."
)
ACKNOWLEDGEMENT = _(
    "The bundles name their training data and its authors on their cards. Not a medical device: for research only."
)

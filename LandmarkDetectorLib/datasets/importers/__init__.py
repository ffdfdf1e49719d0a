"""Data sets that somebody has, each from its own form into ours; one file a form, registered by name.

===================  ==================================================================================
name                 folder
===================  ==================================================================================
``isbi2015``         lateral cephalograms of the challenge of 2015, 19 landmarks, two observers
``hand-atlas``       hand radiographs with the annotation of Payer et al., 37 landmarks
``spine-ap``         spine radiographs of AASCE 2019 (``boostnet_labeldata``), 68 landmarks
``endovis2015``      endoscopic frames with the joints of up to four instruments
``afids``            brain MR in a BIDS tree, 32 anatomical fiducials, several observers
``plant-centroids``  plants in the field with the points where stems emerge, several in a picture
``markups``          any folder of images, each with a file of landmarks of its name
===================  ==================================================================================

Nothing is downloaded; who has a data set has agreed to its licence.
"""

from LandmarkDetectorLib.core import import_parts
from LandmarkDetectorLib.datasets.importers.registry import (
    ImportedCase,
    ImportedDataset,
    importer_names,
    register_importer,
)
from LandmarkDetectorLib.datasets.importers.write import import_dataset

__all__ = [
    "ImportedCase",
    "ImportedDataset",
    "import_dataset",
    "importer_names",
    "register_importer",
]

import_parts(__name__, __path__)

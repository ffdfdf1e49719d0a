"""Files into images and landmarks, and back.

Landmarks of one image go through :func:`load_landmarks` and :func:`save_landmarks`, which choose by suffix and content:

=====================  ==================================  =======  ==================================================
file                   from                                written  positions become
=====================  ==================================  =======  ==================================================
``.mrk.json, .json``   3D Slicer's markups, schema 1.x     yes      LPS, mm or px as the file says
``.fcsv``              3D Slicer's older point lists       yes      LPS mm
``.csv``               ours, or Slicer's control points    ours     LPS, mm or px as the header says
``.xlsx``              ours                                yes      LPS, mm or px as the header says
``.json``              LabelMe                             no       px: half a pixel less, counted from a corner there
``.tps``               tpsDig, one picture beside it       no       px: y turned at the picture's height, half less
=====================  ==================================  =======  ==================================================

Files of many images have functions of their own, which also take a spacing, and then give mm:

=====================  ==================================  ===========================================================
function               from                                positions become
=====================  ==================================  ===========================================================
:func:`read_coco`      COCO's form, ``.json``              px as they are, or half a pixel less (``origin``)
:func:`read_tps`       tpsDig, ``.tps``                    px: y turned at each picture's height, half a pixel less
:func:`read_labelme`   LabelMe, ``.json``, one picture     px: half a pixel less
=====================  ==================================  ===========================================================

Everywhere 0 is the centre of the first pixel, x to the right and y down.
"""

from LandmarkDetectorLib.io.coco import read_coco
from LandmarkDetectorLib.io.images import load_image, save_image
from LandmarkDetectorLib.io.labelme import read_labelme
from LandmarkDetectorLib.io.landmarks import load_landmarks, save_landmarks
from LandmarkDetectorLib.io.tps import read_tps

__all__ = ["load_image", "load_landmarks", "read_coco", "read_labelme", "read_tps", "save_image", "save_landmarks"]

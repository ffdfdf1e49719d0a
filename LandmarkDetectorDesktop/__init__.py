"""The standalone host: Slicer's own libraries (``slicer-core``) and PySide6, with the very module file in a window.

>>> from LandmarkDetectorDesktop.application import Desktop
>>> desktop = Desktop()                      # doctest: +SKIP
>>> desktop.open("skull.nii.gz")             # doctest: +SKIP

Importing this package imports neither Qt nor VTK.
"""

import os

# Qt is named by qtpy, and only PySide6 stands behind it here: what a person has set for other programs must not decide.
os.environ["QT_API"] = "pyside6"

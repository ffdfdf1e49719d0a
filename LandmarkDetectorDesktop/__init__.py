"""The standalone host: Slicer's own libraries (``slicer-core``) and PySide6, with the very module file in a window.

>>> from LandmarkDetectorDesktop.application import Desktop
>>> desktop = Desktop()                      # doctest: +SKIP
>>> desktop.open("skull.nii.gz")             # doctest: +SKIP

Importing this package imports neither Qt nor VTK.
"""

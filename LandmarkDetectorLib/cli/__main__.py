"""``python -m LandmarkDetectorLib.cli`` is ``landmark-detector``."""

from LandmarkDetectorLib.cli import main

main()

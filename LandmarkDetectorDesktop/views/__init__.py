"""The views: Slicer's displayable managers, drawn off screen and painted into plain Qt widgets."""

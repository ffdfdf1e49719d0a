"""Annotated images, and how they are sampled."""

from LandmarkDetectorLib.datasets.cases import Case, Dataset, read_dataset

__all__ = ["Case", "Dataset", "read_dataset"]

"""1. A data set with landmarks through MONAI's augmentation, in two dimensions."""

import tempfile
from pathlib import Path

import monai.transforms as mt
import torch
from torch.utils.data import DataLoader

import LandmarkDetectorLib
from LandmarkDetectorLib.datasets import LandmarkDataset, collate_samples, inside, world
from LandmarkDetectorLib.datasets.importers import import_dataset
from LandmarkDetectorLib.datasets.transforms import Elastic, OrderByPosition, Resize

# A folder of images, each with a file of landmarks: here two ultrasound pictures of fetal heads that come along.
# What you have instead may be a folder from 3D Slicer or LabelMe, or one of the public data sets by its name.
samples_folder = Path(LandmarkDetectorLib.__file__).parent / "bundles" / "shipped" / "fetal-head-us" / "samples"
folder = Path(tempfile.mkdtemp()) / "heads"
data = import_dataset("markups", samples_folder, folder)
print(f"{len(data.cases)} images with {', '.join(data.labels)}")

# The landmarks go along through every transform, elastic ones included; one that they cannot follow is refused.
# "Left" means a place in the picture here, so a picture that was turned or mirrored has its ends named anew.
# For the left and the right eye, which keep their patient, take SwapOnMirror.
transform = [
    Resize((160, 224), keep_aspect=True),
    mt.RandAffined("image", prob=1, rotate_range=0.3, scale_range=0.1, translate_range=8, padding_mode="zeros"),
    mt.RandFlipd("image", prob=0.5, spatial_axis=1),
    Elastic(spacing=40, magnitude=4, prob=0.5),
    OrderByPosition([(("OFD left", "OFD right"), "x"), (("BPD upper", "BPD lower"), "y")]),
    mt.ScaleIntensityd("image"),
    mt.RandGaussianNoised("image", prob=0.5, std=0.05),
]
samples = LandmarkDataset(data, transform, seed=0)

# With a seed, a sample is the same in whichever worker it is made, and another one in the next epoch.
samples.set_epoch(1)
assert torch.equal(samples[0]["image"], samples[0]["image"])

for batch in DataLoader(samples, batch_size=2, collate_fn=collate_samples):
    print("image", tuple(batch["image"].shape), "landmarks", tuple(batch["landmarks"].shape))

# Without the elastic one and the names, which change what is where, the world has not moved: LPS millimetres, exactly.
rigid = LandmarkDataset(data, transform[:3], seed=0)
for index, case in enumerate(data.cases):
    sample = rigid[index]
    truth = torch.tensor(case.landmarks.positions)
    moved = (world(sample) - truth).norm(dim=-1).max()
    print(f"{case.subject}: {int(inside(sample).sum())} landmarks in view, moved in the world by {moved:.4f} mm")

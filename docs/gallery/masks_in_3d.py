"""4. Volumes: a small network learns balls around landmarks, whose middle is the landmark, in millimetres."""

import numpy as np
import torch

from LandmarkDetectorLib.core import Grid, Image, LandmarkSet
from LandmarkDetectorLib.datasets import MaskDataset, collate_samples, make_sample, world
from LandmarkDetectorLib.evaluation import position_errors
from LandmarkDetectorLib.heatmaps import decode
from LandmarkDetectorLib.losses import build_loss
from LandmarkDetectorLib.models import build_model

torch.manual_seed(0)
# Slices are thicker than pixels are wide; index and spacing run along x, y, z, arrays along z, y, x.
GRID = Grid.regular((32, 32, 16), spacing=(1.0, 1.0, 2.0))
Z, Y, X = torch.meshgrid(*[torch.arange(n) for n in GRID.shape], indexing="ij")


def volume():
    """A bright root, and a dark canal that a third of the people do not have."""
    places = torch.tensor([[6.0, 6, 4], [18, 18, 8]]) + torch.rand(2, 3) * torch.tensor([6.0, 6.0, 3.0])
    if torch.rand(()) < 1 / 3:
        places[1] = torch.nan
    away = [(X - x) ** 2 + (Y - y) ** 2 + (2 * (Z - z)) ** 2 for x, y, z in places]
    values = torch.exp(-away[0] / 18) - torch.exp(-away[1] / 6).nan_to_num() + 0.1 * torch.rand(GRID.shape)
    marks = LandmarkSet.from_positions(["root", "canal"], GRID.to_world(places.numpy()))
    return make_sample(Image(values.numpy()[None], GRID, "volume"), marks)


# Balls of 4 mm; a mask is empty where somebody looked and there is no landmark, and that is learnt as well.
# Of volumes that are too large to train on as a whole take a PatchDataset, and masks of its patches.
train = MaskDataset([volume() for _ in range(24)], radius=4.0, unit="mm", soft=True)
test = [volume() for _ in range(8)]
network = build_model("unet", dimension=3, in_channels=1, landmarks=2, widths=[8, 16])
loss = build_loss("heatmap_bce")
optimiser = torch.optim.Adam(network.parameters(), lr=2e-2)


def evaluate(when):
    """Millimetres in the world: infinite where a landmark was missed, and NaN, left out, where there is none."""
    network.eval()
    with torch.no_grad():
        balls = network(torch.stack([sample["image"].as_tensor() for sample in test])).heatmaps.sigmoid()
    found = decode(balls, "local_mean", threshold=0.5).positions
    truth = torch.stack([world(sample) for sample in test])
    errors = position_errors(GRID.to_world(found.numpy()), truth.numpy())
    right, missed = errors[np.isfinite(errors)], int(np.isinf(errors).sum())
    false = int((found.isfinite() & truth.isnan()).all(-1).sum())
    print(f"{when}: {len(right)} found, {missed} missed, {false} false, mean error {right.mean():.2f} mm")


evaluate("before")
for _ in range(60):
    network.train()
    batch = collate_samples([train[int(n)] for n in torch.randint(len(train), (4,))])
    error = loss(network(batch["image"].as_tensor()).heatmaps, batch["mask"], batch["labelled"])
    optimiser.zero_grad()
    error.backward()
    optimiser.step()
evaluate("after")

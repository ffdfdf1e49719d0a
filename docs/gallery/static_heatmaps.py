"""2. Static heatmaps: a network learns to find all instances of one class, in two dimensions."""

import torch

from LandmarkDetectorLib.core import Image, LandmarkSet
from LandmarkDetectorLib.datasets import HeatmapDataset, collate_samples, make_sample
from LandmarkDetectorLib.evaluation import summarise_instances
from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, decode_instances
from LandmarkDetectorLib.losses import build_loss
from LandmarkDetectorLib.models import build_model

torch.manual_seed(0)
SIDE, MOST = 48, 4


def picture(count):
    """Plants seen from above: bright discs of different size, each with its centre as a landmark."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    values, centres = 0.2 * torch.rand(SIDE, SIDE), []
    while len(centres) < count:
        centre = 6 + (SIDE - 13) * torch.rand(2)
        if all((centre - other).norm() > 12 for other in centres):
            centres.append(centre)
            radius = 3 + 2 * torch.rand(())
            values += torch.sigmoid(2 * (radius - torch.hypot(x - centre[0], y - centre[1])))
    marks = LandmarkSet.from_positions(["plant"] * count, torch.stack(centres), unit="px")
    return make_sample(Image.from_array(values, unit="px"), marks, instances=MOST)


# Heatmaps are made when a sample is asked for; of several instances the highest counts, so two never add up.
train = HeatmapDataset([picture(1 + n % MOST) for n in range(32)], GaussianHeatmaps(1, 2, sigma=2.0))
test = collate_samples([picture(1 + n % MOST) for n in range(12)])
network = build_model("unet", dimension=2, in_channels=1, landmarks=1, widths=[8, 16, 32])
loss = build_loss("heatmap_l2")
optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)


def evaluate(when):
    """Peaks above a third of the height, matched with the truth within five pixels."""
    network.eval()
    with torch.no_grad():
        maps = network(test["image"].as_tensor()).heatmaps
    found = decode_instances(maps, MOST, radius=4, threshold=0.3).positions
    score = summarise_instances(found.numpy(), test["landmarks"].numpy(), ["plant"], "px", 5.0).overall
    print(f"{when}: {score.found} found, {score.missed} missed, {score.false} false, mean error {score.mean:.2f} px")


evaluate("before")
for _ in range(100):
    network.train()
    batch = collate_samples([train[int(n)] for n in torch.randint(len(train), (8,))])
    error = loss(network(batch["image"].as_tensor()).heatmaps, batch["heatmaps"], batch["valid"])
    optimiser.zero_grad()
    error.backward()
    optimiser.step()
evaluate("after")

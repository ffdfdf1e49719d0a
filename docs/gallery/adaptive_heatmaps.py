"""3. Adaptive heatmaps: each landmark learns how wide its target is, and the target follows the augmentation."""

import monai.transforms as mt
import torch

from LandmarkDetectorLib.core import Image, LandmarkSet
from LandmarkDetectorLib.datasets import collate_samples, linear_part, make_sample
from LandmarkDetectorLib.datasets.transforms import carry
from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, decode
from LandmarkDetectorLib.losses import build_loss
from LandmarkDetectorLib.models import build_model

torch.manual_seed(0)
SIDE = 40
Y, X = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")


def picture():
    """A disc, whose centre is plain, and a bar, along which observers do not agree where its landmark is."""
    disc, bar = torch.tensor([[13.0, 11.0], [19.0, 28.0]]) + 3 * torch.rand(2, 2)
    values = torch.exp(-((X - disc[0]) ** 2 + (Y - disc[1]) ** 2) / 8)
    values += torch.exp(-(((X - bar[0]) / 8) ** 4) - (Y - bar[1]) ** 2 / 4) + 0.1 * torch.rand(SIDE, SIDE)
    placed = bar + torch.tensor([3.0, 0.2]) * torch.randn(2)
    marks = LandmarkSet.from_positions(["disc", "bar"], torch.stack([disc, placed]), unit="px")
    return make_sample(Image.from_array(values, unit="px"), marks)


augment = carry(mt.RandAffined("image", prob=1, rotate_range=0.5, scale_range=0.1, padding_mode="border"))
augment.set_random_state(seed=0)
train, test = [picture() for _ in range(48)], collate_samples([picture() for _ in range(24)])
network = build_model("unet", dimension=2, in_channels=1, landmarks=2, widths=[8, 16, 32])
generator = GaussianHeatmaps(2, 2, sigma=2.0, learnable="sigma")
# The spread has a price per area; without one it could grow until targets are flat and easy to meet.
loss = build_loss("gaussian_heatmap_l2", alpha=5e-5)
optimiser = torch.optim.Adam([*network.parameters(), *generator.parameters()], lr=1.5e-2)


def evaluate(when):
    """The distance of the disc's landmark, whose place is certain, and the spread of both targets."""
    network.eval()
    with torch.no_grad():
        found = decode(network(test["image"].as_tensor()).heatmaps, "local_mean").positions
    error = (found - test["landmarks"]).norm(dim=-1)[:, 0].nanmean()
    spread = [" × ".join(f"{width:.1f}" for width in row) for row in generator.sigma.tolist()]
    print(f"{when}: error {error:.2f} px; spread of the disc {spread[0]}, of the bar {spread[1]} px")


evaluate("before")
for _ in range(140):
    network.train()
    samples = [augment(train[int(n)]) for n in torch.randint(len(train), (8,))]
    batch, turned = collate_samples(samples), torch.stack([linear_part(sample) for sample in samples])
    # What was drawn for the picture as it was loaded: S becomes A S Aᵀ in the picture that was turned.
    targets, valid = generator(batch["landmarks"], (SIDE, SIDE), affine=turned)
    error = loss(network(batch["image"].as_tensor()).heatmaps, (targets, generator.covariance), valid)
    optimiser.zero_grad()
    error.backward()
    optimiser.step()
evaluate("after")

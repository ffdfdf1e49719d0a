"""5. Evaluation: decode, errors and success rates, regions that hold what they promise, a report in HTML."""

import tempfile
from pathlib import Path

import torch

from LandmarkDetectorLib.evaluation import position_errors, render_evaluation, summarise
from LandmarkDetectorLib.evaluation.regions import Predictions, build_region_method, coverage_report
from LandmarkDetectorLib.heatmaps import GaussianHeatmaps, decode

torch.manual_seed(0)
LABELS, SHAPE, SPACING = ("sella", "nasion", "gonion"), (80, 96), (0.5, 0.5)
CASES, CALIBRATE = 120, 80

# What a network might say: heatmaps about the truth, off by something that their width does not know of, and noise.
truth = 15 + torch.rand(CASES, 3, 2) * torch.tensor([65.0, 49.0])
off = truth + torch.randn(CASES, 3, 2) * torch.tensor([[2.0, 2.0], [2.0, 2.0], [4.0, 1.0]])
heatmaps = GaussianHeatmaps(3, 2, sigma=1.5)(off, SHAPE)[0] + 0.02 * torch.randn(CASES, 3, *SHAPE)
truth[5, 1], heatmaps[7, 0] = torch.nan, 0.0  # one landmark that nobody annotated, one that the network misses

# How exactly a decoder reads where the network's peak is is one thing,
for method in ("argmax", "local_soft_argmax", "gaussian_fit"):
    gaps = (decode(heatmaps, method, threshold=0.5).positions - off).norm(dim=-1)
    print(f"{method}: reads the peak to {gaps.nanmean():.3f} px")

# and how far the peak is from the truth another. A missed landmark fails in the rates and stands beside the mean;
# what nobody annotated counts nowhere.
errors = position_errors(decode(heatmaps).positions, truth, SPACING)
summary = summarise(errors, LABELS, "mm", radii=(2.0, 2.5, 3.0, 4.0))
low, high = summary.mean_interval
print(f"MRE {summary.mean:.2f} ± {summary.sd:.2f} mm (95 % interval {low:.2f}-{high:.2f}), {summary.missed} missed")
print("SDR " + ", ".join(f"{radius:g} mm {100 * rate:.1f} %" for radius, rate in summary.sdr.items()))

# A covariance says what a network believes; calibrated on some cases, a region holds on others what it promises.
predictions = Predictions.from_heatmaps(heatmaps, LABELS, spacing=SPACING)
known, new = slice(0, CALIBRATE), slice(CALIBRATE, None)
for name in ("normal", "ellipsoidal"):
    calibrated = build_region_method(name).calibrate(predictions.cases(known), truth[known], level=0.9)
    report = coverage_report(calibrated, predictions.cases(new), truth[new])
    area = report.sizes["all"].median
    print(f"{name}: 90 % asked, {100 * report.landmarks.rate:.0f} % held, median area {area:.1f} mm²")

page = Path(tempfile.mkdtemp()) / "report.html"
subjects = [f"case {number}" for number in range(CASES)]
page.write_text(render_evaluation(errors, LABELS, "mm", subjects, title="An example"), encoding="utf-8")
print(f"written: {page}")

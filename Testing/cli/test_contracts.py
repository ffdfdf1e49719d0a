"""What the command line calls takes what the command line gives; the other tests here use doubles."""

from __future__ import annotations

import inspect

from LandmarkDetectorLib.evaluation import render_report
from LandmarkDetectorLib.inference import Detection, Detector
from LandmarkDetectorLib.inference.evaluate import evaluate_bundle
from LandmarkDetectorLib.training import train


def test_the_detector_takes_what_detect_gives() -> None:
    inspect.signature(Detector).bind("bundle", device="auto")
    inspect.signature(Detector.detect).bind("self", "image", progress=print)
    assert {"landmarks", "timing", "notices"} <= set(inspect.signature(Detection).parameters)


def test_train_takes_what_train_gives() -> None:
    options = {"fold": None, "resume": False, "device": "auto", "images": "cached", "progress": print}
    options |= {"cancelled": bool, "results": None}
    inspect.signature(train).bind("recipe", "data", "output", **options)


def test_evaluate_bundle_takes_what_evaluate_gives() -> None:
    inspect.signature(evaluate_bundle).bind("bundle", "data", subjects="held-out", device="auto", progress=print)


def test_the_report_takes_what_detect_gives() -> None:
    inspect.signature(render_report).bind("image", "landmarks", card={}, timing={}, notices=[])

"""The samples of the shipped bundles, offered in Slicer's module "Sample Data".

The files came with the extension, so the addresses are those of local files: nothing is fetched from a network, and the
checksum is the one that the bundle's manifest lists.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

CATEGORY = "Landmark Detector"
_ICONS = Path(__file__).resolve().parents[1] / "Resources" / "Icons"
_LANDMARKS = (".mrk.json", ".fcsv", ".csv")


@dataclass(frozen=True)
class Sample:
    """One image of a shipped bundle."""

    bundle: str
    title: str
    path: Path
    sha256: str

    @property
    def node_name(self) -> str:
        """What the volume is called in the scene."""
        return self.path.name.split(".")[0]


def samples() -> list[Sample]:
    """The images that came with the shipped bundles; reads a few small files and imports nothing of the library."""
    found = []
    for manifest in sorted((_library() / "bundles" / "shipped").glob("*/manifest.json")):
        folder = manifest.parent
        card = json.loads((folder / "configs" / "card.json").read_text(encoding="utf-8"))
        for name, entry in json.loads(manifest.read_text(encoding="utf-8"))["files"].items():
            if name.startswith("samples/") and not name.endswith(_LANDMARKS):
                found.append(Sample(card["name"], card["title"], folder / name, entry["sha256"]))
    return found


def offer() -> None:
    """Register the samples once the application has started; called while it starts.

    The desktop has no module "Sample Data", and nothing that tells of its start: there nothing is offered.
    """
    import slicer

    started = getattr(slicer.app, "startupCompleted", None)
    if started is not None:
        started.connect(lambda *_: register())


def register() -> None:
    """Tell Slicer's module "Sample Data" of the samples."""
    from SampleData import SampleDataLogic

    for sample in samples():
        SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=f"{sample.title} ({sample.node_name})",
            uris=sample.path.as_uri(),
            fileNames=sample.path.name,
            nodeNames=sample.node_name,
            loadFileProperties={"singleFile": True},
            checksums=f"SHA256:{sample.sha256}",
            thumbnailFileName=str(_ICONS / f"sample-{sample.bundle}.png"),
        )


def _library() -> Path:
    """The folder of LandmarkDetectorLib: beside the module in a checkout, in the module's folder once installed."""
    spec = importlib.util.find_spec("LandmarkDetectorLib")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("LandmarkDetectorLib is not beside the module; install the extension again.")
    return Path(spec.origin).parent

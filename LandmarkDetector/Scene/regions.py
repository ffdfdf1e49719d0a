"""How far around a proposal its landmark lies: by what was measured of the bundle, or else by its own account."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .state import Proposal, State

BELIEVED = 0.95
"""Share of true positions within a region that nobody calibrated, if the detector were right about itself."""


@dataclass(frozen=True)
class Region:
    """All places whose distance from a proposal, in standard deviations of its covariance, is at most a radius.

    Args:
        level: the share of true positions within; promised where it was measured, else as the detector believes.
        radius: of a region that was calibrated; ``None`` where it was not, and a normal distribution is believed.
        cases: held-out cases that calibrated it, where that is said.
    """

    level: float = BELIEVED
    radius: float | None = None
    cases: int | None = None

    @property
    def calibrated(self) -> bool:
        """Whether its coverage was measured on cases that did not train."""
        return self.radius is not None


def regions_of(state: State, proposals: Sequence[Proposal]) -> list[Region]:
    """The region of each proposal, by what the detection said that it came from."""
    from LandmarkDetectorLib.io.markups_regions import REGIONS, checked_regions

    stated = [checked_regions(source.get(REGIONS)) for source in state.sources]
    found = []
    for proposal in proposals:
        said = stated[proposal.source] if proposal.source < len(stated) else None
        radius = None if said is None else said["radii"].get(proposal.label)
        if said is None or radius is None:
            found.append(Region())
        else:
            found.append(Region(said["level"], radius, said.get("cases")))
    return found


def stated_regions(state: State, keys: Sequence[tuple[str, str]]) -> dict[str, Any] | None:
    """What a file says of regions: those of the last detection, of the landmarks that are still as it proposed them.

    A radius is in standard deviations of the covariance that the same detection stated. A landmark that a person moved
    has none, and one that an earlier detection proposed has another.

    Args:
        state: the review.
        keys: id and label of each control point.
    """
    from LandmarkDetectorLib.io.markups_regions import REGIONS, checked_regions

    last = len(state.sources) - 1
    said = checked_regions(state.sources[last].get(REGIONS)) if state.sources else None
    if said is None:
        return None
    entries = [state.points.get(key) for key, _ in keys]
    believed = [entry.believed for entry in entries if entry is not None and entry.label in said["radii"]]
    labels = {one.label for one in believed if one is not None and one.source == last}
    return {**said, "radii": {label: radius for label, radius in said["radii"].items() if label in labels}}

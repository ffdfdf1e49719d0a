"""Published weights: where their files lie on this computer, and a strict loading. Nothing is downloaded.

A file is read by ``torch.load(..., weights_only=True)``: it holds numbers, never code. Those of torchvision end in the
first digits of their SHA-256, which is checked for a file that was found rather than given.
"""

from __future__ import annotations

import hashlib
import importlib.util
import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from LandmarkDetectorLib.core import RecipeError

COUNTER = "num_batches_tracked"  # files from before torch 0.4.1 lack it


@dataclass(frozen=True)
class PublishedWeights:
    """Weights for one network.

    Attributes:
        file: its name in the cache of torch.hub, where torchvision leaves it, or inside ``package``.
        source: who published it, for :attr:`Backbone.pretrained_from`.
        rename: from a name in the file to that in our network, None for what the network does not have (the
            classifier).
        first: our name of the first convolution's weight, which is adapted to the image's channels.
        package: an installed package that holds the file in its folder ``models``.
        how: what to do where it is not there.
    """

    file: str
    source: str
    rename: Callable[[str], str | None]
    first: str
    package: str | None = None
    how: str = ""

    def find(self) -> Path:
        """The file on this computer.

        Raises:
            RecipeError: it is not there, or it is damaged.
        """
        places = [Path(torch.hub.get_dir()) / "checkpoints" / self.file]
        spec = importlib.util.find_spec(self.package) if self.package else None
        if spec is not None and spec.origin:
            places.insert(0, Path(spec.origin).parent / "models" / self.file)
        for place in places:
            if place.is_file():
                return self._checked(place)
        advice = f"{self.how}, " if self.how else ""
        raise RecipeError(
            f"The weights {self.file} ({self.source}) are not on this computer: {advice}put the file into "
            f"{places[-1].parent}, give its path as pretrained, or leave pretrained out."
        )

    def _checked(self, place: Path) -> Path:
        digits = re.search(r"-([0-9a-f]{8})\.pth$", self.file)
        assert digits is not None, self.file
        found = hashlib.sha256()
        with place.open("rb") as stream:
            while block := stream.read(2**20):
                found.update(block)
        if not found.hexdigest().startswith(digits[1]):
            raise RecipeError(f"The weights {place} are damaged: their checksum is not {digits[1]}; fetch them again.")
        return place


def load_weights(network: nn.Module, published: PublishedWeights, pretrained: str | PathLike[str]) -> str:
    """Load weights into a network, all of them or none; says in words where they come from.

    Raises:
        RecipeError: the file is not there, cannot be read, or is not of this network.
    """
    if str(pretrained) == "imagenet":
        path, words = published.find(), f"ImageNet, {published.file} ({published.source})"
    else:
        path, words = Path(pretrained), f"the file {Path(pretrained).name}"
        if not path.is_file():
            raise RecipeError(f"There is no file of weights {path}; give its path, or leave pretrained out.")
    found = _renamed(_read(path), published)
    own = network.state_dict()
    if published.first in found and published.first in own:
        found[published.first] = adapted(found[published.first], own[published.first].shape[1])
    found = {name: own[name] for name in own if name.endswith(COUNTER)} | found
    missing, beyond = sorted(own.keys() - found.keys()), sorted(found.keys() - own.keys())
    other = sorted(name for name in own.keys() & found.keys() if own[name].shape != found[name].shape)
    for names, fault in ((missing, "lacks"), (beyond, "has beyond this network"), (other, "has in another shape")):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise RecipeError(
                f"The weights {path} are not those of this backbone: the file {fault} {names[0]}{more}; give the file "
                f"that fits (for ImageNet {published.file})."
            )
    network.load_state_dict(found)
    return words


def adapted(weight: Tensor, channels: int) -> Tensor:
    """A first convolution's weight (O, I, ...) for another number of input channels: cycled, and times I/C."""
    given = weight.shape[1]
    if given == channels:
        return weight
    return weight[:, [c % given for c in range(channels)]] * (given / channels)


def _read(path: Path) -> Mapping[str, Tensor]:
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise RecipeError(
            f"The weights {path} cannot be read: torch did not write it, or it holds more than numbers."
        ) from error
    if isinstance(found, Mapping) and isinstance(found.get("state_dict"), Mapping):
        found = found["state_dict"]
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise RecipeError(f"The weights {path} are not a dictionary of tensors; give a file of weights alone.")
    return found


def _renamed(found: Mapping[str, Tensor], published: PublishedWeights) -> dict[str, Tensor]:
    pairs = ((published.rename(str(name).removeprefix("module.")), value) for name, value in found.items())
    return {name: value for name, value in pairs if name is not None}

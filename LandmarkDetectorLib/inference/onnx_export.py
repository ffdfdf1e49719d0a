"""From a bundle's networks to ONNX graphs, by torch's exporter.

The exporter is the one that follows ``torch.export``: it knows which sizes may vary and refuses what it cannot keep
general, where the older one by tracing writes the sizes that it happened to see into the graph without a word
(docs/decisions/0005-onnx.md). What comes out is compared with the network itself, at sizes that it was not made at.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.bundle import weights_file
from LandmarkDetectorLib.bundles.pipeline import Pipeline, read_pipeline
from LandmarkDetectorLib.bundles.strict_json import to_bytes
from LandmarkDetectorLib.bundles.write import extend_bundle
from LandmarkDetectorLib.core import BundleError
from LandmarkDetectorLib.inference.networks import torch_networks
from LandmarkDetectorLib.inference.onnx_graphs import (
    FEATURES,
    FOLDER,
    HEATMAPS,
    IMAGES,
    INDEX,
    LANDMARKS,
    PRESENCE,
    SIGNATURES,
    Graphs,
    Index,
    StageGraphs,
    check_graph,
    file_name,
    package,
)
from LandmarkDetectorLib.inference.onnx_network import OnnxNetwork
from LandmarkDetectorLib.io.notices import silenced
from LandmarkDetectorLib.models.network import HeatmapNetwork

OPSET = 20
"""The newest that onnxruntime of two years ago reads, and the first with a resampling of volumes (GridSample)."""
TOLERANCE = 1e-3
"""How far a graph's output may be from the network's, of the output's largest value; rounding gives about 1e-5."""
_LONGEST_SIDE = 2048


def export_bundle(bundle: Bundle, folder: Path | str, *, replace: bool = False) -> Bundle:
    """Write the bundle once more, with its networks as ONNX graphs beside the weights.

    The result is a bundle: card, licence and samples travel with it, its manifest has the SHA-256 of the graphs, and it
    is loaded, verified and imported like any other. See docs/onnx.md for what lies in it.

    Args:
        bundle: to export.
        folder: to write; it appears whole or not at all.
        replace: whether a bundle that is there may be replaced.

    Raises:
        BundleError: a network cannot be exported, or the folder cannot be written.
        DeviceError: one of the packages of the extra ``onnx`` is missing.
    """
    graphs = make_graphs(bundle)
    files = {f"{FOLDER}{name}": data for name, data in graphs.files.items()}
    files[INDEX] = to_bytes(graphs.index.model_dump(mode="json"), INDEX)
    return extend_bundle(bundle, folder, files, replace=replace)


def make_graphs(bundle: Bundle) -> Graphs:
    """The graphs of all stages of a bundle; some seconds each.

    Raises:
        BundleError: a network cannot be exported, or its graph says something else.
        DeviceError: one of the packages of the extra ``onnx`` is missing.
    """
    for name in ("onnx", "onnxscript", "onnxruntime"):
        package(name)
    pipeline = read_pipeline(bundle.settings, bundle.name)
    networks = torch_networks(pipeline, bundle.state_dict())
    files, stages = {}, {}
    for stage, network in networks.items():
        multiple = max(network.factor, getattr(network, "multiple", 1))
        about = StageGraphs(factor=network.factor, multiple=multiple, conditional=network.conditional)
        # Frames are rounded to whole samples, so one network sees several sizes; a patch is what the pipeline says.
        fixed = pipeline.patch.size if stage == "patch" and pipeline.patch is not None else None
        fixed = None if fixed is None else -(-fixed // multiple) * multiple
        for part in about.parts:
            name = file_name(stage, part)
            files[name] = _export(network, part, pipeline.channels, multiple, fixed, name)
        stages[stage] = about
    weights = bundle.manifest.files[weights_file(bundle.manifest, bundle.name)].sha256
    index = Index(weights=weights, exporter=f"torch {torch.__version__}", opset=OPSET, stages=stages)
    graphs = Graphs(index, files)
    for stage, network in networks.items():
        _compare(network, OnnxNetwork(stage, graphs, pipeline.dimension, network.landmarks), pipeline, stage)
    return graphs


def _export(network: HeatmapNetwork, part: str, channels: int, multiple: int, fixed: int | None, name: str) -> bytes:
    module = _PARTS[part](network).eval()
    sides = [fixed or _side(multiple, n) for n in range(network.dimension)]
    example = _inputs(network, part, channels, sides)
    # without the exporter's remarks on packages that it could do more with, and on its own deprecations
    with silenced(logging.ERROR):
        try:
            program = torch.onnx.export(
                module,
                tuple(example.values()),
                input_names=list(SIGNATURES[part][0]),
                output_names=list(SIGNATURES[part][1]),
                dynamic_shapes=_varying(part, example, multiple, fixed),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        except Exception as error:  # the exporter passes on whatever the network's code raised
            reason = " ".join(str(error.__cause__ or error).split())[:200]
            raise BundleError(f"{name} cannot be made, torch's exporter stopped: {reason}") from error
    assert program is not None
    data = _bare(program.model_proto).SerializeToString(deterministic=True)
    check_graph(data, part, name)
    return data


class _Whole(nn.Module):
    def __init__(self, network: HeatmapNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor, landmarks: Tensor) -> tuple[Tensor, Tensor]:
        output = self.network(images, landmarks)
        return output.heatmaps.float(), output.presence.float()


class _Body(_Whole):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        features, deepest = self.network.features(images)
        return features, self.network.presence_of(deepest).float()


class _Head(_Whole):
    def forward(self, features: Tensor, landmarks: Tensor) -> Tensor:  # type: ignore[override]
        # Numbers of landmarks choose from a tensor as a slice does.
        return self.network.head_maps(features, cast(slice, landmarks)).float()


_PARTS: dict[str, type[_Whole]] = {"whole": _Whole, "body": _Body, "head": _Head}


def _side(multiple: int, number: int) -> int:
    """Sides that differ, so that no axis is taken for another, and are more than any network's deepest level needs."""
    step = multiple if multiple > 1 else 8
    return (max(2, -(-40 // step)) + number) * step


def _inputs(network: HeatmapNetwork, part: str, channels: int, sides: list[int]) -> dict[str, Tensor]:
    batch = 3
    images = torch.randn(batch, channels, *sides, generator=torch.Generator().manual_seed(0))
    if part == "whole":
        return {IMAGES: images, LANDMARKS: torch.arange(batch) % network.landmarks}
    if part == "body":
        return {IMAGES: images}
    with torch.inference_mode():
        features = network.features(images)[0].clone(memory_format=torch.contiguous_format)
    return {FEATURES: features, LANDMARKS: torch.arange(2) % network.landmarks}


def _varying(part: str, example: dict[str, Tensor], multiple: int, fixed: int | None) -> tuple[dict[int, Any], ...]:
    """For each input: which axes may have any length, and which multiples."""
    batch = torch.export.Dim("batch", min=1, max=4096)
    shapes: list[dict[int, Any]] = []
    for name, value in example.items():
        shapes.append({0: torch.export.Dim("count", min=1, max=4096) if (part, name) == ("head", LANDMARKS) else batch})
        if name != LANDMARKS and fixed is None:
            # 2: networks that pad treat an image of one multiple in all axes apart, and so does who runs the graph.
            sides = [torch.export.Dim(letter, min=2, max=_LONGEST_SIDE) for letter in "zyx"[5 - value.ndim :]]
            scale = multiple if part != "head" else 1
            shapes[-1] |= {2 + n: scale * side if scale > 1 else side for n, side in enumerate(sides)}
    return tuple(shapes)


def _bare(model: Any) -> Any:
    """The model without what the exporter notes of the code that it came from: the paths of one machine among it."""
    graph = model.graph
    for thing in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        thing.ClearField("metadata_props")
        thing.ClearField("doc_string")
    graph.ClearField("value_info")
    return model


def _compare(mine: HeatmapNetwork, theirs: HeatmapNetwork, pipeline: Pipeline, stage: str) -> None:
    """Ask both the same, at another size than the graph was made at."""
    d, batch = pipeline.dimension, 2
    sides = [_side(mine.factor, 2 * n) for n in reversed(range(d))]
    if stage == "patch" and pipeline.patch is not None:
        sides = [pipeline.patch.size] * d
    images = torch.randn(batch, pipeline.channels, *sides, generator=torch.Generator().manual_seed(1))
    landmark = torch.arange(batch) % mine.landmarks if mine.conditional else None
    with torch.inference_mode():
        try:
            expected, found = mine(images, landmark), theirs(images, landmark)
        except BundleError as error:
            raise BundleError(f"The network of stage {stage} cannot be exported for all sizes: {error}") from error
    for output in (HEATMAPS, PRESENCE):
        first, second = getattr(expected, output).float(), getattr(found, output)
        scale = float(first.abs().max()) or 1.0
        if first.shape != second.shape or not float((first - second).abs().max()) <= TOLERANCE * scale:
            raise BundleError(
                f"The graph of stage {stage} gives other {output} than its network; it cannot be exported."
            )

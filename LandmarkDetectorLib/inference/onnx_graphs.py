"""The ONNX graphs of a bundle: what they are called, what they say, and that they are nothing but arithmetic.

A bundle that was exported has, beside its weights, ``models/onnx/``: one graph for each stage's network, and
``graphs.json``, which says what each takes and gives. The manifest lists them with their SHA-256 like every file.

An ONNX file is a stranger's as much as a file of weights. ONNX itself can name files outside the bundle as weights,
operators of a library that is to be loaded, functions and loops. None of it is needed here, so a graph that has any is
refused before onnxruntime sees it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.bundle import weights_file
from LandmarkDetectorLib.bundles.names import shown
from LandmarkDetectorLib.bundles.strict_json import parse_object
from LandmarkDetectorLib.core import BundleError, DeviceError

FOLDER = "models/onnx/"
INDEX = f"{FOLDER}graphs.json"
IMAGES, LANDMARKS, FEATURES, HEATMAPS, PRESENCE = "images", "landmarks", "features", "heatmaps", "presence"
SIGNATURES = {
    "whole": ((IMAGES, LANDMARKS), (HEATMAPS, PRESENCE)),
    "body": ((IMAGES,), (FEATURES, PRESENCE)),
    "head": ((FEATURES, LANDMARKS), (HEATMAPS,)),
}
"""Names of inputs and outputs, by what a graph is of a network: all of one that is asked for a landmark; or the body,
which sees the image, and the head, which draws the maps of some landmarks, so that never all stand in memory."""

_MOST_NODES = 20_000
_OPERATORS = {
    *("Abs", "Add", "And", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Constant"),
    *("ConstantOfShape", "Conv", "ConvTranspose", "Cos", "CumSum", "Div", "Einsum", "Elu", "Equal", "Erf"),
    *("Exp", "Expand", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gelu", "Gemm"),
    *("GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "GridSample", "GroupNormalization"),
    *("HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LayerNormalization", "LeakyRelu"),
    *("Less", "LessOrEqual", "Log", "LogSoftmax", "MatMul", "Max", "MaxPool", "Min", "Mish", "Mod", "Mul"),
    *("Neg", "Not", "Or", "PRelu", "Pad", "Pow", "Range", "Reciprocal", "ReduceL2", "ReduceLogSumExp"),
    *("ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "Relu", "Reshape", "Resize"),
    *("Round", "ScatterElements", "ScatterND", "Shape", "Sigmoid", "Sign", "Sin", "Size", "Slice", "Softmax"),
    *("Softplus", "Softsign", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile", "TopK", "Transpose"),
    *("Trilu", "Unsqueeze", "Where"),
}
"""Arithmetic on arrays; no operator with a graph within it, and none that decodes a file."""


class StageGraphs(BaseModel):
    """What is known of a stage's network.

    ``factor`` and ``conditional`` are those of :class:`~LandmarkDetectorLib.models.HeatmapNetwork`. The sides of an
    image that the graph takes are multiples of ``multiple``: where that is more than the factor, who runs it pads.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    factor: int = Field(ge=1, le=4096)
    multiple: int = Field(ge=1, le=4096)
    conditional: bool

    @property
    def parts(self) -> tuple[str, ...]:
        """The keys of :data:`SIGNATURES` that the stage has a graph for."""
        return ("whole",) if self.conditional else ("body", "head")


class Index(BaseModel):
    """``graphs.json``.

    ``weights`` is the SHA-256 of the file of weights that the graphs were made of, ``exporter`` what made them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    weights: str
    exporter: str
    opset: int
    stages: dict[str, StageGraphs]


@dataclass(frozen=True)
class Graphs:
    """The index, and the bytes of each graph by its file's name."""

    index: Index
    files: Mapping[str, bytes]


def file_name(stage: str, part: str) -> str:
    """Of the graph that is this part of a stage's network: ``frame.onnx``, and ``frame-head.onnx`` of its head."""
    return f"{stage}-head.onnx" if part == "head" else f"{stage}.onnx"


def has_graphs(bundle: Bundle) -> bool:
    """Whether the bundle was exported."""
    return INDEX in bundle.manifest.files


def read_graphs(bundle: Bundle) -> Graphs:
    """The graphs of an exported bundle, each checked by :func:`check_graph`.

    Raises:
        BundleError: the bundle has none, they were made of other weights, or one is not what it should be.
        DeviceError: the package onnx is missing.
    """
    if not has_graphs(bundle):
        raise BundleError(f"The bundle {bundle.name} has no ONNX graphs; export it, and use the folder that results.")
    try:
        index = Index.model_validate(parse_object(bundle.read(INDEX), INDEX))
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"])) or "it"
        raise BundleError(f"Bundle {bundle.name}: {place} in {INDEX} is wrong; export the bundle again.") from error
    weights = bundle.manifest.files[weights_file(bundle.manifest, bundle.name)]
    if index.weights != weights.sha256:
        raise BundleError(f"The ONNX graphs of the bundle {bundle.name} are of other weights; export it again.")
    files = {}
    for stage, about in index.stages.items():
        for part in about.parts:
            name = file_name(stage, part)
            files[name] = bundle.read(f"{FOLDER}{name}")
            check_graph(files[name], part, f"{FOLDER}{name}")
    return Graphs(index, files)


def check_graph(data: bytes, part: str, where: str) -> None:
    """Check that a file is a graph of arithmetic, complete in itself, that takes and gives what a part does.

    Args:
        data: the file.
        part: a key of :data:`SIGNATURES`.
        where: its path within the bundle, for the message.

    Raises:
        BundleError: it is not.
        DeviceError: the package onnx is missing.
    """
    onnx = package("onnx")
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError, whose place differs from one version to the next
        raise BundleError(f"{where} is not an ONNX file, or is damaged; export the bundle again.") from error
    problem = _problem(onnx, model, part)
    if problem:
        raise BundleError(f"{where} {problem}; only plain arithmetic is accepted, so the bundle is refused.")


def package(name: str) -> Any:
    """One of the packages that the extra ``onnx`` brings.

    Raises:
        DeviceError: it is missing.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DeviceError(f"ONNX needs the package {name}; run pip install 'landmark-detector[onnx]'.") from error


def _problem(onnx: Any, model: Any, part: str) -> str | None:
    if any(entry.domain not in ("", "ai.onnx") for entry in model.opset_import):
        return "asks for operators that are not ONNX's own"
    if model.functions or model.training_info:
        return "holds functions or training"
    graph = model.graph
    if len(graph.node) > _MOST_NODES:
        return f"has more than {_MOST_NODES} operators"
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in _OPERATORS:
            return f"uses the operator {shown(node.op_type)}"
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            return "has a graph within an operator"
    within = (attribute for node in graph.node for attribute in node.attribute)
    if graph.sparse_initializer or any(each.HasField("sparse_tensor") or each.sparse_tensors for each in within):
        return "holds sparse weights"
    for tensor in _tensors(graph):
        if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
            return "keeps weights in another file"
    takes, gives = SIGNATURES[part]
    stored = {tensor.name for tensor in graph.initializer}
    names = [value.name for value in graph.input if value.name not in stored]
    if (tuple(names), tuple(value.name for value in graph.output)) != (takes, gives):
        return f"does not take {', '.join(takes)} and give {', '.join(gives)}"
    return None


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors

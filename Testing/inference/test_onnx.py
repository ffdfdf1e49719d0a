"""An exported bundle is a bundle, onnxruntime finds what torch finds, a stranger's graph is only arithmetic."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from LandmarkDetectorLib.bundles import Bundle, load_bundle, verify_bundle
from LandmarkDetectorLib.bundles.pipeline import read_pipeline
from LandmarkDetectorLib.bundles.write import extend_bundle
from LandmarkDetectorLib.cli.app import app
from LandmarkDetectorLib.core import BundleError, DeviceError
from LandmarkDetectorLib.inference import Detector, onnx_engine, onnx_export
from LandmarkDetectorLib.inference.onnx_export import export_bundle
from LandmarkDetectorLib.inference.onnx_graphs import FOLDER, INDEX, SIGNATURES, check_graph, read_graphs
from LandmarkDetectorLib.io import load_image, load_landmarks

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT

GRAPHS = {
    "fetal-head-us": {"coarse.onnx", "coarse-head.onnx", "frame.onnx", "frame-head.onnx"},
    "fundus": {"image.onnx", "image-head.onnx", "patch.onnx"},
    "hippocampus-mr": {"image.onnx", "image-head.onnx", "patch.onnx"},
    "mouse-skull-ct": {"coarse.onnx", "coarse-head.onnx", "frame.onnx", "frame-head.onnx", "patch.onnx"},
}


QUICK = "hippocampus-mr"  # an export takes long: those of the others run with --slow
ALL = [pytest.param(name, marks=[] if name == QUICK else pytest.mark.slow) for name in GRAPHS]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bundle]:
    """A shipped bundle by name, exported once for all tests."""
    folder = tmp_path_factory.mktemp("exported")
    made: dict[str, Bundle] = {}

    def export(name: str) -> Bundle:
        if name not in made:
            made[name] = export_bundle(load_bundle(name), folder / name)
        return made[name]

    return export


@pytest.mark.parametrize("name", ALL)
def test_onnxruntime_finds_the_sample_s_landmarks_where_torch_does(name: str, exported: Callable) -> None:
    bundle = load_bundle(exported(name).folder)
    image = load_image(bundle.samples()[0])
    expected = Detector(name, "cpu").detect(image).landmarks
    found = Detector(bundle, "cpu", engine="onnx").detect(image).landmarks
    assert found.labels == expected.labels and np.isfinite(expected.positions).all()
    apart = np.abs(image.grid.to_index(found.positions) - image.grid.to_index(expected.positions)).max()
    assert apart < 0.02
    confidence = [[mark.confidence for mark in marks.landmarks] for marks in (found, expected)]
    np.testing.assert_allclose(*confidence, atol=1e-3)


@pytest.mark.parametrize("name", ALL)
def test_an_exported_bundle_is_the_bundle_and_its_graphs(name: str, exported: Callable) -> None:
    before, after = load_bundle(name), exported(name)
    verify_bundle(after.folder)
    added = set(after.manifest.files) - set(before.manifest.files)
    assert added == {INDEX} | {f"{FOLDER}{graph}" for graph in GRAPHS[name]}
    assert all(after.manifest.files[file] == entry for file, entry in before.manifest.files.items())
    assert after.card == before.card and after.read("LICENSE") == before.read("LICENSE")
    assert load_landmarks(next(after.folder.glob("samples/*.mrk.json"))).labels


@pytest.mark.parametrize("name", ALL)
def test_a_graph_takes_any_batch_and_the_sizes_that_its_stage_sees(name: str, exported: Callable) -> None:
    pipeline = read_pipeline(load_bundle(name).settings, name)
    for graph, data in read_graphs(exported(name)).files.items():
        for value in onnx.load_model_from_string(data).graph.input:
            axes = [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
            fixed = [axis for axis in axes if isinstance(axis, int)]
            if value.name == "landmarks":
                assert fixed == []
            elif value.name == "features":
                assert len(fixed) == 1 and axes[1] == fixed[0], "of features their channels only"
            elif graph == "patch.onnx":
                assert fixed == [pipeline.channels, *[pipeline.patch.size] * pipeline.dimension]
            else:
                assert fixed == [pipeline.channels] and axes[1] == pipeline.channels


def test_a_graph_says_nothing_of_the_machine_that_made_it(exported: Callable) -> None:
    for data in read_graphs(exported(QUICK)).files.values():
        assert b"site-packages" not in data and b".py" not in data and str(Path.home()).encode() not in data


def test_a_graph_that_was_altered_makes_the_bundle_unacceptable(exported: Callable, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(exported(QUICK).folder, copy)
    file = copy / FOLDER / "image.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(BundleError, match=r"image.onnx' does not match its SHA-256"):
        load_bundle(copy)


def test_graphs_of_other_weights_or_of_other_stages_are_refused(exported: Callable, tmp_path: Path) -> None:
    bundle = exported(QUICK)
    index = json.loads(bundle.read(INDEX))
    for number, (change, reason) in enumerate(
        [
            ({"weights": "0" * 64}, "other weights"),
            ({"stages": {"image": index["stages"]["image"]}}, "other stages"),
            ({"stages": {"image": {"factor": 0, "multiple": 8, "conditional": False}}}, "stages.image.factor"),
        ]
    ):
        changed = extend_bundle(bundle, tmp_path / str(number), {INDEX: json.dumps(index | change).encode()})
        with pytest.raises(BundleError, match=reason):
            Detector(changed, "cpu", engine="onnx")


def graph(**changes: Any) -> Any:
    """A model that is a head, as far as its names go."""
    takes = [helper.make_tensor_value_info(name, FLOAT, ["n"]) for name in SIGNATURES["head"][0]]
    gives = [helper.make_tensor_value_info(name, FLOAT, ["n"]) for name in SIGNATURES["head"][1]]
    nodes = [helper.make_node("Add", ["features", "landmarks"], ["heatmaps"])]
    parts = {"nodes": nodes, "name": "g", "inputs": takes, "outputs": gives} | changes
    return helper.make_model(helper.make_graph(**parts), opset_imports=[helper.make_opsetid("", 20)])


def with_weights_elsewhere() -> Any:
    weight = helper.make_tensor("weight", FLOAT, [1], [1.0])
    weight.ClearField("float_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    entry = weight.external_data.add()
    entry.key, entry.value = "location", "../../secret"
    return graph(initializer=[weight])


def with_weights_elsewhere_within_an_operator() -> Any:
    node = helper.make_node("Constant", [], ["c"], value=with_weights_elsewhere().graph.initializer[0])
    return graph(nodes=[node, helper.make_node("Add", ["features", "c"], ["heatmaps"])])


def with_sparse_weights_elsewhere_within_an_operator() -> Any:
    weight = with_weights_elsewhere().graph.initializer[0]
    sparse = helper.make_sparse_tensor(weight, helper.make_tensor("places", onnx.TensorProto.INT64, [1], [0]), [3])
    node = helper.make_node("Constant", [], ["c"], sparse_value=sparse)
    return graph(nodes=[node, helper.make_node("Add", ["features", "c"], ["heatmaps"])])


def with_a_domain() -> Any:
    model = graph()
    model.opset_import.append(helper.make_opsetid("com.stranger", 1))
    return model


def with_a_function() -> Any:
    model = graph()
    node = helper.make_node("Identity", ["x"], ["y"])
    model.functions.append(helper.make_function("own", "f", ["x"], ["y"], [node], [helper.make_opsetid("", 20)]))
    return model


def with_a_branch() -> Any:
    branch = helper.make_graph([helper.make_node("Identity", ["features"], ["y"])], "b", [], [])
    node = helper.make_node("Add", ["features", "landmarks"], ["heatmaps"], then_branch=branch)
    return graph(nodes=[node])


HOSTILE: list[tuple[Callable[[], Any], str]] = [
    (with_weights_elsewhere, "keeps weights in another file"),
    (with_weights_elsewhere_within_an_operator, "keeps weights in another file"),
    (with_sparse_weights_elsewhere_within_an_operator, "holds sparse weights"),
    (with_a_domain, "operators that are not ONNX's own"),
    (with_a_function, "functions or training"),
    (with_a_branch, "a graph within an operator"),
    (lambda: graph(nodes=[helper.make_node("Loop", ["features"], ["heatmaps"])]), "uses the operator 'Loop'"),
    (lambda: graph(nodes=[helper.make_node("ImageDecoder", ["features"], ["heatmaps"])]), "the operator 'ImageD"),
    (lambda: graph(nodes=[helper.make_node("Add", ["features"], ["heatmaps"], domain="own")]), "the operator 'Add'"),
    (lambda: graph(nodes=[helper.make_node("Add", ["a"], ["b"])] * 20_001), "more than 20000 operators"),
    (lambda: graph(inputs=[]), "does not take features, landmarks and give heatmaps"),
]


@pytest.mark.parametrize(("make", "reason"), HOSTILE)
def test_a_graph_of_anything_but_arithmetic_is_refused(make: Callable[[], Any], reason: str) -> None:
    with pytest.raises(BundleError, match=reason):
        check_graph(make().SerializeToString(), "head", "models/onnx/frame-head.onnx")


def test_what_is_no_graph_at_all_is_refused_and_arithmetic_is_not() -> None:
    check_graph(graph().SerializeToString(), "head", "a.onnx")
    for data in (b"no protobuf \xff\xff", b"PK\x03\x04"):
        with pytest.raises(BundleError, match=r"a.onnx"):
            check_graph(data, "head", "a.onnx")


def test_a_bundle_without_graphs_is_exported_in_memory(exported: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs = read_graphs(exported(QUICK))
    asked = []
    monkeypatch.setattr(onnx_engine, "make_graphs", lambda bundle: asked.append(bundle.name) or graphs)
    Detector(QUICK, "cpu", engine="onnx")
    Detector(exported(QUICK), "cpu", engine="onnx")
    assert asked == [QUICK]
    with pytest.raises(BundleError, match="no ONNX graphs; export it"):
        read_graphs(load_bundle(QUICK))


def test_a_graph_that_says_something_else_than_its_network_is_not_written(
    exported: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files = read_graphs(exported(QUICK)).files
    wrong = {**files, "image.onnx": _louder(files["image.onnx"])}
    monkeypatch.setattr(onnx_export, "_export", lambda network, part, channels, multiple, fixed, name: wrong[name])
    with pytest.raises(BundleError, match="stage image gives other heatmaps"):
        export_bundle(load_bundle(QUICK), tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def _louder(data: bytes) -> bytes:
    model = onnx.load_model_from_string(data)
    # A weight before a skip is added: doubled, no normalisation takes it back.
    (weight,) = (tensor for tensor in model.graph.initializer if tensor.name.endswith("reduce.0.weight"))
    weight.raw_data = (2 * np.frombuffer(weight.raw_data, np.float32)).tobytes()
    return model.SerializeToString()


def test_what_the_engine_lacks_is_said_in_one_sentence(exported: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceError, match="no engine 'jax'; choose one of torch, onnx"):
        Detector(QUICK, "cpu", engine="jax")
    networks = Detector(exported(QUICK), "cpu", engine="onnx").networks
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(DeviceError, match="no CUDA; install onnxruntime-gpu"):
            networks.to(torch.device("cuda"))
    real = importlib.import_module

    def missing(name: str) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return real(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(DeviceError, match=r"needs the package onnxruntime; run pip install"):
        Detector(exported(QUICK), "cpu", engine="onnx")


def test_onnxruntime_short_of_memory_is_told_to_the_memory_plan(exported: Callable) -> None:
    detector = Detector(exported(QUICK), "cpu", engine="onnx")
    network = detector.networks._networks["image"]

    def fail(words: str) -> None:
        def run(*_: Any) -> None:
            raise RuntimeError(words)

        network._sessions = {"body": SimpleNamespace(run=run)}  # type: ignore[assignment]

    image = torch.zeros(1, 1, 16, 16, 16)
    fail("BFCArena: Failed to allocate memory for requested buffer")
    with pytest.raises(MemoryError):
        network.features(image)
    fail("Invalid input shape")
    with pytest.raises(BundleError, match="onnxruntime stopped in stage image: Invalid input shape"):
        network.features(image)


def test_the_command_line_exports_and_detects(
    exported: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    graphs = read_graphs(exported(QUICK))
    monkeypatch.setattr(onnx_export, "make_graphs", lambda bundle: graphs)
    folder, image = tmp_path / "out", load_bundle(QUICK).samples()[0]

    def command(*words: object) -> dict[str, Any]:
        result = CliRunner().invoke(app, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    said = command("bundles", "export", QUICK, "--output", folder, "--json")
    assert {Path(name).name for name in said["graphs"]} == GRAPHS[QUICK]
    again = CliRunner().invoke(app, ["bundles", "export", QUICK, "--output", str(folder)])
    assert again.exit_code == 2 and "is there already" in again.output
    options = ("--output", tmp_path / "found.csv", "--bundle", folder, "--engine", "onnx", "--device", "cpu", "--json")
    found = command("detect", image, *options)
    assert [mark["status"] for mark in found["images"][0]["landmarks"]] == ["defined"] * 4

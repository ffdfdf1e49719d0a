"""A model file from a stranger: nothing of it runs, and only a plain state dict is loaded."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch

from LandmarkDetectorLib.bundles import import_bundle, load_bundle, weights
from LandmarkDetectorLib.bundles.weights import STATE_DICT, inspect_weights, load_weights, save_weights
from LandmarkDetectorLib.core import BundleError


class Bomb:
    """What an attacker pickles: unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def _saved(content, **how) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **how)
    return buffer.getvalue()


def _with_pickle(program: bytes) -> bytes:
    """A sound ``model.pt`` whose pickle is another."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_saved({"a": torch.zeros(4)}))) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, program if info.filename.endswith("data.pkl") else old.read(info))
    return buffer.getvalue()


def _program(data: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.read("archive/data.pkl")


def test_the_bomb_of_these_tests_does_go_off(tmp_path: Path):
    pickle.loads(pickle.dumps(Bomb(tmp_path / "boom")))
    assert (tmp_path / "boom").exists()


def test_a_pickle_that_runs_code_is_refused_though_its_manifest_is_right(folder: Path, tmp_path: Path, reseal, tree):
    (folder / STATE_DICT).write_bytes(_saved({"weight": torch.zeros(2), "more": Bomb(tmp_path / "boom")}))
    reseal(folder)
    for refused in (load_bundle, import_bundle):
        with pytest.raises(BundleError, match=r"mkdir', which no state dict needs"):
            refused(folder)
    assert not (tmp_path / "boom").exists()
    assert not (tmp_path / "store").exists()


def test_torch_itself_would_not_run_it_either(tmp_path: Path, monkeypatch):
    """The second wall: were our own look at the file to fail, ``weights_only`` still stands."""
    monkeypatch.setattr(weights, "inspect_weights", lambda data, relative: {})
    with pytest.raises(BundleError, match="refused by torch"):
        load_weights(_saved({"more": Bomb(tmp_path / "boom")}), STATE_DICT)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_bomb_in_any_pickle_protocol_is_refused(tmp_path: Path, protocol: int):
    for content in (pickle.dumps(Bomb(tmp_path / "boom"), protocol), _saved({"a": Bomb(tmp_path / "boom")})):
        for data in (content, _with_pickle(content)):
            with pytest.raises(BundleError):
                load_weights(data, STATE_DICT)
    with pytest.raises(BundleError):
        load_weights(
            _saved({"a": Bomb(tmp_path / "boom")}, _use_new_zipfile_serialization=False, pickle_protocol=protocol),
            STATE_DICT,
        )
    assert not (tmp_path / "boom").exists()


def test_a_second_pickle_after_the_first_is_not_reached(tmp_path: Path):
    program = _program(_saved({"a": torch.zeros(4)}))
    assert inspect_weights(_with_pickle(program + pickle.dumps(Bomb(tmp_path / "boom"))), STATE_DICT)
    assert not (tmp_path / "boom").exists()


@pytest.mark.parametrize("name", ["builtins eval", "os system", "torch load", "torch.hub load", "collections Counter"])
def test_only_three_words_may_be_named(name: str):
    program = b"\x80\x02c" + name.replace(" ", "\n").encode() + b"\nX\x01\x00\x00\x00x\x85R."
    with pytest.raises(BundleError, match="which no state dict needs"):
        inspect_weights(_with_pickle(program), STATE_DICT)


def test_torchscript_is_not_loaded(folder: Path, reseal):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), buffer)
    (folder / STATE_DICT).write_bytes(buffer.getvalue())
    with pytest.raises(BundleError, match="TorchScript"):
        load_bundle(reseal(folder))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ({1: torch.zeros(2)}, "key of the type int"),
        ({"": torch.zeros(2)}, "key ''"),
        ({"a": {"b": torch.zeros(2)}}, "other than a tensor"),
        ({"a": [torch.zeros(2)]}, "models/model.pt"),
        ({"a": 3}, "other than a tensor"),
        ({"a": "text"}, "other than a tensor"),
        ([torch.zeros(2)], "models/model.pt"),
        (torch.zeros(2), "no dictionary"),
        ({}, "0 tensors"),
        (torch.nn.Linear(2, 2), "models/model.pt"),
        ({"a": torch.nn.Parameter(torch.zeros(2))}, "_rebuild_parameter"),
        ({"a": torch.zeros(2, requires_grad=True)}, "gradients"),
        ({"a": torch.eye(3).to_sparse()}, "_rebuild_sparse_tensor"),
        ({"a": torch.eye(3).to_sparse_csr()}, "_rebuild_sparse"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "ComplexFloatStorage"),
        ({"a": torch.quantize_per_tensor(torch.zeros(2), 0.1, 0, torch.qint8)}, "models/model.pt"),
        ({"a": torch.zeros(2, device="meta")}, "models/model.pt"),
        ({"a": torch.zeros(1).expand(10**9)}, "larger than its record"),
        ({"a": torch.arange(6.0).reshape(2, 3).T}, "densely and in order"),
        ({"a": torch.randn(8).as_strided((4, 4), (1, 1))}, "larger than its record"),
        ({"a": torch.randn(16).as_strided((4, 4), (1, 1))}, "densely and in order"),
    ],
)
def test_anything_but_a_flat_dictionary_of_dense_tensors_is_refused(content, complaint: str):
    with pytest.raises(BundleError, match=complaint):
        load_weights(_saved(content), STATE_DICT)


def test_one_record_named_by_many_tensors_is_no_way_to_fill_the_memory():
    block = torch.zeros(2**20)
    with pytest.raises(BundleError, match="fill more than the 512 MB"):
        inspect_weights(_saved({f"{i}": block for i in range(129)}), STATE_DICT)


def test_too_many_tensors_are_refused():
    one = torch.zeros(1)
    with pytest.raises(BundleError, match="10001 tensors"):
        inspect_weights(_saved({f"{i}": one for i in range(10_001)}), STATE_DICT)


def test_a_list_of_records_that_would_fill_the_memory_is_not_read(monkeypatch):
    monkeypatch.setattr(weights, "_MAX_RECORDS", 4)
    with pytest.raises(BundleError, match="more records than there may be tensors"):
        inspect_weights(_saved({f"{i}": torch.zeros(1) for i in range(5)}), STATE_DICT)


def test_a_compressed_record_is_refused_for_it_could_unpack_to_anything():
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(_saved({"a": torch.zeros(2**20)}))) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    with pytest.raises(BundleError, match="compressed"):
        load_weights(buffer.getvalue(), STATE_DICT)


def test_a_record_of_another_size_is_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(_saved({"a": torch.zeros(4)}))) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            new.writestr(info.filename, b"" if info.filename.endswith("data/0") else old.read(info))
    with pytest.raises(BundleError, match="no record that fits"):
        load_weights(buffer.getvalue(), STATE_DICT)


@pytest.mark.parametrize(
    ("program", "complaint"),
    [
        (b"}r\xff\xff\xff\x7f.", "0 tensors"),  # a memo index that would fill the memory
        (
            b"})" + 100_000 * b"\x85" + b"Ns.",
            "no name",
        ),  # so deep a tuple, hashed, ends the process
        (b"})" + 64 * b"q\0h\0\x86" + b"Ns.", "no name"),  # pairs of pairs: hashed for longer than anybody lives
        (b"}(" + 17 * b")" + b"tNs.", "more than a tensor"),
    ],
    ids=["memo", "deep", "wide", "long"],
)
def test_a_pickle_that_would_fill_the_memory_or_never_end_is_refused(program: bytes, complaint: str):
    with pytest.raises(BundleError, match=complaint):
        inspect_weights(_with_pickle(b"\x80\x02" + program), STATE_DICT)


def test_a_shape_with_more_axes_than_a_tensor_has_is_refused_before_it_is_multiplied():
    entry = {"dtype": "F32", "shape": [1] * 17, "data_offsets": [0, 4]}
    with pytest.raises(BundleError, match="a safetensors file of plain types"):
        inspect_weights(_safetensors({"w": entry}, bytes(4)), weights.SAFETENSORS)


def test_weights_that_are_not_finite_are_refused():
    with pytest.raises(BundleError, match="'a' holds values that are not finite"):
        load_weights(_saved({"a": torch.tensor([1.0, float("nan")])}), STATE_DICT)


def test_a_file_of_weights_that_is_damaged_never_gives_other_than_these_tensors(state_dict: dict):
    data = save_weights(state_dict)
    for at in range(0, len(data), 7):
        damaged = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
        try:
            loaded = load_weights(damaged, STATE_DICT)
        except BundleError:
            continue
        # A number within a record may be another one: the SHA-256 in the manifest watches over those.
        assert len(loaded) == len(state_dict)
        assert [value.shape for value in loaded.values()] == [value.shape for value in state_dict.values()]
    for length in range(0, len(data), 53):
        with pytest.raises(BundleError):
            load_weights(data[:length], STATE_DICT)


def test_weights_come_back_as_they_were(folder: Path, state_dict: dict):
    loaded = load_bundle(folder).state_dict()
    assert list(loaded) == list(state_dict)
    assert all(
        torch.equal(loaded[key], state_dict[key]) and loaded[key].dtype == state_dict[key].dtype for key in loaded
    )


def test_without_torch_a_sentence_says_so(folder: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BundleError, match="needs torch, which is not installed"):
        load_bundle(folder).state_dict()


def test_every_plain_type_of_number_comes_back():
    types = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "bfloat16", "float32", "float64"]
    kept = {name: torch.ones(2, 3, dtype=getattr(torch, name)) for name in types} | {"empty": torch.zeros(0, 4)}
    loaded = load_weights(save_weights(kept), STATE_DICT)
    assert {key: (value.dtype, value.shape) for key, value in loaded.items()} == {
        key: (value.dtype, value.shape) for key, value in kept.items()
    }


def test_what_a_module_gives_is_saved_as_a_plain_dictionary():
    module = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.BatchNorm3d(2)).to(
        memory_format=torch.channels_last_3d
    )
    assert isinstance(module.state_dict(), OrderedDict)
    data = save_weights(module.state_dict())
    loaded = load_weights(data, STATE_DICT)
    module.load_state_dict(loaded)
    assert torch.load(io.BytesIO(data), weights_only=True).keys() == loaded.keys()


def test_a_view_into_a_large_tensor_is_saved_alone():
    assert len(save_weights({"a": torch.zeros(10**6)[:3]})) < 4000


def test_the_same_weights_give_the_same_bytes(state_dict: dict):
    assert save_weights(state_dict) == save_weights({key: value.clone() for key, value in state_dict.items()})


@pytest.mark.parametrize("entry", [3, [1.0], torch.eye(2).to_sparse(), torch.tensor(float("inf"))])
def test_weights_that_could_not_be_loaded_are_not_saved(entry):
    with pytest.raises(BundleError):
        save_weights({"a": entry})


def _safetensors(entries: dict, data: bytes) -> bytes:
    header = json.dumps(entries).encode()
    return struct.pack("<Q", len(header)) + header + data


def test_a_safetensors_file_is_understood_without_its_package():
    entries = {"__metadata__": {"a": "b"}, "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    assert inspect_weights(_safetensors(entries, bytes(24)), weights.SAFETENSORS)["w"].shape == (2, 3)


@pytest.mark.parametrize(
    ("entry", "size"),
    [
        ({"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 20]}, 20),
        ({"dtype": "F32", "shape": [2, 3], "data_offsets": [8, 32]}, 32),
        ({"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, 23),
        ({"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, 25),
        ({"dtype": "F32", "shape": [-1, -6], "data_offsets": [0, 24]}, 24),
        ({"dtype": "OBJECT", "shape": [1], "data_offsets": [0, 8]}, 8),
        ([], 0),
    ],
)
def test_a_safetensors_file_that_does_not_add_up_is_refused(entry, size: int):
    with pytest.raises(BundleError, match="safetensors"):
        inspect_weights(_safetensors({"w": entry}, bytes(size)), weights.SAFETENSORS)


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 8, b"\xff" * 64, struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 2) + b"{}"]
)
def test_a_safetensors_file_that_is_none_is_refused(data: bytes):
    with pytest.raises(BundleError, match="safetensors"):
        inspect_weights(data, weights.SAFETENSORS)


def test_a_bundle_with_safetensors_loads_where_the_package_is(folder: Path, reseal, state_dict: dict):
    safetensors = pytest.importorskip("safetensors.torch")
    (folder / STATE_DICT).unlink()
    (folder / weights.SAFETENSORS).write_bytes(safetensors.save(state_dict))
    loaded = load_bundle(reseal(folder)).state_dict()
    assert all(torch.equal(loaded[key], state_dict[key]) for key in state_dict)


def test_a_bundle_with_two_files_of_weights_is_refused(folder: Path, reseal):
    (folder / weights.SAFETENSORS).write_bytes(_safetensors({}, b""))
    with pytest.raises(BundleError, match="2 files of weights"):
        load_bundle(reseal(folder))

"""The weights of a bundle: a plain state dict, looked at before torch may touch it.

``model.pt`` is what ``torch.save(dict[str, Tensor])`` writes: a zip of one small pickle, ``data.pkl``, and one raw
record a tensor. ``torch.load(weights_only=True)`` is made to be safe, yet was not always (CVE-2025-32434 before torch
2.6, CVE-2026-24747 before 2.10), and people keep the torch that their Slicer has. So :func:`inspect_weights` first
goes through the file without torch and without Python's unpickler: the pickle may only use the few opcodes, and name
the few globals, that a state dict of plain tensors needs, and every tensor must lie within its record. It runs nothing,
so that a file which would run code is refused when a bundle is imported.
"""

from __future__ import annotations

import importlib
import io
import json
import math
import pickletools
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from LandmarkDetectorLib.bundles.manifest import MAX_WEIGHTS_BYTES
from LandmarkDetectorLib.bundles.names import shown
from LandmarkDetectorLib.core.errors import BundleError

if TYPE_CHECKING:
    from torch import Tensor

STATE_DICT = "models/model.pt"
SAFETENSORS = "models/model.safetensors"
MAX_TENSORS = 10_000
_MAX_PICKLE_BYTES = 8 * 2**20
_MAX_AXES = 16
_RECORD, _MAX_RECORDS = b"PK\x01\x02", 2 * MAX_TENSORS
"""What begins each entry of a zip's list of files, and how many there may be, some by chance among the weights."""

_ITEM_BYTES = {
    "bool": 1,
    "uint8": 1,
    "int8": 1,
    "int16": 2,
    "int32": 4,
    "int64": 8,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
}
_STORAGES = {
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
}
_SAFETENSORS_TYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "I16": "int16",
    "I32": "int32",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
}


@dataclass(frozen=True)
class TensorSpec:
    """Type (torch's name for it, such as ``float32``) and shape of one tensor of a file of weights."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Its size in memory."""
        return math.prod(self.shape) * _ITEM_BYTES[self.dtype]


def inspect_weights(data: bytes, relative: str) -> dict[str, TensorSpec]:
    """The tensors that a file of weights holds, found without torch and without running anything of the file.

    Args:
        data: the file.
        relative: its path within the bundle, which tells the format and stands in messages.

    Raises:
        BundleError: it is not a flat ``dict[str, Tensor]`` of dense tensors: code, TorchScript, other objects, sparse
            or overlapping layouts, records that do not fit, or more than a bundle may hold.
    """
    try:
        specs = _inspect_safetensors(data) if relative == SAFETENSORS else _inspect_state_dict(data)
    except _Refused as exc:
        raise BundleError(
            f"{relative} {exc}; only a plain state dict of tensors is loaded, so the bundle is refused."
        ) from exc
    if not specs or len(specs) > MAX_TENSORS:
        raise BundleError(f"{relative} holds {len(specs)} tensors; between 1 and {MAX_TENSORS} are accepted.")
    if sum(spec.bytes for spec in specs.values()) > MAX_WEIGHTS_BYTES:
        raise BundleError(
            f"{relative}: the tensors fill more than the {MAX_WEIGHTS_BYTES >> 20} MB that weights may have; "
            "the bundle is refused."
        )
    return specs


def load_weights(data: bytes, relative: str) -> dict[str, Tensor]:
    """The tensors of a file of weights, on the CPU.

    Raises:
        BundleError: as :func:`inspect_weights`; torch refuses it; or a weight is not finite.
    """
    specs = inspect_weights(data, relative)
    try:
        import torch
    except ImportError as exc:
        raise BundleError(f"{relative} needs torch, which is not installed; install it and try again.") from exc
    try:
        if relative == SAFETENSORS:
            loaded: Any = _safetensors().load(data)
        else:
            loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except BundleError:
        raise
    except Exception as exc:  # Whatever a damaged file makes of torch's reader: it is the file that is at fault.
        raise BundleError(f"{relative} was refused by torch ({type(exc).__name__}); get the bundle again.") from exc
    if not isinstance(loaded, dict) or loaded.keys() != specs.keys():
        raise BundleError(f"{relative} is not a flat state dict; the bundle is refused.")
    for key, tensor in loaded.items():
        plain = type(tensor) is torch.Tensor and tensor.layout == torch.strided and tensor.device.type == "cpu"
        if not plain or TensorSpec(str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)) != specs[key]:
            raise BundleError(f"{relative}: {shown(key)} is not a plain dense tensor; the bundle is refused.")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise BundleError(f"{relative}: {shown(key)} holds values that are not finite; train it again.")
    return dict(loaded)


def save_weights(state_dict: Mapping[str, Tensor]) -> bytes:
    """The bytes of a ``model.pt``; the same tensors give the same bytes.

    Raises:
        BundleError: something in it is not a tensor, or would not be loaded again.
    """
    import torch

    plain = {}
    for key, tensor in state_dict.items():
        if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
            raise BundleError(
                f"The state dict's entry {shown(str(key))} is not a dense tensor; save model.state_dict()."
            )
        # A clone of its own: neither a view into a larger storage nor a Parameter.
        plain[key] = tensor.detach().to("cpu", copy=True).clone(memory_format=torch.contiguous_format)
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    data = buffer.getvalue()
    load_weights(data, STATE_DICT)
    return data


class _Refused(Exception):
    """Why a file is no state dict: a clause that follows the file's name."""


@dataclass(frozen=True)
class _Storage:
    key: str
    dtype: str
    count: int


def _inspect_state_dict(data: bytes) -> dict[str, TensorSpec]:
    if data.count(_RECORD) > _MAX_RECORDS:  # zipfile reads the list of them whole, at ten times its size
        raise _Refused("has more records than there may be tensors")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            records = {info.filename: info for info in archive.infolist()}
            if len(records) != len(archive.infolist()):
                raise _Refused("has two records of one name")
            root = next((name[: -len("data.pkl")] for name in records if name.endswith("/data.pkl")), None)
            if root is None or root.count("/") != 1:
                raise _Refused("is not a file of torch.save")
            if any(name == f"{root}constants.pkl" or name.startswith(f"{root}code/") for name in records):
                raise _Refused("is TorchScript, which is a program")
            if any(not _is_raw(info) for info in records.values()):
                raise _Refused("is compressed or encrypted within")
            byteorder = records.get(f"{root}byteorder")
            if byteorder is not None and byteorder.file_size < 100 and archive.read(byteorder) != b"little":
                raise _Refused("is not in little-endian order")
            program = records[f"{root}data.pkl"]
            if program.file_size > _MAX_PICKLE_BYTES:
                raise _Refused("has an index that is too large")
            content = _read_pickle(archive.read(program))
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, OSError, ValueError) as exc:
        raise _Refused("is not a file of torch.save, or is damaged") from exc
    if type(content) is not dict:
        raise _Refused("holds no dictionary")
    specs = {}
    for key, tensor in content.items():
        if type(tensor) is not _Tensor:
            raise _Refused(f"holds something other than a tensor under {shown(key)}")
        storage = tensor.storage
        record = records.get(f"{root}data/{storage.key}")
        if record is None or record.file_size != storage.count * _ITEM_BYTES[storage.dtype]:
            raise _Refused(f"has no record that fits {shown(key)}")
        specs[key] = TensorSpec(storage.dtype, tensor.shape)
    return specs


def _is_raw(info: zipfile.ZipInfo) -> bool:
    stored = info.compress_type == zipfile.ZIP_STORED and info.compress_size == info.file_size
    return stored and not info.flag_bits & 1


_NO_HOOKS: tuple = ()


@dataclass(frozen=True)
class _Tensor:
    storage: _Storage
    shape: tuple[int, ...]


def _rebuild_tensor(storage: Any, offset: Any, size: Any, stride: Any, grad: Any = False, hooks: Any = ()) -> _Tensor:
    """What ``torch._utils._rebuild_tensor_v2`` would be asked for, checked instead of built."""
    if type(storage) is not _Storage or type(offset) is not int or type(size) is not tuple or type(stride) is not tuple:
        raise _Refused("asks for a tensor in words of its own")
    if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
        raise _Refused("asks for a tensor of impossible shape")
    if offset + math.prod(size) > storage.count:
        raise _Refused("asks for a tensor that is larger than its record")
    step = 1
    for extent, gap in zip(reversed(size), reversed(stride), strict=True):
        if extent > 1 and gap != step and math.prod(size):
            raise _Refused("asks for a tensor that is not stored densely and in order")
        step *= extent
    if grad is not False or hooks != _NO_HOOKS:
        raise _Refused("asks for a tensor with gradients or hooks")
    return _Tensor(storage, size)


def _empty_hooks() -> tuple:
    """The empty ``OrderedDict`` that torch writes for the hooks of a tensor, in a form that nothing can be put into."""
    return _NO_HOOKS


def _storage(pid: Any) -> _Storage:
    """What a pickle calls a record of the file, by its persistent id."""
    if type(pid) is not tuple or len(pid) != 5:
        raise _Refused("refers to a record in words of its own")
    kind, dtype, key, _, count = pid
    if not all(type(word) is str for word in (kind, dtype, key)) or kind != "storage" or dtype not in _ITEM_BYTES:
        raise _Refused("refers to a record in words of its own")
    if type(count) is not int or count < 0:
        raise _Refused("refers to a record in words of its own")
    return _Storage(key, dtype, count)


_WORDS: dict[str, Any] = {
    "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
    "collections OrderedDict": _empty_hooks,
    **{f"torch {name}": dtype for name, dtype in _STORAGES.items()},
}
"""All that a pickle may name, and what it gets instead."""
_CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MARK = object()


def _read_pickle(program: bytes) -> Any:
    """What a pickle holds, descriptions in the place of tensors; the damaged end in a refusal."""
    try:
        return _followed(program)
    except _Refused:
        raise
    except Exception as exc:  # A damaged pickle fails in many ways, none of which matters here.
        raise _Refused("has a pickle that is damaged") from exc


def _followed(program: bytes) -> Any:
    """Go through a pickle by hand, command by command: those that a state dict needs, and no others.

    Python's own unpickler would hash whatever a pickle makes a key of a dictionary, and a tuple of tuples of tuples can
    keep it at that for years, or exhaust the machine's stack and with it kill the program.
    """
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(program):
        match opcode.name:
            case "PROTO":
                pass
            case "MARK":
                stack.append(_MARK)
            case "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINUNICODE":
                stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE" | "EMPTY_TUPLE":
                stack.append(_CONSTANTS[opcode.name])
            case "EMPTY_DICT":
                stack.append({})
            case "GLOBAL":
                if argument not in _WORDS:
                    raise _Refused(f"asks for {shown(str(argument))}, which no state dict needs")
                stack.append(_WORDS[argument])  # type: ignore[index]  # the argument of GLOBAL is a text
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]  # type: ignore[index]  # and that of these is a number
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])  # type: ignore[index]
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(_short([stack.pop() for _ in range(_TUPLES[opcode.name])][::-1]))
            case "TUPLE":
                stack.append(_short(_since_mark(stack)))
            case "BINPERSID":
                stack.append(_storage(stack.pop()))
            case "REDUCE":
                arguments = stack.pop()
                stack.append(stack.pop()(*arguments))
            case "SETITEM":
                pair = [stack.pop(), stack.pop()][::-1]
                _set_items(stack[-1], pair)
            case "SETITEMS":
                pairs = _since_mark(stack)
                _set_items(stack[-1], pairs)
            case "STOP":
                return stack.pop()
            case name:
                raise _Refused(f"uses the pickle command {name}, which no state dict needs")
    raise _Refused("has a pickle without an end")


def _since_mark(stack: list[Any]) -> list[Any]:
    items: list[Any] = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _short(items: list[Any]) -> tuple[Any, ...]:
    if len(items) > _MAX_AXES:
        raise _Refused("lists more than a tensor of a state dict has axes")
    return tuple(items)


def _set_items(target: dict[str, Any], pairs: list[Any]) -> None:
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if type(key) is not str or not 0 < len(key) <= 300:
            said = shown(key) if type(key) is str else f"of the type {type(key).__name__}"
            raise _Refused(f"has the key {said}, which is no name of a weight")
        target[key] = value


def _inspect_safetensors(data: bytes) -> dict[str, TensorSpec]:
    """Specs from the header: its length as 8 little-endian bytes, then JSON, then the tensors without gaps."""
    try:
        (length,) = struct.unpack("<Q", data[:8])
        if length > min(len(data), _MAX_PICKLE_BYTES):
            raise ValueError("the header is longer than the file")
        header = json.loads(data[8 : 8 + length].decode("utf-8"))
        header.pop("__metadata__", None)
        specs, spans = {}, []
        for key, entry in header.items():
            shape = tuple(entry["shape"])
            if len(shape) > _MAX_AXES or not all(type(n) is int and n >= 0 for n in shape):
                raise ValueError("a shape is not one")
            specs[key] = TensorSpec(_SAFETENSORS_TYPES[entry["dtype"]], shape)
            start, end = entry["data_offsets"]
            if end - start != specs[key].bytes:
                raise ValueError("a tensor does not fill its place")
            spans.append((start, end))
    except (struct.error, ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise _Refused("is not a safetensors file of plain types, or is damaged") from exc
    at = 0
    for start, end in sorted(spans):
        if start != at:
            raise _Refused("has gaps or overlaps between its tensors")
        at = end
    if at != len(data) - 8 - length:
        raise _Refused("is longer or shorter than its tensors")
    return specs


def _safetensors() -> Any:
    try:
        return importlib.import_module("safetensors.torch")
    except ImportError as exc:
        raise BundleError(f"{SAFETENSORS} needs the package safetensors; install it and try again.") from exc

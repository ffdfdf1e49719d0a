"""What ITK does not check in a NIfTI file: whether all of it is there, and whether its orientation was meant.

ITK fills what a truncated file lacks with zeros, turns what is not a finite number into zero, and takes the qform where
the sform is sheared, all in silence.
Header offsets are those of NIfTI-1, https://nifti.nimh.nih.gov/nifti-1
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np

from LandmarkDetectorLib.core import Grid, ImageError
from LandmarkDetectorLib.io.directions import ROUNDED, deviation, orthonormal
from LandmarkDetectorLib.io.limits import DEFLATE_LIMIT, check_promise
from LandmarkDetectorLib.io.names import looks_like, shown, suffix_of
from LandmarkDetectorLib.io.notices import notice

_FLOATS = ((16, 32), (64, 64))  # NIfTI's codes and their bits
_UNREAD = {1: "single bits", 1536: "floats of 128 bits", 2048: "complex numbers of 256 bits"}
"""Types of voxels that ITK does not know; it calls the header damaged."""
_HEADER = 348  # bytes
_BLOCK = 1 << 20
_SPARE = 16 << 20
"""Bytes that may stand behind the voxels in a gzip stream; one that goes on and on would be read for hours."""
_EXACT = 1e-5  # what ITK takes for orthonormal in any case
_MILLIMETRES = {1: 1000.0, 3: 0.001}  # by the unit in xyzt_units, as ITK takes them; metre and micrometre
_LPS = np.array([-1.0, -1.0, 1.0])  # NIfTI's world is RAS


@dataclass(frozen=True)
class NiftiHeader:
    """The part of a NIfTI-1 or Analyze header that says what must be there and where it lies.

    Args:
        size: number of voxels along each axis, time and vector axes included.
        voxel_bytes: bytes a voxel, as stored.
        data_offset: where the voxels begin in the file that holds them.
        voxel_size: distances between voxels along x, y, z, as written.
        qform_code: 0 where no rigid orientation is given.
        sform: the (3, 4) affine from index to RAS in mm, or ``None`` where none is given.
        number: the type of floating point voxels, or ``None`` for others.
        analyze: whether it is Analyze 7.5, which has no orientation that can be relied upon.
    """

    size: tuple[int, ...]
    voxel_bytes: float
    data_offset: int
    voxel_size: tuple[float, ...]
    qform_code: int
    sform: np.ndarray | None
    number: np.dtype | None
    analyze: bool

    @property
    def axes(self) -> np.ndarray | None:
        """The sform's directions in LPS, columns of length 1 (3, 3), or ``None`` where there is none, or no length."""
        lengths = np.linalg.norm(self.sform[:, :3], axis=0) if self.sform is not None else np.zeros(3)
        if self.sform is None or not np.all(np.isfinite(lengths) & (lengths > 0)):
            return None
        return _LPS[:, None] * self.sform[:, :3] / lengths

    @property
    def to_mend(self) -> bool:
        """Whether there are only directions of an sform that was rounded, which ITK refuses unless it may mend them."""
        return self.qform_code <= 0 and self.axes is not None and _EXACT < deviation(self.axes) <= ROUNDED

    @property
    def needed(self) -> int:
        """Bytes that the file of the voxels must have at least."""
        return self.data_offset + math.ceil(math.prod(self.size) * self.voxel_bytes)


def read_header(path: Path) -> NiftiHeader:
    """The header of a ``.nii``, ``.nii.gz`` or ``.hdr`` file.

    Raises:
        ImageError: the file is too short, is not NIfTI, or describes no image.
    """
    name = shown(path)
    raw = _first_bytes(path)
    orders = [order for order in "<>" if len(raw) >= _HEADER and struct.unpack_from(f"{order}i", raw)[0] == _HEADER]
    if not orders:
        if raw[4:7] in (b"n+2", b"ni2"):
            raise ImageError(f"{name}: it is NIfTI-2, which ITK does not read; convert it to NIfTI-1 or NRRD.")
        content = looks_like(raw)
        found = f" (its content looks like {content})" if content else ""
        raise ImageError(f"{name}: it is not NIfTI{found}; check that it is whole and has the right suffix.")
    order = orders[0]
    dim = struct.unpack_from(f"{order}8h", raw, 40)
    datatype, bits = struct.unpack_from(f"{order}2h", raw, 70)
    pixdim = struct.unpack_from(f"{order}8f", raw, 76)
    offset = struct.unpack_from(f"{order}f", raw, 108)[0]
    qform_code, sform_code = struct.unpack_from(f"{order}2h", raw, 252)
    sform = np.array(struct.unpack_from(f"{order}12f", raw, 280)).reshape(3, 4) if sform_code > 0 else None
    if sform is not None:
        sform *= _MILLIMETRES.get(raw[123] & 7, 1.0)
    analyze = raw[344:347] not in (b"n+1", b"ni1")
    if not 1 <= dim[0] <= 7 or any(n < 1 for n in dim[1 : dim[0] + 1]) or bits < 1:
        raise ImageError(f"{name}: its header gives the size {dim[1:4]} and describes no image; mend the header.")
    if datatype in _UNREAD:
        raise ImageError(f"{name}: its voxels are {_UNREAD[datatype]}, which are not read; save it as 32-bit float.")
    first = _HEADER if raw[344:347] == b"n+1" else 0  # of a single file; ITK would begin behind the header, unasked
    if not math.isfinite(offset) or not first <= offset < 2**31:
        raise ImageError(
            f"{name}: its header says that the voxels begin at byte {offset:g}, where they cannot; mend the header, or "
            "export the image again."
        )
    voxel_size = tuple(pixdim[1 : 1 + min(dim[0], 3)])
    if not all(math.isfinite(step) and step != 0 for step in voxel_size):
        raise ImageError(f"{name}: its header gives the voxel size {voxel_size}; mend the header.")
    number = np.dtype(f"{order}f{bits // 8}") if (datatype, bits) in _FLOATS else None
    return NiftiHeader(
        size=tuple(dim[1 : dim[0] + 1]),
        voxel_bytes=bits / 8,
        data_offset=int(offset),
        voxel_size=voxel_size,
        qform_code=0 if analyze else qform_code,
        sform=None if analyze else sform,
        number=number,
        analyze=analyze,
    )


def check_complete(path: Path, header: NiftiHeader) -> np.ndarray:
    """Refuse a file that holds fewer bytes than its header promises, or a gzip stream that is cut or damaged.

    A compressed file, and one of floating point numbers, is read through once for it, without keeping what is read.

    Returns:
        The places of voxels that are not finite, counted in the file's order, for ITK's reader turns them into zeros.

    Raises:
        ImageError: with the file's name and what is missing.
    """
    name = shown(path)
    data = path.with_suffix(".img") if suffix_of(path) in (".hdr", ".img") else path
    if not data.is_file():
        raise ImageError(f"{name}: its voxels stand in {shown(data)}, which is missing; put both into one folder.")
    stored, zipped = data.stat().st_size, _is_gzip(data) and suffix_of(data) == ".nii.gz"
    check_promise(name, header.size, math.ceil(header.voxel_bytes), stored, DEFLATE_LIMIT if zipped else 1)
    held, holes = stored, np.empty(0, np.int64)
    if zipped or header.number is not None:
        try:
            with gzip.open(data) if zipped else open(data, "rb") as stream:
                held, holes = _read_through(stream, header)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            cause = "cut short" if isinstance(error, EOFError) else "damaged"
            raise ImageError(f"{name}: its gzip stream is {cause}; copy the file again from its source.") from None
    if held > header.needed + _SPARE and zipped:
        raise ImageError(
            f"{name}: its header asks for {header.needed} bytes and its gzip stream goes on behind them; the header is "
            "wrong, so convert the image again."
        )
    if held < header.needed:
        raise ImageError(f"{name}: it is truncated, with {held} of {header.needed} bytes; copy it again.")
    return holes


def _read_through(stream: BinaryIO | gzip.GzipFile, header: NiftiHeader) -> tuple[int, np.ndarray]:
    """How many bytes there are, as far as :data:`_SPARE` behind the voxels, and which voxels are not finite."""
    held = len(stream.read(header.data_offset))
    holes: list[np.ndarray] = []
    while held <= header.needed + _SPARE and (block := stream.read(_BLOCK)):
        if header.number is not None and held < header.needed:
            whole = min(len(block), header.needed - held) // header.number.itemsize
            values = np.frombuffer(block, header.number, whole)
            first = (held - header.data_offset) // header.number.itemsize
            holes.append(np.flatnonzero(~np.isfinite(values)) + first)
        held += len(block)
    return held, np.concatenate(holes) if holes else np.empty(0, np.int64)


def mended(grid: Grid, header: NiftiHeader, name: str) -> Grid:
    """The grid with the directions of a rounded sform, made orthonormal aloud; ITK would give them transposed."""
    if not header.to_mend or header.axes is None:
        return grid
    return replace(grid, direction=orthonormal(header.axes[: grid.dimension, : grid.dimension], name))


def check_orientation(header: NiftiHeader, grid: Grid, name: str) -> None:
    """Say aloud where an orientation was assumed, or where the file's two orientations contradict each other."""
    if header.qform_code <= 0 and header.sform is None:
        kind = "Analyze 7.5, which gives no orientation" if header.analyze else "NIfTI without an orientation"
        notice(f"{name}: it is {kind}; its axes are taken for left, posterior, superior.")
    elif header.sform is not None and grid.dimension == 2:
        x, y = np.array(grid.size) - 1
        off = float(np.abs(header.sform[2, [0, 1, 3]] @ np.array([[0, x, 0, x], [0, 0, y, y], [1, 1, 1, 1]])).max())
        if off > 0.01 * min(grid.spacing):
            notice(
                f"{name}: it is two-dimensional and lies up to {off:.3g} mm off the plane z = 0, in which positions of "
                "2D images stand; save it as a volume of one slice to keep its place."
            )
    elif header.sform is not None:
        corner = np.maximum(np.array(grid.size) - 1, 1)
        corners = np.array(np.meshgrid(*((0, n) for n in corner), indexing="ij")).reshape(3, -1).T
        meant = (corners @ header.sform[:, :3].T + header.sform[:, 3]) * _LPS
        apart = float(np.abs(meant - grid.to_world(corners)).max())
        rounding = deviation(header.axes) if header.to_mend and header.axes is not None else 0.0  # said already
        if not apart <= 0.01 * min(grid.spacing) + rounding * np.linalg.norm(grid.extent):
            notice(f"{name}: {_contradiction(header, grid, apart)}.")


def _contradiction(header: NiftiHeader, grid: Grid, apart: float) -> str:
    """What contradicts the sform, and what ITK made of it."""
    if min(header.voxel_size) < 0:
        return f"its voxel size is negative, which ITK takes for axes turned round, up to {apart:.3g} mm from its sform"
    if header.sform is not None and header.axes is not None:
        nearly = np.abs(header.axes - grid.direction).max() <= ROUNDED
        shift = np.abs(header.sform[:, 3] * _LPS - grid.origin).max()
        if header.qform_code <= 0 or (nearly and shift <= 0.01 * min(grid.spacing)):
            return (
                f"its sform is no rotation with its voxel size, and the voxels lie up to {apart:.3g} mm off it; "
                "its directions, made orthogonal, and the voxel size were used"
            )
    return f"its sform and qform place the voxels up to {apart:.3g} mm apart; the qform was used"


def _first_bytes(path: Path) -> bytes:
    with open(path, "rb") as stream:
        if not _is_gzip(path):
            return stream.read(352)
        start = stream.read(1 << 16)
    if suffix_of(path) != ".nii.gz":
        return start[:352]  # looks_like() will call it by its name
    try:
        return zlib.decompressobj(wbits=31).decompress(start, 352)
    except zlib.error:
        raise ImageError(f"{shown(path)}: its gzip stream is damaged; copy the file again from its source.") from None


def _is_gzip(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2) == b"\x1f\x8b"

"""What ITK does not say of a TIFF picture: how its pixels are kept, and which way a viewer should turn them.

ITK reads plain strips of gray, RGB and palette as they stand. Everything else, a picture with a note to turn it among
it, it hands to libtiff's own painter: that turns and mirrors, cuts to 8 bits, and gives gray and colours alike as RGBA.
Tags are those of TIFF 6.0, https://www.itu.int/itudoc/itu-t/com16/tiff-fx/docs/tiff6.pdf, and of BigTIFF.
"""

from __future__ import annotations

import shutil
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from LandmarkDetectorLib.core import ImageError
from LandmarkDetectorLib.io.names import shown
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.io.private_folder import PrivateFolder

_BITS, _COLOURS, _TURN, _SAMPLES, _PLANES, _TILE, _EXTRA = 258, 262, 274, 277, 284, 322, 338
_NUMBERS = {1: "B", 3: "H", 4: "I"}  # TIFF's types of whole numbers
_WHITE_IS_ZERO = 0
_GRAY, _RGB, _PALETTE = (_WHITE_IS_ZERO, 1), 2, 3
_STRANGE = {
    4: "a mask",
    5: "colours for printing (CMYK)",
    8: "colours of CIE L*a*b*",
    9: "colours of ICC L*a*b*",
    10: "colours of ITU L*a*b*",
    32803: "raw values of a camera",
    32844: "logarithms of brightness",
    32845: "logarithms of colours",
}


@dataclass(frozen=True)
class TiffHeader:
    """The part of a TIFF picture's first directory that says how its pixels are kept.

    Args:
        bits: bits a sample.
        samples: samples a pixel, transparency included.
        colours: TIFF's code of what the samples mean, or ``None`` where the file does not say.
        split: whether it is kept in tiles, or each colour for itself.
        multiplied: whether libtiff's painter would multiply the colours by the transparency.
        turn: TIFF's code of how to turn the picture, 1 for not at all.
        turn_place: where in the file that code stands, and its form for :mod:`struct`.
    """

    bits: int
    samples: int
    colours: int | None
    split: bool
    multiplied: bool
    turn: int
    turn_place: tuple[int, str] | None

    @property
    def plain(self) -> bool:
        """Whether ITK reads its pixels itself, once nothing asks to turn them."""
        return not self.split and self.colours in (*_GRAY, _RGB, _PALETTE) and self.bits in (8, 16, 32)

    @property
    def paletted(self) -> bool:
        """Whether its samples are places in a table of colours."""
        return self.colours == _PALETTE

    @property
    def channels(self) -> int:
        """Channels of the picture, transparency left out; a palette is one of colours."""
        return 1 if self.colours in _GRAY or (self.colours is None and self.samples < 3) else 3


def read_header(path: Path) -> TiffHeader | None:
    """The header, or ``None`` where the file is no TIFF, or cut short; ITK says then what is wrong."""
    try:
        with open(path, "rb") as stream:
            return _header(stream)
    except (struct.error, KeyError, OSError, OverflowError, ValueError):  # places beyond the file, or beyond any
        return None


def check_faithful(header: TiffHeader, name: str) -> None:
    """Refuse pixels that would not be read as they are stored.

    Raises:
        ImageError: with what they are, and what to save instead.
    """
    if header.colours in _STRANGE:
        kept = f"it holds {_STRANGE[header.colours]}, which cannot be read as they are"
        raise ImageError(f"{name}: {kept}; save it as gray or RGB.")
    if header.channels == 1 and header.samples > 1:
        more = f"{header.samples - 1} more channel{'s' if header.samples > 2 else ''}"
        raise ImageError(
            f"{name}: it is gray with {more}, such as transparency, which are not read; save it as plain gray."
        )
    if not header.plain and (header.bits > 8 or header.multiplied):
        lost = f"its {header.bits} bits would be cut to 8" if header.bits > 8 else "transparency would darken it"
        raise ImageError(f"{name}: {lost}, for it is kept in tiles, planes or odd bits; save it in plain strips.")


@contextmanager
def unturned(path: Path, header: TiffHeader) -> Iterator[Path]:
    """A file with the same pixels that asks nobody to turn them: the file itself, or a copy for the time of reading.

    Raises:
        ImageError: there is no room for the copy.
    """
    if header.turn == 1 or header.turn_place is None:
        yield path
        return
    with ExitStack() as stack:
        try:
            # Not under the file's own name, which may be a patient's.
            copy = stack.enter_context(PrivateFolder()) / "picture.tif"
            place, form = header.turn_place
            shutil.copyfile(path, copy)
            with open(copy, "r+b") as stream:
                stream.seek(place)
                stream.write(struct.pack(form, 1))
        except OSError as error:
            raise ImageError(
                f"{shown(path)}: a copy that is not turned cannot be made ({error.strerror}); make room on the disk."
            ) from None
        yield copy


def channels_of(array: np.ndarray, header: TiffHeader, name: str) -> np.ndarray:
    """The picture's own channels of what ITK gave, (1 or 3, Y, X), with high values bright, as the painter gives them.

    What is left out or turned over is said aloud.
    """
    if header.plain and header.colours == _WHITE_IS_ZERO and array.dtype.kind == "u":
        notice(f"{name}: its gray scale is inverted (WhiteIsZero); it was turned over, so that high values are bright.")
        return np.iinfo(array.dtype).max - array
    if header.plain and len(array) != 4:
        return array
    if header.samples == 4:
        notice(f"{name}: its fourth channel, transparency, was left out.")
    return array[: header.channels]


def _header(stream: BinaryIO) -> TiffHeader | None:
    start = stream.read(16)
    order = {b"II": "<", b"MM": ">"}[start[:2]]
    version = struct.unpack_from(f"{order}H", start, 2)[0]
    if version not in (42, 43):
        return None
    large = version == 43
    stream.seek(struct.unpack_from(f"{order}{'Q' if large else 'I'}", start, 8 if large else 4)[0])
    count_form, entry_form = (f"{order}Q", f"{order}HHQ8s") if large else (f"{order}H", f"{order}HHI4s")
    count = struct.unpack(count_form, stream.read(struct.calcsize(count_form)))[0]
    first, width = stream.tell(), struct.calcsize(entry_form)
    table = stream.read(min(count, 4096) * width)
    tags: dict[int, tuple[int, ...]] = {}
    places: dict[int, tuple[int, str]] = {}
    for i in range(len(table) // width):
        tag, kind, number, value = struct.unpack_from(entry_form, table, i * width)
        if kind in _NUMBERS and 0 < number <= 64:
            place, form = first + (i + 1) * width - len(value), f"{order}{number}{_NUMBERS[kind]}"
            if struct.calcsize(form) > len(value):
                place = struct.unpack(f"{order}{'Q' if large else 'I'}", value)[0]
            stream.seek(place)
            tags[tag] = struct.unpack(form, stream.read(struct.calcsize(form)))
            places[tag] = place, f"{order}{_NUMBERS[kind]}"
    samples = tags.get(_SAMPLES, (1,))[0]
    return TiffHeader(
        bits=max(tags.get(_BITS, (1,))),
        samples=samples,
        colours=tags.get(_COLOURS, (None,))[0],
        split=_TILE in tags or (samples > 1 and tags.get(_PLANES, (1,))[0] != 1),
        multiplied=2 in tags.get(_EXTRA, ()),
        turn=tags.get(_TURN, (1,))[0],
        turn_place=places.get(_TURN),
    )

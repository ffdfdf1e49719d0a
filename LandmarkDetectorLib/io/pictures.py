"""Pictures: PNG, JPEG, BMP and TIFF, read by SimpleITK.

A picture's resolution says how large it should print, and 72 or 96 dpi mostly that nobody asked. So no picture has a
physical scale here: its unit is ``px`` until somebody gives the spacing in mm. Pixels stand where they are stored; a
note that a viewer should turn the picture, of EXIF or of TIFF, is not followed, as that of EXIF is not in 3D Slicer.
High values are bright: gray TIFF whose zero is white is turned over, as such DICOM is.
"""

from __future__ import annotations

import re
import struct
import warnings
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from LandmarkDetectorLib.core import Grid, Image, ImageError
from LandmarkDetectorLib.io import itk, tiff
from LandmarkDetectorLib.io.limits import DEFLATE_LIMIT, check_promise
from LandmarkDetectorLib.io.names import shown, suffix_of
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.io.volumes import write_itk

_FORMATS = {
    ".png": ("PNGImageIO", "PNG"),
    ".jpg": ("JPEGImageIO", "JPEG"),
    ".jpeg": ("JPEGImageIO", "JPEG"),
    ".bmp": ("BMPImageIO", "BMP"),
    ".tif": ("TIFFImageIO", "TIFF"),
    ".tiff": ("TIFFImageIO", "TIFF"),
}
_BMP_DEPTHS = (8, 24, 32)  # those that ITK reads
_EXPANSION = {
    "PNGImageIO": DEFLATE_LIMIT * 8 * 3,  # eight pixels a byte, and a palette gives each three
    "BMPImageIO": 128 * 3,  # two bytes of RLE8 are at most 255 pixels
}
_WILD = 1 << 20
"""How far JPEG and the compressions of TIFF expand what is nearly blank; they know no limit, pictures of people do."""
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def read_picture(path: Path) -> tuple[np.ndarray, Grid]:
    """Pixels (1 or 3, Y, X) in their own number type, and a grid in px whose first pixel is at the origin.

    Raises:
        ImageError: the file is not of its suffix's format, is incomplete, holds several pages, or would not be read as
            it is stored.
    """
    name = shown(path)
    image_io, kind = _FORMATS[suffix_of(path)]
    if image_io == "PNGImageIO" and _is_gray_with_alpha(path):
        array = _gray_of_gray_with_alpha(path, name)
        return array, Grid.regular(array.shape[:0:-1], 1.0, "px")
    array = _tiff(path, name) if image_io == "TIFFImageIO" else _pixels(path, image_io, kind, name)
    if len(array) == 4:
        notice(f"{name}: its fourth channel, transparency, was left out.")
        array = array[:3]
    if len(array) == 3 and image_io == "BMPImageIO" and _bmp_has_palette(path) and _is_gray(array):
        array = array[:1]
    return array, Grid.regular(array.shape[:0:-1], 1.0, "px")


def _tiff(path: Path, name: str) -> np.ndarray:
    header = tiff.read_header(path)
    if header is None:
        return _pixels(path, "TIFFImageIO", "TIFF", name)
    tiff.check_faithful(header, name)
    with tiff.unturned(path, header) as source:
        array = _pixels(source, "TIFFImageIO", "TIFF", name)
    array = tiff.channels_of(array, header, name)
    return array[:1] if header.paletted and len(array) == 3 and _is_gray(array) else array


def _pixels(path: Path, image_io: str, kind: str, name: str) -> np.ndarray:
    """The channels (C, Y, X) that ITK makes of a picture of one page."""
    reader = _opened(path, image_io, kind, name)
    size = reader.GetSize()
    if len(size) > 2 and any(n > 1 for n in size[2:]):
        raise ImageError(f"{name}: it holds {size[2]} pages; save one page, or the stack as NRRD with its voxel size.")
    check_promise(name, size, itk.voxel_bytes(reader), path.stat().st_size, _EXPANSION.get(image_io, _WILD))
    incomplete = {"JPEGImageIO": _jpeg_lacks_end, "BMPImageIO": _bmp_is_short}.get(image_io)
    if incomplete is not None and incomplete(path):
        raise ImageError(f"{name}: it is truncated; copy it again from its source.")
    array = itk.array_of(itk.read(reader, path))
    return array.reshape(array.shape[0], size[1], size[0])


def _opened(path: Path, image_io: str, kind: str, name: str) -> sitk.ImageFileReader:
    itk.check_kind(path, kind)
    bits = _bmp_header(path)[3] if image_io == "BMPImageIO" else 8
    if bits not in _BMP_DEPTHS:
        raise ImageError(f"{name}: it is a BMP of {bits} bit a pixel, which is not read; save it as PNG.")
    return itk.open_reader(path, image_io, kind)


def read_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture, from its header; its pixels are not read.

    Raises:
        ImageError: the file is missing, of no picture's suffix, or not of its suffix's format.
    """
    reader = _header_of(path)
    if reader is None:
        with open(path, "rb") as stream:
            width, height = struct.unpack(">16xII", stream.read(24))  # of the IHDR chunk, as PNG demands it first
        return width, height
    width, height, *_ = reader.GetSize()
    return width, height


def read_printed_spacing(path: Path) -> tuple[float, float]:
    """Mm a pixel along x and y at the resolution that a picture claims for printing, as ITK reads it; 1 without any.

    It is no physical scale, but 3D Slicer shows the picture with it, and saves landmarks on it so.

    Raises:
        ImageError: as :func:`read_size`.
    """
    reader = _header_of(path)
    across, down = (1.0, 1.0) if reader is None else reader.GetSpacing()[:2]
    return across, down


def _header_of(path: Path) -> sitk.ImageFileReader | None:
    """A reader that knows a picture's header, or ``None`` for gray with transparency, which ITK does not read."""
    name, suffix = shown(path), suffix_of(path)
    if suffix not in _FORMATS:
        raise ImageError(f"{name}: the suffix {suffix!r} is none of a picture's: {', '.join(_FORMATS)}.")
    if not path.is_file():
        raise ImageError(f"{name}: there is no such file; check the path.")
    if suffix == ".png" and _is_gray_with_alpha(path):
        return None
    return _opened(path, *_FORMATS[suffix], name)


def write_picture(image: Image, path: Path) -> None:
    """Write a PNG, whole or not at all.

    Raises:
        ImageError: an image that is not 2D, gray or RGB, of 8 or 16 bit.
        LandmarkFileError: the file cannot be written.
    """
    name = shown(path)
    if image.dimension != 2 or image.channels not in (1, 3) or image.array.dtype not in (np.uint8, np.uint16):
        raise ImageError(
            f"{name}: PNG holds 2D images, gray or RGB, of 8 or 16 bit, not {image.channels} channels of "
            f"{image.dimension}D {image.array.dtype}; save it as .nii.gz, .nrrd or .npz."
        )
    if not image.grid.same_as(Grid.regular(image.grid.size, 1.0, "px")):
        notice(f"{name}: PNG keeps no physical scale; give spacing={image.grid.spacing} when you load it again.")
    vector = image.channels > 1
    pixels = np.moveaxis(image.array, 0, -1) if vector else image.array[0]
    write_itk(sitk.GetImageFromArray(pixels, isVector=vector), path, ".png")


def _is_gray_with_alpha(path: Path) -> bool:
    with open(path, "rb") as stream:
        return stream.read(26)[25:] == b"\x04"  # colour type 4 of the IHDR chunk


def _gray_of_gray_with_alpha(path: Path, name: str) -> np.ndarray:
    """The gray channel (1, Y, X) of the one kind of PNG that SimpleITK does not read, by Pillow."""
    with open(path, "rb") as stream:
        width, height, depth = struct.unpack(">16xIIB", stream.read(25))  # of the IHDR chunk
    check_promise(name, (width, height), 2, path.stat().st_size, DEFLATE_LIMIT)
    try:
        from PIL import Image as Pillow

        if depth != 8:
            raise ImportError("Pillow would cut 16 bits down to 8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # checked above
            with Pillow.open(path) as picture:
                pixels = np.asarray(picture)
    except ImportError:
        raise ImageError(f"{name}: it is gray with transparency, which is not read; save it as plain gray.") from None
    except Pillow.DecompressionBombError:
        raise ImageError(f"{name}: it is gray with transparency and too large; save it as plain gray.") from None
    except (OSError, SyntaxError, ValueError):
        raise ImageError(f"{name}: it is truncated or damaged; copy it again from its source.") from None
    notice(f"{name}: its second channel, transparency, was left out.")
    return np.ascontiguousarray(pixels[None, ..., 0])


def _jpeg_lacks_end(path: Path) -> bool:
    """Whether the stream stops before its end marker; libjpeg would paint what is missing gray.

    Walks the segments, so that the end marker of an embedded thumbnail is not taken for the picture's.
    """
    data = path.read_bytes()
    at = 2
    while found := _MARKER.search(data, at):
        marker = data[found.start() + 1]
        if marker == 0xD9:
            return False
        if marker == 0x01 or found.end() + 2 > len(data):
            at = found.end()
        else:
            at = found.end() + struct.unpack_from(">H", data, found.end())[0]
    return True


def _bmp_header(path: Path) -> tuple[int, int, int, int, int]:
    """Where the pixels begin, width, height, bits a pixel, compression; of a BITMAPINFOHEADER or later."""
    with open(path, "rb") as stream:
        start = stream.read(34)
    if len(start) < 34 or start[:2] != b"BM" or struct.unpack_from("<I", start, 14)[0] < 40:
        return 0, 0, 0, 24, -1
    offset = struct.unpack_from("<I", start, 10)[0]
    width, height, _, bits, compression = struct.unpack_from("<iiHHI", start, 18)
    return offset, width, abs(height), bits, compression


def _bmp_is_short(path: Path) -> bool:
    offset, width, height, bits, compression = _bmp_header(path)
    row = (width * bits + 31) // 32 * 4
    return compression in (0, 3) and path.stat().st_size < offset + row * height


def _bmp_has_palette(path: Path) -> bool:
    return _bmp_header(path)[3] <= 8


def _is_gray(array: np.ndarray) -> bool:
    return bool(np.array_equal(array[0], array[1]) and np.array_equal(array[0], array[2]))

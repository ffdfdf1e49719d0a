"""Pictures and NumPy arrays: no physical scale unless somebody gives it."""

from __future__ import annotations

import errno
import shutil
import struct
import tempfile
import zlib

import numpy as np
import pytest
import SimpleITK as sitk

from LandmarkDetectorLib.core import Grid, Image, ImageError
from LandmarkDetectorLib.io import limits, load_image, save_image
from LandmarkDetectorLib.io.pictures import read_size

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 255, (30, 40), dtype=np.uint8)
COLOUR = RNG.integers(0, 255, (30, 40, 3), dtype=np.uint8)


def write(path, pixels):
    sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=pixels.ndim == 3), str(path))
    return path


def png(path, pixels, colour_type, dots_per_metre=None):
    """A PNG written by hand, for kinds that SimpleITK does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = pixels.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, pixels.dtype.itemsize * 8, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    scale = b"" if dots_per_metre is None else chunk(b"pHYs", struct.pack(">IIB", dots_per_metre, dots_per_metre, 1))
    parts = (chunk(b"IHDR", header), scale, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))
    return path


def tiff(path, pixels, colours, *, order="<", bits=None, data=None, **tags):
    """A TIFF of one strip, for kinds that SimpleITK does not write; ``t274=6`` gives tag 274."""
    height, width = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    data = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes() if data is None else data
    data += bytes(len(data) % 2)
    values = {256: (width,), 257: (height,), 258: (bits or pixels.dtype.itemsize * 8,) * samples, 259: (1,)}
    values |= {262: (colours,), 273: (8,), 277: (samples,), 278: (height,), 279: (len(data),), 284: (1,)}
    values |= {int(tag[1:]): np.atleast_1d(value).tolist() for tag, value in tags.items()}
    after, entries = 8 + len(data) + 2 + 12 * len(values) + 4, b""
    far = b""
    for tag, numbers in sorted(values.items()):
        packed = struct.pack(f"{order}{len(numbers)}H", *numbers)
        if len(packed) > 4:
            packed, far = struct.pack(f"{order}I", after + len(far)), far + packed
        entries += struct.pack(f"{order}HHI4s", tag, 3, len(numbers), packed)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + len(data))
    path.write_bytes(head + data + struct.pack(f"{order}H", len(values)) + entries + bytes(4) + far)
    return path


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff"])
def test_gray_and_colour_pictures_keep_their_pixels(tmp_path, suffix):
    gray = load_image(write(tmp_path / f"a{suffix}", GRAY))
    assert gray.array.shape == (1, 30, 40) and np.array_equal(gray.array[0], GRAY) and gray.array.dtype == np.uint8
    colour = load_image(write(tmp_path / f"b{suffix}", COLOUR))
    assert np.array_equal(np.moveaxis(colour.array, 0, -1), COLOUR)
    assert gray.grid.same_as(Grid.regular((40, 30), 1.0, "px")) and gray.name == "a"


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".JPG"])
def test_a_jpeg_is_read_as_it_was_compressed(tmp_path, suffix):
    smooth = np.add.outer(np.arange(30), np.arange(40)).astype(np.uint8) * 3
    path = write(tmp_path / "a.jpg", smooth).rename(tmp_path / f"b{suffix}")
    image = load_image(path)
    assert image.array.shape == (1, 30, 40) and np.abs(image.array[0].astype(int) - smooth).max() < 6


def test_sixteen_bits_stay_sixteen_bits(tmp_path):
    deep = GRAY.astype(np.uint16) * 200
    assert np.array_equal(load_image(write(tmp_path / "a.png", deep)).array[0], deep)
    assert np.array_equal(load_image(write(tmp_path / "a.tif", deep)).array[0], deep)


def test_a_resolution_for_printing_is_no_physical_scale(tmp_path):
    path = png(tmp_path / "a.png", GRAY, 0, dots_per_metre=11811)  # 300 dpi
    assert load_image(path).grid.spacing == (1.0, 1.0) and load_image(path).grid.unit == "px"


def test_a_spacing_that_is_given_makes_millimetres(tmp_path):
    grid = load_image(write(tmp_path / "a.png", GRAY), spacing=(0.1, 0.2)).grid
    assert grid.unit == "mm" and grid.spacing == (0.1, 0.2) and grid.origin == (0.0, 0.0)


def test_a_spacing_of_three_axes_does_not_fit_a_picture(tmp_path, refused):
    path = write(tmp_path / "a.png", GRAY)
    assert "does not fit its 2 axes" in refused(ImageError, load_image, path, spacing=(1, 1, 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparency_is_left_out_aloud(tmp_path, told, dtype):
    alpha = np.concatenate([COLOUR, GRAY[..., None]], axis=-1).astype(dtype)
    with told() as messages:
        image = load_image(png(tmp_path / "a.png", alpha, 6))
    assert messages == ["a.png: its fourth channel, transparency, was left out."]
    assert np.array_equal(np.moveaxis(image.array, 0, -1), COLOUR)


def test_transparency_of_a_gray_picture_is_left_out_aloud(tmp_path, told):
    pytest.importorskip("PIL", reason="Pillow is not installed, and SimpleITK does not read gray with transparency")
    path = png(tmp_path / "a.png", np.stack([GRAY, 255 - GRAY], -1), 4)
    with told() as messages:
        image = load_image(path)
    assert messages == ["a.png: its second channel, transparency, was left out."]
    assert np.array_equal(image.array[0], GRAY)


def test_transparency_of_a_gray_picture_is_refused_where_bits_would_be_lost(tmp_path, refused):
    path = png(tmp_path / "a.png", np.stack([GRAY, GRAY], -1).astype(np.uint16) * 255, 4)
    assert "gray with transparency" in refused(ImageError, load_image, path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("part", [0.97, 0.5, 0.05])
def test_a_truncated_picture_is_refused(tmp_path, refused, suffix, part):
    raw = write(tmp_path / f"a{suffix}", COLOUR).read_bytes()
    (tmp_path / f"a{suffix}").write_bytes(raw[: int(len(raw) * part)])
    message = refused(ImageError, load_image, tmp_path / f"a{suffix}")
    assert "truncated" in message or "not readable" in message


def test_the_end_of_a_thumbnail_is_not_taken_for_the_end_of_a_jpeg(tmp_path, refused):
    raw = write(tmp_path / "a.jpg", COLOUR).read_bytes()
    exif = b"Exif\0\0" + raw  # a whole JPEG within a segment of the JPEG
    whole = raw[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + raw[2:]
    (tmp_path / "a.jpg").write_bytes(whole)
    assert load_image(tmp_path / "a.jpg").channels == 3
    (tmp_path / "a.jpg").write_bytes(whole[:-20])
    assert "truncated" in refused(ImageError, load_image, tmp_path / "a.jpg")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_a_tiff_is_not_turned_whatever_its_note_says(tmp_path, told, turn, order):
    deep = COLOUR.astype(np.uint16) * 200
    for pixels, colours in ((GRAY, 1), (COLOUR, 2), (deep, 2)):
        path = tiff(tmp_path / "a.tif", pixels, colours, order=order, t274=turn)
        raw = path.read_bytes()
        with told() as messages:
            image = load_image(path)
        stored = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels[None]
        assert messages == [] and np.array_equal(image.array, stored) and image.array.dtype == pixels.dtype
        assert read_size(path) == (40, 30) and path.read_bytes() == raw


def test_a_tiff_without_a_note_is_read_from_where_it_lies(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "copyfile", lambda *_: pytest.fail("the file was copied"))
    assert np.array_equal(load_image(tiff(tmp_path / "a.tif", GRAY, 1)).array[0], GRAY)


def test_a_turned_tiff_leaves_no_copy_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    load_image(tiff(tmp_path / "a.tif", GRAY, 1, t274=6))
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_a_turned_tiff_without_room_for_a_copy_is_refused(tmp_path, refused, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    assert "make room" in refused(ImageError, load_image, tiff(tmp_path / "a.tif", GRAY, 1, t274=6))


def test_a_turned_large_tiff_is_not_turned_either(tmp_path):
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed, and SimpleITK writes no BigTIFF at will")
    pillow.fromarray(GRAY).save(tmp_path / "a.tif", big_tiff=True, tiffinfo={274: 6})
    assert np.array_equal(load_image(tmp_path / "a.tif").array[0], GRAY)


@pytest.mark.parametrize("colours", [0, 1])
def test_a_tiff_of_one_bit_is_one_gray_channel(tmp_path, told, colours):
    bits = GRAY > 99
    path = tiff(tmp_path / "a.tif", GRAY, colours, bits=1, data=np.packbits(bits, axis=1).tobytes())
    with told() as messages:
        image = load_image(path)
    assert messages == [] and image.channels == 1
    assert np.array_equal(image.array[0], np.where(bits == bool(colours), 255, 0))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_a_tiff_whose_zero_is_white_is_turned_over_aloud(tmp_path, told, kind):
    with told() as messages:
        image = load_image(tiff(tmp_path / "film.tif", GRAY.astype(kind), 0))
    assert len(messages) == 1 and "WhiteIsZero" in messages[0]
    assert image.array.dtype == kind and np.array_equal(image.array[0], np.iinfo(kind).max - GRAY.astype(kind))


def test_a_tiff_of_a_few_gray_levels_is_one_gray_channel(tmp_path, told):
    levels = GRAY % 16
    data = (levels[:, ::2] * 16 + levels[:, 1::2]).astype(np.uint8).tobytes()
    with told() as messages:
        image = load_image(tiff(tmp_path / "a.tif", GRAY, 1, bits=4, data=data))
    assert messages == [] and np.array_equal(image.array[0], levels * 17)


def test_colours_of_video_in_a_tiff_have_no_transparency(tmp_path, told):
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed, and SimpleITK writes no YCbCr")
    smooth = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)[..., None] * [3, 2, 1]
    pillow.fromarray(smooth.astype(np.uint8)).convert("YCbCr").save(tmp_path / "a.tif")
    with told() as messages:
        image = load_image(tmp_path / "a.tif")
    assert messages == [] and image.array.shape == (3, 32, 48)
    assert np.abs(np.moveaxis(image.array, 0, -1).astype(int) - smooth).max() < 6


def test_transparency_of_a_tiff_is_left_out_aloud(tmp_path, told):
    for turn in (1, 8):
        with told() as messages:
            image = load_image(tiff(tmp_path / "a.tif", np.dstack([COLOUR, GRAY]), 2, t338=2, t274=turn))
        assert messages == ["a.tif: its fourth channel, transparency, was left out."]
        assert np.array_equal(np.moveaxis(image.array, 0, -1), COLOUR)


@pytest.mark.parametrize(
    ("pixels", "colours", "tags", "fragment"),
    [
        (np.dstack([COLOUR, GRAY]), 5, {}, "CMYK"),
        (COLOUR, 8, {}, "L*a*b*"),
        (np.dstack([GRAY, GRAY]), 1, {"t338": 2}, "gray with 1 more channel,"),
        (np.dstack([GRAY] * 3), 1, {"t338": (0, 0)}, "gray with 2 more channels,"),
        (COLOUR.astype(np.uint16), 2, {"t284": 2}, "16 bits would be cut to 8"),
        (GRAY.astype(np.float64), 1, {"t339": 3}, "64 bits would be cut to 8"),
        (np.dstack([COLOUR, GRAY]), 2, {"t284": 2, "t338": 2}, "transparency would darken it"),
    ],
)
def test_a_tiff_that_would_not_be_read_as_it_is_stored_is_refused(tmp_path, refused, pixels, colours, tags, fragment):
    assert fragment in refused(ImageError, load_image, tiff(tmp_path / "a.tif", pixels, colours, **tags))


@pytest.mark.parametrize("place", [4, 8, 10, 12, 16, 20])
def test_a_damaged_tiff_is_refused(tmp_path, refused, place):
    raw = bytearray(tiff(tmp_path / "a.tif", COLOUR, 2, t274=6).read_bytes())
    start = struct.unpack_from("<I", raw, 4)[0]
    at = place if place == 4 else start + place - 8
    raw[at : at + 4] = b"\xff\xff\xff\x7f"
    (tmp_path / "a.tif").write_bytes(raw)
    refused(ImageError, load_image, tmp_path / "a.tif")


@pytest.mark.parametrize("call", [load_image, read_size])
@pytest.mark.parametrize(("own", "kind"), [(".png", "PNG"), (".jpg", "JPEG"), (".bmp", "BMP"), (".tif", "TIFF")])
def test_a_picture_of_another_kind_than_its_suffix_is_called_by_its_kind(tmp_path, refused, call, own, kind):
    for suffix in {".png", ".jpg", ".bmp", ".tif"} - {own}:
        path = write(tmp_path / f"other{own}", COLOUR).rename(tmp_path / f"a{suffix}")
        message = refused(ImageError, call, path)
        assert f"its content looks like {kind}" in message and "truncated" not in message


def test_a_bmp_of_one_bit_is_called_what_it_is(tmp_path, refused):
    head = struct.pack("<IHHI", 62 + 20, 0, 0, 62) + struct.pack("<IiiHHIIiiII", 40, 8, 5, 1, 1, 0, 20, 0, 0, 2, 0)
    (tmp_path / "a.bmp").write_bytes(b"BM" + head + bytes(4) + b"\xff\xff\xff\0" + bytes(20))
    for call in (load_image, read_size):
        assert refused(ImageError, call, tmp_path / "a.bmp") == (
            "a.bmp: it is a BMP of 1 bit a pixel, which is not read; save it as PNG."
        )


def vast_png(colour_type):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, colour_type, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(99))), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def vast_bmp(compression):
    bits = 8 if compression else 24
    head = struct.pack("<IHHIIiiHHIIiiII", 154, 0, 0, 54, 40, 60000, 60000, 1, bits, compression, *[0] * 5)
    return b"BM" + head + bytes(100)


@pytest.mark.parametrize(
    ("suffix", "content"),
    [(".png", vast_png(0)), (".png", vast_png(4)), (".bmp", vast_bmp(0)), (".bmp", vast_bmp(1))],
    ids=["png", "png with transparency", "bmp", "packed bmp"],
)
def test_a_picture_that_promises_more_than_it_can_hold_is_refused_unread(
    tmp_path, refused, monkeypatch, suffix, content
):
    monkeypatch.setattr(limits, "available_memory", lambda: None)  # as where the system does not say
    (tmp_path / f"vast{suffix}").write_bytes(content)
    assert "its header promises 60000×60000 voxels" in refused(ImageError, load_image, tmp_path / f"vast{suffix}")


def test_a_tiff_that_promises_more_than_it_can_hold_is_refused_unread(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(limits, "available_memory", lambda: None)
    path = tiff(tmp_path / "a.tif", np.zeros((60000, 1), np.uint8), 1, data=bytes(100), t259=8, t256=60000)
    assert "its header promises 60000×60000 voxels" in refused(ImageError, load_image, path)


def test_a_stack_of_pages_is_refused(tmp_path, refused):
    sitk.WriteImage(sitk.GetImageFromArray(np.stack([GRAY] * 3)), str(tmp_path / "a.tif"))
    assert "3 pages" in refused(ImageError, load_image, tmp_path / "a.tif")


def test_a_constant_picture_is_read_with_a_warning(tmp_path, told):
    with told() as messages:
        load_image(write(tmp_path / "a.png", np.full((5, 5), 9, np.uint8)))
    assert messages == ["a.png: every voxel has the value 9; there is nothing to be found in it."]


@pytest.mark.parametrize("pixels", [GRAY, COLOUR, GRAY.astype(np.uint16) * 99])
def test_a_picture_that_is_saved_is_read_again(tmp_path, pixels):
    array = np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels[None]
    image = Image(array, Grid.regular((40, 30), 1.0, "px"))
    save_image(image, tmp_path / "a.png")
    read = load_image(tmp_path / "a.png")
    assert np.array_equal(read.array, array) and read.grid.same_as(image.grid)


def test_saving_a_scale_to_png_is_said_to_lose_it(tmp_path, told):
    with told() as messages:
        save_image(Image.from_array(GRAY, spacing=0.25), tmp_path / "a.png")
    assert messages == ["a.png: PNG keeps no physical scale; give spacing=(0.25, 0.25) when you load it again."]


def test_what_png_cannot_hold_is_refused(tmp_path, refused):
    for array in (np.zeros((3, 4, 5), np.uint8), np.zeros((4, 5), np.float32)):
        assert "PNG holds 2D images" in refused(ImageError, save_image, Image.from_array(array), tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("shape", "size"), [((5, 6), (6, 5)), ((4, 5, 6), (6, 5, 4))])
def test_a_bare_array_has_spatial_axes_in_pixels(tmp_path, shape, size):
    values = RNG.normal(size=shape)
    np.save(tmp_path / "a.npy", values)
    image = load_image(tmp_path / "a.npy")
    assert image.grid.same_as(Grid.regular(size, 1.0, "px")) and np.array_equal(image.array[0], values)
    np.savez(tmp_path / "b.npz", values)
    assert load_image(tmp_path / "b.npz").grid.same_as(image.grid)


def test_the_spacing_tells_channels_from_slices(tmp_path):
    np.save(tmp_path / "a.npy", RNG.normal(size=(3, 5, 6)))
    assert load_image(tmp_path / "a.npy", spacing=(0.5, 1)).array.shape == (3, 5, 6)
    assert load_image(tmp_path / "a.npy", spacing=(0.5, 1, 2)).array.shape == (1, 3, 5, 6)
    np.save(tmp_path / "b.npy", RNG.normal(size=(2, 3, 5, 6)))
    assert load_image(tmp_path / "b.npy", spacing=(0.5, 1, 2)).grid.same_as(Grid.regular((6, 5, 3), (0.5, 1, 2)))


def test_an_archive_keeps_its_geometry(tmp_path):
    direction = np.eye(3)[[2, 0, 1]]
    geometry = {"spacing": [1.0, 2.0, 3.0], "origin": [-4.0, 5.5, 6.0], "direction": direction}
    np.savez(tmp_path / "a.npz", array=RNG.normal(size=(4, 5, 6)), **geometry)
    grid = load_image(tmp_path / "a.npz").grid
    assert grid.same_as(Grid((6, 5, 4), (1.0, 2.0, 3.0), (-4.0, 5.5, 6.0), direction))


@pytest.mark.parametrize(
    ("arrays", "fragment"),
    [
        ({"a": GRAY, "b": GRAY}, "call the image's array 'array'"),
        ({"spacing": [1.0, 1.0]}, "call the image's array 'array'"),
        ({"array": GRAY, "spacing": [1.0, 0.0]}, "spacing"),
        ({"array": GRAY, "spacing": [1.0, 1.0], "origin": [1.0, np.nan]}, "origin"),
        ({"array": GRAY, "direction": [[1.0, 1.0], [0.0, 1.0]]}, "orthonormal"),
        ({"array": GRAY, "direction": [1.0]}, "do not fit"),
        ({"array": GRAY, "spacing": [1.0, 1.0], "unit": "inch"}, "inch"),
        ({"array": GRAY, "spacing": [1.0, 1.0, 1.0, 1.0]}, "does not fit a spacing"),
        ({"array": np.zeros((2, 2, 2, 2))}, "extract one volume"),
        ({"array": np.zeros(5)}, "no 2D or 3D image"),
        ({"array": np.zeros((0, 4))}, "empty"),
        ({"array": np.array([["a", "b"]])}, "not real numbers"),
        ({"array": np.zeros((2, 2), complex)}, "not real numbers"),
        ({"array": np.array([[{}, 1]], dtype=object)}, "no Python objects"),
    ],
)
def test_an_array_that_is_no_image_is_refused(tmp_path, refused, arrays, fragment):
    np.savez(tmp_path / "a.npz", **arrays)
    assert fragment in refused(ImageError, load_image, tmp_path / "a.npz")


@pytest.mark.parametrize("dtype", [">i2", ">f4", "longdouble", "float16", "bool"])
def test_number_types_of_other_machines_become_those_of_this_one(tmp_path, dtype):
    values = RNG.integers(0, 2, (5, 6)).astype(dtype)
    np.save(tmp_path / "a.npy", values)
    array = load_image(tmp_path / "a.npy").array
    assert array.dtype.isnative and array.dtype.itemsize <= 8 and np.array_equal(array[0], values)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("part", [0.9, 0.5, 0.1])
def test_a_truncated_array_is_refused(tmp_path, refused, suffix, part):
    path = tmp_path / f"a{suffix}"
    np.save(path, GRAY) if suffix == ".npy" else np.savez_compressed(path, GRAY)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])
    assert "cannot be read as a NumPy file" in refused(ImageError, load_image, path)


def test_an_array_that_promises_more_than_it_holds_is_refused_unread(tmp_path, refused, monkeypatch):
    np.save(tmp_path / "a.npy", GRAY)
    raw = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(raw.replace(b"(30, 40)", b"(9999999999, 40)", 1).replace(b"        \n", b"\n", 1))
    refused(ImageError, load_image, tmp_path / "a.npy")
    np.savez_compressed(tmp_path / "b.npz", np.zeros((1000, 1000)))
    monkeypatch.setattr(limits, "available_memory", lambda: 1_000_000)
    assert "GiB of memory" in refused(ImageError, load_image, tmp_path / "b.npz")

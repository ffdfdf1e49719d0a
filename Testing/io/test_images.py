"""Volumes with a header: what is read as it stands, what is mended aloud, and what is refused."""

from __future__ import annotations

import gc
import gzip
import os
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import SimpleITK as sitk

from LandmarkDetectorLib.core import Grid, Image, ImageError, LandmarkFileError
from LandmarkDetectorLib.io import limits, load_image, nifti, save_image

VALUES = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4) - 5


def itk_image(array=VALUES, vector=False):
    image = sitk.GetImageFromArray(array, isVector=vector)
    image.SetSpacing((0.5, 1.0, 2.0, 3.0)[: image.GetDimension()])
    return image


def write(path, array=VALUES, vector=False):
    sitk.WriteImage(itk_image(array, vector), str(path))
    return path


def with_header(path, changes, array=VALUES):
    """A NIfTI file whose header is altered: {offset: (format, values...)}."""
    raw = bytearray(write(path.with_name("plain.nii"), array).read_bytes())
    for offset, (form, *values) in changes.items():
        struct.pack_into(f"<{form}", raw, offset, *values)
    path.write_bytes(raw)
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".hdr", ".img", ".NII.GZ"])
def test_a_volume_keeps_values_and_type(tmp_path, suffix):
    lower = write(tmp_path / f"some scan{suffix.lower()}")
    path = lower.rename(tmp_path / f"some scan{suffix}")
    image = load_image(path)
    assert image.array.shape == (1, 2, 3, 4) and image.array.dtype == np.int16
    assert np.array_equal(image.array[0], VALUES)
    assert image.grid.spacing == (0.5, 1.0, 2.0) and image.grid.unit == "mm"
    assert image.name == "some scan"


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_number_types_are_native_and_writable(tmp_path, dtype):
    image = load_image(write(tmp_path / "a.nrrd", VALUES.astype(dtype)))
    assert image.array.dtype == np.dtype(dtype)
    image.array[0, 0, 0, 0] = 3


def test_the_array_outlives_the_reader(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.integers(0, 255, (20, 300, 300), dtype=np.uint8)
    image = load_image(write(tmp_path / "a.mha", values))
    gc.collect()
    others = [np.full(values.shape, 7, np.uint8) for _ in range(5)]
    assert np.array_equal(image.array[0], values) and len(others) == 5


def test_a_volume_stands_in_memory_once(tmp_path):
    pytest.importorskip("resource", reason="this system does not report a process's largest memory")
    path = tmp_path / "large.mha"
    size = 256 * 2**20
    head = "ObjectType = Image\nNDims = 3\nBinaryData = True\nDimSize = 512 512 512\n"
    path.write_bytes((head + "ElementType = MET_SHORT\nElementDataFile = LOCAL\n").encode())
    with open(path, "r+b") as stream:
        stream.truncate(path.stat().st_size + size)
    code = (
        "import resource, sys, warnings; warnings.simplefilter('ignore')\n"
        "from LandmarkDetectorLib.io import load_image, volumes\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "image = load_image(sys.argv[1])\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024, image.array.shape)"
    )
    if sys.platform == "darwin":
        code = code.replace(" * 1024", "")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert "(1, 512, 512, 512)" in done.stdout
    assert int(done.stdout.split()[0]) < 1.3 * size


def test_threads_read_at_once_and_the_error_stream_comes_back(tmp_path, capfd):
    paths = [write(tmp_path / f"{i}.mha", VALUES + i) for i in range(8)]
    (tmp_path / "0.mha").write_bytes((tmp_path / "0.mha").read_bytes()[:-9])  # over which ITK complains
    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(load_image, path) for path in paths * 4]
    assert sum(isinstance(job.exception(), ImageError) for job in done) == 4
    assert all(job.exception() or np.array_equal(job.result().array[0], VALUES + i % 8) for i, job in enumerate(done))
    capfd.readouterr()
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def test_importing_the_room_imports_no_reader_and_no_torch():
    code = "import sys, LandmarkDetectorLib.io; print({'torch', 'SimpleITK', 'pydicom', 'PIL'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_one_slice_stays_three_dimensional(tmp_path):
    for suffix in (".nii.gz", ".nrrd", ".mha"):
        image = load_image(write(tmp_path / f"slice{suffix}", VALUES[:1]))
        assert image.dimension == 3 and image.grid.size == (4, 3, 1)


def test_a_single_voxel_is_an_image(tmp_path, told):
    path = write(tmp_path / "voxel.nii", np.ones((1, 1, 1), np.float32))
    with told() as messages:
        image = load_image(path)
    assert image.grid.size == (1, 1, 1) and messages == [
        "voxel.nii: every voxel has the value 1; there is nothing to be found in it."
    ]


def test_colours_become_channels(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (2, 3, 4, 3), dtype=np.uint8)
    for suffix in (".nii", ".nrrd", ".mha"):
        image = load_image(write(tmp_path / f"colour{suffix}", colours, vector=True))
        assert image.channels == 3 and np.array_equal(np.moveaxis(image.array, 0, -1), colours)


def test_four_axes_are_refused(tmp_path, refused):
    series = np.stack([VALUES, VALUES + 1])
    for suffix in (".nii", ".nii.gz", ".mha"):
        path = tmp_path / f"time{suffix}"
        sitk.WriteImage(sitk.GetImageFromArray(series, isVector=False), str(path))
        message = refused(ImageError, load_image, path)
        assert f"time{suffix}" in message and "4×3×2×2" in message and "extract one volume" in message


def test_five_axes_are_refused_and_left_out_where_they_are_of_length_one(tmp_path, refused, told):
    head = "ObjectType = Image\nNDims = 5\nElementSpacing = 1 1 1 1 1\nElementType = MET_SHORT\n"
    for sizes in ("4 3 1 1 2", "4 3 1 2 1"):
        text = f"{head}DimSize = {sizes}\nElementDataFile = LOCAL\n"
        (tmp_path / "many.mha").write_bytes(text.encode() + VALUES.tobytes())
        message = refused(ImageError, load_image, tmp_path / "many.mha")
        assert f"five axes, {sizes.replace(' ', '×')}" in message and "extract one volume" in message
    path = with_header(tmp_path / "many.nii", {40: ("6h", 5, 4, 3, 1, 1, 2)})
    with told() as messages:
        assert "five axes, 4×3×1×1×2" in refused(ImageError, load_image, path)
    assert messages == []
    text = f"{head}DimSize = 4 3 2 1 1\nElementDataFile = LOCAL\n"
    (tmp_path / "many.mha").write_bytes(text.encode() + VALUES.tobytes())
    with told() as messages:
        assert np.array_equal(load_image(tmp_path / "many.mha").array[0], VALUES)
    assert messages == ["many.mha: its axes beyond the third, of length 1, were left out."]


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_a_fourth_axis_of_one_is_left_out_aloud(tmp_path, told, suffix):
    path = tmp_path / f"time{suffix}"
    image = sitk.GetImageFromArray(VALUES[None], isVector=False)
    image.SetSpacing((0.5, 1.0, 2.0, 3.0))
    image.SetOrigin((1.0, 2.0, 3.0, 4.0))
    sitk.WriteImage(image, str(path))
    with told() as messages:
        read = load_image(path)
    assert messages == [f"time{suffix}: its fourth axis of length 1 was left out."]
    assert read.grid.spacing == (0.5, 1.0, 2.0) and read.grid.origin == (1.0, 2.0, 3.0)
    assert np.array_equal(read.array[0], VALUES)


def test_what_is_not_finite_takes_the_lowest_value_aloud(tmp_path, told):
    values = VALUES.astype(np.float32)
    values[0, 0, :3] = np.nan, np.inf, -np.inf
    path = write(tmp_path / "holes.nrrd", values)
    with told() as messages:
        image = load_image(path)
    lowest = values[np.isfinite(values)].min()
    assert messages == [f"holes.nrrd: 3 voxels were not finite numbers and took the lowest finite value, {lowest:g}."]
    assert np.array_equal(image.array[0], np.where(np.isfinite(values), values, lowest))


def test_nothing_finite_is_refused(tmp_path, refused):
    path = write(tmp_path / "nan.nii", np.full((2, 2, 2), np.nan, np.float32))
    assert "no voxel holds a finite number" in refused(ImageError, load_image, path)


def test_complex_values_are_refused(tmp_path, refused):
    path = write(tmp_path / "kspace.nii", (VALUES + 1j).astype(np.complex64))
    assert "magnitude" in refused(ImageError, load_image, path)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("part", [0.99, 0.6, 0.02])
def test_a_truncated_file_is_refused(tmp_path, refused, suffix, part):
    values = np.random.default_rng(0).integers(-999, 999, (10, 20, 30), dtype=np.int16)
    path = tmp_path / f"cut{suffix}"
    raw = write(path, values).read_bytes()
    path.write_bytes(raw[: int(len(raw) * part)])
    message = refused(ImageError, load_image, path)
    assert message.startswith(f"cut{suffix}: ")
    assert any(word in message for word in ("truncated", "cut short", "damaged", "not readable", "not NIfTI")), message


def test_a_compressed_file_that_was_damaged_is_refused(tmp_path, refused):
    path = write(tmp_path / "rot.nii.gz", np.random.default_rng(0).normal(size=(9, 9, 9)))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(raw)
    assert "gzip stream is damaged" in refused(ImageError, load_image, path)


def test_the_detached_values_must_be_there_and_whole(tmp_path, refused):
    for header, data in ((".hdr", ".img"), (".mhd", ".raw"), (".nhdr", ".raw")):
        write(tmp_path / f"pair{header}")
        data_path = tmp_path / f"pair{data}"
        raw = data_path.read_bytes()
        data_path.write_bytes(raw[:-5])
        refused(ImageError, load_image, tmp_path / f"pair{header}")
        data_path.unlink()
        message = refused(ImageError, load_image, tmp_path / f"pair{header}")
        assert "missing" in message


@pytest.mark.parametrize(
    ("suffix", "head"),
    [
        (".mha", "ObjectType = Image\nNDims = 3\nDimSize = 2048 1024 1024\nElementType = MET_SHORT\n"),
        (".nrrd", "NRRD0004\ntype: short\ndimension: 3\nsizes: 2048 1024 1024\nendian: little\nencoding: raw\n\n"),
    ],
)
def test_2_to_the_31_voxels_by_header_only_are_refused_unread(tmp_path, refused, suffix, head):
    path = tmp_path / f"vast{suffix}"
    path.write_bytes((head + ("ElementDataFile = LOCAL\n" if suffix == ".mha" else "")).encode() + bytes(100))
    assert "2048×1024×1024" in refused(ImageError, load_image, path)


@pytest.mark.parametrize("zipped", [False, True])
def test_2_to_the_31_voxels_by_nifti_header_only_are_refused_unread(tmp_path, refused, zipped):
    path = with_header(tmp_path / "vast.nii", {40: ("8h", 3, 2048, 1024, 1024, 1, 1, 1, 1)})
    if zipped:
        path = tmp_path / "vast.nii.gz"
        path.write_bytes(gzip.compress((tmp_path / "vast.nii").read_bytes()))
    assert "2048×1024×1024" in refused(ImageError, load_image, path)


def test_a_gzip_stream_that_goes_on_behind_the_voxels_is_not_read_to_its_end(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(nifti, "_SPARE", 1000)
    plain = write(tmp_path / "plain.nii").read_bytes()
    path = tmp_path / "bomb.nii.gz"
    path.write_bytes(gzip.compress(plain + bytes(900)))
    load_image(path)
    path.write_bytes(gzip.compress(plain + bytes(50_000_000))[:-1000])  # whoever reads to the end finds it cut short
    assert "goes on behind them" in refused(ImageError, load_image, path)


def test_an_image_that_the_memory_cannot_take_is_refused_unread(tmp_path, refused, monkeypatch):
    path = write(tmp_path / "large.nrrd", np.zeros((10, 20, 30), np.float64))
    monkeypatch.setattr(limits, "available_memory", lambda: 40_000)
    assert "GiB of memory" in refused(ImageError, load_image, path)


def test_free_memory_is_known_here():
    free = limits.available_memory()
    assert free is None or 2**20 < free < 2**50
    by_kernel = limits._available_by_kernel()
    assert by_kernel is None or free is None or 0.5 < by_kernel / free < 2


@pytest.mark.parametrize(
    "changes",
    [
        {252: ("2h", 0, 1), 280: ("12f", 1, 0.5, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)},  # sheared
        {252: ("2h", 0, 1), 280: ("12f", *[0.0] * 12)},  # singular
    ],
)
def test_a_sheared_or_singular_orientation_is_refused(tmp_path, refused, changes):
    path = with_header(tmp_path / "bent.nii", changes)
    assert "sheared or singular" in refused(ImageError, load_image, path)


def test_a_sheared_grid_of_other_formats_is_refused(tmp_path, refused):
    head = "ObjectType = Image\nNDims = 3\nTransformMatrix = 1 0.5 0 0 1 0 0 0 1\nDimSize = 4 3 2\n"
    (tmp_path / "bent.mha").write_bytes(
        (head + "ElementType = MET_SHORT\nElementDataFile = LOCAL\n").encode() + bytes(48)
    )
    assert "not orthonormal" in refused(ImageError, load_image, tmp_path / "bent.mha")


def test_two_orientations_that_disagree_are_said_aloud(tmp_path, told):
    path = with_header(tmp_path / "two.nii", {280: ("12f", -0.5, 0.3, 0, 0, 0, -1, 0, 0, 0, 0, 2, 0)})
    with told() as messages:
        load_image(path)
    assert len(messages) == 1 and "its sform and qform" in messages[0] and "0.6 mm apart" in messages[0]


@pytest.mark.parametrize(("code", "factor"), [(0, 1.0), (1, 1000.0), (2, 1.0), (3, 0.001)])
def test_a_nifti_in_another_unit_is_in_millimetres_without_a_false_alarm(tmp_path, told, code, factor):
    path = with_header(tmp_path / "unit.nii", {123: ("B", code)})
    with told() as messages:
        grid = load_image(path).grid
    assert messages == [] and grid.spacing == pytest.approx([factor * step for step in (0.5, 1, 2)])


@pytest.mark.parametrize(("code", "bits", "what"), [(1, 1, "single bits"), (1536, 128, "floats of 128 bits")])
def test_a_nifti_of_numbers_that_are_not_read_is_not_called_damaged(tmp_path, refused, code, bits, what):
    path = with_header(tmp_path / "odd.nii", {70: ("2h", code, bits)})
    assert f"its voxels are {what}, which are not read" in refused(ImageError, load_image, path)


@pytest.mark.parametrize(("changes", "off"), [({}, None), ({324: ("f", 30)}, 30), ({316: ("f", 1)}, 2)])
def test_a_flat_nifti_that_lies_off_the_plane_of_flat_images_is_told_of(tmp_path, told, changes, off):
    path = with_header(tmp_path / "flat.nii", changes, VALUES[0])  # where it lies along z, and how z rises with y
    with told() as messages:
        assert load_image(path).dimension == 2
    said = f"flat.nii: it is two-dimensional and lies up to {off} mm off the plane z = 0"
    assert [message.partition(",")[0] for message in messages] == ([] if off is None else [said])


@pytest.mark.parametrize("offset", [0.0, 100.0, 347.0])
def test_a_nifti_whose_voxels_begin_in_its_header_is_refused_for_all_would_move_by_some(tmp_path, refused, offset):
    path = with_header(tmp_path / "odd.nii", {108: ("f", offset)})
    assert f"its header says that the voxels begin at byte {offset:g}," in refused(ImageError, load_image, path)


def test_what_was_used_of_an_sform_is_said_where_there_is_no_qform(tmp_path, told):
    for qform_code in (0, 1):
        path = with_header(
            tmp_path / "steps.nii",
            {252: ("2h", qform_code, 1), 280: ("12f", -1, 0, 0, 0, 0, -1, 0, 0, 0, 0, 2, 0)},
        )
        with told() as messages:
            assert load_image(path).grid.spacing == (0.5, 1.0, 2.0)
        assert messages == [
            "steps.nii: its sform is no rotation with its voxel size, and the voxels lie up to 1.5 mm off it; "
            "its directions, made orthogonal, and the voxel size were used."
        ]


def test_a_negative_voxel_size_is_said_aloud(tmp_path, told):
    with told() as messages:
        load_image(with_header(tmp_path / "turned.nii", {80: ("f", -0.5)}))
    assert messages == [
        "turned.nii: its voxel size is negative, which ITK takes for axes turned round, up to 3 mm from its sform."
    ]


def test_a_missing_orientation_is_said_aloud(tmp_path, told):
    path = with_header(tmp_path / "none.nii", {252: ("2h", 0, 0)})
    with told() as messages:
        load_image(path)
    assert messages == [
        "none.nii: it is NIfTI without an orientation; its axes are taken for left, posterior, superior."
    ]
    (tmp_path / "none.nrrd").write_bytes(
        b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 2 2 2\nspacings: 1 1 1\nencoding: raw\n\n" + bytes(range(8))
    )
    with told() as messages:
        load_image(tmp_path / "none.nrrd")
    assert messages == [
        "none.nrrd: its header does not say its space; its axes are taken for left, posterior, superior."
    ]


@pytest.mark.parametrize("step", [0.0, np.nan, np.inf])
def test_a_voxel_size_that_is_none_is_refused(tmp_path, refused, step):
    path = with_header(tmp_path / "flat.nii", {80: ("f", step)})
    assert "voxel size" in refused(ImageError, load_image, path)


@pytest.mark.parametrize("dim", [(3, 0, 3, 2), (3, -4, 3, 2), (0, 4, 3, 2), (9, 4, 3, 2)])
def test_a_size_that_is_none_is_refused(tmp_path, refused, dim):
    path = with_header(tmp_path / "empty.nii", {40: ("4h", *dim)})
    assert "describes no image" in refused(ImageError, load_image, path)


def test_a_missing_file_is_named_without_its_folder(tmp_path, refused):
    folder = tmp_path / "Mustermann, Erika"
    folder.mkdir()
    message = refused(ImageError, load_image, folder / "scan.nii.gz")
    assert message == "scan.nii.gz: there is no such file or folder; check the path."


@pytest.mark.parametrize(
    "suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".hdr", ".png", ".jpg", ".tif", ".bmp", ".npy", ".npz", ".dcm"]
)
def test_wrong_content_under_a_right_suffix_is_refused(tmp_path, refused, suffix):
    path = tmp_path / f"text{suffix}"
    for content in (b"", b"<html>not found</html>", b"\0" * 4000, bytes(range(256)) * 9):
        path.write_bytes(content)
        assert refused(ImageError, load_image, path).startswith(f"text{suffix}: ")


def test_the_content_is_called_by_its_name(tmp_path, refused):
    zipped = tmp_path / "scan.nii"
    zipped.write_bytes(gzip.compress(write(tmp_path / "plain.nii").read_bytes()))
    assert "its content looks like a gzip archive" in refused(ImageError, load_image, zipped)
    picture = tmp_path / "scan.mha"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(200))
    assert "its content looks like PNG" in refused(ImageError, load_image, picture)


def test_an_unknown_suffix_is_refused_with_those_known(tmp_path, refused):
    path = tmp_path / "scan.docx"
    path.write_bytes(b"something")
    message = refused(ImageError, load_image, path)
    assert "'.docx'" in message and ".nii.gz" in message and ".dcm" in message


def test_spacing_that_contradicts_the_header_is_refused(tmp_path, refused):
    path = write(tmp_path / "scan.nrrd")
    assert load_image(path, spacing=(0.5, 1.00001, 2)).grid.spacing == (0.5, 1.0, 2.0)
    assert "contradicts its header" in refused(ImageError, load_image, path, spacing=(1, 1, 1))
    assert "does not fit its 3 axes" in refused(ImageError, load_image, path, spacing=(1, 1))
    for wrong in ((1, 1, -1), (0, 1, 1), (1, 1, np.nan), ("a", 1, 1), 2.0, (1,)):
        assert "two or three positive numbers" in refused(ImageError, load_image, path, spacing=wrong)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha", ".npz"])
@pytest.mark.parametrize("dtype", ["?", "u1", "i2", ">i2", "f2", "f4", "f8", "g"])
def test_what_is_saved_is_read_again(tmp_path, suffix, dtype):
    values = np.random.default_rng(0).integers(0, 2, (2, 3, 4, 5)).astype(dtype)
    image = Image(values, Grid((5, 4, 3), (0.5, 0.75, 2.0), (1.0, -2.0, 3.5), np.eye(3)[[1, 0, 2]]))
    save_image(image, tmp_path / f"a{suffix}")
    read = load_image(tmp_path / f"a{suffix}")
    assert read.grid.same_as(image.grid) and np.array_equal(read.array, values)


def test_pixels_are_not_saved_as_millimetres(tmp_path, refused):
    image = Image.from_array(VALUES, unit="px")
    for suffix in (".nii.gz", ".nrrd", ".mha"):
        assert "a millimetre" in refused(ImageError, save_image, image, tmp_path / f"a{suffix}")
        assert list(tmp_path.iterdir()) == []
    save_image(image, tmp_path / "a.npz")
    assert load_image(tmp_path / "a.npz").grid.same_as(image.grid)


def test_saving_into_a_missing_folder_or_unknown_format_is_refused(tmp_path, refused):
    image = Image.from_array(VALUES)
    assert "cannot be written" in refused(LandmarkFileError, save_image, image, tmp_path / "no" / "a.nrrd")
    assert ".nii.gz" in refused(ImageError, save_image, image, tmp_path / "a.gipl")
    assert list(tmp_path.iterdir()) == []

"""DICOM: files and folders into volumes, by geometry and nothing else."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from LandmarkDetectorLib.core import ImageError
from LandmarkDetectorLib.io import dicom_pixels, limits, load_image

VOLUME = np.random.default_rng(0).integers(0, 4000, (6, 5, 4), dtype=np.uint16)
OBLIQUE = Rotation.from_rotvec([0.3, -0.7, 1.1]).as_matrix()


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE, np.eye(3)[[1, 2, 0]]])
def test_a_series_is_ordered_by_place_and_not_by_file_name(tmp_path, dicom, direction):
    folder = tmp_path / "CT of the head"
    paths = dicom.series_in(folder, VOLUME, direction=direction)
    assert [path.name for path in paths] != sorted(path.name for path in paths)
    image = load_image(folder)
    assert np.array_equal(image.array[0], VOLUME) and image.array.dtype == np.uint16
    assert image.name == "CT of the head"
    assert image.grid.spacing == pytest.approx((0.7, 0.5, 2.0), abs=1e-9)
    assert image.grid.origin == (-10.0, 20.0, -300.0)
    assert np.abs(image.grid.direction - direction).max() < 1e-9


def test_a_series_lies_where_simpleitk_puts_it(tmp_path, dicom):
    dicom.series_in(tmp_path / "series", VOLUME, direction=OBLIQUE)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "series")))
    theirs, ours = reader.Execute(), load_image(tmp_path / "series")
    assert np.array_equal(sitk.GetArrayViewFromImage(theirs), ours.array[0])
    for index in ((0, 0, 0), (3, 4, 5), (1.25, 2.5, 3.75)):
        place = theirs.TransformContinuousIndexToPhysicalPoint([float(i) for i in index])
        assert ours.grid.to_world(index) == pytest.approx(place, abs=1e-6)


def test_slices_written_against_the_normal_are_turned_round(tmp_path, dicom):
    dicom.series_in(tmp_path / "series", VOLUME[::-1], spacing=(0.7, 0.5, -2.0), origin=(0, 0, 10))
    image = load_image(tmp_path / "series")
    assert np.array_equal(image.array[0], VOLUME) and image.grid.origin == (0.0, 0.0, 0.0)


def test_a_missing_slice_is_refused_with_its_gap(tmp_path, dicom, refused):
    paths = dicom.series_in(tmp_path / "series", VOLUME)
    paths[3].unlink()
    message = refused(ImageError, load_image, tmp_path / "series")
    assert "between slices 3 and 4 of 5 is 4 mm where 2 mm is usual" in message


def test_two_slices_at_one_place_are_refused(tmp_path, dicom, refused):
    dicom.series_in(tmp_path / "series", VOLUME)
    dicom.series_in(tmp_path / "again", VOLUME + 1)
    for path in (tmp_path / "again").iterdir():
        path.rename(tmp_path / "series" / f"second {path.name}")
    assert "two slices lie at the same place" in refused(ImageError, load_image, tmp_path / "series")


def test_a_file_that_was_copied_beside_itself_is_no_volume_more(tmp_path, dicom, refused):
    path = dicom.series_in(tmp_path / "series", VOLUME)[2]
    (tmp_path / "series" / "copy.dcm").write_bytes(path.read_bytes())
    assert "or a slice twice" in refused(ImageError, load_image, tmp_path / "series")


def test_several_series_are_named_by_number_and_nothing_else(tmp_path, dicom, refused):
    dicom.series_in(tmp_path / "study", VOLUME, SeriesDescription="Mustermann thorax")
    for number in (7, None):
        other = type(dicom)()
        for path in other.series_in(tmp_path / "other", VOLUME[:2], SeriesNumber=number):
            path.rename(tmp_path / "study" / f"{number}{path.name}")
    message = refused(ImageError, load_image, tmp_path / "study")
    assert "3 series, 3 (6 images), 7 (2 images), without a number (2 images)" in message
    assert "give a folder with one series" in message and "thorax" not in message


def test_images_of_different_sizes_are_refused(tmp_path, dicom, refused):
    dicom.series_in(tmp_path / "series", VOLUME)
    paths = dicom.series_in(tmp_path / "other", np.zeros((1, 9, 8), np.uint16), origin=(0, 0, -400))
    paths[0].rename(tmp_path / "series" / "scout.dcm")
    assert "4×5 (6 images) and 8×9 (1 image)" in refused(ImageError, load_image, tmp_path / "series")


def test_a_localizer_among_the_slices_is_refused(tmp_path, dicom, refused):
    dicom.series_in(tmp_path / "series", VOLUME)
    paths = dicom.series_in(tmp_path / "other", VOLUME[:1], direction=np.eye(3)[[1, 2, 0]])
    paths[0].rename(tmp_path / "series" / "scout.dcm")
    assert "not parallel" in refused(ImageError, load_image, tmp_path / "series")


def test_a_tilted_gantry_is_refused(tmp_path, dicom, refused):
    (tmp_path / "tilted").mkdir()
    for z, pixels in enumerate(VOLUME):
        geometry = {"ImagePositionPatient": [0, 0.5 * z, 2 * z], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        dicom.save(tmp_path / "tilted" / f"{z}.dcm", pixels, PixelSpacing=[1, 1], **geometry)
    assert "sideways against each other by up to 2.5 mm" in refused(ImageError, load_image, tmp_path / "tilted")


@pytest.mark.parametrize("spacing", [(0.0, 0.0, 2.0), (0.7, -0.5, 2.0)])
def test_a_pixel_spacing_that_is_not_positive_is_called_what_it_is(tmp_path, dicom, refused, spacing):
    dicom.series_in(tmp_path / "series", VOLUME, spacing=spacing)
    assert "its pixel spacing is not positive" in refused(ImageError, load_image, tmp_path / "series")


def test_slices_of_different_pixel_spacing_are_refused(tmp_path, dicom, refused):
    paths = dicom.series_in(tmp_path / "series", VOLUME)
    origin = [-10.0, 20.0, -300.0 + 5 * 2.0]
    geometry = {"ImagePositionPatient": origin, "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "PixelSpacing": [1, 1]}
    dicom.save(paths[5], VOLUME[5], **geometry)
    assert "differ in pixel spacing" in refused(ImageError, load_image, tmp_path / "series")


def test_a_folder_without_images_is_refused(tmp_path, dicom, refused):
    (tmp_path / "empty").mkdir()
    assert "no DICOM images" in refused(ImageError, load_image, tmp_path / "empty")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "readme.txt").write_text("nothing")
    assert "no DICOM images" in refused(ImageError, load_image, tmp_path / "notes")


def test_reports_and_notes_beside_the_slices_are_passed_over(tmp_path, dicom):
    dicom.series_in(tmp_path / "series", VOLUME)
    (tmp_path / "series" / "readme.txt").write_text("from the archive")
    report = dicom.dataset(np.zeros((1, 1), np.uint8), sop_class="1.2.840.10008.5.1.4.1.1.88.33")
    for tag in ("Rows", "Columns", "PixelData"):
        delattr(report, tag)
    report.save_as(tmp_path / "series" / "report.dcm", enforce_file_format=True)
    assert load_image(tmp_path / "series").grid.size == (4, 5, 6)


@pytest.mark.parametrize("keep", [0, 100, 400])
def test_a_last_slice_that_was_cut_short_is_not_passed_over(tmp_path, dicom, refused, keep):
    paths = dicom.series_in(tmp_path / "series", VOLUME)
    paths[-1].write_bytes(paths[-1].read_bytes()[:keep])
    assert paths[-1].name in refused(ImageError, load_image, tmp_path / "series")


def test_truncated_pixels_are_refused(tmp_path, dicom, refused):
    paths = dicom.series_in(tmp_path / "series", VOLUME)
    paths[2].write_bytes(paths[2].read_bytes()[:-9])
    message = refused(ImageError, load_image, tmp_path / "series")
    assert message.startswith(paths[2].name) and "truncated or damaged" in message


def test_slope_and_intercept_are_applied_to_integers_as_integers(tmp_path, dicom):
    dicom.series_in(tmp_path / "ct", VOLUME, RescaleSlope=1, RescaleIntercept=-1024, BitsStored=12, HighBit=11)
    image = load_image(tmp_path / "ct")
    assert image.array.dtype == np.int16 and np.array_equal(image.array[0], VOLUME.astype(np.int16) - 1024)


def test_slope_and_intercept_may_differ_between_slices(tmp_path, dicom):
    folder = tmp_path / "pet"
    folder.mkdir()
    for z, pixels in enumerate(VOLUME):
        geometry = {"ImagePositionPatient": [0, 0, z], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
        rescale = {"RescaleSlope": 0.5 + z, "RescaleIntercept": 0.25}
        dicom.save(folder / f"{z}", pixels, PixelSpacing=[1, 1], **geometry, **rescale)
    slopes = 0.5 + np.arange(6)[:, None, None]
    image = load_image(folder)
    assert image.array.dtype == np.float32 and np.allclose(image.array[0], VOLUME * slopes + 0.25, rtol=1e-6)


def test_bits_beyond_those_stored_are_no_part_of_the_value(tmp_path, dicom):
    overlay = VOLUME % 4096 + (1 << 15)
    dicom.series_in(tmp_path / "ct", overlay, BitsStored=12, HighBit=11)
    assert np.array_equal(load_image(tmp_path / "ct").array[0], VOLUME % 4096)


def test_values_beyond_the_bits_that_a_file_says_do_not_wrap_around(tmp_path, dicom, monkeypatch):
    dicom.series_in(tmp_path / "ct", VOLUME, RescaleSlope=1, RescaleIntercept=-1024, BitsStored=12, HighBit=11)
    monkeypatch.setattr(dicom_pixels, "iter_pixels", lambda path, indices: iter([np.full((5, 4), 65000, np.uint16)]))
    with pytest.warns(match="every voxel has the value 63976"):
        assert np.all(load_image(tmp_path / "ct").array == 65000 - 1024)


def test_an_inverted_gray_scale_is_turned_over_aloud(tmp_path, dicom, told):
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12, "HighBit": 11}
    path = dicom.save(tmp_path / "film.dcm", VOLUME[0], **tags)
    with told() as messages:
        image = load_image(path)
    assert len(messages) == 1 and "MONOCHROME1" in messages[0]
    assert np.array_equal(image.array[0], 4095 - VOLUME[0])


def test_a_colour_image_has_channels(tmp_path, dicom):
    colours = np.random.default_rng(1).integers(0, 255, (5, 4, 3), dtype=np.uint8)
    image = load_image(dicom.save(tmp_path / "photo.dcm", colours))
    assert image.grid.unit == "px" and np.array_equal(np.moveaxis(image.array, 0, -1), colours)


def test_a_palette_becomes_colours(tmp_path, dicom):
    table = np.random.default_rng(1).integers(0, 255, (3, 256), dtype=np.uint8)
    tags = {"PhotometricInterpretation": "PALETTE COLOR"}
    for colour, entries in zip(("Red", "Green", "Blue"), table, strict=True):
        tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        tags[f"{colour}PaletteColorLookupTableData"] = entries.tobytes()
    indices = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    image = load_image(dicom.save(tmp_path / "doppler.dcm", indices, **tags))
    assert np.array_equal(image.array, table[:, indices])


def test_a_single_image_with_a_place_is_one_slice(tmp_path, dicom, told):
    geometry = {"ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
    path = dicom.save(tmp_path / "one.dcm", VOLUME[0], PixelSpacing=[0.5, 0.25], SliceThickness=3, **geometry)
    grid = load_image(path).grid
    assert grid.size == (4, 5, 1) and grid.spacing == (0.25, 0.5, 3.0) and grid.origin == (1.0, 2.0, 3.0)
    assert np.array_equal(grid.direction, np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]]).T)
    path = dicom.save(tmp_path / "thin.dcm", VOLUME[0], PixelSpacing=[0.5, 0.25], **geometry)
    with told() as messages:
        assert load_image(path).grid.spacing == (0.25, 0.5, 1.0)
    assert messages == ["thin.dcm: its single slice has no thickness; 1 mm was taken."]


def test_a_single_image_without_a_place_is_flat(tmp_path, dicom, told, refused):
    plain = load_image(dicom.save(tmp_path / "plain.dcm", VOLUME[0]))
    assert plain.grid.unit == "px" and plain.grid.spacing == (1.0, 1.0) and plain.array.shape == (1, 5, 4)
    scaled = load_image(dicom.save(tmp_path / "scaled.dcm", VOLUME[0], PixelSpacing=[0.5, 0.25]))
    assert scaled.grid.unit == "mm" and scaled.grid.spacing == (0.25, 0.5)
    path = dicom.save(tmp_path / "film.dcm", VOLUME[0], ImagerPixelSpacing=[0.14, 0.15])
    with told() as messages:
        assert load_image(path).grid.spacing == (0.15, 0.14)
    assert len(messages) == 1 and "not corrected for magnification" in messages[0]
    assert load_image(tmp_path / "plain.dcm", spacing=(0.3, 0.4)).grid.spacing == (0.3, 0.4)
    refused(ImageError, load_image, tmp_path / "scaled.dcm", spacing=(1, 1))


def test_pixels_that_are_not_square_and_have_no_spacing_are_told_of(tmp_path, dicom, told):
    path = dicom.save(tmp_path / "video.dcm", VOLUME[0], PixelAspectRatio=["2", "1"])
    with told() as messages:
        assert load_image(path).grid.unit == "px"
    assert messages == ["video.dcm: its pixels are 2 times as high as wide; give its spacing, or angles are wrong."]
    dicom.save(path, VOLUME[0], PixelAspectRatio=["2", "1"], PixelSpacing=[0.4, 0.2])
    with told() as messages:
        load_image(path)
    assert messages == []


def ultrasound_region(across, down, unit=3, kind=1):
    from pydicom.dataset import Dataset

    region = Dataset()
    region.RegionSpatialFormat, region.PhysicalUnitsXDirection, region.PhysicalUnitsYDirection = kind, unit, unit
    region.PhysicalDeltaX, region.PhysicalDeltaY = across, down
    return region


def test_an_ultrasound_image_is_scaled_by_its_regions_where_they_agree(tmp_path, dicom):
    tissue, doppler = ultrasound_region(0.02, -0.03), ultrasound_region(0.5, 2.0, unit=4, kind=3)
    other, unknown = ultrasound_region(0.05, 0.05), ultrasound_region(0.02, 0.03, unit=0)
    for regions, spacing in (
        ([tissue], (0.2, 0.3)),
        ([tissue, doppler, tissue], (0.2, 0.3)),
        ([tissue, other], None),
        ([tissue, unknown], None),
        ([doppler], None),
    ):
        grid = load_image(dicom.save(tmp_path / "us.dcm", VOLUME[0], SequenceOfUltrasoundRegions=regions)).grid
        assert grid.unit == ("px" if spacing is None else "mm")
        assert grid.spacing == pytest.approx(spacing or (1.0, 1.0))


def test_a_spacing_that_repeats_the_detectors_is_called_uncorrected(tmp_path, dicom, told):
    own = [0.14, 0.15]
    for tags, count in (
        ({"PixelSpacing": own}, 1),
        ({"PixelSpacing": [0.13, 0.14]}, 0),
        ({"PixelSpacing": own, "PixelSpacingCalibrationType": "FIDUCIAL"}, 0),
    ):
        path = dicom.save(tmp_path / "film.dcm", VOLUME[0], ImagerPixelSpacing=own, **tags)
        with told() as messages:
            assert load_image(path).grid.spacing == (tags["PixelSpacing"][1], tags["PixelSpacing"][0])
        assert len([text for text in messages if "not corrected for magnification" in text]) == len(messages) == count


def test_several_images_without_places_are_refused(tmp_path, dicom, refused):
    (tmp_path / "films").mkdir()
    for i in range(3):
        dicom.save(tmp_path / "films" / f"{i}.dcm", VOLUME[i])
    assert "3 of 3 images do not say where they lie" in refused(ImageError, load_image, tmp_path / "films")


def enhanced(dicom, frames, order, **tags):
    """An enhanced CT whose frames stand in another order than in space."""
    from pydicom.dataset import Dataset

    def item(**values):
        made = Dataset()
        for key, value in values.items():
            setattr(made, key, value)
        return made

    dataset = dicom.dataset(frames[list(order)], sop_class="1.2.840.10008.5.1.4.1.1.2.1", **tags)
    measures = item(PixelSpacing=[0.5, 0.25], SpacingBetweenSlices=2.0, SliceThickness=9.0)
    orientation = item(ImageOrientationPatient=[*OBLIQUE[:, 0], *OBLIQUE[:, 1]])
    rescale = item(RescaleSlope=1, RescaleIntercept=-1000)
    groups = {"PixelMeasuresSequence": [measures], "PlaneOrientationSequence": [orientation]}
    dataset.SharedFunctionalGroupsSequence = [item(**groups, PixelValueTransformationSequence=[rescale])]
    places = [item(ImagePositionPatient=list(2.0 * z * OBLIQUE[:, 2])) for z in order]
    dataset.PerFrameFunctionalGroupsSequence = [item(PlanePositionSequence=[place]) for place in places]
    return dataset


def test_the_frames_of_one_file_are_ordered_by_place(tmp_path, dicom):
    dataset = enhanced(dicom, VOLUME, (3, 0, 5, 1, 4, 2))
    dataset.save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    image = load_image(tmp_path / "enhanced.dcm")
    assert np.array_equal(image.array[0], VOLUME.astype(int) - 1000)
    assert image.grid.spacing == pytest.approx((0.25, 0.5, 2.0)) and np.abs(image.grid.direction - OBLIQUE).max() < 1e-9
    (tmp_path / "folder").mkdir()
    (tmp_path / "enhanced.dcm").rename(tmp_path / "folder" / "1.2.840.1")
    assert load_image(tmp_path / "folder").grid.same_as(image.grid)


def test_a_missing_frame_is_refused_with_its_gap(tmp_path, dicom, refused):
    enhanced(dicom, VOLUME, (3, 0, 5, 1, 4)).save_as(tmp_path / "enhanced.dcm", enforce_file_format=True)
    assert "between slices 2 and 3 of 5 is 4 mm" in refused(ImageError, load_image, tmp_path / "enhanced.dcm")


def test_frames_without_places_are_refused(tmp_path, dicom, refused):
    geometry = {"ImagePositionPatient": [1, 2, 3], "ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    path = dicom.save(tmp_path / "cine.dcm", VOLUME, PixelSpacing=[1, 1], **geometry)
    assert "6 of 6 images do not say where they lie" in refused(ImageError, load_image, path)


def test_more_frames_than_bytes_are_refused_unread(tmp_path, dicom, refused):
    path = dicom.save(tmp_path / "vast.dcm", VOLUME[0], NumberOfFrames=2**31 - 1)
    assert "vast.dcm" in refused(ImageError, load_image, path)
    path = dicom.save(tmp_path / "wide.dcm", VOLUME[0], Rows=60000, Columns=60000)
    assert "60000×60000" in refused(ImageError, load_image, path)


def test_a_series_that_the_memory_cannot_take_is_refused_unread(tmp_path, dicom, refused, monkeypatch):
    dicom.series_in(tmp_path / "series", VOLUME)
    monkeypatch.setattr(limits, "available_memory", lambda: 100)
    assert "GiB of memory" in refused(ImageError, load_image, tmp_path / "series")


@pytest.mark.parametrize("compressor", ["RLE", "JPEG", "JPEG2000"])
def test_compressed_slices_are_read(tmp_path, dicom, compressor):
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1024, "BitsStored": 12, "HighBit": 11}
    volume = VOLUME.repeat(16, axis=1).repeat(16, axis=2)  # JPEG 2000 takes no smaller images
    for path in dicom.series_in(tmp_path / "series", volume, **tags):
        compress(path, compressor)
    assert np.array_equal(load_image(tmp_path / "series").array[0], volume.astype(int) - 1024)


def test_a_deflated_file_is_read_and_not_called_too_short(tmp_path, dicom):
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    pixels = np.tile(np.arange(64, dtype=np.uint16), (64, 1))
    dataset = dicom.dataset(pixels, RescaleSlope=1, RescaleIntercept=-10)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    dataset.save_as(tmp_path / "small.dcm", enforce_file_format=True)
    assert (tmp_path / "small.dcm").stat().st_size < pixels.nbytes
    assert np.array_equal(load_image(tmp_path / "small.dcm").array[0], pixels.astype(int) - 10)


def compress(path, compressor):
    import pydicom
    from pydicom.encaps import generate_fragments

    dataset = pydicom.dcmread(path)
    if compressor == "RLE":
        dataset.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
    else:  # lossless, by GDCM, whose stream is put into the file that we made
        stored = sitk.GetImageFromArray(dataset.pixel_array)
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetUseCompression(True)
        writer.SetCompressor(compressor)
        writer.SetFileName(str(path.with_suffix(".tmp.dcm")))
        writer.Execute(stored)
        coded = pydicom.dcmread(path.with_suffix(".tmp.dcm"))
        path.with_suffix(".tmp.dcm").unlink()
        assert len(list(generate_fragments(coded.PixelData))) >= 1
        dataset.PixelData = coded.PixelData
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.BitsStored, dataset.HighBit = coded.BitsStored, coded.HighBit
        dataset.file_meta.TransferSyntaxUID = coded.file_meta.TransferSyntaxUID
    dataset.save_as(path, enforce_file_format=True)


def test_an_inverted_gray_scale_is_turned_over_in_compressed_files_too(tmp_path, dicom, told):
    path = dicom.save(tmp_path / "film.dcm", VOLUME[0], PhotometricInterpretation="MONOCHROME1")
    with told():
        plain = load_image(path)
    compress(path, "JPEG")
    with told() as messages:
        image = load_image(path)
    assert "MONOCHROME1" in messages[0] and np.array_equal(image.array, plain.array)


def test_a_table_of_values_is_refused(tmp_path, dicom, refused):
    from pydicom.dataset import Dataset

    path = dicom.save(tmp_path / "table.dcm", VOLUME[0], ModalityLUTSequence=[Dataset()])
    assert "Modality LUT" in refused(ImageError, load_image, path)


@pytest.mark.parametrize("high", [15, 10])
def test_values_that_do_not_lie_in_the_lower_bits_are_refused(tmp_path, dicom, refused, high):
    path = dicom.save(tmp_path / "old.dcm", VOLUME[0], BitsStored=12, HighBit=high)
    assert f"HighBit {high} of 12 stored bits" in refused(ImageError, load_image, path)


def test_a_file_that_does_not_say_which_bit_is_the_highest_is_read(tmp_path, dicom):
    """Nothing is known against its values; an empty tag is no reason to call the file damaged."""
    for high in (None, ""):
        path = dicom.save(tmp_path / "old.dcm", VOLUME[0])
        dataset = dicom.dataset(VOLUME[0], HighBit=None)
        if high is not None:
            dataset.add_new("HighBit", "US", None)
        dataset.save_as(path, enforce_file_format=True, overwrite=True)
        assert np.array_equal(load_image(path).array.squeeze(), VOLUME[0])


@pytest.mark.parametrize(
    "tags",
    [
        {"BitsAllocated": 12},
        {"BitsStored": 17, "HighBit": 16},
        {"PhotometricInterpretation": None},
        {"RescaleSlope": "1", "ImagePositionPatient": [1, 2]},
        {"Rows": 0},
    ],
)
def test_tags_that_make_no_sense_are_refused(tmp_path, dicom, refused, tags):
    orientation = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0]}
    path = dicom.save(tmp_path / "odd.dcm", VOLUME[0], **{**orientation, **tags})
    assert "missing or damaged" in refused(ImageError, load_image, path)


def test_nothing_of_the_patient_leaves_the_reader(tmp_path, dicom, refused, recwarn, caplog):
    import pydicom

    caplog.set_level(logging.DEBUG)
    with pydicom.config.disable_value_validation():
        paths = dicom.series_in(tmp_path / "series", VOLUME, PatientAge="Mustermann", StudyDate="19600203x")
    image = load_image(tmp_path / "series")
    assert image.grid.size == (4, 5, 6)
    paths[2].unlink()
    message = refused(ImageError, load_image, tmp_path / "series")
    spoken = " ".join([repr(image), message, caplog.text, *(str(warning.message) for warning in recwarn)])
    assert not any(secret in spoken for secret in dicom.secrets)

"""What the tests of files share: the manner of a refusal, and DICOM made on the spot."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from LandmarkDetectorLib.core import LandmarkDetectorError, LandmarkDetectorWarning


@pytest.fixture
def refused(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Calls, and expects one sentence that names the file and no folder, and silence on the console."""

    def check(kind: type[LandmarkDetectorError], call: Callable[..., Any], *args: Any, **options: Any) -> str:
        capfd.readouterr()
        with pytest.raises(kind) as caught:
            call(*args, **options)
        message = str(caught.value)
        assert message.endswith(".") and ". " not in message and "\n" not in message, message
        assert str(tmp_path) not in message and tmp_path.name not in message, message
        assert not any(word in message for word in ("itk::", "ITK ERROR", "Traceback", ".cxx", "0x")), message
        spoken = capfd.readouterr()
        assert spoken.out == "" and spoken.err == ""
        return message

    return check


@pytest.fixture
def told() -> Callable[[], Any]:
    """Records the house's warnings, each of which must be one sentence; fails on any other warning."""

    @contextmanager
    def record() -> Iterator[list[str]]:
        messages: list[str] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield messages
        for warning in caught:
            assert warning.category is LandmarkDetectorWarning, warning
            assert Path(warning.filename).parent.name == "io" and Path(warning.filename).name.startswith("test_")
            messages.append(str(warning.message))
        assert all(message.endswith(".") and ". " not in message for message in messages), messages

    return record


class DicomMaker:
    """Writes DICOM files that carry a patient's data, so that a test can look where it went."""

    secrets = ("Mustermann", "19600203", "PAT-4711", "Hospital of Secrets")

    def __init__(self) -> None:
        from pydicom.uid import generate_uid

        self.series = generate_uid()

    def dataset(self, pixels: np.ndarray, sop_class: str = "1.2.840.10008.5.1.4.1.1.2", **tags: Any) -> Any:
        """A data set with these stored pixels (Y, X), (F, Y, X) or (Y, X, 3); a tag given as ``None`` is left out."""
        from pydicom.dataset import Dataset, FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian, generate_uid

        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPClassUID = sop_class
        dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, dataset.file_meta.MediaStorageSOPInstanceUID
        dataset.PatientName, dataset.PatientBirthDate, dataset.PatientID, dataset.InstitutionName = self.secrets
        colour = pixels.ndim == 3 and pixels.shape[-1] == 3
        if pixels.ndim == 3 and not colour:
            dataset.NumberOfFrames = len(pixels)
        dataset.Rows, dataset.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
        dataset.SamplesPerPixel = 3 if colour else 1
        if colour:
            dataset.PlanarConfiguration = 0
        bits = pixels.dtype.itemsize * 8
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = bits, bits, bits - 1
        dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
        dataset.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SeriesNumber = "1.2.3", self.series, 3
        dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()
        for tag, value in tags.items():
            if value is not None:
                setattr(dataset, tag, value)
            elif tag in dataset:
                delattr(dataset, tag)
        return dataset

    def save(self, path: Path, pixels: np.ndarray, **tags: Any) -> Path:
        self.dataset(pixels, **tags).save_as(path, enforce_file_format=True)
        return path

    def series_in(
        self,
        folder: Path,
        volume: np.ndarray,
        *,
        spacing: Sequence[float] = (0.7, 0.5, 2.0),
        origin: Sequence[float] = (-10.0, 20.0, -300.0),
        direction: np.ndarray | None = None,
        **tags: Any,
    ) -> list[Path]:
        """A series of single slices of a volume (Z, Y, X), in order along the normal; file names in another order."""
        direction = np.eye(3) if direction is None else direction
        folder.mkdir(exist_ok=True)
        names = [f"IM{(7 * z + 5) % len(volume):04d}.dcm" for z in range(len(volume))]
        if len(set(names)) < len(names):
            names = [f"IM{len(volume) - z:04d}.dcm" for z in range(len(volume))]
        paths = []
        for z, pixels in enumerate(volume):
            position = np.asarray(origin) + z * spacing[2] * direction[:, 2]
            geometry: dict[str, Any] = {
                "ImagePositionPatient": position.tolist(),
                "ImageOrientationPatient": [*direction[:, 0], *direction[:, 1]],
                "PixelSpacing": [spacing[1], spacing[0]],
                "InstanceNumber": len(volume) - z,
            }
            paths.append(self.save(folder / names[z], pixels, **{**geometry, **tags}))
        return paths


@pytest.fixture
def dicom() -> DicomMaker:
    return DicomMaker()

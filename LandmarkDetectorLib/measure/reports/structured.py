"""Measurements as a DICOM structured report: TID 1500 in a Comprehensive 3D SR, written by highdicom.

Each landmark is a planar region of one POINT (TID 1410), which 3D Slicer and OHIF read as a landmark; each set of
measurements in each view is a group (TID 1501) whose numbers name the points that they were inferred from, their norm
and their uncertainty. What a terminology has a code for bears it (LOINC, SNOMED CT, FMA, UCUM); the rest is coded in a
scheme of our own, ``99LMDET``, which the file declares.

Where the points lie:

- Of a series of DICOM images that lie in the patient, in its own frame of reference (SCOORD3D, mm).
- Of a single DICOM image without a place in the patient, in that image's pixels (SCOORD; 0.5 is the centre of one).
- Of any other file (NIfTI, NRRD, PNG) in a frame of reference of the report's own (SCOORD3D, mm, LPS; a picture is at
  z = 0). Nothing in it can be laid over a DICOM image, and the report does not pretend so. A picture without a scale in
  mm is refused.

DICOM keeps coordinates in single precision: a position of 300 mm comes back within 0.00002 mm.

Nothing of a patient is written, unless the images' own DICOM headers are given as ``source``: then patient and study
are theirs, and the images are referenced. The report is never marked as verified or final, which is for the person who
signs.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.core import Landmark, LandmarkDetectorError
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.io.notices import silenced
from LandmarkDetectorLib.measure.reports.content import VIEW_WORDS
from LandmarkDetectorLib.measure.reports.structured_places import Places
from LandmarkDetectorLib.measure.results import Result
from LandmarkDetectorLib.measure.schema import Code, Measurement
from LandmarkDetectorLib.measure.sets import MeasurementSet
from LandmarkDetectorLib.measure.subject import Measured

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SCHEME = "99LMDET"
UCUM = {
    "mm": ("mm", "mm"),
    "mm²": ("mm2", "square millimeter"),
    "degrees": ("deg", "Degree"),
    "ratio": ("1", "no units"),
    "%": ("%", "Percent"),
    "weeks": ("wk", "week"),
    "px": ("{pixels}", "pixels"),
    "px²": ("{pixels}2", "square pixels"),
}
"""Units in UCUM and in words."""
STATISTICS = {
    "mean": ("373098007", "SCT", "Mean Value of population"),
    "sd": ("121414", "DCM", "Standard deviation of population"),
}
LIMITS = {
    "low": ("385524004", "SCT", "Normal Range Lower Limit"),
    "high": ("371933006", "SCT", "Normal Range Upper Limit"),
}
"""What of a norm is called by which code (DICOM's CID 226 and 223)."""
_LONGEST_MEANING = 64


def write_structured_report(measured: Measured, path: Path, source: Sequence[Dataset] = ()) -> None:
    """Write the report; whole or not at all.

    Args:
        measured: the subject.
        path: the file.
        source: the headers of the DICOM images in which the landmarks lie; their patient and study are copied.

    Raises:
        MeasurementError: nothing was measured, or a picture without a scale that is no DICOM image.
        LandmarkDetectorError: highdicom is not installed.
        LandmarkFileError: the file cannot be written.
    """
    packed = io.BytesIO()
    structured_report(measured, source).save_as(packed, enforce_file_format=True)
    with atomic_write(path) as stream:
        stream.write(packed.getvalue())


def structured_report(measured: Measured, source: Sequence[Dataset] = ()) -> Dataset:
    """The report as a pydicom data set; arguments and errors as for :func:`write_structured_report`."""
    sr = _highdicom()
    places = Places.of(measured, source)
    with silenced(logging.WARNING):  # what highdicom and pydicom say repeats headers, a patient's name among them
        from highdicom import UID

        marks = [_landmark(sr, measured, mark, places) for mark in _used(measured)]
        groups = [_group(sr, measured, each, view, places) for each, view in _groups(measured)]
        report = sr.MeasurementReport(
            observation_context=_observers(sr, measured),
            procedure_reported=_code(sr, ("363679005", "SCT", "Imaging procedure")),
            imaging_measurements=[*marks, *groups],
            title=_code(sr, ("126000", "DCM", "Imaging Measurement Report")),
            language_of_content_item_and_descendants=sr.LanguageOfContentItemAndDescendants(
                _code(sr, ("en", "RFC5646", "English"))
            ),
        )
        document = sr.Comprehensive3DSR(
            evidence=list(source) or [_nobody()],
            content=report[0],
            series_instance_uid=UID(),
            series_number=1,
            sop_instance_uid=UID(),
            instance_number=1,
            manufacturer="LandmarkDetector",
            series_description="Measurements from landmarks, " + measured.review,
            is_complete=all(result.value is not None for result in measured.results),
            record_evidence=bool(source),
        )
    if not source:  # what stands for an image is none, and nothing was made of it
        for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
            document.pop(name, None)
    document.SpecificCharacterSet = "ISO_IR 192"  # UTF-8: names and sources are of many alphabets
    document.SoftwareVersions = __version__
    document.ManufacturerModelName = "LandmarkDetector"
    document.CodingSchemeIdentificationSequence = _schemes()
    return document


def _used(measured: Measured) -> list[Landmark]:
    used = set(measured.used)
    return [mark for mark in measured.landmarks if mark.label in used]


def _groups(measured: Measured) -> list[tuple[MeasurementSet, str]]:
    """Each set in each view in which it has a number."""
    pairs = {(result.set_name, result.view): None for result in measured.computed}
    return [(each, view) for each in measured.sets for name, view in pairs if name == each.name]


def _landmark(sr: Any, measured: Measured, mark: Landmark, places: Places) -> Any:
    model, version = measured.model
    algorithm = None
    if model:
        algorithm = sr.AlgorithmIdentification(name=_cut(model), version=_cut(version or "unknown"))
    evaluation = sr.QualitativeEvaluation(
        name=_code(sr, ("review", SCHEME, "Review of the landmark")), value=_review(sr, measured, [mark.label])
    )
    return sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=_uid(), identifier=_cut(mark.label)),
        referenced_region=places.region(sr, mark.position),
        finding_type=_code(sr, ("112171", "DCM", "Fiducial mark")),
        finding_sites=[sr.FindingSite(anatomic_location=_site(sr, measured, mark.label))],
        algorithm_id=algorithm,
        qualitative_evaluations=[evaluation],
    )


def _site(sr: Any, measured: Measured, label: str) -> Any:
    for each in measured.sets:
        for (name, _), found in measured.match(each).items():
            if found == label:
                entry = each.landmarks[name]
                return _coded(sr, entry.code, f"landmark.{name}", entry.title)
    raise AssertionError(f"{label} is of no set")  # only landmarks of sets are written


def _group(sr: Any, measured: Measured, each: MeasurementSet, view: str, places: Places) -> Any:
    results = [r for r in measured.computed if r.set_name == each.name and r.view == view]
    labels = [label for result in results for label in result.labels]
    evaluation = sr.QualitativeEvaluation(
        name=_code(sr, ("review", SCHEME, "Review of the landmarks")), value=_review(sr, measured, labels)
    )
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(uid=_uid(), identifier=_cut(f"{each.title}, {view}")),
        method=_code(sr, (f"view.{view}", SCHEME, VIEW_WORDS[view])),
        algorithm_id=sr.AlgorithmIdentification(name="LandmarkDetector measurements", version=__version__),
        measurements=[_number(sr, measured, each, result, places) for result in results],
        qualitative_evaluations=[evaluation],
    )


def _number(sr: Any, measured: Measured, each: MeasurementSet, result: Result, places: Places) -> Any:
    assert result.value is not None  # only computed ones come here
    definition = next(m for m in each.definition.measurements if m.name == result.name)
    positions = {mark.label: mark.position for mark in measured.landmarks}
    coordinates = [places.coordinates(sr, positions[label], _site(sr, measured, label)) for label in result.labels]
    return sr.Measurement(
        name=_measurement_code(sr, each, definition, result),
        value=_number_of(result.value),
        unit=_code(sr, _unit(result.unit)),
        properties=_properties(sr, result),
        referenced_coordinates=coordinates,
    )


def _measurement_code(sr: Any, each: MeasurementSet, definition: Measurement, result: Result) -> Any:
    if result.side is not None:  # a terminology's code says nothing of a side
        return _code(
            sr, (f"{each.name}.{result.name}.{result.side}", SCHEME, f"{result.name}, {result.side}: {result.title}")
        )
    return _coded(sr, definition.code, f"{each.name}.{result.name}", f"{result.name}: {result.title}")


def _properties(sr: Any, result: Result) -> Any:
    """Norm and uncertainty of a number (TID 310), or ``None`` where there is neither."""
    unit, norm, interval = _code(sr, _unit(result.unit)), result.norm, result.interval
    known = interval is not None and bool(np.isfinite([interval.low, interval.high]).all())
    if norm is None and not known:
        return None

    def value(name: tuple[str, str, str], number: float) -> Any:
        return sr.NumContentItem(_code(sr, name), _number_of(number), unit, relationship_type="HAS PROPERTIES")

    statistics = limits = None
    if norm is not None:
        told = {"description": _words(norm.population), "authority": _words(norm.source)}

        def known_of(codes: dict[str, tuple[str, str, str]]) -> list[Any]:
            numbers = {key: getattr(norm, key) for key in codes}
            return [value(codes[key], number) for key, number in numbers.items() if number is not None]

        figures, ends = known_of(STATISTICS), known_of(LIMITS)
        statistics = sr.MeasurementStatisticalProperties(figures, **told) if figures else None
        limits = sr.NormalRangeProperties(ends, **told) if ends else None
    properties = sr.MeasurementProperties(measurement_statistical_properties=statistics, normal_range_properties=limits)
    if known:
        assert interval is not None and result.value is not None
        upper, lower = interval.high - result.value, result.value - interval.low
        properties.append(value(("371886008", "SCT", "+, range of upper measurement uncertainty"), upper))
        properties.append(value(("371885007", "SCT", "-, range of lower measurement uncertainty"), lower))
    return properties


def _review(sr: Any, measured: Measured, labels: Sequence[str]) -> Any:
    open_ones = set(labels) & set(measured.unreviewed)
    if not open_ones:
        return _code(sr, ("reviewed", SCHEME, "Reviewed by a person"))
    some = len(open_ones) < len(set(labels))
    return _code(sr, ("partly", SCHEME, "Partly reviewed") if some else ("proposal", SCHEME, "Proposal, not reviewed"))


def _observers(sr: Any, measured: Measured) -> Any:
    """The program, and the person who reviewed, where one is named."""
    from highdicom import UID
    from pydicom.uid import generate_uid

    ours = generate_uid(entropy_srcs=["LandmarkDetector", __version__])  # of the program, not of a machine
    device = sr.ObserverContext(
        _code(sr, ("121007", "DCM", "Device")),
        sr.DeviceObserverIdentifyingAttributes(
            UID(str(ours)), name="LandmarkDetector", model_name=f"LandmarkDetector {__version__}"
        ),
    )
    person = None
    if measured.reviewed.by and measured.review != "not reviewed":
        name = measured.reviewed.by if "^" in measured.reviewed.by else f"{measured.reviewed.by}^"
        attributes = sr.PersonObserverIdentifyingAttributes(name=_cut(name))
        person = sr.ObserverContext(_code(sr, ("121006", "DCM", "Person")), attributes)
    return sr.ObservationContext(observer_person_context=person, observer_device_context=device)


def _nobody() -> Dataset:
    """What stands for a source where there is none: a study of its own, and no patient."""
    from pydicom.dataset import Dataset
    from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

    blank = Dataset()
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID"):
        setattr(blank, name, "")
    blank.StudyDate = blank.StudyTime = blank.ReferringPhysicianName = ""
    blank.SOPClassUID = SecondaryCaptureImageStorage
    blank.StudyInstanceUID, blank.SeriesInstanceUID, blank.SOPInstanceUID = (generate_uid() for _ in range(3))
    return blank


def _schemes() -> Any:
    """What our own scheme is, as the standard asks of private ones."""
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence as DicomSequence

    item = Dataset()
    item.CodingSchemeDesignator = SCHEME
    item.CodingSchemeName = "LandmarkDetector measurements and landmarks"
    item.CodingSchemeVersion = __version__
    item.CodingSchemeResponsibleOrganization = "LandmarkDetector"
    return DicomSequence([item])


def _number_of(value: float) -> float:
    """With twelve digits: DICOM's decimal strings hold 16 characters, of which sign, point and exponent take some."""
    return float(f"{value:.12g}")


def _unit(unit: str) -> tuple[str, str, str]:
    value, meaning = UCUM[unit]
    return value, "UCUM", meaning


def _coded(sr: Any, code: Code | None, value: str, meaning: str) -> Any:
    """A terminology's code where there is one, else our own."""
    if code is not None:
        return _code(sr, (code.value, code.scheme, code.meaning))
    return _code(sr, (value, SCHEME, meaning))


def _code(sr: Any, code: tuple[str, str, str]) -> Any:
    value, scheme, meaning = code
    return sr.CodedConcept(value=value, scheme_designator=scheme, meaning=_cut(meaning))


def _cut(text: str) -> str:
    """As much of a text as DICOM's short ones hold; a backslash would divide it."""
    text = text.replace("\\", "/")
    return text if len(text) <= _LONGEST_MEANING else text[: _LONGEST_MEANING - 3] + "..."


def _words(text: str) -> str:
    return text.replace("\\", "/")


def _uid() -> Any:
    from highdicom import UID

    return UID()


def _highdicom() -> Any:
    try:
        from highdicom import sr
    except ImportError as error:
        raise LandmarkDetectorError(
            f"A DICOM report needs a package that is not installed ({error.name}); "
            "run: python -m pip install 'landmark-detector[report]'."
        ) from error
    return sr

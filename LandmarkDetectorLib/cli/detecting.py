"""Detection on image after image: what ``detect`` and ``demo`` share."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.cli.console import Steps, messages, print_json, results, say, say_failed
from LandmarkDetectorLib.cli.endings import REFUSED, refusal
from LandmarkDetectorLib.cli.measured_tables import measured_record, measured_table
from LandmarkDetectorLib.cli.outputs import MEASURED, Job
from LandmarkDetectorLib.cli.tables import landmark_record, landmark_table
from LandmarkDetectorLib.core.errors import Cancelled

if TYPE_CHECKING:
    from LandmarkDetectorLib.bundles import Bundle
    from LandmarkDetectorLib.core import Image
    from LandmarkDetectorLib.inference import Detection
    from LandmarkDetectorLib.measure.sets import MeasurementSet
    from LandmarkDetectorLib.measure.subject import Measured


def detect_all(
    jobs: Sequence[Job],
    bundle: str | Sequence[str],
    *,
    augment: int = 1,
    device: str = "auto",
    engine: str = "torch",
    spacing: tuple[float, ...] | None = None,
    sets: Sequence[str] = (),
    as_json: bool = False,
) -> None:
    """Detect, measure where sets are given, write and print each job; what one image lacks does not stop the others.

    Raises:
        LandmarkDetectorError: a bundle, the device or a set is not to be had, or the only image failed.
        typer.Exit: with 2, when some of several images failed.
    """
    from LandmarkDetectorLib.bundles import load_bundle
    from LandmarkDetectorLib.inference.augmented import detector_of

    measurements = [_load_set(name) for name in dict.fromkeys(sets)]
    names = [bundle] if isinstance(bundle, str) else list(dict.fromkeys(bundle))
    with messages.status("Loading the bundle" if len(names) == 1 else "Loading the bundles"):
        several = [load_bundle(name) for name in names]
        loaded, detector = several[0], detector_of(several, augment, device, engine)
    records: list[dict[str, Any]] = []
    for number, job in enumerate(jobs, start=1):
        title = job.image.name if len(jobs) == 1 else f"{number}/{len(jobs)} {job.image.name}"
        try:
            how: dict[str, Any] = {"spacing": spacing, "sets": measurements, "table": not as_json}
            records.append(_detect_one(job, detector, loaded, title, **how))
        except (Cancelled, KeyboardInterrupt):
            raise Cancelled(_what_was_written(records, len(jobs))) from None
        except Exception as error:  # a defect of ours with one image must not keep the others waiting
            defect = f"a defect of landmark-detector ({type(error).__name__})"
            sentence = refusal(error) or f"{defect}; detect it alone with --debug, and report that."
            records.append({"image": str(job.image), "error": sentence})
            if len(jobs) == 1:
                if as_json:
                    _print_records(several, records)
                raise
            say_failed(job.image.name, sentence)
    if as_json:
        _print_records(several, records)
    failed = sum("error" in record for record in records)
    if failed:
        say(how_many_failed(failed, len(jobs), "above"))
        raise typer.Exit(REFUSED)


def how_many_failed(failed: int, count: int, where: str) -> str:
    """How a batch ended in which some images failed, and ``where`` the reasons stand."""
    if failed == count:
        all_of = "The only image" if count == 1 else f"All {count} images"
        return f"{all_of} failed, see {where}; no landmarks were written."
    return f"{failed} of {count} images failed, see {where}; the files of the others are written."


def _print_records(bundles: Sequence[Bundle], records: list[dict[str, Any]]) -> None:
    about = [{"name": each.name, "version": each.version, "fingerprint": each.fingerprint} for each in bundles]
    of = {"bundle": about[0]} if len(about) == 1 else {"bundles": about}
    print_json({"landmark-detector": __version__, **of, "images": records})


def _load_set(name: str) -> MeasurementSet:
    from LandmarkDetectorLib.measure import load_set

    return load_set(name)


def _detect_one(
    job: Job,
    detector: Any,
    bundle: Bundle,
    title: str,
    *,
    spacing: tuple[float, ...] | None,
    sets: Sequence[MeasurementSet],
    table: bool,
) -> dict[str, Any]:
    from LandmarkDetectorLib.io.images import load_scaled
    from LandmarkDetectorLib.io.notices import gathered

    began = time.monotonic()
    with Steps(title) as steps:
        steps("reading", 0.0)
        with gathered() as said:
            image = load_scaled(job.image, spacing)
        read = time.monotonic() - began
        detection = detector.detect(image, progress=steps)
        timing = {"reading": read, **detection.timing}
        measured = _measured(job, image, detection, bundle, sets) if sets else None
        notices = [*said, *detection.notices]
        write_files(job, image, detection, bundle, timing, notices, measured)
    for notice in notices:
        say(f"Note: {notice}")
    if table:
        from LandmarkDetectorLib.io.limits import peak_memory

        results.print(landmark_table(detection.landmarks, job.image.name, image.dimension))
        if measured is not None:
            results.print(measured_table(measured))
        spent = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in timing.items())
        say(f"Time: {spent}; peak memory {peak_memory() / 2**20:.0f} MB.")
        say(f"Written: {', '.join(str(file) for file in job.files)}")
    return {
        "image": str(job.image),
        "coordinates": "LPS",
        "unit": detection.landmarks.unit,
        "landmarks": [landmark_record(mark) for mark in detection.landmarks],
        "files": [str(file) for file in job.files],
        "timing": timing,
        "notices": notices,
        **({} if measured is None else {"measurements": measured_record(measured)}),
    }


def _measured(job: Job, image: Image, detection: Detection, bundle: Bundle, sets: Sequence[MeasurementSet]) -> Measured:
    from LandmarkDetectorLib.cli.outputs import stem
    from LandmarkDetectorLib.measure.subject import measure_subject

    card = _card(bundle, detection)
    return measure_subject(detection.landmarks, sets, subject=stem(job.image), image=image, card=card)


def _card(bundle: Bundle, detection: Detection) -> dict[str, Any]:
    """The card for a page. Of several bundles it is that of the first; what the page calls the model is all of them."""
    card = {**bundle.card.model_dump(mode="json"), "fingerprint": bundle.fingerprint}
    said = {"name": "bundle", "version": "version", "fingerprint": "fingerprint"}
    return card | {key: detection.landmarks.info.get(name, card[key]) for key, name in said.items()}


def write_files(
    job: Job,
    image: Image,
    detection: Detection,
    bundle: Bundle,
    timing: dict[str, float],
    notices: Sequence[str] = (),
    measured: Measured | None = None,
) -> None:
    """Write the files of a job: all of them, or none that was not there before.

    Raises:
        LandmarkFileError: a folder that cannot be written, a full disk.
    """
    from LandmarkDetectorLib.io import save_landmarks
    from LandmarkDetectorLib.io.atomic import all_or_none, atomic_write

    with all_or_none(job.files):
        for file in job.files:
            file.parent.mkdir(parents=True, exist_ok=True)
            if measured is not None and file.with_suffix("").suffix == MEASURED:
                from LandmarkDetectorLib.measure.reports import save_measurements

                save_measurements([measured], file)
                continue
            if file.suffix.lower() != ".html":
                save_landmarks(detection.landmarks, file)
                continue
            from LandmarkDetectorLib.evaluation import render_report

            card = _card(bundle, detection)
            page = render_report(image, detection.landmarks, card=card, timing=timing, notices=notices)
            with atomic_write(file, "w", encoding="utf-8") as stream:
                stream.write(page)


def _what_was_written(records: list[dict[str, Any]], count: int) -> str:
    done = sum("files" in record for record in records)
    return (
        f"Cancelled; the files of {done} of {count} images are written." if done else "Cancelled; nothing was written."
    )

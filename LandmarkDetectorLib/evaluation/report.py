"""The report of one detection: a single HTML page that a person opens, prints or sends, and that asks for nothing.

It says that a result is a proposal until a person has reviewed it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkDetectorError, LandmarkSet
from LandmarkDetectorLib.evaluation.page import data_uri, known, number, photograph, report_packages, template
from LandmarkDetectorLib.evaluation.paint import HIGH, LOW, MIDDLE, confidence_colour, hexadecimal
from LandmarkDetectorLib.evaluation.views import View, planes_of, shown_channels, window_of

LOOK_FIRST = 8
"""How many landmarks "look here first" names."""

STATUS_WORDS = {"defined": "proposed", "preview": "preview", "missing": "not found", "undefined": "not looked for"}


def render_report(
    image: Image,
    landmarks: LandmarkSet,
    *,
    card: Mapping[str, Any] | None = None,
    timing: Mapping[str, float] | None = None,
    notices: Sequence[str] = (),
    title: str | None = None,
) -> str:
    """Write the report of a detection as one HTML page.

    Args:
        image: the image in which the landmarks were looked for.
        landmarks: what was found, in the order of review.
        card: the card of the bundle as a plain dict; without one the page says that nothing is known of the model.
        timing: seconds of each step, shown in this order.
        notices: sentences that the person must read: what was assumed, mended or left out.
        title: of the page.

    Returns:
        The page. The caller writes it, whole or not at all.

    Raises:
        LandmarkDetectorError: image and landmarks do not fit each other, or a package for reports is not installed.
    """
    with report_packages():
        from LandmarkDetectorLib.evaluation.figures import overview_views
        from LandmarkDetectorLib.evaluation.lettering import short_names
        from LandmarkDetectorLib.evaluation.tiles import strip_size

        pictures = _overviews(image, landmarks, overview_views(image)) if _fit(image, landmarks) else []
        rows = _rows(image, landmarks, card or {})
        page = template("report.html")
    names = short_names(landmarks)
    return page.render(
        title=title or f"Landmarks of {image.name}",
        image=_about(image),
        called=_called(landmarks, card),
        model=model_facts(landmarks, card),
        card=card and {"limits": (), "not_tested_on": (), **card},
        rows=rows,
        numbered=names != landmarks.labels,
        found=sum(row["position"] is not None for row in rows),
        first=_look_first(rows),
        ranked=any(row["confidence"] is not None for row in rows),
        described=any(row["name"] or row["definition"] or row["description"] for row in rows),
        planes=planes_of(image.grid) if image.dimension == 3 else [],
        pictures=pictures,
        strip=strip_size(image),
        axes=("L", "P", "S") if image.dimension == 3 else ("x", "y"),
        unit=image.grid.unit,
        errors=expected_errors(card, landmarks),
        timing=dict(timing or {}),
        notices=_cautions(image, notices),
        scale=[hexadecimal(colour) for colour in (LOW, MIDDLE, HIGH)],
    )


def _fit(image: Image, landmarks: LandmarkSet) -> bool:
    if landmarks.dimension is not None and landmarks.unit != image.grid.unit:
        raise LandmarkDetectorError(
            f"{landmarks.name} is in {landmarks.unit} and {image.name} in {image.grid.unit}; report them together only "
            "when they belong to each other."
        )
    if landmarks.dimension not in (None, image.dimension):
        raise LandmarkDetectorError(
            f"{landmarks.name} is {landmarks.dimension}D and {image.name} {image.dimension}D; "
            "report them together only when they belong to each other."
        )
    return True


def _cautions(image: Image, notices: Sequence[str]) -> list[str]:
    """What the image lacks or has too much of, then the notices that were given, each thing said once."""
    said = []
    if image.grid.unit == "px":
        said.append(
            "This image has no physical scale: positions are in pixels, and no length in millimetres can be taken from "
            "them."
        )
    if shown_channels(image).shape[0] != image.channels:
        said.append(f"The image has {image.channels} channels; the pictures below show the first one.")
    return said + [notice for notice in notices if "no physical scale" not in notice]


def _about(image: Image) -> dict[str, Any]:
    grid = image.grid
    return {
        "name": image.name,
        "size": " × ".join(map(str, grid.size)),
        "spacing": " × ".join(f"{step:.4g}" for step in grid.spacing),
        "extent": " × ".join(f"{length:.4g}" for length in grid.extent),
        "channels": image.channels,
        "dimension": image.dimension,
        "unit": grid.unit,
        "world": _world(grid),
    }


def _world(grid: Grid) -> str:
    """What the numbers of a position mean."""
    if grid.dimension == 3:
        return "Positions are LPS: they grow towards the patient's left, posterior and superior."
    if grid.same_as(Grid.regular(grid.size, grid.spacing, grid.unit)):
        return "Positions count from the centre of the first pixel, x to the right and y downwards."
    return "Positions are in the world coordinates that the image's own header sets."


def _called(landmarks: LandmarkSet, card: Mapping[str, Any] | None) -> str:
    """The model's title and version in a few words, or nothing where neither card nor landmarks name it."""
    about = card or {"name": landmarks.info.get("bundle"), "version": landmarks.info.get("version")}
    words = [about.get("title") or about.get("name"), about.get("version") and f"version {about['version']}"]
    return ", ".join(str(word) for word in words if word)


def model_facts(landmarks: LandmarkSet, card: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Name and value of what is known of the model and its errors, from its card or from the landmarks."""
    info, card = landmarks.info, card or {}
    training = card.get("training_data") or {}
    facts = {
        "Model": card.get("title") or card.get("name") or info.get("bundle"),
        "Name and version": " ".join(str(part) for part in (card.get("name"), card.get("version")) if part)
        or info.get("version"),
        "Fingerprint": card.get("fingerprint") or info.get("fingerprint"),
        "What it does": card.get("description"),
        "Made for": card.get("modality"),
        "Intended use": card.get("intended_use"),
        "Made on": card.get("created"),
        "Trained on": training.get("name"),
        "Subjects": training.get("subjects"),
        "Citation": training.get("citation"),
        "Licence of the data": training.get("licence"),
        "Licence of the model": card.get("licence"),
        "Credit": card.get("credit"),
        "Error of a landmark": _error_words(expected_errors(card, landmarks)),
    }
    return known(facts)


def _error_words(errors: Mapping[str, Any] | None) -> str:
    if errors is None:
        return ""
    mean, median, p95 = (number(errors[key]) for key in ("mean", "median", "p95"))
    protocol = f" ({errors['protocol']})" if errors["protocol"] else ""
    return f"mean {mean}, median {median}, 95th percentile {p95} {errors['unit']}{protocol}"


def expected_errors(card: Mapping[str, Any] | None, landmarks: LandmarkSet) -> dict[str, Any] | None:
    """The errors that the card states, whole: what it does not say is ``None``."""
    errors = (card or {}).get("errors")
    if not errors:
        return None
    blank: dict[str, Any] = {
        "mean": None,
        "median": None,
        "p95": None,
        "protocol": None,
        "unit": landmarks.unit,
        "per_landmark": {},
    }
    return {**blank, **{name: value for name, value in errors.items() if value is not None}}


def _rows(image: Image, landmarks: LandmarkSet, card: Mapping[str, Any]) -> list[dict[str, Any]]:
    from LandmarkDetectorLib.evaluation.tiles import landmark_strip

    window = window_of(shown_channels(image))
    described = {item.get("label"): item for item in card.get("landmarks") or ()}
    expected = (card.get("errors") or {}).get("per_landmark") or {}
    # Places are given to a twentieth of a voxel: finer digits would mean nothing.
    digits = min(max(1 - math.floor(math.log10(min(image.grid.spacing) / 5)), 1), 6)
    rows = []
    for place_in_list, mark in enumerate(landmarks, start=1):
        about = described.get(mark.label) or {}
        name = about.get("name") or ""
        place = mark.position
        inside = place is not None and bool(image.grid.contains(place))
        rows.append(
            {
                "number": place_in_list,
                "label": mark.label,
                "name": "" if name == mark.label else name,
                "definition": about.get("definition") or "",
                "description": mark.description,
                "position": None if place is None else [f"{value:.{digits}f}" for value in place],
                "confidence": mark.confidence,
                "colour": hexadecimal(confidence_colour(mark.confidence)),
                "status": STATUS_WORDS[str(mark.status)] + ("" if inside or place is None else ", outside the image"),
                "expected": expected.get(mark.label),
                "strip": data_uri(landmark_strip(image, mark, window)) if inside else None,
                "alt": _alt(mark, digits, landmarks.unit),
            }
        )
    return rows


def _alt(mark: Landmark, digits: int, unit: str) -> str:
    if mark.position is None:
        return ""
    place = ", ".join(f"{value:.{digits}f}" for value in mark.position)
    return f"Sections through landmark {mark.label} at {place} {unit}"


def _look_first(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was not found, then the least confident; those of which nobody said how sure they are are not ranked."""
    lost = [row for row in rows if row["status"] == STATUS_WORDS["missing"]]
    ranked = sorted((row for row in rows if row["position"] and row["confidence"] is not None), key=_confidence)
    return [*lost[:LOOK_FIRST], *ranked[: max(LOOK_FIRST - len(lost), 3)]]


def _confidence(row: dict[str, Any]) -> float:
    return float(row["confidence"])


def _overviews(image: Image, landmarks: LandmarkSet, views: list[View]) -> list[dict[str, Any]]:
    from LandmarkDetectorLib.evaluation.canvas import DOTS
    from LandmarkDetectorLib.evaluation.figures import overview_figure

    pictures = []
    for view in views:
        places = [mark.position for mark in landmarks if mark.position is not None]
        inside = sum(view.shows(place) for place in places)
        names = {"image": "The image", "axial": "Axial", "coronal": "Coronal", "sagittal": "Sagittal"}
        name = names[view.name] + (" projection" if view.letters else "")
        pictures.append(
            {
                "name": name,
                "data": photograph(overview_figure(image, landmarks, view), DOTS),
                "alt": f"{name} with {inside} landmarks",
                "left_out": len(places) - inside,
            }
        )
    return pictures

"""The card of a bundle as a page to read: what a person should know before using it.

A card may be written by strangers: every word of it is escaped.
"""

from __future__ import annotations

from html import escape
from typing import Any

from LandmarkDetector.Panel.texts import _

_CELL = 'style="padding: 1px 10px 1px 0"'


def card_page(card: Any, reliability: str = "") -> str:
    """HTML of a ``Card``, in what a QTextBrowser knows.

    Args:
        card: the card.
        reliability: what its confidences are worth, HTML by :func:`.reliability_page.reliability_section`.
    """
    data = card.training_data
    images = _("{modality}, {dimension}D; positions in {unit}").format(
        modality=card.modality, dimension=card.dimension, unit=card.unit
    )
    parts = [
        f"<h2>{escape(card.title)}</h2>",
        _paragraph(card.description),
        f"<p><small>{escape(card.name)} {escape(card.version)}, {card.created.isoformat()}</small></p>",
        _section(_("What it is for")),
        _paragraph(card.intended_use),
        _paragraph(images),
        _section(_("How far off it is")),
        *_errors(card),
        *([_section(_("What its confidence is worth")), reliability] if reliability else []),
        _section(_("Limits")),
        _list(card.limits, _("None are written down; that does not mean that there are none.")),
        _section(_("Not tested on")),
        _list(card.not_tested_on, _("Nothing is listed: take everything unlike the training data as not tested.")),
        _section(_("Trained on")),
        _paragraph(
            _("{name}: {subjects} subjects, licence {licence}.").format(
                name=data.name, subjects=data.subjects, licence=data.licence
            )
        ),
        _paragraph(data.citation),
        *([_paragraph(data.note)] if data.note else []),
        _section(_("Licence of the bundle")),
        _paragraph(f"{card.licence}. {card.credit}"),
        _section(_("Landmarks")),
        _landmarks(card),
    ]
    return "\n".join(parts)


def _errors(card: Any) -> list[str]:
    errors = card.errors
    if errors is None:
        return [_paragraph(_("Not measured yet: review every landmark with care."))]
    summary = _("Mean {mean:.2g} {unit}, median {median:.2g} {unit}; 95 of 100 landmarks within {p95:.2g} {unit}.")
    return [
        f"<p><b>{escape(summary.format(mean=errors.mean, median=errors.median, p95=errors.p95, unit=errors.unit))}"
        "</b></p>",
        _paragraph(errors.protocol),
    ]


def _landmarks(card: Any) -> str:
    errors = card.errors.per_landmark if card.errors else {}
    unit = card.errors.unit if card.errors else card.unit
    named = any(mark.name != mark.label for mark in card.landmarks)
    defined = any(mark.definition for mark in card.landmarks)
    head = [_("Label")]
    head += [_("Name")] if named else []
    if errors:
        head += [_("Mean error, {unit}").format(unit=unit), _("95 of 100 within, {unit}").format(unit=unit)]
    head += [_("Definition")] if defined else []
    rows = []
    for mark in card.landmarks:
        cells = [mark.label]
        cells += [mark.name] if named else []
        if errors:
            error = errors.get(mark.label)
            cells += [f"{error.mean:.2g}", f"{error.p95:.2g}"] if error else ["–", "–"]
        cells += [mark.definition] if defined else []
        rows.append("<tr>" + "".join(f"<td {_CELL}>{escape(cell)}</td>" for cell in cells) + "</tr>")
    titles = "".join(f"<td {_CELL}><b>{escape(title)}</b></td>" for title in head)
    return f"<table><tr>{titles}</tr>{''.join(rows)}</table>"


def _section(title: str) -> str:
    return f"<h3>{escape(title)}</h3>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _list(items: list[str], none: str) -> str:
    if not items:
        return _paragraph(none)
    return "<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>"

"""The report of a subject's measurements as one HTML page that a person opens, prints or files; it loads nothing."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

from LandmarkDetectorLib.evaluation.page import data_uri, report_packages, template
from LandmarkDetectorLib.measure.reports.content import caption, content_of
from LandmarkDetectorLib.measure.subject import Measured


def render_measurements(
    measured: Measured,
    *,
    title: str | None = None,
    today: datetime.date | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> str:
    """Write the report as one HTML page, without script and without any address that a browser would follow.

    Args:
        measured: the subject; with its image, the page has pictures.
        title: of the page.
        today: the day on which it is written; that of the computer by default.
        progress: is told what is at work and the fraction of it that is done; it may raise ``Cancelled``.

    Returns:
        The page. The caller writes it, whole or not at all.

    Raises:
        LandmarkDetectorError: a package for reports is not installed.
    """
    with report_packages():
        from LandmarkDetectorLib.measure.reports.drawing import close_ups, overviews

        page = template("measurements.html", Path(__file__).with_name("templates"))
        whole = [(picture, data_uri(picture.data)) for picture in overviews(measured, progress=progress)]
        close = [
            (result, picture, data_uri(picture.data)) for result, picture in close_ups(measured, progress=progress)
        ]
    content = content_of(measured, title=title, today=today)
    return page.render(
        title=content.title,
        notices=content.notices,
        content=content,
        solid=measured.landmarks.dimension == 3,
        whole=whole,
        close=[(caption(result, content.views), picture.alt, data) for result, picture, data in close],
    )

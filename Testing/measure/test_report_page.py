"""The page and the PDF: what they say in plain sight, and that they ask for nothing."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from LandmarkDetectorLib.measure.reports import save_measurements
from LandmarkDetectorLib.measure.reports.drawing import close_ups, overviews, strokes
from LandmarkDetectorLib.measure.reports.html import render_measurements
from LandmarkDetectorLib.measure.subject import Reviewed
from LandmarkDetectorLib.measure.values import Shape
from Testing.measure.subjects import ceph_image, fetus, head, solid_head

BROWSERS_OWN = ("google", "gstatic", "gvt1.com")
"""What Chromium asks for itself at its start: updates, a dictionary for spelling."""
ADDRESS_ATTRIBUTES = {"src", "href", "srcset", "action", "data", "poster", "background", "cite", "formaction"}


class Loads(HTMLParser):
    """Collects what a browser would fetch or run, and texts outside of tags."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ADDRESS_ATTRIBUTES]
        self.addresses += re.findall(r"url\(([^)]*)\)", " ".join(value or "" for _, value in attrs))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def read(page: str) -> Loads:
    parser = Loads()
    parser.feed(page)
    return parser


@pytest.fixture(scope="module")
def page() -> str:
    return render_measurements(head(sets=("steiner", "jarabak")), today=datetime.date(2026, 1, 2))


def test_the_page_asks_for_nothing(page):
    found = read(page)
    assert all(each.startswith(("data:image/", "#")) for each in found.addresses), found.addresses
    assert not {"script", "link", "iframe", "object", "embed", "form", "base"} & set(found.tags)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "@import" not in style and "url(" not in style
    assert re.search(r'http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:', page)
    # Sources are cited as text (doi:...), never as an address that a click would follow.
    assert not re.search(r"(?i)(https?:)?//[a-z0-9]", re.sub(r"data:image/[^\"]*", "", page))


def test_the_page_says_in_plain_sight_that_it_was_not_reviewed_and_by_what_it_was_made(page):
    text = " ".join(" ".join(read(page).text).split())
    assert text.index("Proposal, not reviewed") < text.index("Steiner analysis Jaws")
    for words in (
        "Reviewed by: nobody",
        "toy-ceph 1.2.0 placed the landmarks",
        "mean 1.25, median 1.00, 95th percentile 3.50 mm (Held-out toys.)",
        "Not tested on Children & adults",
        "Known limits Heads that are not made.",
        "Research software, not a medical device",
        "not computed: needs Lower incisor apex",
        "Steiner 1959, Angle Orthod 29(1):8-29",
        "Written on 2026-01-02",
        "0.63 1.50",
    ):
        assert words in text, words
    assert "<not for people>" not in page and "Made for tests &lt;not for people&gt;" in page


def test_a_review_is_said_and_what_is_left_of_it_is_marked():
    labels = {label: "confirmed" for label in head().landmarks.labels} | {"Nasion": "unreviewed"}
    partly = render_measurements(head(Reviewed("Dr. Ada", labels)))
    assert "Partly reviewed by Dr. Ada" in partly and "Nobody has looked at Nasion" in partly and "○" in partly
    whole = render_measurements(head(Reviewed("Dr. Ada")))
    assert "Reviewed by Dr. Ada" in whole and 'class="review reviewed"' in whole and "Proposal" not in whole


def test_bars_are_drawn_where_there_is_something_to_compare_with(page):
    steiner = page[page.index("<h2>Steiner analysis") : page.index("<h2>Jarabak")]
    assert steiner.count("<svg") == 8 and 'aria-label="82.0°, usual 82"' in steiner
    assert steiner.count('stroke-dasharray="3 2"') == 2, "the cut-offs of ANB"


def test_pictures_show_the_image_and_each_construction_by_itself():
    flat = head()
    assert [picture.name for picture in overviews(flat)] == ["image"]
    close = close_ups(flat)
    assert [result.name for result, _ in close] == [result.name for result in flat.computed]
    assert all(picture.data.startswith(b"\xff\xd8") for _, picture in close)
    assert overviews(replace(flat, image=None)) == [] and close_ups(replace(flat, image=None)) == []


def test_a_volume_has_three_projections_and_shows_each_measurement_in_the_one_where_it_is_largest():
    solid = solid_head()
    assert [picture.name for picture in overviews(solid)] == ["axial", "coronal", "sagittal"]
    views = {result.name: picture.name for result, picture in close_ups(solid)}
    assert views["SNA"] == "sagittal"
    page = render_measurements(solid)
    assert "3D: true angles and distances" in page and page.count("<td>mid-sagittal</td>") >= 10


def test_the_arc_of_an_angle_lies_between_its_legs_and_a_plane_has_a_trace():
    view = __import__("LandmarkDetectorLib.evaluation.views", fromlist=["whole_view"]).whole_view(ceph_image())
    legs, (arc, _) = strokes(Shape("angle", np.array([[10.0, 0], [0, 0], [0, 20]])), view, 1.0)
    np.testing.assert_allclose(np.linalg.norm(arc, axis=1), 2.5)
    np.testing.assert_allclose([arc[0], arc[-1]], [[2.5, 0], [0, 2.5]], atol=1e-12)
    ((trace, style),) = strokes(Shape("plane", np.array([[5.0, 5], [6, 5]])), view, 3.0)
    assert style == "--" and sorted(trace.tolist()) == [[5, 2], [5, 8]]
    ((outline, _),) = strokes(Shape("ellipse", np.array([[0.0, 0], [4, 0], [0, 2]])), view, 1.0)
    np.testing.assert_allclose((outline / [4, 2]) ** 2 @ [1, 1], 1)


def test_a_browser_opens_the_page_without_a_word_of_complaint_and_without_the_network(tmp_path, page):
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium is installed here (apt-get install chromium)")
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    log = tmp_path / "net.json"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += [
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--enable-logging=stderr",
    ]
    command += [
        f"--log-net-log={log}",
        f"--screenshot={tmp_path / 'page.png'}",
        "--window-size=1200,2000",
        file.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, cwd=tmp_path)
    assert (tmp_path / "page.png").stat().st_size > 50_000, done.stderr[-2000:]
    assert "CONSOLE" not in done.stderr, "the page breaks its own policy, or is not well formed"
    asked = set(re.findall(r'"url":"(https?://[^"]+)"', log.read_text("utf-8", errors="replace")))
    assert [url for url in asked if not any(own in url for own in BROWSERS_OWN)] == []


@pytest.fixture(scope="module")
def pdf(tmp_path_factory) -> Path:
    pytest.importorskip("reportlab", reason="the extra report is not installed")
    file = tmp_path_factory.mktemp("pdf") / "a.pdf"
    save_measurements([head(sets=("steiner", "jarabak"))], file)
    return file


def test_the_pdf_says_what_the_page_says(pdf):
    tool = shutil.which("pdftotext")
    if tool is None:
        pytest.skip("pdftotext is not installed here (apt-get install poppler-utils)")
    text = subprocess.run([tool, "-layout", str(pdf), "-"], capture_output=True, text=True, check=True).stdout
    said = " ".join(text.split())
    for words in (
        "Proposal, not reviewed",
        "82.0°",
        "not computed: needs Lower incisor apex",
        "Steiner 1959, Angle Orthod",
        "Not tested on",
        "Children & adults",
        "mean 1.25, median 1.00, 95th percentile 3.50 mm",
        "Research software, not a medical device",
    ):
        assert words in said, words
    assert said.count("Proposal, not reviewed. Written on") >= 3, "at the foot of every page"


def test_the_pdf_is_whole_and_names_nobody(pdf):
    data = pdf.read_bytes()
    assert data.startswith(b"%PDF-1") and data.rstrip().endswith(b"%%EOF")
    assert b"/URI" not in data and b"/JavaScript" not in data and b"/Launch" not in data


def test_a_pdf_without_image_norm_or_interval_is_written_too(tmp_path):
    pytest.importorskip("reportlab", reason="the extra report is not installed")
    save_measurements([fetus(Reviewed("Dr. Ada"))], tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").stat().st_size > 5000

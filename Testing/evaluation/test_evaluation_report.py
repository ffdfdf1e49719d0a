"""The report of an evaluation is one page that asks for nothing, hides nothing and runs nothing."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from LandmarkDetectorLib.core import Grid, Image, LandmarkError, LandmarkSet
from LandmarkDetectorLib.evaluation import (
    bland_altman,
    compare_models,
    evaluation_report,
    observer_agreement,
    position_errors,
    render_evaluation,
)

NAN = np.nan
LABELS = ["nasion <b>", "basion"]
GRID = Grid.regular((40, 30), 0.5)
RNG = np.random.default_rng(0)
TRUTH = RNG.uniform(3, 12, (5, 2, 2))
FOUND = TRUTH + RNG.normal(0, 0.8, TRUTH.shape)
FOUND[1, 0] = NAN
TRUTH[4, 1] = NAN
ERRORS = position_errors(FOUND, TRUTH)
SUBJECTS = ["anna", "anna", "<script>", "dora", "emil"]


class Page(HTMLParser):
    """Elements, text and whether every tag was closed."""

    VOID = ("meta", "img", "br", "line", "circle")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID or (tag == "circle"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def picture(row: int) -> Image:
    return Image(np.full((1, *GRID.shape), 40 * row, np.uint8), GRID, f"image {row}")


def sets(positions: np.ndarray) -> list[LandmarkSet]:
    return [LandmarkSet.from_positions(LABELS, rows) for rows in positions]


@pytest.fixture(scope="module")
def page() -> Page:
    places = np.nan_to_num(TRUTH)
    return Page(
        render_evaluation(
            ERRORS,
            LABELS,
            "mm",
            SUBJECTS,
            title="Toy & co",
            about={"Model": "toy 1.0", "Unknown": ""},
            radii=(0.5, 1.0),
            false_finds=np.isnan(ERRORS),
            predicted=sets(FOUND),
            truth=sets(TRUTH),
            image_of=picture,
            observers=observer_agreement({"A": places, "B": places + 0.3}, LABELS, "mm", (1.0,), model=FOUND),
            comparison=compare_models(ERRORS, ERRORS * 0.9, LABELS, "mm", names=("old", "new"), cases=SUBJECTS),
            measurements=[bland_altman([1.0, 2.0, NAN], [1.1, 2.3, 3.0], "Head circumference", "mm")],
            notices=["Read me."],
        )
    )


def test_the_page_loads_nothing_and_runs_nothing(page):
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert all(image["src"].startswith("data:image/") for image in page.all("img"))
    assert not re.search(r"(?:href|src)=\"(?!#|data:)", page.source)
    assert "<script>" not in page.source and "nasion <b>" not in page.source


def test_the_page_says_whose_names_it_shows(page):
    assert "Subjects are named as the data set names them" in page.text
    assert "Read me." in page.text and "Fewer than ten images" in page.text


def test_the_figures_are_those_of_the_summary(page):
    found = ERRORS[np.isfinite(ERRORS)]
    assert f"{found.mean():.2f} mm" in page.text
    assert "1 missed of 9 annotated" in page.text
    assert "1 found where there is none" in page.text
    assert f"{100 * (found <= 0.5).sum() / 9:.1f} % within 0.5 mm" in page.text
    assert "5 images of 4 subjects" in page.text


def test_each_landmark_has_a_dot_for_each_case_and_the_misses_by_name(page):
    # The target of a link stands inside of what is folded: that is what makes a browser unfold it.
    assert [item["id"] for item in page.all("div") if "id" in item] == ["landmark-1", "landmark-2"]
    assert [link["href"] for link in page.all("a")] == ["#landmark-1", "#landmark-2"]
    assert len(page.all("circle")) == 8
    assert "Missed in anna." in page.text
    assert all(0 <= float(dot["cx"]) <= 1000 for dot in page.all("circle"))


def test_pictures_have_words_for_those_who_do_not_see_them(page):
    assert all(image["alt"] for image in page.all("img"))
    # The curve, the sheet, one of each landmark, the comparison, the measurement.
    assert len(page.all("img")) == 6


def test_observers_comparison_and_measurements_stand_where_they_were_given(page):
    assert "A and the mean of the others" in page.text and "model and mean" in page.text
    assert "new against old" in page.text
    assert "1 could not be computed" in page.text


def test_an_evaluation_without_pictures_observers_or_a_second_model_is_a_page_too():
    bare = Page(render_evaluation([[1.0, NAN], [NAN, NAN]], LABELS, "px", ["a", "b"]))
    assert len(bare.all("img")) == 1
    assert "Observers" not in bare.text and "Measurements" not in bare.text
    nothing = Page(render_evaluation([[np.inf, NAN]], LABELS, "px", ["a"]))
    assert "1 missed of 1 annotated" in nothing.text
    assert Page(render_evaluation([[NAN, NAN]], LABELS, "px", ["a"])).all("img") == []


def test_many_images_of_few_subjects_make_no_trustworthy_intervals_and_the_page_says_so(monkeypatch):
    monkeypatch.setattr(evaluation_report, "_curve", lambda *_: None)
    text = Page(render_evaluation(np.ones((12, 2)), LABELS, "mm", ["anna", "dora", "emil"] * 4)).text
    assert "Fewer than ten subjects: the intervals are too narrow." in text and "Fewer than ten images" not in text


def test_pictures_by_halves_are_refused():
    with pytest.raises(LandmarkError, match="all three or none"):
        render_evaluation(ERRORS, LABELS, "mm", SUBJECTS, image_of=picture)
    with pytest.raises(LandmarkError, match="case names"):
        render_evaluation(ERRORS, LABELS, "mm", SUBJECTS[:3])


def test_a_volume_of_many_landmarks_makes_a_page_of_moderate_size():
    labels = [str(k) for k in range(20)]
    grid = Grid.regular((30, 30, 30), 0.3)
    volume = Image(RNG.integers(0, 255, (1, 30, 30, 30)).astype(np.uint8), grid, "head")
    truth = RNG.uniform(1, 8, (3, 20, 3))
    found = truth + RNG.normal(0, 0.2, truth.shape)
    many = [[LandmarkSet.from_positions(labels, rows) for rows in positions] for positions in (found, truth)]
    text = render_evaluation(
        position_errors(found, truth),
        labels,
        "mm",
        ["a", "b", "c"],
        predicted=many[0],
        truth=many[1],
        image_of=lambda row: volume,
    )
    assert len(Page(text).all("img")) == 22
    assert len(text) < 1.5e6

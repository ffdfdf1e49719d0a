"""The report is one page that asks for nothing, hides nothing and runs nothing."""

from __future__ import annotations

import base64
import io
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image as Pillow

from LandmarkDetectorLib.core import Grid, Image, Landmark, LandmarkDetectorError, LandmarkSet
from LandmarkDetectorLib.evaluation import render_report

CARD = {
    "name": "skull",
    "version": "1.2.3",
    "title": "Skull of something",
    "description": "Two landmarks.",
    "modality": "CT",
    "fingerprint": "sha256:0123abcd",
    "landmarks": [{"label": "a", "name": "Nasion", "definition": "Where two bones meet."}, {"label": "b"}],
    "training_data": {"name": "Some heads", "citation": "A (2020), https://example.org/paper", "licence": "CC BY 4.0"},
    "licence": "GPL-3.0",
    "credit": "Thanks to A.",
    "errors": {
        "protocol": "leave-one-out",
        "mean": 0.161,
        "median": 0.14,
        "p95": 0.36,
        "unit": "mm",
        "per_landmark": {"a": {"mean": 0.234, "p95": 0.567, "n": 20}},
    },
    "limits": ["Adults only."],
    "not_tested_on": ["Children."],
}


class Page(HTMLParser):
    """Elements, text and whether every tag was closed."""

    VOID = ("meta", "img", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def volume(**grid) -> Image:
    array = np.random.default_rng(0).integers(0, 200, (1, 24, 22, 20)).astype(np.uint8)
    return Image(array, Grid((20, 22, 24), (0.5, 0.5, 0.5), (0, 0, 0), grid.get("direction", np.eye(3))), "head")


def two(image: Image, unit: str = "mm") -> LandmarkSet:
    centre = image.grid.centre
    return LandmarkSet((Landmark("a", centre, confidence=0.9), Landmark("b", centre + 1, confidence=0.3)), unit)


IMAGES = {
    "3D": volume(),
    "flipped": volume(direction=np.diag([-1.0, 1.0, -1.0])),
    "oblique": volume(direction=np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1.0]])),
    "one slice": Image(np.ones((1, 1, 22, 20), np.int16), Grid.regular((20, 22, 1), 0.5)),
    "one voxel": Image(np.ones((1, 1, 1, 1), np.int16), Grid.regular((1, 1, 1))),
    "2D": Image(np.ones((1, 22, 20), np.float32), Grid.regular((20, 22), 0.5)),
    "2D flipped": Image(np.ones((1, 22, 20), np.float32), Grid((20, 22), (1, 1), (0, 0), np.diag([1.0, -1.0]))),
    "RGB": Image(np.full((3, 22, 20), 99, np.uint8), Grid.regular((20, 22), 1, "px")),
    "RGB volume": Image(np.full((3, 9, 22, 20), 99, np.uint8), Grid.regular((20, 22, 9))),
    "not a number": Image(np.full((1, 9, 22, 20), np.nan), Grid.regular((20, 22, 9))),
    "long": Image(np.ones((1, 5, 3000), np.uint8), Grid.regular((3000, 5))),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_every_kind_of_image_gives_a_whole_page_that_requests_nothing(kind):
    image = IMAGES[kind]
    text = render_report(image, two(image, image.grid.unit), card=CARD)
    page = Page(text)
    assert not page.open
    assert not page.all("script")
    assert not page.all("link")
    assert "url(" not in text
    assert "@import" not in text
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        if "href" in attributes:
            assert attributes["href"][0] == "#"
            assert attributes["href"][1:] in ids
        if "src" in attributes:
            kind_of_data, data = attributes["src"].split(",")
            assert kind_of_data == "data:image/jpeg;base64"
            picture = Pillow.open(io.BytesIO(base64.b64decode(data)))
            picture.load()
            if "width" in attributes:
                assert picture.size == (int(attributes["width"]), int(attributes["height"]))
    assert all(picture["alt"] for picture in page.all("img"))
    assert "default-src 'none'" in page.all("meta")[1]["content"]


def test_a_result_is_called_a_proposal_and_the_model_is_named_with_its_data_and_errors():
    image = volume()
    page = render_report(image, two(image), card=CARD, timing={"Detection": 2.8}, notices=["Ran on the CPU."])
    text = Page(page).text
    for phrase in (
        "Proposal, not reviewed",
        "Skull of something",
        "1.2.3",
        "sha256:0123abcd",
        "Some heads",
        "https://example.org/paper",
        "CC BY 4.0",
        "GPL-3.0",
        "leave-one-out",
        "Nasion",
        "Where two bones meet.",
        "0.23",
        "0.57",
        "Adults only.",
        "Children.",
        "20 × 22 × 24 voxels",
        "0.5 × 0.5 × 0.5 mm",
        "2.80 s",
        "Ran on the CPU.",
        "Positions are LPS",
    ):
        assert phrase in text


def test_without_a_card_the_page_says_that_nothing_is_known_of_the_model():
    image = volume()
    landmarks = LandmarkSet(two(image).landmarks, info={"bundle": "skull-ct", "version": "7"})
    text = Page(render_report(image, landmarks)).text
    assert "came without a card" in text
    assert "skull-ct" in text


def test_a_card_that_says_little_is_no_error():
    image = volume()
    assert "95 % are" not in render_report(image, two(image), card={"name": "x", "errors": {"mean": 1.0}})


def test_a_hostile_label_is_shown_and_not_run():
    image = volume()
    evil = "<script>alert(1)</script>"
    quote = '" onmouseover="alert(2)'
    marks = (Landmark(evil, image.grid.centre, description=evil), Landmark(quote, image.grid.centre, confidence=0.1))
    card = {**CARD, "title": evil, "limits": [evil], "landmarks": [{"label": evil, "name": evil + "!"}]}
    hostile = Image(image.array, image.grid, evil)
    page = Page(render_report(hostile, LandmarkSet(marks, name=evil), card=card, notices=[evil], title=evil))
    assert not page.all("script")
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert evil in page.text
    assert quote in page.text


def test_the_least_certain_landmarks_come_first_and_lead_to_their_pictures():
    image = volume()
    centre = image.grid.centre
    marks = [Landmark(f"m{k}", centre, confidence=c) for k, c in enumerate((0.9, 0.2, 0.7))]
    page = Page(render_report(image, LandmarkSet((*marks, Landmark("lost")))))
    links = [attributes["href"] for attributes in page.all("a")][1:5]
    assert links == ["#row-4", "#landmark-2", "#landmark-3", "#landmark-1"]
    assert "3 of 4 landmarks found" in page.text
    assert "lost · not found" in page.text


def test_landmarks_without_confidence_are_not_ranked():
    image = volume()
    page = Page(render_report(image, LandmarkSet.from_positions(["a"], [image.grid.centre])))
    assert "gave no confidence" in page.text


def test_a_set_in_which_nothing_was_found_is_reported():
    image = volume()
    page = Page(render_report(image, LandmarkSet((Landmark("a"), Landmark("b", status="undefined")))))
    assert "0 of 2 landmarks found" in page.text
    assert "not looked for" in page.text


def test_a_landmark_outside_the_image_is_said_to_be_outside():
    image = volume()
    page = Page(render_report(image, LandmarkSet.from_positions(["a"], [[500.0, 0, 0]])))
    assert "outside the image" in page.text
    assert "1 landmark lies outside of it" in page.text


def test_an_image_without_scale_is_said_to_have_none_and_gets_no_millimetres():
    image = IMAGES["RGB"]
    text = Page(render_report(image, two(image, "px"))).text
    assert "no physical scale" in text
    assert "x (px)" in text
    assert "(mm)" not in text


def test_an_image_of_more_channels_says_which_one_is_shown():
    image = Image(np.ones((2, 22, 20), np.float32), Grid.regular((20, 22)))
    assert "2 channels; the pictures below show the first one" in Page(render_report(image, two(image))).text


def test_landmarks_of_another_kind_of_image_are_refused():
    image = volume()
    with pytest.raises(LandmarkDetectorError, match="px and head in mm"):
        render_report(image, two(image, "px"))
    with pytest.raises(LandmarkDetectorError, match="2D and head 3D"):
        render_report(image, LandmarkSet.from_positions(["a"], [[1.0, 2.0]]))


def test_forty_five_landmarks_stay_below_four_megabytes():
    # Noise is what compresses worst.
    array = np.random.default_rng(0).integers(0, 255, (1, 60, 100, 100)).astype(np.uint8)
    image = Image(array, Grid.regular((100, 100, 60), 0.5))
    positions = np.random.default_rng(1).uniform(0, 1, (45, 3)) * image.grid.extent * 0.9
    page = render_report(image, LandmarkSet.from_positions(map(str, range(45)), positions))
    assert len(page) < 4e6


def test_a_missing_package_is_named_with_the_line_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(LandmarkDetectorError, match=r"jinja2.*landmark-detector\[report\]"):
        render_report(volume(), two(volume()))


def test_importing_the_room_draws_nothing_in():
    unwanted = {"torch", "matplotlib", "PIL", "jinja2"}
    check = f"import sys, LandmarkDetectorLib.evaluation; print({unwanted} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"

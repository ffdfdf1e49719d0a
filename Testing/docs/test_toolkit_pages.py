"""The pages about the toolkit name everything that the registries know, and nothing that is not there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from LandmarkDetectorLib.datasets.importers import importer_names
from LandmarkDetectorLib.heatmaps import decoder_names, generator_names
from LandmarkDetectorLib.losses import loss_names
from Testing.phantoms import LABELS, write_dataset

ROOT = Path(__file__).resolve().parents[2]
TOOLKIT, PICTURES = ROOT / "docs" / "toolkit", ROOT / "docs" / "pictures"
REGISTRIES = {
    "generators": generator_names,
    "decoders": decoder_names,
    "losses": loss_names,
    "datasets": importer_names,
}
OWN = tuple(REGISTRIES)
PARTS = sorted({path.stem for path in TOOLKIT.glob("*.md")} - {"README", "landmarker"})
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")


def page(name: str) -> str:
    return (TOOLKIT / f"{name}.md").read_text("utf-8")


def first_column(text: str) -> list[str]:
    return re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("generators", generator_names),
        ("decoders", decoder_names),
        ("losses", loss_names),
        ("datasets", importer_names),
    ],
)
def test_every_name_of_a_registry_has_a_row_on_its_page(name, known):
    assert set(known()) <= set(first_column(page(name)))


def test_no_loss_has_a_row_that_cannot_be_built():
    assert sorted(first_column(page("losses"))) == loss_names()


@pytest.mark.parametrize("name", PARTS)
def test_a_page_is_short_and_has_a_figure_that_a_script_draws_and_the_papers_behind_it(name):
    assert len(page(name).splitlines()) <= 80
    figures = re.findall(r"]\(\.\./pictures/(toolkit_\w+)\.png\)", page(name))
    assert figures and all((PICTURES / f"{figure}.png").is_file() for figure in figures)
    drawn = "".join(script.read_text("utf-8") for script in PICTURES.glob("toolkit_*.py"))
    assert all((PICTURES / f"{figure}.py").is_file() or f'"{figure}"' in drawn for figure in figures)
    assert re.search(r"https://(doi\.org|arxiv\.org|proceedings\.)", page(name))


def test_every_picture_of_the_toolkit_is_small():
    for picture in PICTURES.glob("toolkit_*.png"):
        assert 0 < picture.stat().st_size < 200_000, picture.name


def test_every_page_is_in_the_index_and_every_link_leads_somewhere():
    pages = {path.name for path in TOOLKIT.glob("*.md")} - {"README.md"}
    assert {link for link in LINK.findall(page("README")) if "/" not in link} >= pages
    for path in (*TOOLKIT.glob("*.md"), *(ROOT / "docs" / "gallery").glob("*.md")):
        for link in LINK.findall(path.read_text("utf-8")):
            assert (path.parent / link).exists(), f"{path.name}: {link}"


@pytest.mark.parametrize("name", ("README", *OWN))
def test_the_code_on_a_page_is_python_and_imports_what_there_is(name):
    for block in re.findall(r"```python\n(.*?)```", page(name), re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("LandmarkDetectorLib"):
                namespace: dict[str, object] = {}
                exec(ast.unparse(node), namespace)  # raises ImportError


def test_the_parts_fit_together_as_the_first_page_shows(tmp_path, capsys):
    write_dataset(tmp_path, 4)
    code = re.findall(r"```python\n(.*?)```", page("README"), re.DOTALL)[0]
    smaller = {
        '"cephalograms"': repr(str(tmp_path)),
        "landmarks=19": f"landmarks={len(LABELS)}",
        "(512, 416)": "(48, 48)",
        'build_model("scn"': 'build_model("unet"',
    }
    for words, instead in smaller.items():
        assert words in code
        code = code.replace(words, instead)
    exec(code, {})
    assert float(capsys.readouterr().out) > 0

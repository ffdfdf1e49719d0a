"""The page about networks says what the code has."""

from __future__ import annotations

import importlib.util
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_table_has_every_network_with_the_figures_of_the_code() -> None:
    spec = importlib.util.spec_from_file_location("networks_table", DOCS / "toolkit" / "networks_table.py")
    assert spec is not None and spec.loader is not None
    table = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(table)
    page = table.PAGE.read_text(encoding="utf-8")
    assert table.updated(page) == page, "run python docs/toolkit/networks_table.py"


def test_the_picture_of_the_page_is_there_and_small() -> None:
    assert 0 < (DOCS / "pictures" / "toolkit_networks.png").stat().st_size < 200_000

"""What all tests share: which of them run, and an environment in which none of them touches the person's own files."""

from __future__ import annotations

import locale
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("MPLBACKEND", "Agg")  # before anybody imports matplotlib: no window is opened

import hypothesis  # noqa: E402
import pytest  # noqa: E402

# A loaded machine is no reason to fail; an example that failed once is worth printing.
hypothesis.settings.register_profile("house", deadline=None, print_blob=True)
hypothesis.settings.load_profile("house")

TRAINED = {"detector", "flat_bundle", "solid_bundle"}
"""Fixtures that take long to make and serve several files."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("LandmarkDetector")
    group.addoption("--slow", action="store_true", help="also run the tests marked slow")
    group.addoption("--only-slow", action="store_true", help="run those alone that a run without --slow skips as slow")
    group.addoption("--data", type=Path, metavar="FOLDER", help="also run the tests marked data, on the sets in FOLDER")


def pytest_configure(config: pytest.Config) -> None:
    """Where several processes test side by side, each computes on one core."""
    if hasattr(config, "workerinput"):
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anybody imports torch


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip, and say so, what takes long or needs what is not here; keep together what must run in one process."""
    names = {item.nodeid for item in items}
    slow = {item.nodeid: reason for item in items if (reason := _slow(item, names))}
    if config.getoption("--only-slow"):
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in slow])
        items[:] = [item for item in items if item.nodeid in slow]
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
        if item.nodeid in slow and not (config.getoption("--slow") or config.getoption("--only-slow")):
            item.add_marker(pytest.mark.skip(reason=slow[item.nodeid]))
        if item.get_closest_marker("data") and config.getoption("--data") is None:
            item.add_marker(pytest.mark.skip(reason="needs the data sets: runs with --data=FOLDER"))
        if item.get_closest_marker("gpu") and not _has_cuda():
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def _slow(item: pytest.Item, names: set[str]) -> str:
    """Why a test waits for ``--slow``; empty where it does not."""
    if item.get_closest_marker("slow"):
        return "slow: runs with --slow"
    if item.get_closest_marker("one_binding") and _other(item) in names:
        return "slow: under PythonQt's manners only; both run with --slow"
    return ""


def _group(item: pytest.Item) -> str:
    """What runs in one process, so that what it shares is made once: a binding's application, a bundle, a file's."""
    place = item.path.relative_to(Path(__file__).parent)
    if place.parts[0] == "panel":
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        return f"panel {parameters.get('application', place.stem)}"
    if TRAINED & set(getattr(item, "fixturenames", ())):
        return f"{place.parts[0]} trained"
    return place.as_posix()


def _other(item: pytest.Item) -> str | None:
    """The same test under PythonQt's manners, of one that runs under PySide6."""
    return item.nodeid.replace("PySide6", "PythonQt") if "PySide6" in item.name else None


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.fixture
def data_root(request: pytest.FixtureRequest) -> Path:
    """The folder given by ``--data``; for tests marked ``data``."""
    folder: Path | None = request.config.getoption("--data")
    assert folder is not None, "a test that asks for data_root must be marked data"
    assert folder.is_dir(), f"--data {folder} is not a folder"
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Networks compute on one core, which for small ones is the quickest and gives the same weights every time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def _own_bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the bundles of the person at this machine, nor those of another test."""
    before = os.environ.get("LANDMARK_DETECTOR_BUNDLES")
    os.environ["LANDMARK_DETECTOR_BUNDLES"] = str(tmp_path_factory.getbasetemp() / f"bundles-{uuid.uuid4().hex}")
    yield
    if before is None:
        del os.environ["LANDMARK_DETECTOR_BUNDLES"]
    else:
        os.environ["LANDMARK_DETECTOR_BUNDLES"] = before


@pytest.fixture(autouse=True)
def _own_region() -> Iterator[None]:
    """ITK's DICOM writer leaves the whole process in the region "C", in which a pipe's text is no longer UTF-8."""
    before = locale.setlocale(locale.LC_ALL)
    yield
    locale.setlocale(locale.LC_ALL, before)

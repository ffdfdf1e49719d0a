"""The rules of the house that a program can keep: floors, faces, lengths, licence, nothing of one machine."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "LandmarkDetectorLib"
FLOORS = {
    "core": 0,
    "heatmaps": 1,
    "losses": 1,
    "models": 2,
    "evaluation": 2,
    "io": 2,
    "bundles": 3,
    "measure": 3,
    "datasets": 3,
    "inference": 4,
    "training": 4,
    "review": 5,
    "cli": 6,
}
FACES = {"qt", "ctk", "vtk", "slicer", "qtpy", "PySide6", "PyQt5", "PyQt6"}
FACES |= {"LandmarkDetector", "LandmarkDetectorDesktop"}
COMMAND_LINE = {"typer", "rich", "click"}
HEAVY = ("torch", "monai", "ignite", "matplotlib")
LONGEST = 450
LARGEST = 16 * 2**20
MADE_HERE = {".git", ".venv", "__pycache__", "build", "dist", "runs", "output"}


def imports(source: Path | str, package: str = "") -> Iterator[tuple[str, int]]:
    """Every absolute name that a source imports, in functions and type-checking blocks as well, with its line."""
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:  # relative: counted from the package of the source
                parts = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parts, base] if base else parts)
            yield from ((f"{base}.{alias.name}", node.lineno) for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__"):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value, node.lineno


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def wrong_imports(room: str, source: Path | str) -> list[str]:
    """What a source in ``room`` imports from beside or above its floor, or from a face, one sentence each."""
    if isinstance(source, Path):
        where, package = source.relative_to(ROOT).as_posix(), ".".join(source.relative_to(ROOT).parent.parts)
    else:
        where, package = room, f"LandmarkDetectorLib.{room}"
    found = []
    for name, line in imports(source, package):
        first, *rest = name.split(".")
        if first in FACES or (first in COMMAND_LINE and room != "cli"):
            found.append(f"{where}:{line} imports {name}; nothing below the faces knows it")
        elif first == "LandmarkDetectorLib" and rest[:1] not in ([room], ["__version__"]):
            if not rest or rest[0] not in FLOORS:
                found.append(f"{where}:{line} imports {name}; import from the room where it stands")
            elif FLOORS[rest[0]] >= FLOORS[room]:
                found.append(f"{where}:{line} imports {name}; {room} stands on floor {FLOORS[room]}")
    return found


def sources() -> list[Path]:
    return sorted(path for path in LIBRARY.rglob("*.py") if "__pycache__" not in path.parts)


def files() -> list[Path]:
    """Every file of the tree that is kept: what git would take, or all that no tool has made."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout.decode().split("\0")
        found = [ROOT / name for name in listed if name]
    except (OSError, subprocess.SubprocessError):
        found = [path for path in ROOT.rglob("*") if not MADE_HERE & set(path.relative_to(ROOT).parts)]
    return sorted(path for path in found if path.is_file())


def run_python(code: str, cwd: Path) -> str:
    """The output of a fresh Python that finds the library in this tree."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); sys.dont_write_bytecode = True\n{code}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=cwd, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# The package's own __init__.py is the door: it knows all rooms.
IN_ROOMS = [source for source in sources() if source.parent != LIBRARY]


@pytest.mark.parametrize("source", IN_ROOMS, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_an_import_points_down_only(source: Path) -> None:
    room = source.relative_to(LIBRARY).parts[0]
    assert room in FLOORS, f"{room} stands on no floor; give it one here and in the description of the house"
    assert wrong_imports(room, source) == []


ABOVE = {  # what the faces must not know of each other
    "LandmarkDetector/Scene": ("qt", "ctk", "qtpy", "PySide6", "LandmarkDetector.Panel", "LandmarkDetectorDesktop"),
    "LandmarkDetector": ("qtpy", "PySide6", "LandmarkDetectorDesktop", "LandmarkDetectorLib.cli"),
    "LandmarkDetectorDesktop": ("PySide6", "LandmarkDetector.Panel", "LandmarkDetectorLib.cli"),
}


@pytest.mark.parametrize("folder", ABOVE)
def test_a_face_imports_nothing_that_stands_above_or_beside_it(folder: str) -> None:
    found = []
    for source in sorted((ROOT / folder).rglob("*.py")):
        for name, line in imports(source, ".".join(source.relative_to(ROOT).parent.parts)):
            if any(name == other or name.startswith(f"{other}.") for other in ABOVE[folder]):
                found.append(f"{source.relative_to(ROOT).as_posix()}:{line} imports {name}")
    assert found == []


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("core", "from LandmarkDetectorLib.io import load_image"),
        ("io", "from LandmarkDetectorLib import evaluation"),
        ("io", "def f():\n    from LandmarkDetectorLib.evaluation.report import render_report"),
        ("heatmaps", "from ..losses import anything"),
        ("training", "import LandmarkDetectorLib.inference.detector"),
        ("inference", "from importlib import import_module\nimport_module('LandmarkDetectorLib.cli.app')"),
        ("inference", "import qt"),
        ("evaluation", "import rich.table"),
        ("cli", "from LandmarkDetectorLib import load_image"),
        ("cli", "import slicer.util"),
    ],
)
def test_an_import_that_points_up_is_found(room: str, line: str) -> None:
    assert len(wrong_imports(room, line)) == 1


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("inference", "from LandmarkDetectorLib.models.unet import UNet"),
        ("io", "from .atomic import atomic_write"),
        ("io", "from ..core import Image"),
        ("cli", "import typer\nfrom LandmarkDetectorLib import __version__"),
    ],
)
def test_an_import_that_points_down_passes(room: str, line: str) -> None:
    assert wrong_imports(room, line) == []


def test_importing_the_package_imports_nothing_heavy_starts_nothing_and_writes_nothing(tmp_path: Path) -> None:
    code = (
        "import threading, multiprocessing\n"
        "done = []\n"
        "sys.addaudithook(lambda event, args: done.append(event) if event in ('subprocess.Popen', 'socket.connect')\n"
        "    or event == 'open' and args[1] and set('wax+') & set(str(args[1])) else None)\n"
        "import LandmarkDetectorLib, LandmarkDetectorLib.core, LandmarkDetectorLib.io, LandmarkDetectorLib.bundles\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "print(heavy, done, threading.active_count() - 1, len(multiprocessing.active_children()))"
    )
    assert run_python(code, tmp_path) == "[] [] 0 0"
    assert list(tmp_path.iterdir()) == []


def test_the_help_of_the_command_line_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "sys.argv = ['landmark-detector', 'detect', '--help']\n"
        "from LandmarkDetectorLib.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n"
        f"    print('ended', end.code, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    assert run_python(code, tmp_path).endswith("ended 0 []")


def test_a_public_name_comes_from_its_room(tmp_path: Path) -> None:
    code = (
        "import LandmarkDetectorLib as library\nfrom LandmarkDetectorLib.core import LandmarkSet\n"
        "assert library.LandmarkSet is LandmarkSet\n"
        "assert set(library.__all__) <= set(dir(library))\n"
        "try:\n    library.keypoints\nexcept AttributeError as error:\n    print(error)"
    )
    assert run_python(code, tmp_path) == "module 'LandmarkDetectorLib' has no attribute 'keypoints'"


def test_every_source_can_be_read_in_one_sitting() -> None:
    python = [path for path in files() if path.suffix == ".py"]
    assert len(python) > 20
    long = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in python}
    assert {name: count for name, count in long.items() if count > LONGEST} == {}


def test_no_file_is_too_large_to_clone() -> None:
    large = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in files()}
    assert {name: size for name, size in large.items() if size > LARGEST} == {}


def test_the_licence_is_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text("utf-8")


def test_nothing_in_the_tree_names_a_place_on_one_machine() -> None:
    # Written in pieces, so that this file does not find itself.
    places = rb"|".join([b"home/" + rb"\w", b"Users/" + rb"\w", b"root" + b"/", b"work" + b"/", b"opt" + b"/"])
    place = re.compile(rb"(?<![\w.~}])/(?:" + places + rb")")
    found = []
    for path in files():
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue  # not text
        lines = data.splitlines()
        found += [f"{path.relative_to(ROOT)}:{n}" for n, line in enumerate(lines, start=1) if place.search(line)]
    assert found == []

"""What Slicer's build and the Extensions Index ask of the extension, asked here first."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest

from Testing.house import list_files

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it where Python has none

ROOT = Path(__file__).resolve().parents[2]
MODULE, LIBRARY = ROOT / "LandmarkDetector", ROOT / "LandmarkDetectorLib"
TOP = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
CATALOG = json.loads((ROOT / "LandmarkDetector.json").read_text(encoding="utf-8"))
BROUGHT = {"numpy", "scipy", "SimpleITK", "pydicom", "PIL", "vtk", "torch"}  # by Slicer and its PyTorch extension
# Rooms that a detection in Slicer never enters: they train, evaluate, or speak to a command line.
ELSEWHERE = {"training", "cli", "evaluation", "datasets"}
# Of the extra "cluster"; imported in functions that nobody calls in Slicer, and refused below like the others.
CLUSTER = {"dask", "distributed", "psutil"}
# Of the extra "report" (Slicer brings highdicom); imported when a file of theirs is written, and refused below too.
REPORTS = {"reportlab", "highdicom"}


def metadata(name: str) -> str:
    """What the extension's CMake file says of itself, with the address of its home put in."""
    match = re.search(rf'set\(EXTENSION_{name} "(.*?)"\)', TOP)
    assert match, f"EXTENSION_{name} is not set"
    return match.group(1)


def pixels(path: Path) -> tuple[int, int]:
    """Width and height of a PNG file."""
    data = path.read_bytes()[:24]
    assert data[:8] == b"\x89PNG\r\n\x1a\n", f"{path.name} is no PNG"
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


@pytest.mark.parametrize("folder", [MODULE, LIBRARY], ids=lambda folder: folder.name)
def test_every_file_is_listed_and_nothing_else(folder):
    listed, there = list_files.in_list(folder / "CMakeLists.txt"), list_files.in_folder(folder)
    assert listed == there, "run Testing/house/list_files.py"


def test_no_cmake_file_finds_files_by_itself():
    for path in (ROOT / "CMakeLists.txt", MODULE / "CMakeLists.txt", LIBRARY / "CMakeLists.txt"):
        assert "GLOB" not in path.read_text(encoding="utf-8")


def test_the_names_agree():
    project = re.search(r"^project\((\w+)\)", TOP, re.MULTILINE)
    assert project and project.group(1) == "LandmarkDetector" == MODULE.name
    assert (ROOT / "LandmarkDetector.json").is_file() and "Slicer" not in project.group(1)
    assert (MODULE / "LandmarkDetector.py").is_file()


def test_the_catalog_entry_holds_what_the_index_knows_and_agrees_with_the_build():
    known = {"$schema", "category", "scm_url", "scm_revision", "scm_type", "build_dependencies"}
    known |= {"build_subdirectory", "enabled", "tier"}
    assert {"$schema", "category", "scm_url"} <= set(CATALOG) <= known and CATALOG["tier"] in (1, 3, 5)
    assert CATALOG["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert CATALOG["category"] == metadata("CATEGORY") == "Quantification"
    assert CATALOG["build_dependencies"] == metadata("DEPENDS").split() == ["PyTorch"]
    assert CATALOG["scm_url"].removesuffix(".git") == metadata("HOMEPAGE")


def test_the_description_is_one_or_two_sentences():
    assert 1 <= len(re.findall(r"[.!?](?:\s|$)", metadata("DESCRIPTION"))) <= 2
    assert metadata("CONTRIBUTORS")


def test_the_icon_is_where_its_address_says_and_as_large_as_asked():
    path = metadata("ICONURL").removeprefix("${EXTENSION_HOMEPAGE}/raw/main/")
    assert pixels(ROOT / path) == (128, 128)
    assert pixels(MODULE / "Resources" / "Icons" / "LandmarkDetector-32.png") == (32, 32)


def test_the_screenshots_are_where_their_addresses_say():
    for address in metadata("SCREENSHOTURLS").split():
        assert pixels(ROOT / address.removeprefix("${EXTENSION_HOMEPAGE}/raw/main/"))[0] >= 800


def test_the_pictures_of_the_guide_are_here_and_small():
    guide = ROOT / "docs" / "clinician-guide.md"
    named = set(re.findall(r"!\[[^]]+\]\(([^)]+)\)", guide.read_text(encoding="utf-8")))
    assert len(named) >= 4
    for name in named:
        assert pixels(guide.parent / name)[0] >= 300 and (guide.parent / name).stat().st_size < 500_000, name


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of scripted modules as Slicer's build installs it, from stand-ins of Slicer's own macros."""
    cmake = shutil.which("cmake")
    if cmake is None or not any(map(shutil.which, ("cc", "gcc", "clang", "cl"))):
        pytest.skip("cmake, or a compiler that its project() looks for, is not on the PATH")
    build, prefix = tmp_path_factory.mktemp("build"), tmp_path_factory.mktemp("installed")
    stand_ins = Path(__file__).parent / "data"
    configure = [cmake, "-S", ROOT, "-B", build, f"-DCMAKE_MODULE_PATH={stand_ins}", f"-DCMAKE_INSTALL_PREFIX={prefix}"]
    for command in (configure, [cmake, "--install", build]):
        made = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert made.returncode == 0, made.stdout + made.stderr
    return prefix / "lib" / "Slicer-5.12" / "qt-scripted-modules"


def test_no_other_file_lies_where_slicer_looks_for_modules():
    """Slicer takes every Python file of that folder for a module, and complains at each start of one that is none."""
    assert [path.name for path in MODULE.glob("*.py")] == ["LandmarkDetector.py"]


def test_the_build_files_configure_and_install(installed):
    assert [path.name for path in installed.glob("*.py")] == ["LandmarkDetector.py"]
    assert (installed / "Panel" / "panel.py").is_file()
    assert (installed / "Resources" / "UI" / "LandmarkDetector.ui").is_file()


def test_the_installed_library_is_imported_from_its_folder_and_loads_its_bundles(installed):
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import LandmarkDetectorLib as library; "
        "bundles = [library.load_bundle(name) for name in ('fetal-head-us', 'mouse-skull-ct')]; "
        "print(library.__file__, len(bundles))"
    )
    made = subprocess.run(
        [sys.executable, "-c", script, installed], capture_output=True, text=True, timeout=120, cwd=installed
    )
    assert made.stdout.split() == [str(installed / "LandmarkDetectorLib" / "__init__.py"), "2"], made.stderr


def test_the_module_finds_the_library_installed_and_in_a_checkout(installed):
    entry = (MODULE / "LandmarkDetector.py").read_text(encoding="utf-8")
    assert "__path__ = [str(HERE)]" in entry and "sys.path.append(str(HERE.parent))" in entry
    for folder in (installed, ROOT):  # beside the module file once installed; beside the module's folder in a checkout
        assert (folder / "LandmarkDetectorLib" / "__init__.py").is_file()


def bounds(lines: list[str]) -> dict[str, str]:
    return {name: version for name, _, version in (line.partition(">=") for line in lines)}


def requirements() -> dict[str, str]:
    lines = (MODULE / "Resources" / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return bounds([line.strip() for line in lines if line.strip() and not line.startswith("#")])


def test_slicer_installs_the_versions_that_the_library_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = bounds(project["dependencies"])
    assert {name: asked.get(name) for name in requirements()} == requirements()
    install = (MODULE / "Panel" / "install.py").read_text(encoding="utf-8")
    assert f'TORCH = "torch>={asked["torch"]}"' in install


def test_detecting_imports_nothing_that_slicer_would_not_have():
    installed_as = {"pyyaml": "yaml"}  # where a package is imported by another name than it is installed by
    listed = {installed_as.get(name, name) for name in requirements()}
    there = BROUGHT | listed | set(sys.stdlib_module_names) | {"LandmarkDetectorLib", "__future__"}
    there |= CLUSTER | REPORTS
    for path in LIBRARY.rglob("*.py"):
        room = path.relative_to(LIBRARY).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if room not in ELSEWHERE else ():
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            wrong = {name.split(".")[0] for name in names} - there
            assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}, which requirements.txt does not list"


def test_a_detection_runs_with_nothing_else_that_could_be_imported():
    """What is installed here for training, the command line and the desktop must not be what makes it run."""
    script = """
import sys

ELSEWHERE = {"ignite", "yaml", "typer", "click", "rich", "matplotlib", "jinja2", "openpyxl", "PySide6", "slicer"}
ELSEWHERE |= {"dask", "distributed", "reportlab", "highdicom"}

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ELSEWHERE:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refused())
from LandmarkDetectorLib import detect, load_bundle, load_image
bundle = load_bundle("fetal-head-us")
print(len(detect(load_image(bundle.samples()[0]), bundle)))
"""
    made = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert made.stdout.split() == ["4"], made.stderr


def test_what_is_kept_is_small_and_its_lines_end_in_one_way():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, timeout=60)
    if listed.returncode:
        pytest.skip("this is no checkout: git knows no files here")
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]
    assert sum(path.stat().st_size for path in files) < 100 * 2**20
    for path in files:
        if path.suffix in (".py", ".txt", ".cmake", ".json", ".ui", ".toml"):
            assert b"\r\n" not in path.read_bytes(), path


class Slicer:
    """A double of what registers samples: Slicer's application while it starts, and its module "Sample Data"."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, starts: bool = True) -> None:
        self.told: list[dict] = []
        self.waiting: list = []
        samples, slicer = types.ModuleType("SampleData"), types.ModuleType("slicer")
        samples.SampleDataLogic = types.SimpleNamespace(
            registerCustomSampleDataSource=lambda **said: self.told.append(said)
        )
        slicer.app = types.SimpleNamespace()
        if starts:
            slicer.app.startupCompleted = types.SimpleNamespace(connect=self.waiting.append)
        for module in (samples, slicer, types.ModuleType("sample_data")):
            monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.syspath_prepend(str(ROOT))
        path = MODULE / "Panel" / "sample_data.py"
        module = sys.modules["sample_data"].__dict__
        module["__file__"] = str(path)
        exec(compile(path.read_text(encoding="utf-8"), path, "exec"), module)
        module["offer"]()


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What the module tells Sample Data, once Slicer has started."""
    slicer = Slicer(monkeypatch)
    assert slicer.told == []
    (started,) = slicer.waiting
    started()
    return slicer.told


def test_where_nothing_tells_of_the_start_no_sample_is_offered(monkeypatch):
    assert Slicer(monkeypatch, starts=False).told == []


def test_every_shipped_bundle_offers_a_sample_that_is_here_with_its_checksum(registered):
    assert len(registered) >= 2
    for said in registered:
        assert urlparse(said["uris"]).scheme == "file"  # nothing is fetched, nothing about the person is sent
        path = Path(url2pathname(urlparse(said["uris"]).path))
        assert path.name == said["fileNames"] and path.name.startswith(said["nodeNames"])
        assert said["loadFileProperties"] == {"singleFile": True}  # numbered neighbours are not its slices
        assert said["checksums"] == "SHA256:" + hashlib.sha256(path.read_bytes()).hexdigest()
        assert pixels(Path(said["thumbnailFileName"])) == (260, 280)


def test_every_sample_has_a_name_of_its_own(registered):
    assert len({said["sampleName"] for said in registered}) == len(registered)

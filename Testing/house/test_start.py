"""The first minute: what start.py makes, mends, leaves alone and says."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parents[2]
SEVERAL = ["--numprocesses=auto", "--maxprocesses=4", "--dist=loadgroup", "--no-loadscope-reorder"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")


@pytest.fixture
def start() -> ModuleType:
    spec = importlib.util.spec_from_file_location("start", ROOT / "start.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with start.py and nothing else of ours; its name has a blank and a letter outside ASCII."""
    root = tmp_path / "Schädel 1"
    (root / "requirements").mkdir(parents=True)
    shutil.copy(ROOT / "start.py", root)
    (root / "pyproject.toml").write_text("[project]\nname = 'none'\n")
    (root / "requirements" / "constraints.txt").write_text("torch==2.13.0\nsetuptools==84.2.1\n")
    return root


@pytest.fixture
def environment(start: ModuleType, project: Path):
    """The environment of the project with pip, the one thing that needs a network, replaced."""

    class WithoutNetwork(start.Environment):
        def __init__(self, root: Path) -> None:
            super().__init__(root)
            self.made = 0
            self.installed: list[tuple[str, ...]] = []
            self.fails = False

        def make(self) -> None:
            self.made += 1
            shutil.rmtree(self.folder, ignore_errors=True)
            venv.create(self.folder, with_pip=False)
            (self.packages / "pip.py").touch()
            self.begun.touch()

        def pip(self, *arguments: str) -> None:
            if self.fails:
                raise start.SetUpError("There is no network.")
            self.installed.append(arguments)
            (self.packages / f"package{len(self.installed)}-1.0.dist-info").mkdir(exist_ok=True)

        def check_imports(self) -> None:
            assert self.installed, "nothing is installed yet"

    return WithoutNetwork(project)


def test_the_second_start_has_nothing_to_do(environment) -> None:
    assert not environment.is_ready(("report",))
    environment.set_up(("report",))
    assert environment.is_ready(("report",))
    assert environment.made == 1


def test_the_versions_and_the_extras_are_asked_of_pip(environment) -> None:
    environment.set_up(("report", "test"))
    assert environment.installed[0] == ("setuptools",)
    assert environment.installed[1][-1] == f"{environment.root}[report,test]"
    assert "--no-build-isolation" in environment.installed[1]


def test_a_set_up_that_was_broken_off_is_made_anew(start: ModuleType, environment) -> None:
    environment.fails = True
    with pytest.raises(start.SetUpError):
        environment.set_up(("report",))
    half = environment.packages / "half_installed.py"
    half.touch()
    assert not environment.is_ready(("report",))
    environment.fails = False
    environment.set_up(("report",))
    assert environment.made == 2
    assert not half.exists()
    assert environment.is_ready(("report",))


def test_an_update_that_was_broken_off_is_made_anew(start: ModuleType, environment) -> None:
    environment.set_up(("report",))
    environment.fails = True
    with pytest.raises(start.SetUpError):
        environment.set_up(("test",))
    assert not environment.is_ready(("report",))
    environment.fails = False
    environment.set_up(("report",))
    assert environment.made == 2


def test_new_requirements_are_installed_in_place(environment) -> None:
    environment.set_up(("report", "test"))
    constraints = environment.root / "requirements" / "constraints.txt"
    constraints.write_text("torch==2.13.0\nnumpy==2.4.6\n")
    assert not environment.is_ready(("report",))
    environment.set_up(("report",))
    assert environment.made == 1
    assert environment.is_ready(("report", "test")), "an extra that was there is kept"


def test_the_tests_need_more_than_the_job(environment) -> None:
    environment.set_up(("report",))
    assert not environment.is_ready(("report", "test"))
    environment.set_up(("report", "test"))
    assert environment.made == 1
    assert environment.is_ready(("report", "test"))


def test_a_package_that_was_removed_is_noticed(environment) -> None:
    environment.set_up(("report",))
    (environment.packages / "package1-1.0.dist-info").rmdir()
    assert not environment.is_ready(("report",))


def test_a_checkout_that_was_moved_is_installed_again(start: ModuleType, environment, tmp_path: Path) -> None:
    environment.set_up(("report",))
    moved = tmp_path / "elsewhere"
    environment.root.rename(moved)
    assert not start.Environment(moved).is_ready(("report",))


@posix
def test_an_environment_of_another_python_is_made_anew(environment) -> None:
    environment.set_up(("report",))
    environment.packages.parent.rename(environment.packages.parent.with_name("python3.9"))
    assert not environment.is_ready(("report",))
    environment.set_up(("report",))
    assert environment.made == 2


@posix
def test_an_environment_whose_python_is_gone_is_made_anew(environment) -> None:
    environment.set_up(("report",))
    environment.python.unlink()
    assert not environment.is_ready(("report",))
    environment.set_up(("report",))
    assert environment.made == 2


@pytest.mark.parametrize("content", ["", "{", "[]", '{"fingerprint": 1}'])
def test_a_stamp_that_is_damaged_counts_as_none(environment, content: str) -> None:
    environment.set_up(("report",))
    environment.stamp.write_text(content)
    assert not environment.is_ready(("report",))


def test_making_replaces_what_stands_there_and_needs_no_network(start: ModuleType, project: Path) -> None:
    environment = start.Environment(project)
    (environment.folder / "lib").mkdir(parents=True)
    (environment.folder / "stray").touch()
    environment.make()
    assert not (environment.folder / "stray").exists()
    assert not environment.is_usable(), "its set-up has not ended"
    environment.begun.unlink()
    assert environment.is_usable()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("Failed to establish a new connection: [Errno -3] Temporary failure in name resolution", "no network"),
        ("NewConnectionError, retrying\nERROR: [Errno 28] No space left on device", "disk is full"),
        ("PermissionError: [Errno 13] Permission denied: 'x'", "cannot be written"),
        ("ERROR: Could not find a version that satisfies the requirement torch", "satisfies the requirement torch"),
    ],
)
def test_what_pip_says_becomes_one_sentence(start: ModuleType, words: str, expected: str) -> None:
    assert expected in start.explain(words, Path("setup.log"))


def fake_system(monkeypatch, start: ModuleType, *, uid: int, has: tuple[str, ...], code: int = 0) -> list:
    ran: list[list[str]] = []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        ran.append(command)
        return SimpleNamespace(returncode=code, stderr="E: no such package\n", stdout="")

    monkeypatch.setattr(start.sys, "platform", "linux")
    monkeypatch.setattr(start.os, "geteuid", lambda: uid, raising=False)
    monkeypatch.setattr(start.shutil, "which", lambda name: name if name in has else None)
    monkeypatch.setattr(start.subprocess, "run", run)
    return ran


@pytest.mark.parametrize(
    ("has", "expected"),
    [
        (("apt-get", "sudo"), "run `sudo apt-get install -y --no-install-recommends python3.11-venv`, then"),
        (("apt-get",), "run `apt-get install -y --no-install-recommends python3.11-venv` as root, then"),
    ],
)
def test_a_missing_system_package_is_named_with_the_line_that_installs_it(
    monkeypatch, start: ModuleType, has: tuple[str, ...], expected: str
) -> None:
    ran = fake_system(monkeypatch, start, uid=1000, has=has)
    with pytest.raises(start.SetUpError, match=f"venv is missing: {expected}"):
        start.install_system_packages(["python3.11-venv"], "Python's venv is missing")
    assert ran == []


def test_root_on_debian_gets_it_installed(monkeypatch, start: ModuleType) -> None:
    ran = fake_system(monkeypatch, start, uid=0, has=("apt-get",))
    start.install_system_packages(["libgl1", "libgomp1"], "Libraries are missing")
    assert ran[0] == ["apt-get", "update", "-qq"]
    assert ran[1:] == [["apt-get", "install", "-y", "--no-install-recommends", "libgl1", "libgomp1"]]


def test_an_installation_that_fails_says_why(monkeypatch, start: ModuleType) -> None:
    fake_system(monkeypatch, start, uid=0, has=("apt-get",), code=100)
    with pytest.raises(start.SetUpError, match="Libraries are missing, and `apt-get .*` failed: E: no such package"):
        start.install_system_packages(["libgomp1"], "Libraries are missing")


def test_elsewhere_the_person_is_told_what_is_missing(monkeypatch, start: ModuleType) -> None:
    fake_system(monkeypatch, start, uid=0, has=())
    with pytest.raises(start.SetUpError, match="Libraries are missing: install"):
        start.install_system_packages(["libgomp1"], "Libraries are missing")


GOMP = "ImportError: libgomp.so.1: cannot open shared object file: No such file or directory"
GL = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"


def imports_that_end(monkeypatch, start: ModuleType, *errors: str, ldd: str = "") -> list[list[str]]:
    """Replace the imports by their errors, one an attempt, and what installs packages by the list returned."""
    answers, asked = iter(errors), []

    def run(command: list[str], **_: object) -> SimpleNamespace:
        stderr = "" if command[0] == "ldd" else next(answers)
        return SimpleNamespace(returncode=1 if stderr else 0, stderr=stderr, stdout=ldd)

    monkeypatch.setattr(start.subprocess, "run", run)
    monkeypatch.setattr(start.shutil, "which", lambda name: name)
    monkeypatch.setattr(start, "install_system_packages", lambda packages, lack: asked.append(packages))
    return asked


def test_a_missing_library_is_found_by_its_package(monkeypatch, start: ModuleType, project: Path) -> None:
    asked = imports_that_end(monkeypatch, start, GOMP, "")
    start.Environment(project).check_imports()
    assert asked == [["libgomp1"]]


def test_all_that_the_window_lacks_is_asked_for_at_once(monkeypatch, start: ModuleType, project: Path) -> None:
    environment = start.Environment(project)
    (environment.packages / "PySide6").mkdir(parents=True)
    (environment.packages / "PySide6" / "QtGui.abi3.so").touch()
    lines = ("libGL.so.1 => not found", "libdbus-1.so.3 => not found", "libc.so.6 => /lib/libc.so.6 (0x1)")
    ours = "libQt6Core.so.6 => not found"  # a wheel's own, not the system's
    asked = imports_that_end(monkeypatch, start, GL, "", ldd="\n\t".join(["QtGui.abi3.so:", *lines, ours]))
    environment.check_imports()
    assert asked == [["libdbus-1-3", "libgl1"]]


@pytest.mark.parametrize("errors", [("ValueError: damaged",), (GOMP, GOMP)])
def test_what_no_system_package_mends_is_made_anew(
    monkeypatch, start: ModuleType, project: Path, errors: tuple[str, ...]
) -> None:
    environment = start.Environment(project)
    environment.folder.mkdir()
    imports_that_end(monkeypatch, start, *errors)
    with pytest.raises(start.SetUpError, match="cannot be imported"):
        environment.check_imports()
    assert environment.begun.exists()


def test_what_was_downloaded_stays_when_only_the_system_lacks_something(
    monkeypatch, start: ModuleType, environment
) -> None:
    def lack() -> None:
        raise start.SetUpError("System libraries are missing.")

    with monkeypatch.context() as patch:
        patch.setattr(environment, "check_imports", lack)
        with pytest.raises(start.SetUpError):
            environment.set_up(("report",))
    assert not environment.is_ready(("report",))
    environment.set_up(("report",))
    assert environment.made == 1
    assert environment.is_ready(("report",))


@pytest.mark.parametrize("version", [(3, 9, 18), (3, 14, 0)])
def test_a_python_that_is_not_supported_is_told_so(monkeypatch, start: ModuleType, version: tuple[int, ...]) -> None:
    monkeypatch.setattr(start, "sys", SimpleNamespace(version_info=version))
    monkeypatch.setattr(start.shutil, "which", lambda name: name if name == "python3.12" else None)
    with pytest.raises(start.SetUpError, match=r"run `python3\.12 start\.py`"):
        start.check_python()


@pytest.mark.parametrize("minor", [10, 11, 12, 13])
def test_the_supported_pythons_pass(monkeypatch, start: ModuleType, minor: int) -> None:
    monkeypatch.setattr(start, "sys", SimpleNamespace(version_info=(3, minor, 0)))
    start.check_python()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], ["-I", "-m", "LandmarkDetectorLib.cli", "demo"]),
        (["test"], ["-m", "pytest", *SEVERAL]),
        (["test", "-k", "core"], ["-m", "pytest", *SEVERAL, "-k", "core"]),
        (["bundles", "list"], ["-I", "-m", "LandmarkDetectorLib.cli", "bundles", "list"]),
        (["--help"], ["-I", "-m", "LandmarkDetectorLib.cli", "--help"]),
    ],
)
def test_what_follows_start_goes_to_the_command_line(start: ModuleType, arguments: list, expected: list) -> None:
    assert start.command_line(Path("python"), arguments) == ["python", *expected]


def job_in(environment, words: str) -> None:
    """Give the project a command line of its own."""
    room = environment.packages / "LandmarkDetectorLib" / "cli"
    room.mkdir(parents=True)
    (room / "__main__.py").write_text(words)


def started(environment, *arguments: str, **options) -> subprocess.CompletedProcess:
    # The base interpreter, as on a person's machine: the one that runs the tests lives in an environment itself.
    python = getattr(sys, "_base_executable", sys.executable)
    command = [python, str(environment.root / "start.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


@pytest.mark.parametrize(
    ("line", "extras"),
    [
        ("", {"report"}),
        ("detect a.nrrd --bundle fundus --output out", {"report"}),
        ("detect scans --bundle fundus --output out --cluster", {"report", "cluster"}),
        ("detect a.nrrd --bundle fundus --output out --engine onnx", {"report", "onnx"}),
        ("detect a.nrrd --bundle fundus --output out --engine=onnx", {"report", "onnx"}),
        ("detect scans --bundle fundus --output out --cluster=tcp://head:8786", {"report", "cluster"}),
        ("bundles export fundus --output onnx-fundus", {"report", "onnx"}),
        ("--debug bundles export fundus --output onnx-fundus", {"report", "onnx"}),
        ("review export store out", {"report"}),
        ("app a.nrrd", {"desktop", "report"}),
    ],
)
def test_what_a_line_of_the_readme_needs_is_installed(start: ModuleType, line: str, extras: set[str]) -> None:
    assert set(start.extras_of(line.split())) == extras


@pytest.mark.parametrize("asked", ["-h", "--help"])
def test_help_comes_before_the_set_up(project: Path, asked: str) -> None:
    told = subprocess.run([sys.executable, str(project / "start.py"), asked], capture_output=True, text=True)
    assert told.returncode == 0 and "start.py app [IMAGE ...]" in told.stdout and told.stderr == ""
    assert not (project / ".venv").exists()


def test_arguments_and_exit_code_are_passed_on(environment, tmp_path: Path) -> None:
    environment.set_up(("report",))
    job_in(environment, "import sys, os\nprint(sys.argv[1:], os.getcwd())\nsys.exit(7)")
    done = started(environment, "detect", "a b", "--json", cwd=tmp_path)
    assert done.returncode == 7
    assert done.stdout.strip() == f"['detect', 'a b', '--json'] {tmp_path}"
    assert done.stderr == ""


def test_a_second_start_adds_less_than_a_second_and_opens_no_socket(environment) -> None:
    environment.set_up(("report",))
    job_in(environment, "")
    source = (environment.root / "start.py").read_text("utf-8")
    watch = "import sys\nsys.addaudithook(lambda event, _: event.startswith('socket.') and sys.exit('a socket'))\n"
    (environment.root / "start.py").write_text(source.replace("import contextlib\n", watch + "import contextlib\n", 1))
    began = time.monotonic()
    done = started(environment, "detect")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 2, "this is start.py and an empty job on a loaded machine"
    assert done.stdout + done.stderr == ""


def test_without_a_network_the_first_start_ends_with_one_sentence(environment) -> None:
    shutil.rmtree(environment.folder, ignore_errors=True)
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1", "PIP_CONFIG_FILE": "/dev/null"}
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    done = started(environment, env={**keep, **nowhere})
    assert done.returncode == 2
    assert "There is no network" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_fresh_copy_sets_itself_up_and_mends_what_was_broken_off(tmp_path: Path) -> None:
    """The whole of it, with the network: broken off by force after some seconds, then left to end, then again."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    command = [getattr(sys, "_base_executable", sys.executable), "start.py", "--version"]
    broken = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    time.sleep(12)
    assert broken.poll() is None, "it ended before it could be broken off"
    broken.kill()
    broken.wait()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("landmark-detector ")
    stamp = json.loads((tmp_path / ".venv" / "landmark-detector.json").read_text())
    assert any(name.startswith("torch-2.13.0") for name in stamp["packages"])
    began = time.monotonic()
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (again.returncode, again.stderr) == (0, "")
    assert time.monotonic() - began < 3

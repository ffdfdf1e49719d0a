#!/usr/bin/env python3
"""Sets LandmarkDetector up beside this file and runs it; needs Python 3.10 to 3.13 and its standard library.

    python3 start.py                  detect the landmarks of the shipped sample; files go to ./output
    python3 start.py app [IMAGE ...]  open the window, with images, DICOM folders, landmarks or a scene
    python3 start.py test [...]       run the tests; what follows goes to pytest
    python3 start.py ANYTHING [...]   run ``landmark-detector ANYTHING [...]``

The environment is ``.venv`` beside this file, with the versions of requirements/constraints.txt. It is made once, made
anew when a set-up was broken off, and brought up to date when the requirements change; any other start looks at a few
files and touches no network. pip's own settings (proxy, index, find-links) hold.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
PYTHONS = ((3, 10), (3, 13))
RUNTIME, APP = ("report",), ("desktop", "report")
TEST = ("cluster", "desktop", "onnx", "report", "test")  # all of them: what nobody tests does not work
IMPORTS = "import numpy, scipy, torch, SimpleITK, pydicom, pydantic, matplotlib"
APP_IMPORTS = """
import ctypes, pathlib, sys
import PySide6.QtWidgets, PySide6.QtUiTools, PySide6.QtTest, PySide6.QtNetwork, PySide6.QtSvg, slicer
if sys.platform.startswith("linux"):  # Qt would only say that it found no platform
    ctypes.CDLL(str(pathlib.Path(PySide6.__file__).parent / "Qt/plugins/platforms/libqxcb.so"))
"""

LIBRARIES = {  # what a wheel may expect of the system, and the Debian package that brings it
    "libstdc++.so.6": "libstdc++6",
    "libgomp.so.1": "libgomp1",
    "libgl.so.1": "libgl1",
    "libegl.so.1": "libegl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libopengl.so.0": "libopengl0",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libdbus-1.so.3": "libdbus-1-3",
    "libgssapi_krb5.so.2": "libgssapi-krb5-2",
    "libxrender.so.1": "libxrender1",
    "libxext.so.6": "libxext6",
    "libsm.so.6": "libsm6",
    "libice.so.6": "libice6",
    "libx11.so.6": "libx11-6",
    "libxt.so.6": "libxt6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libxcb-util.so.1": "libxcb-util1",
    # What a window needs comes at once, since it never lacks alone; VTK opens some of it itself, the cursors too.
    **dict.fromkeys(
        [f"libxcb-{name}" for name in ("cursor.so.0", "icccm.so.4", "image.so.0", "keysyms.so.1", "randr.so.0")]
        + [f"libxcb-{name}" for name in ("render-util.so.0", "shape.so.0", "sync.so.1", "xfixes.so.0", "xkb.so.1")]
        + ["libxcb-render.so.0", "libxcb-shm.so.0", "libxkbcommon-x11.so.0", "libx11-xcb.so.1", "libxcb.so.1"],
        "libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0"
        " libxcb-sync1 libxcb-xfixes0 libxcb-xkb1 libxkbcommon-x11-0 libx11-xcb1 libxcursor1 libegl1 libgl1",
    ),
}

COMPLAINTS = (  # what pip says, and what it means
    (
        r"No space left on device|Errno 28\b",
        "The disk is full: PyTorch and the rest take some gigabytes; free them and start again.",
    ),
    (
        r"Permission denied|Errno 13\b",
        "This folder cannot be written: move the project to a folder of your own and start again.",
    ),
    (
        r"name resolution|getaddrinfo|nodename nor servname|Network is unreachable|NewConnectionError|timed out"
        r"|Max retries exceeded|Connection refused|Cannot connect to proxy",
        "There is no network: the first start downloads the Python packages; connect this machine and start again.",
    ),
)


class SetUpError(Exception):
    """The environment cannot be made; the message is one sentence for the person."""


class Environment:
    """The virtual environment of one checkout.

    Args:
        root: the checkout; ``.venv`` stands in it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / ".venv"
        self.log = self.folder / "setup.log"
        self.stamp = self.folder / "landmark-detector.json"
        self.begun = self.folder / "landmark-detector.begun"
        windows = os.name == "nt"
        self.python = self.folder / ("Scripts/python.exe" if windows else "bin/python")
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        self.packages = self.folder / ("Lib" if windows else f"lib/{version}") / "site-packages"

    def fingerprint(self) -> str:
        """Changes with the requirements, with Python's version and with the place of the checkout."""
        parts = [str(self.root), sys.platform, platform.machine(), "{}.{}".format(*sys.version_info[:2])]
        for name in ("pyproject.toml", "requirements/constraints.txt"):
            parts.append((self.root / name).read_text(encoding="utf-8"))
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()

    def read_stamp(self) -> dict:
        """What the last complete set-up left, or an empty record."""
        try:
            stamp = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return stamp if isinstance(stamp, dict) else {}

    def distributions(self) -> list[str]:
        """The installed packages with their versions, as the names of their records."""
        if not self.packages.is_dir():
            return []
        return sorted(name for name in os.listdir(self.packages) if name.endswith(".dist-info"))

    def is_ready(self, extras: tuple[str, ...]) -> bool:
        """Whether nothing is left to do; looks at files only, starts no process."""
        stamp = self.read_stamp()
        return (
            stamp.get("fingerprint") == self.fingerprint()
            and set(extras) <= set(stamp.get("extras", ()))
            and set(stamp.get("packages", ())) <= set(self.distributions())
            and self.python.exists()
            and not self.begun.exists()
        )

    def is_usable(self) -> bool:
        """Whether .venv is whole as far as it goes, and of this Python's version: then packages are added in place."""
        if self.begun.exists() or not self.packages.is_dir():
            return False
        check = [str(self.python), "-c", "import sys, pip; print(*sys.version_info[:2])"]
        try:
            answer = subprocess.run(check, capture_output=True, text=True, timeout=60, check=True).stdout
        except (OSError, subprocess.SubprocessError):
            return False
        return answer.split() == [str(part) for part in sys.version_info[:2]]

    def set_up(self, extras: tuple[str, ...]) -> None:
        """Make or mend .venv and install this project with its extras.

        Raises:
            SetUpError: Python's venv, the network, the disk or a system library is missing.
        """
        started = time.monotonic()
        usable = self.is_usable()
        if usable:
            say(f"Bringing {self.folder} up to date.")
        else:
            say(f"Setting up {self.folder} (once; some minutes, mostly the download of PyTorch).")
        extras = tuple(sorted({*extras, *(self.read_stamp().get("extras", ()) if usable else ())}))
        if not usable:
            self.make()
        self.stamp.unlink(missing_ok=True)
        self.begun.write_text("This set-up has not ended; start.py makes .venv anew.\n", encoding="utf-8")
        self.pip("setuptools")  # pinned as well, hence no isolated build that would fetch the newest
        self.pip("--no-build-isolation", "--editable", f"{self.root}[{','.join(extras)}]")
        self.begun.unlink()  # what pip does is done: if the system lacks something, the next start goes on from here
        self.check_imports()
        stamp = {"fingerprint": self.fingerprint(), "extras": extras, "packages": self.distributions()}
        self.stamp.write_text(json.dumps(stamp, indent=1), encoding="utf-8")
        say(f"Set up in {time.monotonic() - started:.0f} s.")

    def make(self) -> None:
        """An empty .venv with pip in place of whatever stands there."""
        if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
            install_system_packages(["python{}.{}-venv".format(*sys.version_info[:2])], "Python's venv is missing")
        if self.folder.exists():
            say("Removing a .venv that is incomplete or of another Python.")
            shutil.rmtree(self.folder)
        self.folder.mkdir()
        self.begun.touch()
        making = [sys.executable, "-m", "venv", str(self.folder)]
        result = subprocess.run(making, capture_output=True, text=True)
        if result.returncode:
            lines = (result.stdout + result.stderr).strip().splitlines() or ["no reason given"]
            raise SetUpError(f"Python could not make {self.folder}: {lines[-1]}")

    def pip(self, *arguments: str) -> None:
        """Run ``pip install``; its output goes to the log, one short line of it to the terminal."""
        constraints = self.root / "requirements" / "constraints.txt"
        command = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        command += ["--prefer-binary", "--progress-bar", "off", "--constraint", str(constraints), *arguments]
        environment = {name: value for name, value in os.environ.items() if name not in ("PIP_USER", "PIP_TARGET")}
        lines: list[str] = []
        with self.log.open("a", encoding="utf-8") as log:
            pip = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", env=environment
            )
            for line in pip.stdout or ():
                log.write(line)
                lines.append(line.rstrip())
                show_progress(line)
        show_progress("")
        if pip.wait():
            raise SetUpError(explain("\n".join(lines), self.log))

    def check_imports(self) -> None:
        """Import what was installed, so that a missing system library is named now and not in a traceback later."""
        imports = IMPORTS + (APP_IMPORTS if (self.packages / "PySide6").is_dir() else "")
        asked: set[str] = set()
        while True:
            result = subprocess.run([str(self.python), "-c", imports], capture_output=True, text=True)
            if result.returncode == 0:
                return
            named = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", result.stderr)
            libraries = self.lacking_libraries(named.group(1)) if named else []
            packages = sorted({package for name in libraries for package in LIBRARIES[name.lower()].split()})
            if asked.issuperset(packages):
                self.begun.touch()  # it is nothing that the system lacks; a package may be damaged
                reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
                raise SetUpError(f"The installed packages cannot be imported: {reason}")
            install_system_packages(packages, f"System libraries are missing ({', '.join(libraries)})")
            asked.update(packages)

    def lacking_libraries(self, named: str) -> list[str]:
        """The missing library that an import named, the first it met, and all others that Qt lacks; known ones only."""
        names = [named]
        qt = self.packages / "PySide6"
        parts = [*qt.glob("*.abi3.so"), *qt.glob("Qt/plugins/platforms/libqxcb.so")]
        if parts and shutil.which("ldd"):
            found = subprocess.run(["ldd", *map(str, parts)], capture_output=True, text=True).stdout
            names += re.findall(r"(\S+) => not found", found)
        return sorted(name for name in set(names) if name.lower() in LIBRARIES)


def install_system_packages(packages: list[str], lack: str) -> None:
    """Install Debian packages where we may, else say the line that does.

    Args:
        packages: their names.
        lack: what is missing, as the beginning of a sentence.

    Raises:
        SetUpError: this is not Debian, or we are not root, or apt-get failed.
    """
    if not (sys.platform.startswith("linux") and shutil.which("apt-get")):
        raise SetUpError(f"{lack}: install it with this system's package manager, then start again.")
    line = " ".join(["apt-get install -y --no-install-recommends", *packages])
    if os.geteuid() != 0:
        run = f"`sudo {line}`" if shutil.which("sudo") else f"`{line}` as root"
        raise SetUpError(f"{lack}: run {run}, then start again.")
    say(f"Installing from the system: {' '.join(packages)}.")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], line.split()):
        result = subprocess.run(command, capture_output=True, text=True, env=environment)
    if result.returncode:
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SetUpError(f"{lack}, and `{line}` failed: {reason}")
    importlib.invalidate_caches()


def explain(output: str, log: Path) -> str:
    """One sentence for pip's failure; where we know none, the end of what pip said and where the rest stands."""
    for pattern, sentence in COMPLAINTS:
        if re.search(pattern, output):
            return f"{sentence} (pip's words: {log})"
    tail = "\n".join(f"    {line}" for line in output.splitlines()[-15:])
    return f"pip failed; the whole of its output is in {log}, and it ended so:\n{tail}"


def show_progress(line: str) -> None:
    """Overwrite one line of the terminal with what pip does; an empty line clears it."""
    words = line.strip()
    if not sys.stderr.isatty() or (words and not words.startswith(("Collecting", "Downloading", "Installing"))):
        return
    width = shutil.get_terminal_size().columns - 1
    sys.stderr.write("\r" + words[:width].ljust(width) + ("" if words else "\r"))
    sys.stderr.flush()


def say(sentence: str) -> None:
    """A line to the person, beside the output of the job."""
    print(sentence, file=sys.stderr, flush=True)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Two starts at once do not set up over each other: the second waits. The lock ends with the process."""
    with open(__file__, "rb") as handle:
        if sys.platform == "win32":
            import msvcrt

            handle.seek(1 << 30)  # far behind the end, where the lock keeps nobody from reading
            while True:
                with contextlib.suppress(OSError):  # msvcrt gives up after ten seconds; a set-up takes longer
                    msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
                    break
        else:
            import fcntl

            with contextlib.suppress(OSError):  # some network file systems know no locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def check_python() -> None:
    """Raise SetUpError unless this Python is one that the pinned versions exist for."""
    oldest, newest = PYTHONS
    if oldest <= sys.version_info[:2] <= newest:
        return
    names = [f"python3.{minor}" for minor in range(newest[1], oldest[1] - 1, -1)]
    found = next((name for name in names if shutil.which(name)), None)
    advice = f"run `{found} start.py`" if found else "install Python 3.12 and start again"
    raise SetUpError(f"This is Python {platform.python_version()}, and 3.10 to 3.13 are supported: {advice}.")


def extras_of(arguments: list[str]) -> tuple[str, ...]:
    """What a start needs beside the library itself: the job, the window, the tests, or an engine that is asked for."""
    if arguments[:1] == ["test"]:
        return TEST
    if arguments[:1] == ["app"]:
        return APP
    words = [part for word in arguments if word != "--debug" for part in word.split("=", 1)]  # --engine=onnx is two
    onnx = "onnx" in words or words[:2] == ["bundles", "export"]
    asked = (("cluster", "--cluster" in words), ("onnx", onnx))
    return (*RUNTIME, *(name for name, wanted in asked if wanted))


def command_line(python: Path, arguments: list[str]) -> list[str]:
    """What a start runs in the end."""
    if arguments[:1] == ["test"]:
        # Side by side on a few cores; what a person adds holds against it, such as -n 0.
        # In the order of their names, for the panel's application stays open, and a desktop's own tests come before.
        several = ["--numprocesses=auto", "--maxprocesses=4", "--dist=loadgroup", "--no-loadscope-reorder"]
        return [str(python), "-m", "pytest", *several, *arguments[1:]]
    # -I: neither a folder of the person's nor PYTHONPATH stands before the packages of .venv
    if arguments[:1] == ["app"]:
        return [str(python), "-I", "-m", "LandmarkDetectorDesktop", *arguments[1:]]
    return [str(python), "-I", "-m", "LandmarkDetectorLib.cli", *(arguments or ["demo"])]


def main(arguments: list[str]) -> int:
    """Set up where needed, then become the job; returns the exit code where it cannot."""
    extras = extras_of(arguments)
    if extras == APP and not {"-h", "--help"}.intersection(arguments):
        from LandmarkDetectorDesktop.__main__ import missing_screen

        if missing_screen():  # before minutes of a download
            say(missing_screen())
            return 2
    environment = Environment(ROOT)
    try:
        check_python()
        if not environment.is_ready(extras):
            if arguments[:1] in (["-h"], ["--help"]):  # before minutes of a download
                print(__doc__.strip())
                return 0
            with alone():
                if not environment.is_ready(extras):
                    environment.set_up(extras)
    except SetUpError as error:
        say(str(error))
        return 2
    except OSError as error:
        say(f"The set-up stopped: {error.strerror or error} ({error.filename or environment.folder}).")
        return 2
    except KeyboardInterrupt:
        say("Stopped; the next start makes the set-up anew.")
        return 130
    command = command_line(environment.python, arguments)
    if extras == TEST:
        os.chdir(ROOT)
    if os.name != "nt":
        os.execv(command[0], command)
    with subprocess.Popen(command) as job:  # Windows has no exec that a shell waits for
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # the job has got it too and ends by itself
                return job.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Which Python packages are missing, and how they come into 3D Slicer: at the click, with the person's consent.

torch comes from Slicer's PyTorch extension, which knows the graphics card; the rest by ``slicer.packaging`` (or what
stands for it in Slicer 5.10), which asks the person with the list of packages in view. What Slicer brings itself
(numpy, SimpleITK, ...) is never replaced.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from LandmarkDetector.Panel.texts import _

REQUESTER = "Landmark Detector"
TORCH = "torch>=2.8"
KEPT = ("numpy", "scipy", "SimpleITK", "pydicom", "pillow", "vtk", "torch", "torchvision")
_REFUSED = _("Nothing was installed: detecting needs {packages}; press Install when you want them.")
_LINE = re.compile(r"([A-Za-z0-9][\w.-]*)>=(\d+(?:\.\d+)*)")


class InstallError(RuntimeError):
    """Packages are missing and could not be installed; the message is one sentence for the person."""


class InstallRefused(InstallError):
    """The person said no."""


class Requirements:
    """The packages that detecting needs.

    Args:
        path: a requirements.txt with lower bounds, one ``NAME>=VERSION`` a line; without torch.
        packaging: what checks and installs, with the interface of ``slicer.packaging``; Slicer's own if None.
        torch_logic: what installs torch, with the interface of ``PyTorchUtilsLogic``; that of the extension if None.

    Raises:
        ValueError: a line is written in another way.
    """

    def __init__(self, path: Path | str, packaging: Any = None, torch_logic: Any = None) -> None:
        self.lines = _read(Path(path))
        self._packaging, self._torch_logic = packaging, torch_logic

    def missing(self) -> list[str]:
        """What is not installed, or too old; torch first. Starts no process and imports none of the packages."""
        packaging = self._packaging or slicer_packaging()
        satisfied = packaging.pip_check if packaging is not None else is_satisfied
        return [line for line in (TORCH, *self.lines) if not satisfied(line)]

    def ensure(self) -> None:
        """Install what is missing, the person having been asked; does nothing where nothing is.

        Raises:
            InstallRefused: the person said no.
            InstallError: this Slicer, its extensions or the network do not serve.
        """
        missing = self.missing()
        if not missing:
            return
        packaging = self._packaging or slicer_packaging()
        if packaging is None:
            raise InstallError(
                _(
                    "Python packages are missing ({packages}), and only 3D Slicer can install them here; install them "
                    "with pip."
                ).format(packages=", ".join(missing))
            )
        if TORCH in missing:
            self._ensure_torch()
        rest = [line for line in missing if line != TORCH]
        if rest:
            _install(packaging, rest, _REFUSED)
        importlib.invalidate_caches()
        left = self.missing()
        if left:
            raise InstallError(
                _("These packages are still missing: {packages}; restart Slicer and try again.").format(
                    packages=", ".join(left)
                )
            )

    def _ensure_torch(self) -> None:
        installed = installed_version("torch")
        if installed:  # replacing it under other extensions, maybe loaded, is not ours to do
            raise InstallError(
                _(
                    "PyTorch {version} is too old (needed: {needed}); update it in the module 'PyTorch Utils' and "
                    "restart Slicer."
                ).format(version=installed, needed=TORCH)
            )
        logic = self._torch_logic or _logic_of_extension()
        try:
            torch = logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH.removeprefix("torch"))
        except (subprocess.CalledProcessError, OSError, ImportError, RuntimeError, ValueError) as error:
            raise InstallError(
                _("PyTorch could not be installed ({error}); install it in the module 'PyTorch Utils'.").format(
                    error=error
                )
            ) from error
        if torch is None:
            raise InstallRefused(_("Nothing was installed: detecting needs PyTorch; press Install when you want it."))


class Extras:
    """Packages that only some things need: they are installed when one of these is asked for.

    Args:
        packaging: what checks and installs, with the interface of ``slicer.packaging``; Slicer's own if None.
    """

    def __init__(self, packaging: Any = None) -> None:
        self._packaging = packaging

    def how(self, what: str, lines: Sequence[str]) -> str:
        """One sentence: what is missing for what, and how it comes here.

        Args:
            what: needs the packages; begins the sentence.
            lines: the packages, ``NAME>=VERSION``.
        """
        if self._packaging or slicer_packaging():
            text = _("{what} needs {packages}, not installed yet; Export asks whether to install it.")
            return text.format(what=what, packages=", ".join(lines))
        text = _("{what} needs {names}, not installed here; run: python -m pip install {packages}")
        names = _(" and ").join(line.partition(">")[0] for line in lines)
        return text.format(what=what, names=names, packages=" ".join(f'"{line}"' for line in lines))

    def ensure(self, what: str, lines: Sequence[str]) -> None:
        """Install what is missing, the person having been asked.

        Raises:
            InstallRefused: the person said no.
            InstallError: it is not for us to install here, or pip did not serve; one sentence says what to do.
        """
        packaging = self._packaging or slicer_packaging()
        if packaging is None:
            raise InstallError(self.how(what, lines))
        refused = _("Nothing was written: {what} needs {packages}; choose another format, or install what is missing.")
        _install(packaging, list(lines), refused.replace("{what}", what))
        importlib.invalidate_caches()


def slicer_packaging() -> Any:
    """``slicer.packaging``, or what does its work where Slicer has none; ``None`` outside Slicer."""
    try:
        return importlib.import_module("slicer.packaging")
    except ImportError:
        slicer = sys.modules.get("slicer")
        # The wheel slicer-core, with or without a window of its own, has no Python of its own to install into.
        has_application = slicer is not None and hasattr(getattr(slicer, "app", None), "slicerHome")
        if slicer is None or not has_application or "slicer_core" in sys.modules:
            return None
        from LandmarkDetector.Panel.old_packaging import OldPackaging

        return OldPackaging(slicer.util, is_satisfied)


def installed_version(name: str) -> str:
    """The version of an installed distribution, empty without one."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def is_satisfied(line: str) -> bool:
    """Whether a distribution is there that is no older than a line ``NAME>=VERSION`` asks.

    Raises:
        ValueError: the line is written in another way.
    """
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"{line!r} is no requirement of the form NAME>=VERSION.")
    name, needed = match.groups()
    found = re.match(r"\d+(?:\.\d+)*", installed_version(name))  # 2.8.0+cu128 and 2.8.0a0 count as 2.8.0
    return found is not None and _numbers(found.group()) >= _numbers(needed)


def _numbers(version: str) -> tuple[int, ...]:
    """``(2, 8)`` for "2.8.0": zeros at the end say nothing."""
    parts = [int(part) for part in version.split(".")]
    while len(parts) > 1 and parts[-1] == 0:
        parts.pop()
    return tuple(parts)


def _read(path: Path) -> list[str]:
    lines = [line.partition("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    lines = [line for line in lines if line]
    for line in lines:
        match = _LINE.fullmatch(line)
        if match is None or match.group(1).lower() in {name.lower() for name in KEPT}:
            raise ValueError(f"{path.name}: {line!r} must be NAME>=VERSION, and nothing that Slicer or PyTorch bring.")
    return lines


def _install(packaging: Any, lines: list[str], refused: str) -> None:
    """Have ``slicer.packaging`` ask and install, with everything held that must stay as it is.

    monai asks for torch, and pip would rather fetch another torch from its index than fail. The constraints name the
    versions that are there (also of what Slicer brings), so that pip keeps them or stops, and never replaces one.
    """
    versions = {name: installed_version(name) for name in KEPT}
    with tempfile.TemporaryDirectory(prefix="landmark-detector-") as folder:
        held = Path(folder) / "constraints.txt"
        held.write_text("".join(f"{name}=={version}\n" for name, version in versions.items() if version), "utf-8")
        try:
            packaging.pip_ensure(lines, constraints=str(held), requester=REQUESTER)
        except subprocess.CalledProcessError as error:
            raise InstallError(
                _(
                    "pip could not install {packages}; look at the messages in Slicer's Python console, check the "
                    "network and try again."
                ).format(packages=", ".join(lines))
            ) from error
        except RuntimeError as error:  # how slicer.packaging says that the person declined
            raise InstallRefused(refused.format(packages=", ".join(lines))) from error


def _logic_of_extension() -> Any:
    """What installs torch, from Slicer's PyTorch extension."""
    try:
        return importlib.import_module("PyTorchUtils").PyTorchUtilsLogic()
    except ImportError as error:
        raise InstallError(
            _(
                "PyTorch is missing: install the extension 'PyTorch' in Slicer's Extensions Manager, restart Slicer "
                "and try again."
            )
        ) from error

"""Packages come into Slicer only with the person's consent, and nothing that is there is replaced."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest

MODULE = Path(__file__).resolve().parents[2] / "LandmarkDetector"


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Panel/install.py on its own, in a world without Slicer."""
    texts = types.ModuleType("LandmarkDetector.Panel.texts")
    texts._ = lambda text: text
    monkeypatch.setitem(sys.modules, "LandmarkDetector.Panel.texts", texts)
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)  # importing it raises, as in Slicer 5.10
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    monkeypatch.setitem(sys.modules, "slicer", types.SimpleNamespace())
    monkeypatch.delitem(sys.modules, "slicer_core", raising=False)
    spec = importlib.util.spec_from_file_location("install_under_test", MODULE / "Panel" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Packaging:
    """A double of slicer.packaging: what is installed, what the person answers, and what was asked for."""

    def __init__(self, *installed: str, answer: Exception | None = None, works: bool = True) -> None:
        self.installed, self.answer, self.works = set(installed), answer, works
        self.asked: list[list[str]] = []
        self.constraints = ""
        self.requester = ""

    def pip_check(self, line: str) -> bool:
        return line in self.installed

    def pip_ensure(self, lines: list[str], constraints: str, requester: str) -> None:
        self.asked.append(list(lines))
        self.constraints, self.requester = Path(constraints).read_text(encoding="utf-8"), requester
        if self.answer:
            raise self.answer
        if self.works:
            self.installed.update(lines)


class Torch:
    """A double of PyTorchUtilsLogic."""

    def __init__(self, packaging: Packaging, gives: Any = "torch", error: Exception | None = None) -> None:
        self.packaging, self.gives, self.error = packaging, gives, error
        self.asked: list[dict[str, Any]] = []

    def installTorch(self, **arguments: Any) -> Any:
        self.asked.append(arguments)
        if self.error:
            raise self.error
        if self.gives is not None:
            self.packaging.installed.add("torch>=2.8")
        return self.gives


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text("# what for\nmonai>=1.6.1\n\npydantic>=2.7  # cards\n", encoding="utf-8")
    return path


def without_torch(install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"numpy": "2.4.0", "SimpleITK": "2.5.0"}
    monkeypatch.setattr(install, "installed_version", lambda name: versions.get(name, ""))


def test_what_is_missing_is_asked_of_slicer_line_by_line(install, path):
    assert install.Requirements(path, Packaging("torch>=2.8", "pydantic>=2.7")).missing() == ["monai>=1.6.1"]
    assert install.Requirements(path, Packaging()).missing() == ["torch>=2.8", "monai>=1.6.1", "pydantic>=2.7"]


def test_where_nothing_is_missing_nobody_is_asked(install, path):
    packaging = Packaging("torch>=2.8", "monai>=1.6.1", "pydantic>=2.7")
    install.Requirements(path, packaging).ensure()
    assert packaging.asked == []


def test_the_rest_is_installed_after_torch_and_in_our_name(install, path, monkeypatch):
    without_torch(install, monkeypatch)
    packaging = Packaging()
    torch = Torch(packaging)
    install.Requirements(path, packaging, torch).ensure()
    assert torch.asked == [{"askConfirmation": True, "torchVersionRequirement": ">=2.8"}]
    assert packaging.asked == [["monai>=1.6.1", "pydantic>=2.7"]] and packaging.requester == "Landmark Detector"


def test_pip_may_not_replace_torch_nor_what_slicer_brings(install, path, monkeypatch):
    versions = {"numpy": "2.4.0", "SimpleITK": "2.5.0", "torch": "2.8.0+cu128", "monai": "1.5"}
    monkeypatch.setattr(install, "installed_version", lambda name: versions.get(name, ""))
    packaging = Packaging("torch>=2.8")
    install.Requirements(path, packaging).ensure()
    assert packaging.constraints == "numpy==2.4.0\nSimpleITK==2.5.0\ntorch==2.8.0+cu128\n"


def test_a_person_who_says_no_is_told_what_is_needed(install, path):
    packaging = Packaging("torch>=2.8", answer=RuntimeError("User declined package installation"))
    with pytest.raises(install.InstallRefused, match=r"^Nothing was installed: detecting needs monai>=1\.6\.1, pyd"):
        install.Requirements(path, packaging).ensure()


def test_a_person_who_wants_no_torch_is_not_asked_for_the_rest(install, path, monkeypatch):
    without_torch(install, monkeypatch)
    packaging = Packaging()
    with pytest.raises(install.InstallRefused, match="PyTorch"):
        install.Requirements(path, packaging, Torch(packaging, gives=None)).ensure()
    assert packaging.asked == []


def test_pip_that_fails_is_reported(install, path):
    packaging = Packaging("torch>=2.8", answer=subprocess.CalledProcessError(1, "pip install"))
    with pytest.raises(install.InstallError, match="pip could not install monai") as error:
        install.Requirements(path, packaging).ensure()
    assert not isinstance(error.value, install.InstallRefused)


def test_an_install_that_changed_nothing_is_reported(install, path):
    with pytest.raises(install.InstallError, match="still missing: monai"):
        install.Requirements(path, Packaging("torch>=2.8", works=False)).ensure()


def test_torch_that_cannot_be_installed_is_reported(install, path, monkeypatch):
    without_torch(install, monkeypatch)
    packaging = Packaging()
    with pytest.raises(install.InstallError, match="no network"):
        install.Requirements(path, packaging, Torch(packaging, error=OSError("no network"))).ensure()


def test_the_missing_extension_is_named(install, path, monkeypatch):
    without_torch(install, monkeypatch)
    with pytest.raises(install.InstallError, match="install the extension 'PyTorch' in Slicer's Extensions Manager"):
        install.Requirements(path, Packaging()).ensure()


def test_a_torch_that_is_too_old_is_left_alone(install, path, monkeypatch):
    monkeypatch.setattr(install, "installed_version", lambda name: "2.3.1")
    packaging = Packaging()
    torch = Torch(packaging)
    with pytest.raises(install.InstallError, match=r"PyTorch 2\.3\.1 is too old \(needed: torch>=2\.8\)"):
        install.Requirements(path, packaging, torch).ensure()
    assert torch.asked == [] and packaging.asked == []


def test_outside_slicer_nothing_is_installed(install, path, monkeypatch):
    without_torch(install, monkeypatch)
    with pytest.raises(install.InstallError, match=r"only 3D Slicer can install them here"):
        install.Requirements(path).ensure()


class Util:
    """A double of slicer.util as Slicer 5.10 has it."""

    def __init__(self, versions: dict[str, str], says: bool) -> None:
        self.versions, self.says = versions, says
        self.questions: list[str] = []
        self.installed: list[list[str]] = []
        self.constraints = ""

    def confirmOkCancelDisplay(self, text: str) -> bool:
        self.questions.append(text)
        return self.says

    def pip_install(self, arguments: list[str]) -> None:
        self.installed.append(arguments[:-2])
        assert arguments[-2] == "--constraint"
        self.constraints = Path(arguments[-1]).read_text(encoding="utf-8")
        self.versions.update({line.split(">=")[0]: line.split(">=")[1] for line in arguments[:-2]})


@pytest.fixture
def old_slicer(install, monkeypatch):
    """Slicer 5.10, where slicer.packaging is not there yet and torch is."""

    def make(says: bool) -> Util:
        versions = {"torch": "2.9.0"}
        util, application = Util(versions, says), types.SimpleNamespace(slicerHome="somewhere")
        monkeypatch.setattr(install, "installed_version", lambda name: versions.get(name, ""))
        monkeypatch.setitem(sys.modules, "slicer", types.SimpleNamespace(util=util, app=application))
        return util

    return make


def test_slicer_5_10_asks_and_installs_by_its_own_pip(install, path, old_slicer):
    util = old_slicer(says=True)
    install.Requirements(path).ensure()
    assert util.installed == [["monai>=1.6.1", "pydantic>=2.7"]] and util.constraints == "torch==2.9.0\n"
    assert "monai>=1.6.1" in util.questions[0]


def test_in_slicer_5_10_too_a_person_may_say_no(install, path, old_slicer):
    util = old_slicer(says=False)
    with pytest.raises(install.InstallRefused, match="Nothing was installed"):
        install.Requirements(path).ensure()
    assert util.installed == []


def test_without_slicer_the_installed_distributions_are_looked_at(install, path, monkeypatch):
    versions = {"torch": "2.10.0+cpu", "monai": "1.6.1", "pydantic": "2.6.4"}
    monkeypatch.setattr(install, "installed_version", lambda name: versions.get(name, ""))
    assert install.Requirements(path).missing() == ["pydantic>=2.7"]


@pytest.mark.parametrize(
    ("installed", "line", "satisfied"),
    [
        ("1.6.1", "monai>=1.6.1", True),
        ("1.10", "monai>=1.9", True),
        ("1.6", "monai>=1.6.1", False),
        ("2.8", "torch>=2.8.0", True),
        ("2.8.0a0+nv25.9", "torch>=2.8", True),
        ("", "monai>=1.6.1", False),
    ],
)
def test_versions_are_compared_as_numbers(install, monkeypatch, installed, line, satisfied):
    monkeypatch.setattr(install, "installed_version", lambda _name: installed)
    assert install.is_satisfied(line) is satisfied


def test_what_is_really_here_counts(install):
    assert install.is_satisfied("pytest>=8.2") and not install.is_satisfied("pytest>=999")
    assert not install.is_satisfied("landmark-detector-that-is-not>=1")


def test_a_requirement_that_slicer_or_pytorch_bring_is_refused(install, tmp_path):
    path = tmp_path / "requirements.txt"
    for line in ("torch>=2.8", "numpy>=2", "simpleitk>=2.3", "monai==1.6.1", "monai", "-r other.txt"):
        path.write_text(line + "\n", encoding="utf-8")
        with pytest.raises(ValueError, match="NAME>=VERSION"):
            install.Requirements(path)


def test_the_shipped_list_can_be_read(install):
    lines = install.Requirements(MODULE / "Resources" / "requirements.txt").lines
    assert lines and all(">=" in line for line in lines)


def test_the_desktop_on_slicer_core_is_not_taken_for_slicer(install, monkeypatch):
    application = types.SimpleNamespace(slicerHome="somewhere")
    monkeypatch.setitem(sys.modules, "slicer", types.SimpleNamespace(util=object(), app=application))
    assert install.slicer_packaging() is not None
    monkeypatch.setitem(sys.modules, "slicer_core", types.ModuleType("slicer_core"))
    assert install.slicer_packaging() is None


def test_what_only_some_formats_need_is_installed_when_one_is_asked_for(install):
    packaging = Packaging(answer=RuntimeError("declined"))
    extras = install.Extras(packaging)
    assert extras.how("Report (.pdf)", ["reportlab>=4.0"]) == (
        "Report (.pdf) needs reportlab>=4.0, not installed yet; Export asks whether to install it."
    )
    with pytest.raises(install.InstallRefused, match=r"^Nothing was written: Report \(\.pdf\) needs reportlab>=4\.0; "):
        extras.ensure("Report (.pdf)", ["reportlab>=4.0"])
    packaging.answer = None
    extras.ensure("Report (.pdf)", ["reportlab>=4.0"])
    assert packaging.asked[-1] == ["reportlab>=4.0"]


def test_outside_slicer_one_sentence_names_the_packages_and_the_command(install):
    with pytest.raises(install.InstallError) as told:
        install.Extras().ensure("Report (.html)", ["matplotlib>=3.8", "jinja2>=3.1"])
    assert str(told.value) == (
        "Report (.html) needs matplotlib and jinja2, not installed here; "
        'run: python -m pip install "matplotlib>=3.8" "jinja2>=3.1"'
    )

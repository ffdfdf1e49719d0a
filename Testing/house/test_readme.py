"""The README, .ci/run and the pinned versions say the same."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
CONSTRAINTS = (ROOT / "requirements" / "constraints.txt").read_text("utf-8")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements() -> list[str]:
    project = PROJECT["project"]
    return [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]


def pinned() -> dict[str, list[str]]:
    versions: dict[str, list[str]] = {}
    for line in CONSTRAINTS.splitlines():
        if line and not line.startswith("#"):
            name, version = line.split(";")[0].strip().split("==")
            versions.setdefault(normal(name), []).append(version)
    return versions


def test_ci_runs_the_readmes_own_test_command() -> None:
    block = re.search(r"<!-- the command that \.ci/run runs -->\n```sh\n(.*?)\n```", README, re.DOTALL)
    assert block is not None
    lines = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    tests = [line for line in lines if line.startswith("python3 start.py test") and "--version" not in line]
    assert tests == [f"{block.group(1)} || failed=$?"]
    assert lines[-1] == 'exit "$failed"' and lines[-2] == tests[0], "pytest's closing line is the last that is printed"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no executable bit")
def test_ci_can_be_run() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_every_dependency_is_pinned() -> None:
    names = {normal(re.split(r"[<>=!~ ;\[]", line)[0]) for line in requirements()}
    assert names - set(pinned()) == set()


def test_torch_is_pinned_to_one_version_everywhere() -> None:
    assert pinned()["torch"] == ["2.13.0"]


def test_the_lock_names_no_index_and_no_local_file() -> None:
    assert "://" not in CONSTRAINTS
    assert all("==" in line for line in CONSTRAINTS.splitlines() if line and not line.startswith("#"))


def test_the_lock_says_how_it_is_made() -> None:
    assert "uv pip compile --universal --python-version 3.10" in CONSTRAINTS[:400]


@pytest.mark.parametrize("line", requirements())
def test_a_dependency_has_a_lower_bound_and_no_upper_one(line: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.-]+>=[0-9][0-9.]*(,!=[0-9][0-9.]*)*", line)


@pytest.mark.parametrize("path", re.findall(r"`((?:LandmarkDetectorLib|requirements|\.ci)/[^`]*)`", README))
def test_a_path_in_the_readme_exists(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize("line", re.findall(r"^(?:landmark-detector|python3 start\.py) .*", README, re.MULTILINE))
def test_a_command_in_the_readme_exists(line: str) -> None:
    from typer.main import get_command

    from LandmarkDetectorLib.cli.app import app

    words = line.split("#")[0].split()
    words = words[1:] if words[0] == "landmark-detector" else words[2:]
    if words[0] in ("app", "test"):  # of start.py, not of the command line
        return
    command = get_command(app)
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in words if word.startswith("--")} <= known

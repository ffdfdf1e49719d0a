"""How commands end, seen from outside: exit codes, one sentence on stderr, never a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.text import Text

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.cli import console, main

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "LandmarkDetectorLib.cli"]


def outside(*words: str | Path, **options) -> subprocess.CompletedProcess:
    command = [*COMMAND, *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", env=environment, timeout=120, **options
    )


def test_bad_input_ends_with_code_2_and_one_sentence(toy_bundle: Path, tmp_path: Path) -> None:
    done = outside("detect", "nowhere.nii.gz", "--bundle", "no-such-bundle", "--output", "out", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ") and done.stderr.endswith(".\n") and done.stderr.count("\n") == 1
    assert "no-such-bundle" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_where_it_came_from_and_may_stand_anywhere(tmp_path: Path) -> None:
    for words in (("--debug", "bundles", "show", "nothing"), ("bundles", "show", "nothing", "--debug")):
        done = outside(*words, cwd=tmp_path)
        assert done.returncode == 2 and "Traceback" in done.stderr and "BundleError" in done.stderr


@pytest.mark.parametrize(
    "words",
    [("detect", "a.nii.gz"), ("no-such-command",), ("--no-such-option",), ("bundles", "list", "--no-such-option")],
)
def test_a_line_that_is_wrong_ends_in_one_sentence(run, refused, words: tuple[str, ...]) -> None:
    assert "--help" in refused(run(*words))


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("detect a.nrrd --bundle b", ("--output", "")),
        ("detect a.nrrd --bundle b", ("--output=",)),
        ("measure a.csv --set spine", ("--output", "")),
        ("train r.yaml --data .", ("--output=",)),
        ("import afids .", ("--output", "")),
        ("demo", ("--output", "")),
        ("compare a b --data .", ("--html", "")),
    ],
)
def test_an_empty_place_is_refused_and_nothing_goes_into_the_folder_one_is_in(
    run, refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    option = words[0].rstrip("=")
    assert refused(run(*command.split(), *words)) == f"Error: {option} is empty; write a file or a folder behind it."
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["-a.nrrd", "-head.nrrd", "--a.nrrd"])
def test_a_file_whose_name_begins_with_a_dash_is_not_taken_for_an_option(
    run, refused, volume, detectors, toy_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    volume(tmp_path / name)
    said = refused(run("detect", name, "--bundle", toy_bundle, "--output", "out"))
    assert said == f"Error: {name} begins with a dash, as options do; if the file is meant, write ./{name}."
    for words in ((f"./{name}", "--bundle", toy_bundle), ("--bundle", toy_bundle, "--overwrite", "--", name)):
        done = run("detect", "--output", "out", *words)
        assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / f"{name.removesuffix('.nrrd')}.csv").is_file()


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("detect", "--help"), ("bundles", "import", "--help")])
def test_help_is_given(run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 0 and "Usage" in result.stdout


def test_the_version_is_printed(run) -> None:
    assert run("--version").stdout == f"landmark-detector {__version__}\n"


def test_json_is_standard_json(capsys: pytest.CaptureFixture) -> None:
    console.print_json({"name": "Schädel"})
    assert json.loads(capsys.readouterr().out) == {"name": "Schädel"}
    with pytest.raises(ValueError):
        console.print_json({"mean": float("nan")})


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_terminal_without_unicode_gets_its_answer_all_the_same(toy_bundle: Path, encoding: str) -> None:
    shown = outside("bundles", "show", toy_bundle, env={"PYTHONIOENCODING": encoding})
    assert (shown.returncode, shown.stderr) == (0, "") and "Made for tests ? nothing else." in shown.stdout
    document = outside("bundles", "show", toy_bundle, "--json", env={"PYTHONIOENCODING": encoding})
    assert json.loads(document.stdout)["card"]["description"] == "Made for tests → nothing else."


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_has_seen_enough_is_no_error(toy_bundle: Path) -> None:
    command = [*COMMAND, "bundles", "show", str(toy_bundle), "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert "Traceback" not in said and "Error" not in said


def test_progress_says_the_stage_and_the_time_left_now_and_then(capsys: pytest.CaptureFixture, monkeypatch) -> None:
    clock = iter([0.0, 1.0, 20.0, 21.0, 40.0])
    monkeypatch.setattr(console.time, "monotonic", lambda: next(clock))
    with console.Steps("skull") as steps:
        steps("coarse", 0.1)  # after 1 s: too early to say
        steps("coarse", 0.2)  # after 20 s
        steps("patches", 0.5)
        steps("patches", 0.8)  # after 40 s
    said = capsys.readouterr().err.splitlines()
    assert said == ["skull: coarse, 20%, 80 s left", "skull: patches, 80%, 10 s left"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_from_outside_ends_with_130(tmp_path: Path) -> None:
    program = (
        "import signal, sys, time\nimport LandmarkDetectorLib.bundles as bundles\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # whoever runs the tests may have it ignored
        "def wait(name):\n    print('waiting', flush=True)\n    time.sleep(60)\n"
        "bundles.load_bundle = wait\n"
        "sys.argv = ['landmark-detector', 'bundles', 'show', 'x']\n"
        "from LandmarkDetectorLib.cli import main\nmain()"
    )
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "Cancelled; what was finished before stays.\n")
    assert time.monotonic() - began < 2


def test_ctrl_c_while_the_commands_are_still_coming_ends_with_130(monkeypatch, capsys) -> None:
    class Interrupted:
        def __getattr__(self, name: str):
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "LandmarkDetectorLib.cli.app", Interrupted())
    with pytest.raises(SystemExit) as end:
        main()
    assert (end.value.code, capsys.readouterr().err) == (130, "Cancelled; nothing was written.\n")


def test_a_text_from_a_file_does_not_command_the_terminal(capsys) -> None:
    from rich.table import Table

    from LandmarkDetectorLib.cli.console import results, say

    evil = "a\x1b]0;mine\x07\x1b[31mb\x9b2J\r\u202etxt.exe"
    table = Table("label")
    table.add_row(Text(evil))
    say(evil)
    results.print(table)
    said = "".join(capsys.readouterr())
    assert said.count("mine") == 2 and not set(said) & set("\x1b\x07\x9b\r\u202e")

"""landmark-detector bundles, with real bundles in a folder of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from unittest.mock import Mock

import pytest
import typer

from LandmarkDetectorLib.bundles import load_bundle, write_bundle
from LandmarkDetectorLib.bundles.versions import promote_bundle


@pytest.fixture
def imported(run, toy_bundle: Path) -> None:
    result = run("bundles", "import", toy_bundle)
    assert result.exit_code == 0, result.output
    assert "--bundle toy-skull" in result.stderr


def test_an_imported_bundle_is_listed_shown_verified_and_removed(run, imported) -> None:
    listed = json.loads(run("bundles", "list", "--json").stdout)
    toy = next(bundle for bundle in listed if bundle["name"] == "toy-skull")
    assert toy["version"] == "1.2.3" and toy["landmarks"] == ["nasion", "basion", "inion"]
    assert "toy-skull" in run("bundles", "list").stdout
    shown = run("bundles", "show", "toy-skull")
    assert "Three landmarks of a toy" in shown.stdout and "Nobody." in shown.stdout
    verified = run("bundles", "verify", "toy-skull")
    assert verified.exit_code == 0 and "SHA-256" in verified.stdout
    removed = run("bundles", "remove", "toy-skull", "--yes")
    assert removed.exit_code == 0 and removed.stderr.strip() == "Removed toy-skull."
    assert all(bundle["name"] != "toy-skull" for bundle in json.loads(run("bundles", "list", "--json").stdout))


def test_every_answer_can_be_read_by_a_program(run, toy_bundle: Path) -> None:
    fingerprint = json.loads(run("bundles", "import", toy_bundle, "--json").stdout)["fingerprint"]
    shown = json.loads(run("bundles", "show", "toy-skull", "--json").stdout)
    assert shown["fingerprint"] == fingerprint and shown["card"]["intended_use"] == "Tests."
    verified = json.loads(run("bundles", "verify", "toy-skull", "--json").stdout)
    assert verified["sound"] is True and any(fingerprint in check for check in verified["checks"])
    assert json.loads(run("bundles", "remove", "toy-skull", "--json").stdout) == {"removed": "toy-skull"}


def test_an_altered_bundle_is_refused_and_nothing_is_imported(run, refused, toy_bundle: Path, tmp_path: Path) -> None:
    altered = tmp_path / "altered"
    shutil.copytree(toy_bundle, altered)
    (altered / "configs" / "card.json").write_text("{}")
    assert "card.json" in refused(run("bundles", "verify", altered))
    refused(run("bundles", "import", altered))
    assert all(bundle["name"] != "toy-skull" for bundle in json.loads(run("bundles", "list", "--json").stdout))


def test_an_address_without_a_sha256_is_refused_before_anything_is_fetched(run, refused, monkeypatch) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was asked"))
    assert "--sha256" in refused(run("bundles", "import", "https://example.org/bundle.zip"))


def test_a_bundle_that_is_not_there_cannot_be_removed(run, refused) -> None:
    assert "nothing-like-it" in refused(run("bundles", "remove", "nothing-like-it"))


def test_a_person_at_a_terminal_is_asked_before_a_bundle_goes(run, imported, monkeypatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("LandmarkDetectorLib.cli.bundles.at_a_terminal", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda question, **_: asked.append(question))  # answers None: no
    result = run("bundles", "remove", "toy-skull")
    assert (result.exit_code, result.stderr.strip()) == (130, "Cancelled; nothing was removed.")
    assert len(asked) == 1 and "toy-skull" in asked[0]
    monkeypatch.setattr("typer.confirm", Mock(side_effect=typer.Abort))  # so it answers Ctrl-C
    assert run("bundles", "remove", "toy-skull").exit_code == 130
    assert run("bundles", "verify", "toy-skull").exit_code == 0


def test_history_tells_two_bundles_of_one_version_apart_and_return_takes_either(
    run, refused, toy_bundle: Path, tmp_path: Path
) -> None:
    first = promote_bundle(toy_bundle, {"by": "Anna"})
    known = load_bundle(toy_bundle)
    card, weights = known.card.model_copy(update={"title": "Another toy"}), known.state_dict()
    other = write_bundle(tmp_path / "x", card=card, settings={}, state_dict=weights, licence_text="CC0")
    second = promote_bundle(other.folder, {"by": "Ben"})
    shown = run("bundles", "history", "toy-skull").stdout
    assert first.fingerprint[:8] in shown and second.fingerprint[:8] in shown
    assert "say which by" in refused(run("bundles", "return", "toy-skull", "--to", "1.2.3"))
    back = run("bundles", "return", "toy-skull", "--to", first.fingerprint[:8], "--json")
    assert json.loads(back.stdout)["fingerprint"] == first.fingerprint

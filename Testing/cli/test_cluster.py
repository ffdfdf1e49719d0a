"""landmark-detector detect --cluster: what is a batch, where it runs, how it ends. The cluster is a double."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.cli.endings import _with_local_cluster
from LandmarkDetectorLib.core import Cancelled
from LandmarkDetectorLib.inference import cluster
from LandmarkDetectorLib.inference.batch import Batch, Row
from LandmarkDetectorLib.inference.cluster_worker import Order


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the cluster was asked for; an image called bad fails."""
    seen: dict[str, Any] = {}

    @contextmanager
    def client(address: str, workers: int | None) -> Iterator[str]:
        seen.update(address=address, workers=workers)
        yield "client"

    def run(batch: Batch, client: str, order: Order, progress: Any, cancelled: Any) -> list[Row]:
        seen.update(batch=batch, order=order)
        progress(1, 2)
        if seen.get("interrupt"):
            signal.raise_signal(signal.SIGINT)
            assert cancelled()
            raise Cancelled("The batch was cancelled; 1 of 2 images are through.")
        ends = {"bad": Row("bad", "failed", 0.1, error="bad.nii: it is empty.")}
        return [ends.get(source.name, Row(source.name, "done", 0.1, 3, 3)) for source in batch.sources]

    monkeypatch.setattr(cluster, "cluster_client", client)
    monkeypatch.setattr(cluster, "run_on_cluster", run)
    monkeypatch.setattr(cluster, "local_workers", lambda: 6)
    return seen


@pytest.fixture
def images(tmp_path: Path) -> Path:
    for name in ("in/a.nii", "in/deep/a.nii", "more/a.nii", "one.nrrd"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def test_every_image_below_a_folder_is_done(run, calls, toy_bundle: Path, images: Path) -> None:
    words = ("detect", images / "in", "--bundle", toy_bundle, "--output", images / "out", "--cluster")
    result = run(*words, "--device", "cpu", "--spacing", "0.5")
    assert result.exit_code == 0, result.output
    assert "2 detected, 0 done before, 0 failed" in result.stdout and "summary.csv" in result.stdout
    assert [source.name for source in calls["batch"].sources] == ["a", "deep/a"]
    order = calls["order"]
    assert (order.device, order.spacing, order.augment, order.engine) == ("cpu", (0.5,), 1, "torch")
    assert order.bundles == (str(toy_bundle),) and len(order.fingerprints[0]) == 64
    assert order.folders == (str(images / "in"), str(images / "out"))
    assert (calls["address"], calls["workers"]) == ("local", 2)  # no more processes than images


def test_images_of_several_folders_lie_in_folders_of_their_names(run, calls, toy_bundle: Path, images: Path) -> None:
    where = (images / "in", images / "more", images / "one.nrrd")
    address = "tcp://10.0.0.1:8786"
    result = run("detect", *where, "--bundle", toy_bundle, "--output", images / "out", "--cluster", address, "--json")
    assert [source.name for source in calls["batch"].sources] == ["in/a", "in/deep/a", "more/a", "one"]
    assert (calls["address"], calls["workers"], calls["order"].threads) == (address, None, None)
    assert json.loads(result.stdout)["done"] == 4


@pytest.mark.parametrize("cluster", [(), ("--cluster", "tcp://10.0.0.1:8786")])
def test_workers_without_a_local_cluster_are_refused(run, refused, calls, toy_bundle: Path, images: Path, cluster):
    words = ("detect", images / "one.nrrd", "--bundle", toy_bundle, "--output", images / "out", "--workers", 4)
    assert "--workers counts the processes of a local cluster" in refused(run(*words, *cluster))


@pytest.mark.parametrize("address", ["tcp://[fe80::1]:8786", "tls://head", "head:8786"])
def test_every_form_of_an_address_is_taken_for_one(run, calls, toy_bundle: Path, images: Path, address: str) -> None:
    run("detect", images / "in", "--bundle", toy_bundle, "--output", images / "out", "--cluster", address)
    assert calls["address"] == address


def test_images_that_failed_are_counted_and_the_exit_code_says_so(run, calls, toy_bundle: Path, images: Path) -> None:
    (images / "in" / "bad.nii").write_bytes(b"x")
    result = run("detect", images / "in", "--bundle", toy_bundle, "--output", images / "out", "--cluster", "local")
    assert result.exit_code == 2 and "1 of 3 images failed, see summary.csv" in result.stderr


def test_ctrl_c_ends_a_batch_that_goes_on_later(run, calls, toy_bundle: Path, images: Path) -> None:
    calls["interrupt"] = True
    result = run("detect", images / "in", "--bundle", toy_bundle, "--output", images / "out", "--cluster")
    assert result.exit_code == 130 and "Ending what is under way" in result.stderr
    assert result.stderr.splitlines()[-1] == "The batch was cancelled; 1 of 2 images are through."


def test_what_cannot_be_is_one_sentence(run, refused, calls, toy_bundle: Path, images: Path) -> None:
    words = ("detect", images / "in", "--bundle", toy_bundle, "--cluster", "local", "--output")
    assert "give a folder" in refused(run(*words, images / "out.csv"))
    assert "skips what is done" in refused(run(*words, images / "out", "--overwrite"))
    (images / "empty").mkdir()
    empty = run("detect", images / "empty", "--bundle", toy_bundle, "--output", images / "out", "--cluster")
    assert "no image was found" in refused(empty)
    assert "order" not in calls


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("detect in --cluster", "detect in --cluster local"),
        ("detect --cluster in --output out", "detect --cluster local in --output out"),
        ("detect in --cluster --json", "detect in --cluster local --json"),
        ("detect in --cluster tcp://h:1", "detect in --cluster tcp://h:1"),
        ("detect in --cluster s.json", "detect in --cluster s.json"),
        ("detect in --cluster=tcp://h:1 --json", "detect in --cluster=tcp://h:1 --json"),
        ("detect in", "detect in"),
    ],
)
def test_a_cluster_without_an_address_is_this_machine(words: str, completed: str) -> None:
    assert " ".join(_with_local_cluster(words.split())) == completed


def test_folds_of_one_bundle_know_their_own_files_when_the_batch_goes_on(
    run, calls, toy_bundle: Path, images: Path
) -> None:
    shutil.copytree(toy_bundle, images / "fold-1" / toy_bundle.name)
    folds = ("--bundle", toy_bundle, "--bundle", images / "fold-1" / toy_bundle.name)
    result = run("detect", images / "in", *folds, "--output", images / "out", "--cluster")
    assert result.exit_code == 0, result.output
    toy = load_bundle(toy_bundle)
    assert (calls["batch"].bundle, calls["batch"].version) == (toy.name, toy.version)  # and not each of them twice

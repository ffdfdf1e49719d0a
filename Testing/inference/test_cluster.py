"""A batch on a cluster: the rules of a batch, workers that are told what they lack, and nothing open to the network."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.core import Cancelled, DeviceError
from LandmarkDetectorLib.inference import cluster_worker
from LandmarkDetectorLib.inference.batch import Batch, Row, Source, find_images, read_summary
from LandmarkDetectorLib.inference.client import kill_tree
from LandmarkDetectorLib.inference.cluster import (
    ClusterError,
    cluster_client,
    devices_of,
    is_address,
    local_workers,
    new_token,
    run_on_cluster,
    threads_of,
)
from LandmarkDetectorLib.inference.cluster_worker import Order, detect_one, look_around
from LandmarkDetectorLib.io import load_landmarks, save_image
from Testing.inference.worker_process import HEAD, sample_image

pytest.importorskip("distributed", reason="the extra cluster is not installed")


def order(**changes: Any) -> Order:
    return Order(new_token(), (HEAD,), (load_bundle(HEAD).fingerprint,), device="cpu", threads=1, **changes)


@pytest.fixture(scope="module")
def local() -> Iterator[Any]:
    with cluster_client(workers=2) as client:
        yield client


@pytest.fixture
def heads(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "b c").mkdir(parents=True)
    image = sample_image(HEAD)
    for name in ("a.mha", "b c/Müller.mha", "z.mha"):
        save_image(image, folder / name)
    (folder / "m.nii").write_bytes(b"no image" * 100)
    return folder


def test_a_folder_is_done_by_a_cluster_and_one_bad_file_stops_nothing(local: Any, heads: Path, tmp_path: Path) -> None:
    said: list[tuple[int, int]] = []
    batch = Batch(find_images(heads), tmp_path / "out", HEAD, pause=3600)
    rows = run_on_cluster(batch, local, order(folders=(str(heads),)), lambda *numbers: said.append(numbers))
    assert [(row.image, row.status) for row in rows] == [
        ("a", "done"),
        ("b c/Müller", "done"),
        ("m", "failed"),
        ("z", "done"),
    ]
    assert rows[2].error.startswith("m.nii") and rows[0].found == rows[0].landmarks == 4
    assert said[0] == (0, 4) and said[-1] == (4, 4)
    assert read_summary(batch.summary) == rows
    written = sorted(p.name for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert written == [*("Müller.csv", "Müller.mrk.json", "a.csv", "a.mrk.json", "summary.csv", "z.csv", "z.mrk.json")]
    assert load_landmarks(tmp_path / "out/z.csv").labels == load_landmarks(tmp_path / "out/a.mrk.json").labels
    (tmp_path / "out/z.csv").unlink()
    again = run_on_cluster(Batch(find_images(heads), tmp_path / "out", HEAD), local, order())
    assert [row.status for row in again] == ["skipped", "skipped", "failed", "skipped"]
    assert (tmp_path / "out/z.csv").is_file()  # made from the other file, not from the image


def test_a_local_cluster_listens_on_this_machine_only_and_encrypts(local: Any) -> None:
    assert local.cluster.scheduler_address.startswith("tls://127.0.0.1:")
    assert all(address.startswith("tls://127.0.0.1:") for address in local.nthreads())
    pids = {about["pid"] for about in local.run(look_around, order()).values()}
    listening = [
        place
        for process in (psutil.Process(), *map(psutil.Process, pids))
        for place in process.net_connections("inet")
        if place.status == psutil.CONN_LISTEN
    ]
    assert len(pids) == 2 and listening and {place.laddr.ip for place in listening} == {"127.0.0.1"}


def test_workers_of_a_local_cluster_leave_ctrl_c_to_the_first_process(local: Any) -> None:
    pids = {about["pid"] for about in local.run(look_around, order()).values()}
    if sys.platform != "win32":
        for pid in pids:
            os.kill(pid, signal.SIGINT)
    assert {about["pid"] for about in local.run(look_around, order()).values()} == pids


def test_what_a_worker_lacks_is_said_before_anything_is_done(local: Any, heads: Path, tmp_path: Path) -> None:
    bundle = load_bundle(HEAD)
    lacking = {
        "does not see /no/such": order(folders=("/no/such",)),
        "is another one": Order(new_token(), (HEAD,), ("0" * 64,)),
        "No bundle is called": Order(new_token(), ("no-such-bundle",), (bundle.fingerprint,)),
    }
    for sentence, asked in lacking.items():
        with pytest.raises(ClusterError, match=f"The worker at tls://127.*{sentence}"):
            run_on_cluster(Batch(find_images(heads), tmp_path / "out", HEAD), local, asked)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["summary.csv"]


@pytest.mark.slow
def test_an_image_that_takes_a_worker_with_it_does_not_stop_the_others(heads: Path, tmp_path: Path) -> None:
    batch = Batch(find_images(heads), tmp_path / "out", HEAD)
    with cluster_client(workers=2) as client:
        found = client.run(look_around, order())
        first = min(about["pid"] for about in found.values())
        threading.Timer(1.0, kill_tree, [first]).start()  # while both load torch
        rows = run_on_cluster(batch, client, order())
    assert [row.status for row in rows] == ["done", "done", "failed", "done"]
    assert not list((tmp_path / "out").rglob(".writing*"))


class Pool:
    """Stands for a client: two threads of this process; what is sent and what comes back is kept."""

    status = "running"

    def __init__(self, work: Callable[..., dict[str, Any]], found: dict[str, Any] | None = None) -> None:
        self.work, self.pool = work, ThreadPoolExecutor(2)
        about = {"name": "0", "host": "h", "pid": os.getpid(), "gpus": 0, "trouble": ""}
        self.found = {"tcp://one": about} if found is None else found
        self.sent: list[bytes] = []
        self.keys: list[str] = []
        self.lock = threading.Lock()

    def wait_for_workers(self, count: int, timeout: float) -> None:
        if not self.found:
            raise TimeoutError

    def run(self, function: Callable[..., Any], *arguments: Any, on_error: str) -> dict[str, Any]:
        if function is look_around:
            return self.found
        function(*arguments)
        return {}

    def nthreads(self) -> dict[str, int]:
        return {"tcp://one": 1}

    def submit(self, function: Callable[..., Any], *arguments: Any, key: str, pure: bool) -> Any:
        assert function is detect_one and not pure
        self.sent.append(pickle.dumps(arguments))
        self.keys.append(key)
        return Job(self, key, arguments)


class Job:
    """Stands for a future."""

    def __init__(self, pool: Pool, key: str, arguments: tuple[Any, ...]) -> None:
        self.key, self.status, self._pool = key, "pending", pool
        self._told = threading.Event()
        self._future = pool.pool.submit(self._run, arguments)

    def _run(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        self._told.wait(10)
        try:
            end = self._pool.work(*arguments)
            self.status = "finished"
        except Exception:  # a future's status says that its work failed, whatever it was
            self.status, end = "error", {}
        self._pool.sent.append(pickle.dumps(end))
        self._callback(self)
        return end

    def add_done_callback(self, callback: Callable[[Job], None]) -> None:
        self._callback = callback
        self._told.set()

    def result(self) -> dict[str, Any]:
        return self._future.result()


def done(*_: Any) -> dict[str, Any]:
    return {"status": "done", "seconds": 0.5, "found": 1, "landmarks": 2, "notices": ("Beware.",), "pid": os.getpid()}


def sources(count: int) -> list[Source]:
    return [Source(Path(f"Mustermann{n:03d}.nii"), f"Mustermann{n:03d}") for n in range(count)]


def test_only_paths_and_counts_travel_and_keys_name_nobody(tmp_path: Path) -> None:
    pool = Pool(done)
    rows = run_on_cluster(Batch(sources(9), tmp_path, HEAD), pool, order())
    assert [row.image for row in rows] == [source.name for source in sources(9)]
    assert rows[0] == Row(rows[0].image, "done", 0.5, 1, 2, ("Beware.",))
    assert max(map(len, pool.sent)) < 2000
    assert len(set(pool.keys)) == 9 and not any("Mustermann" in key for key in pool.keys)


def test_a_batch_that_is_cancelled_ends_what_is_under_way_and_goes_on_later(tmp_path: Path) -> None:
    under_way: list[str] = []
    asked = order()

    def work(what: Order, *rest: Any) -> dict[str, Any]:
        under_way.append(rest[1])
        while len(under_way) > 3:  # the fourth and those after it wait until they are told to stop
            if what.token in cluster_worker._stopped:
                return {"status": "cancelled", "seconds": 0.0, "pid": os.getpid()}
            time.sleep(0.01)
        return done()

    batch = Batch(sources(20), tmp_path, HEAD)
    with pytest.raises(Cancelled, match="of 20 images are through"):
        run_on_cluster(batch, Pool(work), asked, cancelled=lambda: len(under_way) > 3)
    assert len(under_way) < 8 and {row.status for row in batch.rows} <= {"done"}
    assert read_summary(batch.summary) == batch.rows
    assert len(run_on_cluster(Batch(sources(20), tmp_path, HEAD), Pool(done), order())) == 20


def test_an_image_whose_workers_were_lost_is_a_row_and_not_the_end(tmp_path: Path) -> None:
    def dies(what: Order, devices: dict[str, str], path: str, *_: Any) -> dict[str, Any]:
        if path.endswith("001.nii"):
            raise RuntimeError("KilledWorker")
        return done()

    rows = run_on_cluster(Batch(sources(3), tmp_path, HEAD), Pool(dies), order())
    assert [row.status for row in rows] == ["done", "failed", "done"] and "were lost" in rows[1].error


def test_a_worker_that_cannot_detect_at_all_ends_the_batch_with_its_reason(tmp_path: Path) -> None:
    def cannot(*_: Any) -> dict[str, Any]:
        return {"status": "lost", "error": "A worker on h cannot detect: there is no cuda:3.", "pid": os.getpid()}

    with pytest.raises(ClusterError, match="there is no cuda:3"):
        run_on_cluster(Batch(sources(50), tmp_path, HEAD), Pool(cannot), order())


def test_a_cluster_that_is_lost_or_has_no_worker_or_no_library_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="no worker"):
        run_on_cluster(Batch(sources(1), tmp_path, HEAD), Pool(done, {}), order())
    with pytest.raises(ClusterError, match="tcp://a cannot run landmark-detector .ModuleNotFoundError."):
        run_on_cluster(Batch(sources(1), tmp_path, HEAD), Pool(done, {"tcp://a": ModuleNotFoundError("x")}), order())

    def slow(*_: Any) -> dict[str, Any]:
        pool.status = "closed"
        time.sleep(1)
        return done()

    pool = Pool(slow)
    with pytest.raises(ClusterError, match="was lost; the same command goes on"):
        run_on_cluster(Batch(sources(2), tmp_path, HEAD), pool, order())


def test_nobody_answers_at_a_wrong_address() -> None:
    with pytest.raises(ClusterError, match="is no address"), cluster_client("images"):
        pass
    with pytest.raises(ClusterError, match=r"There is no gone\.json"), cluster_client("gone.json"):
        pass


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("local", True),
        ("tcp://10.0.0.1:8786", True),
        ("tls://[::1]:8786", True),
        ("head.cluster.org:8786", True),
        ("/scratch/scheduler.json", True),
        ("images", False),
        ("tcp://10.0.0.1", False),
        (r"C:\images", False),
    ],
)
def test_an_address_is_known_by_its_port(text: str, yes: bool) -> None:
    assert is_address(text) is yes


def about(name: str, host: str, gpus: int) -> dict[str, Any]:
    return {"name": name, "host": host, "gpus": gpus}


def test_the_workers_of_a_machine_share_its_gpus_evenly() -> None:
    found = {f"tcp://{n}": about(str(n), "big" if n % 2 else "small", 4 if n % 2 else 0) for n in range(12)}
    devices = devices_of(found, "auto")
    assert [devices[str(n)] for n in (1, 3, 5, 7, 9, 11)] == [f"cuda:{n}" for n in (0, 1, 2, 3, 0, 1)]
    assert devices["0"] == devices["10"] == "auto"
    assert set(devices_of(found, "cpu").values()) == {"cpu"}


def test_a_local_cluster_takes_what_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("LandmarkDetectorLib.inference.cluster._cores", lambda: 16)
    memory = psutil.virtual_memory()
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=10 << 30))
    assert local_workers() == 3 and threads_of(3) == 5
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory._replace(available=1 << 20))
    assert local_workers() == 1
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert local_workers() == 4


@pytest.fixture
def in_worker(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """This process as a worker called 0, with a double of the detector."""
    monkeypatch.setattr(cluster_worker, "_name", lambda: "0")

    def use(make: Any) -> None:
        monkeypatch.setattr(cluster_worker, "_warm", None)
        monkeypatch.setattr(cluster_worker, "make_detector", make)

    return use


def test_a_detector_is_kept_warm_and_made_anew_for_another_device(in_worker: Any, tmp_path: Path) -> None:
    made: list[str] = []
    in_worker(lambda asked, device: made.append(device))
    one = order()
    for devices in ({"0": "cpu"}, {"0": "cpu"}, {"0": "cuda:1"}):
        end = detect_one(one, devices, str(tmp_path / "gone.nii"), None, ())
        assert end["status"] == "failed" and end["error"].startswith("gone.nii")
    assert made == ["cpu", "cuda:1"]


def test_how_a_worker_ends_says_whether_other_images_may_fare_better(
    in_worker: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_image(sample_image(HEAD), tmp_path / "Mustermann.mha")
    ends = {}
    for error in (MemoryError(), ZeroDivisionError("Mustermann"), OSError(28, "No space left on device")):

        class Detector:
            raised = error

            def detect(self, image: Any, cancelled: Any) -> None:
                raise self.raised

        in_worker(lambda asked, device, kind=Detector: kind())
        ends[type(error).__name__] = detect_one(order(), {}, str(tmp_path / "Mustermann.mha"), None, ())
    assert {end["status"] for end in ends.values()} == {"failed"}
    assert "memory of the worker" in ends["MemoryError"]["error"]
    assert "defect of the worker (ZeroDivisionError)" in ends["ZeroDivisionError"]["error"]
    assert ends["OSError"]["error"] == "Mustermann.mha: the system of the worker refused (No space left on device)."
    log = capfd.readouterr().err
    assert "ZeroDivisionError" in log and "Mustermann" not in log

    def no_device(asked: Order, device: str) -> None:
        raise DeviceError("There is no cuda:3.")

    in_worker(no_device)
    assert detect_one(order(), {}, "a", None, ())["status"] == "lost"
    stopped = order()
    cluster_worker.stop(stopped.token)
    assert detect_one(stopped, {}, "a", None, ())["status"] == "cancelled"

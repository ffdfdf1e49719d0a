"""Thousands of images on a Dask cluster: this machine's cores and GPUs, or a cluster that is running already.

The rules are those of :mod:`.batch`: what is done is skipped, one image that fails stops no other, a table tells. The
workers read the images and write the landmarks themselves, so they must see the same paths; through the scheduler go
paths, counts and sentences. Dask's keys, which its own pages show, hold no file name.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from LandmarkDetectorLib.core import Cancelled, LandmarkDetectorError
from LandmarkDetectorLib.inference.batch import Batch, Job, Row
from LandmarkDetectorLib.inference.cluster_worker import Order, dask_setup, detect_one, look_around, stop
from LandmarkDetectorLib.io.atomic import remove_unfinished

LOCAL = "local"
"""The address of a cluster that is made for one batch, on this machine."""
WORKER_BYTES = 3 << 30
"""Memory that one worker of a local cluster is expected to take."""
_ADDRESS = re.compile(r"local|.*\.json|(\w+://)?[^\\/]+:\d+", re.DOTALL)
_LOOK = 0.1
_RECOUNT = 5.0
_GRACE = 5.0


class ClusterError(LandmarkDetectorError):
    """A cluster cannot be reached, lacks something, or was lost."""


def is_address(text: str) -> bool:
    """Whether a text says where a cluster is: ``local``, HOST:PORT with or without a scheme, or a scheduler's file."""
    return _ADDRESS.fullmatch(text) is not None


@contextmanager
def cluster_client(address: str = LOCAL, workers: int | None = None) -> Iterator[Any]:
    """A client of the cluster at an address; a local one is made, and ended with the block.

    A local cluster listens on this machine's loopback only, encrypted and with a certificate of its own, so that no
    other user of the machine can give it work; it has no dashboard.

    Args:
        address: ``tcp://HOST:PORT`` or ``tls://HOST:PORT`` of a scheduler, the JSON file that one has written, or
            ``local``.
        workers: processes of a local cluster; by default one for each GPU, or as many as cores and memory allow.

    Raises:
        ClusterError: Dask is not installed, or nobody answers.
    """
    try:
        import dask
        import distributed
    except ImportError:
        raise ClusterError(
            "A cluster needs Dask: run `pip install landmark-detector[cluster]`, or leave --cluster out."
        ) from None
    if not is_address(address):
        raise ClusterError(f"{address} is no address of a cluster; write tcp://HOST:PORT, or local.")
    # Without pages: what is left of Dask's HTTP server answers nothing.
    quiet: dict[str, list[str]] = {"distributed.scheduler.http.routes": [], "distributed.worker.http.routes": []}
    if address.endswith(".json") and not Path(address).is_file():  # Dask would wait for it, for ever
        raise ClusterError(f"There is no {address}; give the file that the scheduler has written.")
    if address != LOCAL:
        where = {"scheduler_file": address} if address.endswith(".json") else {"address": address}
        try:
            client = distributed.Client(**where, timeout="10s", set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            raise ClusterError(f"No cluster answers at {address} ({type(error).__name__}); is it running?") from None
        with client:
            yield client
        return
    with (
        dask.config.set(quiet),
        _local_cluster(workers or local_workers()) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _local_cluster(workers: int) -> Iterator[Any]:
    import distributed

    try:
        security = distributed.Security.temporary()
    except ImportError:
        raise ClusterError(
            "A cluster needs the package cryptography: run `pip install landmark-detector[cluster]`."
        ) from None
    cluster = distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        # Not the usual port, which may be taken; nothing is served there.
        scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        security=security,
        # A worker that keeps freed memory, as ours do, would be paused for ever.
        memory_limit=0,
        silence_logs=logging.CRITICAL,
        preload=[dask_setup.__module__],
    )
    try:
        yield cluster
    finally:
        with suppress(TimeoutError):
            cluster.close(timeout=10)


def local_workers() -> int:
    """Processes of a local cluster: one for each GPU, or as many as cores and free memory allow."""
    import psutil
    import torch

    if torch.cuda.is_available():
        return max(1, torch.cuda.device_count())
    return max(1, min(_cores(), psutil.virtual_memory().available // WORKER_BYTES))


def threads_of(workers: int) -> int:
    """Threads of each of so many workers of a local cluster."""
    return max(1, _cores() // workers)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def devices_of(found: Mapping[str, Mapping[str, Any]], device: str) -> dict[str, str]:
    """Where each worker computes, by its name.

    Args:
        found: what each worker said of itself, by its address; see :func:`.cluster_worker.look_around`.
        device: that was asked for; ``auto`` and ``cuda`` give the workers of one machine its GPUs in turn.
    """
    if device not in ("auto", "cuda"):
        return {about["name"]: device for about in found.values()}
    turns: dict[str, Iterator[int]] = {}
    devices = {}
    for about in sorted(found.values(), key=lambda about: (len(about["name"]), about["name"])):
        turn = next(turns.setdefault(about["host"], count()))
        devices[about["name"]] = f"cuda:{turn % about['gpus']}" if about["gpus"] else device
    return devices


def new_token() -> str:
    """A word for one batch, which says nothing of it."""
    return secrets.token_hex(8)


def run_on_cluster(
    batch: Batch,
    client: Any,
    order: Order,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Row]:
    """Do all jobs of a batch on a cluster.

    Args:
        batch: what is to be done.
        client: from :func:`cluster_client`.
        order: what is asked for.
        progress: called with how many images are through, and how many there are.
        cancelled: asked all the time; when it says yes, no image is begun any more and those that are under way end at
            their next step.

    Returns:
        A row for each image, in the order of the images.

    Raises:
        ClusterError: no worker comes, one lacks the library, the bundle or the folders, or the cluster was lost.
        Cancelled: on request; what is done is written, and the same call goes on from there.
    """
    run = _Run(batch, client, order, progress or (lambda done, all: None), cancelled or (lambda: False))
    try:
        run.prepare()
        run.go()
    except BaseException:
        run.break_off()
        raise
    finally:
        batch.close()
        run.tidy()
    return batch.rows


class _Run:
    def __init__(
        self,
        batch: Batch,
        client: Any,
        order: Order,
        progress: Callable[[int, int], None],
        cancelled: Callable[[], bool],
    ) -> None:
        self.batch, self.client, self.order = batch, client, order
        self.progress, self.cancelled = progress, cancelled
        self.devices: dict[str, str] = {}
        self.pids: set[int] = set()
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.flying: dict[str, tuple[Job, Any, float]] = {}
        self.folders: set[Path] = set()
        self.stopping = False
        self.lost = ""
        self.room, self.counted = 1, 0.0

    def prepare(self) -> None:
        """Look at the workers, and say now what would fail a thousand times."""
        try:
            self.client.wait_for_workers(1, timeout=60)
            found = self.client.run(look_around, self.order, on_error="return")
        except (OSError, TimeoutError) as error:
            raise ClusterError(
                f"The cluster has no worker ({type(error).__name__}); start one and try again."
            ) from None
        for address, about in found.items():
            if isinstance(about, Exception):
                raise ClusterError(
                    f"The worker at {address} cannot run landmark-detector ({type(about).__name__}); "
                    "install the same version there."
                )
            if about["trouble"]:
                raise ClusterError(f"The worker at {address} is of no use: {about['trouble']}")
        self.devices = devices_of(found, self.order.device)
        self.pids = {about["pid"] for about in found.values()}

    def go(self) -> None:
        """Keep every worker busy, and a job waiting for it, until all are done."""
        self.progress(0, len(self.batch.sources))
        while self.flying or not (self.batch.over or self.stopping):
            if not self.stopping and (self.lost or self.cancelled()):
                self.stopping = True
                self.client.run(stop, self.order.token, on_error="ignore")
            more = not self.stopping and not self.batch.over and len(self.flying) < self._room()
            if more:
                job = self.batch.step()
                if job is None:
                    self.progress(len(self.batch.rows), len(self.batch.sources))
                else:
                    self._submit(job)
            self._collect(0.0 if more else _LOOK)
        if self.lost:
            raise ClusterError(self.lost)
        if self.stopping:
            raise Cancelled(
                f"The batch was cancelled; {len(self.batch.rows)} of {len(self.batch.sources)} images are through."
            )

    def break_off(self) -> None:
        """Give what is under way a moment to end at its next step, so that nothing is killed while it writes."""
        with suppress(Exception):  # the cluster may be what was lost
            self.client.run(stop, self.order.token, on_error="ignore")
            end = time.monotonic() + _GRACE
            while self.flying and time.monotonic() < end:
                self._collect(_LOOK)

    def tidy(self) -> None:
        """Remove what workers that were killed left behind while they were writing."""
        for pid in [pid for pid in self.pids if not _runs_here(pid)]:
            for folder in self.folders:
                remove_unfinished(folder, pid)

    def _room(self) -> int:
        if time.monotonic() - self.counted > _RECOUNT:
            self.room, self.counted = 2 * max(1, len(self.client.nthreads())), time.monotonic()
        return self.room

    def _submit(self, job: Job) -> None:
        self.folders |= {output.parent for output in job.outputs}
        key = f"image-{self.order.token}-{secrets.token_hex(8)}"
        source, outputs = job.source, tuple(str(output.absolute()) for output in job.outputs)
        future = self.client.submit(
            detect_one,
            self.order,
            self.devices,
            str(source.path.absolute()),
            source.series,
            outputs,
            key=key,
            pure=False,
        )
        self.flying[key] = (job, future, time.monotonic())
        future.add_done_callback(self.ended.put)

    def _collect(self, wait: float) -> None:
        """Note one job that has ended, if one does while we wait."""
        try:
            future = self.ended.get(timeout=wait) if wait else self.ended.get_nowait()
        except queue.Empty:
            if self.client.status not in ("running", "connecting"):
                raise ClusterError("The cluster was lost; the same command goes on from what is done.") from None
            return
        job, _, began = self.flying.pop(future.key)
        if future.status == "finished":
            end = future.result()
        elif future.status in ("cancelled", "lost"):
            raise ClusterError("The cluster was lost; the same command goes on from what is done.")
        else:  # it took one worker after the other with it
            sentence = f"{job.source.name}: the workers that looked at it were lost; their memory may not suffice."
            end = {"status": "failed", "error": sentence, "seconds": round(time.monotonic() - began, 3)}
        self._note(job, end)

    def _note(self, job: Job, end: dict[str, Any]) -> None:
        self.pids |= {end["pid"]} if "pid" in end else set()
        status = end["status"]
        if status == "lost":
            self.lost = self.lost or end["error"]
        elif status == "done":
            numbers = (end["seconds"], end["found"], end["landmarks"])
            self.batch.report(Row(job.source.name, "done", *numbers, notices=tuple(end["notices"])))
        elif status == "failed":
            self.batch.report(Row(job.source.name, "failed", end["seconds"], error=end["error"]))
        self.progress(len(self.batch.rows), len(self.batch.sources))


def _runs_here(pid: int) -> bool:
    import psutil

    return psutil.pid_exists(pid)

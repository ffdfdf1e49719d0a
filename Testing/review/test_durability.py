"""What was acknowledged is there, and what was not is never read: crashes, two writers, full and read-only disks."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from functools import partial
from pathlib import Path

import pytest

from LandmarkDetectorLib.io.locks import locked
from LandmarkDetectorLib.review import Correction, ReviewError, ReviewStore
from LandmarkDetectorLib.review import journal as journal_module
from LandmarkDetectorLib.review.checks import DAMAGE, NOTE
from LandmarkDetectorLib.review.journal import Journal

ROOT = Path(__file__).resolve().parents[2]
WRITER = Path(__file__).with_name("writer.py")
ANCHOR = "a" * 64


def start_writer(store: ReviewStore, case: str, observer: str, *count: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(WRITER), str(store.folder), case, observer, *count]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def acknowledged(lines: list[str]) -> dict[int, str]:
    """Number and checksum of what a writer said is stored; a last line that was cut off in the pipe does not count."""
    words = [line.split() for line in lines if line.endswith("\n") and line != "ready\n"]
    return {int(number): digest for number, digest in words}


def damage(store: ReviewStore) -> list[str]:
    return [finding.message for finding in store.verify() if finding.kind == DAMAGE]


def log_of(store: ReviewStore, case: str) -> Path:
    (log,) = store.case(case).folder.glob("corrections-*.jsonl")
    return log


def kill_at_random(store: ReviewStore, case: str, runs: int, seed: int) -> int:
    """Kill two programs that write at once, again and again; returns how many corrections were acknowledged."""
    draw = random.Random(seed)
    promised: dict[int, str] = {}
    for _ in range(runs):
        writers = [start_writer(store, case, "anna") for _ in range(2)]
        for writer in writers:
            assert writer.stdout is not None and writer.stdout.readline() == "ready\n"
        time.sleep(draw.uniform(0.0, 0.12))
        for writer in writers:
            writer.kill()
        for writer in writers:
            with writer:  # communicate would pass over what readline has buffered
                assert writer.stdout is not None
                promised |= acknowledged(writer.stdout.readlines())
        fresh = ReviewStore.open(store.folder)
        stored = {record["number"]: record["sha256"] for record in fresh.case(case).history("anna")}
        assert promised.items() <= stored.items(), "an acknowledged correction is lost"
        assert list(stored) == list(range(1, len(stored) + 1)), "numbers stand twice, or are missing"
        assert damage(fresh) == []
    return len(promised)


def test_two_programs_that_are_killed_while_they_write_lose_nothing(store: ReviewStore, case: str) -> None:
    assert kill_at_random(store, case, runs=2, seed=1) > 0


@pytest.mark.slow
def test_in_two_hundred_kills_no_record_is_lost_and_none_half_read(store: ReviewStore, case: str) -> None:
    assert kill_at_random(store, case, runs=200, seed=2) > 200


def test_two_programs_that_write_at_once_have_all_their_corrections_in_one_chain(store: ReviewStore, case: str) -> None:
    writers = [start_writer(store, case, "anna", "40") for _ in range(2)]
    said = [acknowledged(writer.communicate(timeout=120)[0].splitlines(keepends=True)) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert len(said[0]) == len(said[1]) == 40 and not said[0].keys() & said[1].keys()
    history = store.case(case).history("anna")
    assert {record["number"]: record["sha256"] for record in history} == said[0] | said[1]
    for before, after in zip(history, history[1:], strict=False):
        assert after["previous"] == before["sha256"]
    assert damage(store) == []


def test_threads_of_one_program_take_turns(store: ReviewStore, case: str) -> None:
    def say(name: str) -> None:
        for number in range(10):
            store.record(case, "anna", Correction(name, "corrected", (number, 0, 0)))

    threads = [threading.Thread(target=say, args=(f"mark {n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [record["number"] for record in store.case(case).history("anna")] == list(range(1, 41))
    assert damage(store) == []


def test_a_write_that_broke_off_at_any_byte_is_no_correction_and_the_next_one_goes_on(tmp_path: Path) -> None:
    whole = Journal(tmp_path / "whole.jsonl", ANCHOR, "a log")
    for number in range(2):
        whole.append(lambda _, n=number: [{"say": f"word {n}"}])
    data = whole.path.read_bytes()
    start = data.index(b"\n") + 1
    for cut in sorted({*range(start, len(data), 5), start + 1, *range(len(data) - 70, len(data))}):
        path = tmp_path / f"{cut}.jsonl"
        path.write_bytes(data[:cut])
        log = Journal(path, ANCHOR, "a log")
        # Only the line end is missing: then the line is whole, and it is better kept.
        kept = 2 if cut == len(data) - 1 else 1
        assert [record["number"] for record in log.records()] == list(range(1, kept + 1))
        log.append(lambda _: [{"say": "on"}])
        assert path.read_bytes().startswith(data[:cut]), "bytes that stood there were written over"
        fresh = Journal(path, ANCHOR, "a log")
        assert [record["say"] for record in fresh.records()] == ["word 0", "word 1"][:kept] + ["on"]
        judged = fresh.check()
        assert judged.problems == [] and judged.unfinished == (1 if start < cut < len(data) - 1 else 0)


def test_an_altered_line_is_reported_and_the_rest_is_read(store: ReviewStore, case: str) -> None:
    for label in ("nasion", "basion", "inion"):
        store.record(case, "anna", Correction(label, "corrected", (1, 1, 1)))
    path = log_of(store, case)
    lines = path.read_bytes().split(b"\n")
    path.write_bytes(b"\n".join([lines[0], lines[1].replace(b"basion", b"Basion"), *lines[2:]]))
    fresh = ReviewStore.open(store.folder)
    assert list(fresh.state(case, "anna").entries["nasion"].position or ()) == [1, 1, 1]
    assert fresh.state(case, "anna").entries["basion"].status == "unreviewed"
    (message,) = damage(fresh)
    assert "Line 3 does not follow line 1" in message and "1 of them" in message
    assert fresh.cases()[0].problems == 1


def test_a_line_that_was_altered_with_its_checksum_is_found_by_the_one_behind_it(tmp_path: Path) -> None:
    from LandmarkDetectorLib.review.lines import sealed, unsealed

    log = Journal(tmp_path / "a.jsonl", ANCHOR, "a log")
    for number in range(3):
        log.append(lambda _, n=number: [{"say": n}])
    lines = log.path.read_bytes().splitlines()
    for altered in range(3):
        record = unsealed(lines[altered]) or {}
        del record["sha256"]
        forged = [*lines[:altered], sealed({**record, "say": 99}), *lines[altered + 1 :]]
        log.path.write_bytes(b"\n".join(forged) + b"\n")
        assert len(Journal(log.path, ANCHOR, "a log").check().problems) == 1


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_log_that_lost_its_end_is_found_out_also_after_the_next_correction(
    store: ReviewStore, case: str, kept: int
) -> None:
    for label in ("nasion", "basion", "inion"):
        store.record(case, "anna", Correction(label, "absent"))
    path = log_of(store, case)
    path.write_bytes(b"".join(line + b"\n" for line in path.read_bytes().splitlines()[:kept]))
    if kept:  # of an empty log nobody knows whose it was
        assert "are not there any more" in damage(ReviewStore.open(store.folder))[0]
    else:
        assert "no line of it can be read" in damage(ReviewStore.open(store.folder))[0]
    fresh = ReviewStore.open(store.folder)
    (record,) = fresh.record(case, "anna", Correction("nasion", "corrected", (0, 0, 0)))
    assert record["number"] == 4
    assert f"Line 4 does not follow line {kept}" in damage(fresh)[0]


def test_a_log_of_another_case_or_observer_is_not_read(store: ReviewStore, case: str) -> None:
    from Testing.review.toys import make_image

    other = store.add_image(make_image(7), copy=True)
    store.record(case, "anna", Correction("nasion", "absent"))
    path = log_of(store, case)
    shutil.copy(path, store.case(other).folder / path.name)
    fresh = ReviewStore.open(store.folder)
    assert fresh.state(other, "anna").entries == {}
    assert damage(fresh)
    path.rename(path.with_name("corrections-ben-00000000.jsonl"))
    assert any("renamed" in message for message in damage(fresh))


def test_a_full_disk_refuses_a_correction_whole_and_the_next_one_is_stored(
    store: ReviewStore, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record(case, "anna", Correction("nasion", "absent"))
    path = log_of(store, case)
    before, write = path.read_bytes(), os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) < 100:
            return write(descriptor, data)
        if full.left:  # type: ignore[attr-defined]
            full.left = False  # type: ignore[attr-defined]
            return write(descriptor, data[:50])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    full.left = True  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr("LandmarkDetectorLib.review.journal.os.write", full)
        with pytest.raises(ReviewError, match=r"cannot be stored \(No space left on device\); free some space"):
            store.record(case, "anna", Correction("basion", "absent"))
    assert path.read_bytes() == before
    store.record(case, "anna", Correction("inion", "absent"))
    assert [record["label"] for record in store.case(case).history("anna")] == ["nasion", "inion"]
    assert store.verify() == []


def test_several_corrections_of_one_call_are_stored_together_or_not_at_all(
    store: ReviewStore, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronised: list[int] = []
    fsync = os.fsync
    monkeypatch.setattr("LandmarkDetectorLib.review.journal.os.fsync", lambda fd: (synchronised.append(fd), fsync(fd)))
    store.record(case, "anna", Correction("nasion", "absent"))
    synchronised.clear()
    store.record(case, "anna", *(Correction(label, "absent") for label in ("basion", "inion", "bregma")))
    assert len(synchronised) == 1 and len(store.case(case).history("anna")) == 4


def test_a_file_that_another_takes_the_place_of_is_read_anew(tmp_path: Path) -> None:
    for name in ("one", "two"):
        log = Journal(tmp_path / f"{name}.jsonl", ANCHOR, "a log")
        for number in range(4 if name == "two" else 2):
            log.append(lambda _, n=number, name=name: [{"say": f"{name} {n}"}])
    reader = Journal(tmp_path / "one.jsonl", ANCHOR, "a log")
    assert len(reader.records()) == 2
    os.replace(tmp_path / "two.jsonl", tmp_path / "one.jsonl")
    assert [record["say"] for record in reader.records()] == ["two 0", "two 1", "two 2", "two 3"]
    assert reader.check().problems == []


def test_a_disk_that_does_not_say_that_it_has_the_line_is_not_believed(
    store: ReviewStore, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr("LandmarkDetectorLib.review.journal.os.fsync", fails)
        with pytest.raises(ReviewError, match="cannot be stored"):
            store.record(case, "anna", Correction("nasion", "absent"))
    assert store.case(case).history("anna") == [] and damage(store) == []


@pytest.mark.skipif(os.name != "posix", reason="a limit on the size of files is POSIX's")
def test_the_kernel_itself_cuts_a_write_short_and_nothing_of_it_stays(store: ReviewStore, case: str) -> None:
    import resource

    store.record(case, "anna", Correction("nasion", "absent"))
    path = log_of(store, case)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 40, limits[1]))
    try:
        with pytest.raises(ReviewError, match="cannot be stored"):
            store.record(case, "anna", Correction("basion", "absent"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before


def test_a_proposal_on_a_full_disk_leaves_nothing_behind(
    store: ReviewStore, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from Testing.review.toys import make_proposal

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    names = sorted(os.listdir(store.case(case).folder))
    with monkeypatch.context() as patch:
        patch.setattr("LandmarkDetectorLib.io.atomic.os.fsync", full)
        with pytest.raises(ReviewError, match="free some space"):
            store.add_proposal(case, make_proposal(1.0))
    assert sorted(os.listdir(store.case(case).folder)) == names


def in_a_child_without_rights(folder: Path) -> list[str]:
    """What somebody who is not the superuser, to whom nothing is read-only, can do with a store: two lines of words."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        words = ["it died", "it died"]
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            store = ReviewStore.open(folder)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                (row,) = store.cases()
            words[0] = f"{row.reviewed} {row.problems} {[finding.kind for finding in store.verify()]}"
            store.record(row.case, "anna", Correction("inion", "absent"))
        except ReviewError as error:
            words[1] = str(error)
        except BaseException as error:
            words[1] = repr(error)
        finally:
            os.write(writing, "\n".join(words).encode())
            os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with open(reading, encoding="utf-8") as stream:
        return stream.read().splitlines()


@pytest.mark.skipif(os.name != "posix", reason="folders are protected by modes on POSIX only")
def test_a_read_only_store_can_be_read_listed_and_verified_and_says_that_it_cannot_be_written(
    store: ReviewStore, case: str
) -> None:
    store.record(case, "anna", Correction("nasion", "absent"))
    copy = Path(tempfile.mkdtemp(prefix="review-"))
    try:
        shutil.copytree(store.folder, copy / "reviews", ignore=shutil.ignore_patterns("index*"))
        for path in (copy / "reviews").rglob("*"):
            path.chmod(0o555 if path.is_dir() else 0o444)
        (copy / "reviews").chmod(0o555)
        copy.chmod(0o755)
        first, second = in_a_child_without_rights(copy / "reviews")
        assert first.startswith("{'anna': 1} 0 [") and DAMAGE not in first, second
        assert "cannot be stored (Permission denied); check that you may read and write there." in second
    finally:
        for path in (copy / "reviews", *(copy / "reviews").rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(copy)


def test_a_lock_that_another_program_holds_is_waited_for_and_then_said(
    store: ReviewStore, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "locked", partial(locked, patience=0.05))
    journal = store.case(case).journal("anna")
    with locked(journal.head_path, "it"), pytest.raises(ReviewError, match="held by another program for 0.05 s"):
        store.record(case, "anna", Correction("nasion", "absent"))
    store.record(case, "anna", Correction("nasion", "absent"))


def test_a_correction_of_a_newer_version_is_refused_with_a_sentence(store: ReviewStore, case: str) -> None:
    store.case(case).journal("anna").append(lambda _: [{"format": 2, "case": case, "observer": "anna"}])
    with pytest.raises(ReviewError, match=r"format 2 and this version reads up to 1; update the software\."):
        store.state(case, "anna")


def test_an_altered_proposal_is_reported_and_its_corrections_stay(store: ReviewStore, case: str) -> None:
    store.record(case, "anna", Correction("nasion", "confirmed"))
    (path,) = store.case(case).folder.glob("proposal-*")
    path.chmod(0o600)
    document = json.loads(path.read_text())
    document["landmarks"][0]["position"][0] = 99.0
    path.write_text(json.dumps(document))
    fresh = ReviewStore.open(store.folder)
    assert fresh.state(case, "anna").entries["nasion"].position == (1.0, 2.0, 3.0)
    messages = damage(fresh)
    assert any("was altered" in message for message in messages)
    assert any("line 1 speaks of a proposal that is gone" in message for message in messages)


def test_an_image_whose_adding_was_cut_short_is_no_case_and_is_added_again(store: ReviewStore, case: str) -> None:
    (store.case(case).folder / "case.json").unlink()
    for path in list(store.case(case).folder.glob("proposal-*")):
        path.unlink()
    fresh = ReviewStore.open(store.folder)
    assert [(finding.kind, finding.case) for finding in fresh.verify()] == [(NOTE, case)]
    with pytest.raises(ReviewError, match="no case"):
        fresh.state(case, "anna")

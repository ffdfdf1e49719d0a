"""The worker as a process: it says what it does, one thing at a time, and is gone when nobody wants it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.core import Grid, Image, ImageError
from LandmarkDetectorLib.inference import Detector
from LandmarkDetectorLib.inference.client import worker_environment
from LandmarkDetectorLib.inference.protocol import PROTOCOL, landmarks_from_record
from LandmarkDetectorLib.inference.voxel_file import VoxelFile, read_mapped
from LandmarkDetectorLib.io import load_landmarks, save_image
from Testing.inference.worker_process import HEAD, PATIENT, SKULL, RawWorker, noise, same_info, sample_image, soon


@pytest.fixture(scope="module")
def shared() -> Iterator[RawWorker]:
    """One that lives through the tests that do it no harm."""
    worker = RawWorker()
    worker.wait_for("ready")
    yield worker
    worker.close()


@pytest.fixture
def own() -> Iterator[RawWorker]:
    worker = RawWorker()
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def head() -> Iterator[VoxelFile]:
    with VoxelFile(sample_image(HEAD)) as file:
        file.write()
        yield file


@pytest.fixture(scope="module")
def skull() -> Iterator[VoxelFile]:
    with VoxelFile(sample_image(SKULL)) as file:
        file.write()
        yield file


def test_hello_comes_first_and_says_protocol_version_and_process(own: RawWorker) -> None:
    assert own.hear() == {"event": "hello", "protocol": PROTOCOL, "version": __version__, "pid": own.process.pid}
    ready = own.hear()
    assert ready["event"] == "ready" and ready["devices"][0]["name"] == "cpu"
    assert ready["devices"][0]["label"].startswith("CPU, ")


def test_hello_does_not_wait_for_torch() -> None:
    code = "import sys, LandmarkDetectorLib.inference.worker as w; print('torch' in sys.modules, hasattr(w, 'main'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=worker_environment())
    assert done.stdout.split() == ["False", "True"], done.stderr


def test_what_is_printed_does_not_come_between_the_lines() -> None:
    code = (
        "import os, sys\nfrom LandmarkDetectorLib.inference import worker\nsend = worker.claim_stdout()\n"
        "print('by Python')\nos.write(1, b'by C')\nos.system('echo by a child')\nsend(b'{}\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=worker_environment(), check=True)
    assert done.stdout == b"{}\n"
    assert all(words in done.stderr for words in (b"by Python", b"by C", b"by a child"))


def test_a_detection_reports_stages_fractions_and_exactly_what_the_detector_finds(
    shared: RawWorker, head: VoxelFile
) -> None:
    shared.detect(1, head.reference)
    stages, fractions = [], []
    while (message := shared.hear())["event"] == "progress":
        stages.append(message["stage"])
        fractions.append(message["fraction"])
    assert message["event"] == "result" and message["id"] == 1
    assert [s for s in dict.fromkeys(stages) if s != "loading"][0] == "coarse" and stages[-1] == "done"
    assert fractions == sorted(fractions) and fractions[-1] == 1.0 and len(set(fractions)) > 2
    found, expected = landmarks_from_record(message["landmarks"]), Detector(HEAD, "cpu").detect(sample_image(HEAD))
    assert found.labels == expected.landmarks.labels and same_info(found, expected.landmarks)
    np.testing.assert_allclose(found.positions, expected.landmarks.positions, atol=1e-4)
    assert set(message["timing"]) == set(expected.timing) and message["notices"] == expected.notices


def test_the_detector_is_loaded_once(shared: RawWorker, head: VoxelFile) -> None:
    for number in (11, 12):
        shared.detect(number, head.reference)
        shared.wait_for("result", number)
    shared.detect(13, head.reference)
    assert shared.hear()["stage"] == "coarse"
    shared.wait_for("result", 13)


def test_load_warms_a_bundle_and_a_detection_may_wait_behind_it(shared: RawWorker, head: VoxelFile) -> None:
    shared.send(id=20, command="load", bundle=SKULL, device="cpu")
    shared.send(id=21, command="load", bundle=HEAD, device="cpu")
    shared.detect(22, head.reference)
    assert shared.wait_for("error", 22)["kind"] == "BusyError"
    assert shared.wait_for("result", 20)["bundle"] == SKULL
    assert shared.wait_for("result", 21)["bundle"] == HEAD


def test_a_second_request_is_refused_while_one_runs_and_the_first_goes_on(shared: RawWorker, skull: VoxelFile) -> None:
    shared.detect(30, skull.reference, SKULL)
    shared.wait_for("progress", 30)
    shared.detect(31, skull.reference, SKULL)
    refusal = shared.wait_for("error", 31)
    assert refusal["kind"] == "BusyError" and refusal["message"].endswith(".")
    assert len(shared.wait_for("result", 30)["landmarks"]["landmarks"]) == 45


def test_cancel_ends_a_detection_at_its_next_step_and_the_next_one_works(shared: RawWorker, skull: VoxelFile) -> None:
    shared.detect(40, skull.reference, SKULL)
    shared.wait_for("progress", 40)
    shared.send(command="cancel")
    assert shared.wait_for("error", 40)["kind"] == "Cancelled"
    shared.detect(41, skull.reference, SKULL)
    shared.wait_for("result", 41)


_UNSPEAKABLE = b'{"id": %s, "command": "load", "bundle": "fetal-head-us"}\n'
"""An answer with such a number in it could not be written."""


@pytest.mark.parametrize(
    "line",
    [b"what?\n", b"\xff\xfe\0\n", b"[1, 2]\n", b"[" * 100_000 + b"\n", _UNSPEAKABLE % b"NaN", _UNSPEAKABLE % b"1e400"],
)
def test_garbage_is_refused_and_the_worker_goes_on(shared: RawWorker, head: VoxelFile, line: bytes) -> None:
    shared.write(line)
    refusal = shared.wait_for("error")
    assert refusal["kind"] == "ProtocolError" and "\n" not in refusal["message"]
    shared.detect(50, head.reference)
    shared.wait_for("result", 50)


@pytest.mark.parametrize(
    ("request_", "kind", "words"),
    [
        ({"command": "dance"}, "ProtocolError", "no command 'dance'"),
        ({"command": "detect", "bundle": HEAD}, "ProtocolError", "'image'"),
        ({"command": "load"}, "ProtocolError", "'bundle'"),
        ({"command": "load", "bundle": ""}, "ProtocolError", "'bundle' as a text"),
        ({"command": "load", "bundle": "a\0b"}, "ProtocolError", "'bundle' as a text"),
        ({"command": "load", "bundle": HEAD, "device": 5}, "ProtocolError", "'device' as a text"),
        ({"command": "load", "bundle": "no-such-bundle"}, "BundleError", "no-such-bundle"),
        ({"command": "load", "bundle": HEAD, "device": "abacus"}, "DeviceError", "abacus"),
        ({"command": "detect", "bundle": HEAD, "image": {"file": "x"}}, "ImageError", "reference"),
        ({"command": "detect_file", "bundle": HEAD, "image": "no.nii", "outputs": []}, "ImageError", "no.nii"),
        (
            {"command": "detect_file", "bundle": HEAD, "image": "no.nii", "outputs": ["x.doc"]},
            "LandmarkFileError",
            "x.doc",
        ),
        ({"command": "detect_file", "bundle": HEAD, "image": "no.nii", "outputs": [5]}, "ProtocolError", "'outputs'"),
        (
            {"command": "detect_file", "bundle": HEAD, "image": "no.nii", "outputs": [], "coordinates": "ras"},
            "ProtocolError",
            "'coordinates' as LPS or RAS, not 'ras'",
        ),
        (
            {"command": "detect_file", "bundle": HEAD, "image": "no.nii", "outputs": [], "series": 7},
            "ProtocolError",
            "'series' as a text",
        ),
    ],
)
def test_a_request_that_cannot_be_done_ends_with_one_sentence(
    shared: RawWorker, request_: dict, kind: str, words: str
) -> None:
    shared.send(id=60, **request_)
    refusal = shared.wait_for("error", 60)
    assert refusal["kind"] == kind and words in refusal["message"]
    assert refusal["message"].endswith(".") and "Traceback" not in refusal["message"]


def test_voxels_that_vanished_or_did_not_arrive_whole_are_an_error(shared: RawWorker, tmp_path: Path) -> None:
    with VoxelFile(sample_image(HEAD)) as file:
        file.write()
        os.truncate(file.reference["file"], 1000)
        shared.detect(70, file.reference)
        assert "as a whole" in shared.wait_for("error", 70)["message"]
        reference = file.reference
    shared.detect(71, reference)
    message = shared.wait_for("error", 71)
    assert message["kind"] == "ImageError" and "no longer there" in message["message"]


@pytest.mark.parametrize("wrong", [{"shape": [1, -4, -4, 4]}, {"shape": [10**30]}, {"shape": []}, {"file": "a\0b"}])
def test_a_reference_that_cannot_be_is_an_error_and_no_defect(tmp_path: Path, wrong: dict) -> None:
    grid = Grid((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), np.eye(3))
    with VoxelFile(Image(noise((1, 4, 4, 4)), grid)) as file:
        file.write()
        with pytest.raises(ImageError, match="reference to an image is wrong|did not arrive as a whole"):
            read_mapped({**file.reference, **wrong})


def test_files_are_read_and_written_by_the_worker_whatever_their_names(shared: RawWorker, tmp_path: Path) -> None:
    folder = tmp_path / "Ordner mit Ümläuten und 頭"
    folder.mkdir()
    image = folder / "Schädel ü 1.mha"
    save_image(sample_image(HEAD), image)
    outputs = [folder / "neu" / f"Schädel ü 1{suffix}" for suffix in (".mrk.json", ".csv", ".fcsv")]
    shared.send(
        id=80, command="detect_file", image=str(image), outputs=[str(o) for o in outputs], bundle=HEAD, device="cpu"
    )
    message = shared.wait_for("result", 80)
    assert message["outputs"] == [str(o) for o in outputs] and message["timing"]["reading"] > 0
    found = landmarks_from_record(message["landmarks"])
    for output in outputs:
        np.testing.assert_allclose(load_landmarks(output).positions[:, :2], found.positions, atol=1e-3)
    assert sorted(p.name for p in outputs[0].parent.iterdir()) == sorted(o.name for o in outputs)


def test_a_bundle_may_lie_in_any_folder(shared: RawWorker, head: VoxelFile, tmp_path: Path) -> None:
    folder = tmp_path / "Bündel 頭 1" / HEAD
    shutil.copytree(load_bundle(HEAD).folder, folder)
    shared.detect(85, head.reference, str(folder))
    found = landmarks_from_record(shared.wait_for("result", 85)["landmarks"])
    assert found.info["bundle"] == HEAD
    shutil.rmtree(folder)
    shared.detect(86, head.reference, str(folder))  # warm, but no longer there
    assert shared.wait_for("error", 86)["kind"] == "BundleError"


def test_when_one_file_cannot_be_written_none_is(shared: RawWorker, tmp_path: Path) -> None:
    image = tmp_path / "head.mha"
    save_image(sample_image(HEAD), image)
    (tmp_path / "blocked").write_text("a file where a folder should be")
    outputs = [str(tmp_path / "head.csv"), str(tmp_path / "blocked" / "head.csv")]
    shared.send(id=90, command="detect_file", image=str(image), outputs=outputs, bundle=HEAD, device="cpu")
    assert shared.wait_for("error", 90)["kind"] == "LandmarkFileError"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["blocked", "head.mha"]


def test_what_reading_warns_of_comes_as_a_notice(shared: RawWorker, tmp_path: Path) -> None:
    image = tmp_path / "flat.npy"
    np.save(image, np.full((40, 40), 7, np.uint8))
    shared.send(id=95, command="detect_file", image=str(image), outputs=[], bundle=HEAD, device="cpu")
    assert "every voxel" in shared.wait_for("notice", 95)["text"]
    assert any("pixels" in notice for notice in shared.wait_for("result", 95)["notices"])


def test_the_end_of_its_input_ends_it_in_the_middle_of_an_inference(own: RawWorker, skull: VoxelFile) -> None:
    own.detect(1, skull.reference, SKULL)
    while own.wait_for("progress", 1)["stage"] != "patches":
        pass
    assert own.process.stdin is not None
    own.process.stdin.close()
    assert own.ends_within(2.0) == 0


def test_the_end_of_its_input_ends_it_while_it_is_starting(own: RawWorker) -> None:
    own.wait_for("hello")
    assert own.process.stdin is not None
    own.process.stdin.close()
    assert own.ends_within(2.0) == 0


def test_exit_ends_it(own: RawWorker) -> None:
    own.wait_for("ready")
    own.send(command="exit")
    assert own.ends_within(2.0) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups of this kind")
def test_it_heads_a_group_of_its_own_so_that_its_tree_can_be_killed(own: RawWorker) -> None:
    pid = own.wait_for("hello")["pid"]
    assert os.getpgid(pid) == pid != os.getpgid(0)


def test_no_name_of_a_patient_is_logged(own: RawWorker, tmp_path: Path) -> None:
    folder = tmp_path / PATIENT
    folder.mkdir()
    image = folder / f"{PATIENT}.mha"
    save_image(sample_image(HEAD), image)
    broken = folder / f"{PATIENT}.nii"
    broken.write_bytes(b"not an image" * 100)
    for number, path in enumerate((image, broken, folder / "none.dcm")):
        own.send(id=number, command="detect_file", image=str(path), outputs=[], bundle=HEAD, device="cpu")
        while own.hear()["event"] not in ("result", "error"):
            pass
    own.close()
    assert PATIENT.encode() not in b"".join(own.log)


def test_a_defect_is_said_in_one_sentence_and_logged_without_names(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], head: VoxelFile
) -> None:
    from LandmarkDetectorLib.inference.serve import Servant
    from LandmarkDetectorLib.inference.worker import Desk

    def break_down(*_: object) -> None:
        raise KeyError(f"/data/{PATIENT}.nii")

    monkeypatch.setattr(Detector, "detect", break_down)
    said: list[bytes] = []
    desk = Desk(said.append)
    message = {"id": 1, "command": "detect", "image": head.reference, "bundle": HEAD, "device": "cpu"}
    desk.take(json.dumps(message).encode())
    Servant().do(desk.next(), desk)
    end = SimpleNamespace(**json.loads(said[-1]))
    assert (end.event, end.kind) == ("error", "Defect") and "KeyError" in end.message and PATIENT not in end.message
    log = capfd.readouterr().err
    assert "break_down" in log and "KeyError" in log and PATIENT not in log


def test_an_application_that_crashed_leaves_nothing_once_a_worker_has_started() -> None:
    code = (
        "import sys, time, numpy as np\nfrom LandmarkDetectorLib.core import Image\n"
        "from LandmarkDetectorLib.inference.voxel_file import VoxelFile\n"
        "file = VoxelFile(Image.from_array(np.zeros((4, 4, 4))))\nfile.write()\n"
        "print(file.reference['file'], flush=True)\ntime.sleep(600)\n"
    )
    owners = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=worker_environment())
        for _ in range(2)
    ]
    crashed, alive = (Path(owner.stdout.readline().strip()) for owner in owners if owner.stdout)
    assert crashed.is_file() and alive.is_file()
    owners[0].kill()
    owners[0].wait()
    late = RawWorker()
    try:
        late.wait_for("ready")
        assert soon(lambda: not crashed.parent.exists())
        assert alive.is_file()
    finally:
        late.close()
        for owner in owners:
            owner.kill()
            owner.wait()
            if owner.stdout:
                owner.stdout.close()
        assert soon(lambda: not alive.exists() or bool(_sweep()))


def _sweep() -> int:
    from LandmarkDetectorLib.inference.voxel_file import sweep

    return sweep()

"""Several processes train what one trains: nothing twice, nothing left out, the same gradient, one that writes."""

from __future__ import annotations

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from LandmarkDetectorLib.bundles import load_bundle
from LandmarkDetectorLib.bundles.networks import build_network
from LandmarkDetectorLib.core import Cancelled, DeviceError, LandmarkDetectorWarning, RecipeError
from LandmarkDetectorLib.datasets import read_dataset
from LandmarkDetectorLib.models.network import HeatmapNetwork
from LandmarkDetectorLib.training import read_recipe, train
from LandmarkDetectorLib.training.distributed import Team, assembled, batch_norms, mean_rows, share_of
from LandmarkDetectorLib.training.lesson import EVEN, Lesson, precision_of
from LandmarkDetectorLib.training.objective import Objective
from LandmarkDetectorLib.training.recipe import StageTraining
from LandmarkDetectorLib.training.specimens import load_specimens
from LandmarkDetectorLib.training.stage import StageRun, train_stage
from LandmarkDetectorLib.training.train import _say_what_batches_norms_see, learn_pipeline, make_sampler
from Testing.phantoms import recipe_text, write_dataset

ROOT = Path(__file__).resolve().parents[2]
FEW = {"validate_every: 20": "validate_every: 2"}


def prepared(folder: Path, steps: int = 4, **changes: str) -> tuple[Path, Path]:
    (folder / "data").mkdir()
    write_dataset(folder / "data", 6, side=40)
    text = recipe_text(2, steps, **changes)
    for old, new in FEW.items():
        text = text.replace(old, new)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return folder / "recipe.yaml", folder / "data"


@pytest.mark.parametrize("batches", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 6, 8])
def test_every_row_of_every_batch_is_learnt_from_once(size: int, batches: int) -> None:
    shares = [share_of(rank, size, batches) for rank in range(size)]
    assert len({len(share.batches) for share in shares}) == 1  # each as often as the others, or they wait for ever
    learnt = [(number, row) for share in shares for number in share.batches for row in share.rows(11)]
    assert sorted(learnt) == [(number, row) for number in range(batches) for row in range(11)]


@pytest.mark.parametrize("loss", ["", "loss: {name: heatmap_l2, arguments: {reduction: sum}}, "])
@pytest.mark.parametrize("stage", ["coarse", "frame", "patch"])
def test_the_mean_of_all_processes_gradients_is_that_of_one(tmp_path: Path, stage: str, loss: str) -> None:
    path, data = prepared(tmp_path)
    path.write_text(path.read_text().replace("_training: {", f"_training: {{{loss}", 3))
    recipe, dataset = read_recipe(path), read_dataset(data)
    pipeline = learn_pipeline(recipe, dataset, dataset.cases)
    training, cpu = getattr(recipe, f"{stage}_training"), torch.device("cpu")
    torch.manual_seed(0)
    network = build_network(pipeline, getattr(recipe, stage).network)
    objective = Objective(training, getattr(pipeline, stage))
    lesson = Lesson(network, objective, cpu, 2)
    lesson.mixed = torch.autocast("cpu", enabled=False)  # rounding would hide what is looked for
    sampler = make_sampler(stage, load_specimens(dataset.cases, pipeline), pipeline, training, network)

    def learn(size: int) -> tuple[dict[str, torch.Tensor], list[float]]:
        network.zero_grad()
        sums = np.zeros(3)
        for rank in range(size):
            share = share_of(rank, size, 1)
            whole = sampler.batch(np.random.default_rng(5), rows=share.rows)
            rows = share.rows(len(whole.images))
            weights = EVEN if size == 1 else objective.weights(whole.known, whole.present, rows, share.pieces)
            total, parts = lesson(whole.rows(rows), weights)
            (total / size).backward()
            sums += parts.numpy() / size
        return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}, sums.tolist()

    one, losses = learn(1)
    for size in (2, 3):
        several, same = learn(size)
        assert same == pytest.approx(losses, rel=1e-5)
        scale = max(float(gradient.abs().max()) for gradient in one.values())
        for name, gradient in one.items():
            torch.testing.assert_close(several[name], gradient, rtol=1e-4, atol=1e-5 * scale, msg=name)


def ports(count: int) -> list[str]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [str(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return found


def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path)
    command = [sys.executable, "-m", "Testing.training.team_process", str(tmp_path), *ports(4)]
    started = []
    for rank in range(2):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}
        environment = {**os.environ, **place, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        started.append(subprocess.Popen(command, env=environment, cwd=ROOT))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    one = train(recipe, data, tmp_path / "one", device="cpu").state_dict()
    torch.set_num_threads(before)
    assert [process.wait(300) for process in started] == [0, 0]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in range(2))
    # Both have the bundle; one spoke; the one that was cancelled took the other with it.
    assert first["bundle"] == second["bundle"] and first["progress"] > 0 and second["progress"] == 0
    assert first["sentence"] == second["sentence"] and "stage frame at step 2; --resume" in first["sentence"]
    assert first["warned"] == second["warned"] == []
    assert first["talk"] == second["talk"] == [True, False, 0, 0, 1, 0.5]
    for stage in ("coarse", "frame", "patch"):
        ours = [[float(v) for k, v in row.items() if k != "seconds"] for row in rows(tmp_path / f"whole/{stage}.csv")]
        alone = [[float(v) for k, v in row.items() if k != "seconds"] for row in rows(tmp_path / f"one/{stage}.csv")]
        assert len(ours) == 2
        np.testing.assert_allclose(ours, alone, rtol=0.02, atol=1e-3)
    whole = load_bundle(tmp_path / "whole/phantom").state_dict()
    parts = load_bundle(tmp_path / "parts/phantom").state_dict()
    for name, value in whole.items():
        assert torch.equal(value, parts[name]), name
        # What is added to a whole map means nothing to a softmax: its gradient is rounding, which Adam follows.
        if not name.endswith("head.bias"):
            assert float((value.float() - one[name].float()).abs().mean()) < 2e-3, name


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a process group of its own cannot be sent Ctrl-C on Windows")
def test_torchrun_stops_at_ctrl_c_and_goes_on(tmp_path: Path) -> None:
    recipe, data = prepared(tmp_path, steps=60)
    output = tmp_path / "run"
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, "-m", "LandmarkDetectorLib.cli", "train", str(recipe), "--data", str(data)]
    command += ["--output", str(output), "--device", "cpu"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    while not (output / "coarse.csv").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert said.count("Training was cancelled in stage coarse") == 1, said
    assert process.returncode != 0
    assert not list(output.glob("*.new"))
    subprocess.run([*command, "--resume"], env=environment, cwd=ROOT, check=True, timeout=300)
    assert load_bundle(output / "phantom").name == "phantom"


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    path, data = prepared(tmp_path)
    recipe, dataset = read_recipe(path), read_dataset(data)
    pipeline = learn_pipeline(recipe, dataset, dataset.cases)
    assert recipe.frame is not None and recipe.frame_training is not None
    network = build_network(pipeline, recipe.frame.network)
    sampler = make_sampler("frame", load_specimens(dataset.cases, pipeline), pipeline, recipe.frame_training, network)
    run = StageRun("frame", 0, Team(rank=3, size=8), tmp_path)
    with pytest.raises(RecipeError, match="a batch of 4 cannot be divided among 8 processes"):
        train_stage(network, sampler, [], recipe.frame_training, Objective(recipe.frame_training, recipe.frame), run)


def test_without_torchrun_a_team_is_one_process() -> None:
    with assembled("cpu", {}) as team:
        assert (team.rank, team.size, team.first) == (0, 1, True)
        assert team.any(True) and not team.any(False) and team.from_first("a") == "a" and team.gather("a") == ["a"]
        team.mean_statistics(torch.nn.BatchNorm2d(2))
    assert not torch.distributed.is_initialized()


def test_processes_that_share_a_machine_have_a_device_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    place = {"RANK": "2", "LOCAL_RANK": "2", "WORLD_SIZE": "3"}
    with pytest.raises(DeviceError, match="more processes than the 2 CUDA device"), assembled("auto", place):
        pass
    with pytest.raises(DeviceError, match="cannot all use cuda:1; leave --device"), assembled("cuda:1", place):
        pass


def test_gpus_without_bfloat16_compute_in_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def supported(including_emulation: bool = True) -> bool:
        asked.append(including_emulation)
        return including_emulation  # as an old GPU says

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert precision_of(torch.device("cuda")) == torch.float16 and asked == [False]
    assert precision_of(torch.device("cpu")) in (torch.bfloat16, torch.float32)


def test_half_precision_scales_its_gradients_and_goes_on_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("LandmarkDetectorLib.training.lesson.precision_of", lambda device: torch.float16)
    recipe, data = prepared(tmp_path, patch="", patch_training="")
    whole = train(recipe, data, tmp_path / "whole", device="cpu").state_dict()
    state = torch.load(tmp_path / "whole/frame.checkpoint.pt", weights_only=True)
    assert state["scaler"]["scale"] > 1 and all(torch.isfinite(value).all() for value in whole.values())
    calls = iter([False] * 5 + [True])
    with pytest.raises(Cancelled):
        train(recipe, data, tmp_path / "parts", device="cpu", cancelled=lambda: next(calls))
    parts = train(recipe, data, tmp_path / "parts", device="cpu", resume=True).state_dict()
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())


def test_the_curve_is_the_mean_over_processes() -> None:
    assert mean_rows([[[1.0, 2.0]], [[3.0, 6.0]]]) == [[2.0, 4.0]]
    assert mean_rows([[[1.0, 2.0]]]) == [[1.0, 2.0]]


def test_a_batch_normalisation_that_sees_a_part_of_a_batch_on_the_cpu_is_said() -> None:
    class Network(HeatmapNetwork):
        def __init__(self) -> None:
            super().__init__()
            self.norm = torch.nn.BatchNorm2d(1)

    one, two = (StageTraining(sigma=1.0, steps=1, batch=4, accumulate=n) for n in (1, 2))
    with pytest.warns(LandmarkDetectorWarning, match="image: on the CPU .* sees 1 of 2 parts of a batch"):
        _say_what_batches_norms_see("image", Network(), Team(0, 2), one)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _say_what_batches_norms_see("image", Network(), Team(0, 2), two)  # each process has whole batches
        _say_what_batches_norms_see("image", Network(), Team(), one)
        _say_what_batches_norms_see("image", Network(), Team(1, 2), one)  # the first one says it


def test_batch_normalisations_are_found() -> None:
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(1), torch.nn.Sequential(torch.nn.BatchNorm3d(2)))
    assert len(batch_norms(network)) == 2 and batch_norms(torch.nn.GroupNorm(1, 2)) == []

"""Train one stage: a sampler and a network in, averaged weights and a curve out.

The engine is ignite's. Every step draws its sample from a generator seeded by (seed, stage, step), and the checkpoint
holds the network, its average, the optimiser and the step: an interrupted run goes on to the same result (bit for bit
on one machine).
"""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from LandmarkDetectorLib.core import Cancelled
from LandmarkDetectorLib.training.objective import Objective
from LandmarkDetectorLib.training.recipe import StageTraining
from LandmarkDetectorLib.training.samplers import Batch, Sampler

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class StageRun:
    """Where and how a stage runs: its name, seed, device, folder for checkpoints, and who listens."""

    name: str
    seed: int
    device: torch.device
    folder: Path
    resume: bool = False
    progress: Progress | None = None
    cancelled: Callable[[], bool] | None = None


def train_stage(
    network: nn.Module,
    sampler: Sampler,
    validation: Sequence[Batch],
    training: StageTraining,
    objective: Objective,
    run: StageRun,
) -> dict[str, Tensor]:
    """Train a network; return the averaged weights: the last, or with ``patience`` those that validated best."""
    return _Stage(network, sampler, validation, training, objective, run).train()


class _Stage:
    def __init__(
        self, network, sampler, validation, training: StageTraining, objective: Objective, run: StageRun
    ) -> None:
        self.objective = objective
        self.run, self.training, self.sampler, self.validation = run, training, sampler, validation
        memory = torch.channels_last if sampler.dimension == 2 else torch.channels_last_3d
        self.network = network.to(run.device, memory_format=memory)
        decay = training.average
        # Early on the average must forget its random beginning.
        self.average = AveragedModel(
            self.network, avg_fn=lambda mean, new, n: mean + (new - mean) * max(1 - decay, 1 / (int(n) / 4 + 2))
        )
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=training.rate, weight_decay=training.decay)
        self.step = 0
        self.pool: ThreadPoolExecutor
        self.next: Future[Batch]
        self.best: tuple[float, dict[str, Tensor]] | None = None
        self.worse = 0
        self.engine = Engine(lambda _engine, _batch: self._step())
        self.checkpoint = run.folder / f"{run.name}.checkpoint.pt"
        self.curve = run.folder / f"{run.name}.csv"
        self.started, self.seconds_before = time.monotonic(), 0.0
        self.history: list[dict[str, float]] = []
        self.losses: list[list[float]] = []
        self.mixed = torch.autocast(run.device.type, dtype=torch.bfloat16, enabled=_bfloat16_pays(run.device))

    def train(self) -> dict[str, Tensor]:
        if self.run.resume and self.checkpoint.exists():
            self._load()
        every = self.training.validate_every
        self.engine.add_event_handler(Events.ITERATION_COMPLETED(every=every), lambda _: self._validate())
        self.engine.add_event_handler(Events.ITERATION_COMPLETED, lambda _: self._listen())
        remaining = self.training.steps - self.step
        if remaining > 0 and not self._exhausted():
            with ThreadPoolExecutor(1) as pool:
                self.pool, self.next = pool, pool.submit(self._batch, self.step * self.training.accumulate)
                self.engine.run([None] * remaining, max_epochs=1, epoch_length=remaining)
                self.next.result()
        if not self.history or self.history[-1]["step"] != self.step:
            self._validate()
        # Weights are picked by the validation cases only where the recipe asks for it: those cases are then no test.
        if self.best is not None and self.training.patience is not None:
            return self.best[1]
        return _weights(self.average.module)

    def _batch(self, number: int) -> Batch:
        return self.sampler.batch(np.random.default_rng([self.run.seed, _number(self.run.name), number]))

    def _following(self, number: int) -> Batch:
        """Batch ``number``, made while the one before was learnt from; the next one is begun."""
        batch = self.next.result()
        last = self.training.steps * self.training.accumulate - 1
        self.next = self.pool.submit(self._batch, min(number + 1, last))
        return batch

    def _step(self) -> float:
        count = self.training.accumulate
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate()
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        sums = np.zeros(3)
        for part in range(count):
            loss, parts = self._loss(self.network, self._following(self.step * count + part))
            (loss / count).backward()
            sums += [float(p) for p in parts]
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.average.update_parameters(self.network)
        self.step += 1
        self.losses.append((sums / count).tolist())
        return float(loss.detach())

    def _loss(self, network: nn.Module, batch: Batch) -> tuple[Tensor, list[Tensor]]:
        device = self.run.device
        memory = torch.channels_last if self.sampler.dimension == 2 else torch.channels_last_3d
        images = batch.images.to(device, memory_format=memory)
        landmarks, valid = batch.landmarks.to(device), batch.present.to(device)
        which = None if batch.which is None else batch.which.to(device)
        with self.mixed:
            output = network(images, which) if which is not None else network(images)
        total, parts = self.objective(output, landmarks, batch.known.to(device), valid)
        return total, list(parts)

    def _rate(self) -> float:
        warm = max(1, int(self.training.warmup * self.training.steps))
        if self.step < warm:
            return self.training.rate * (self.step + 1) / warm
        done = (self.step - warm) / max(1, self.training.steps - warm)
        return self.training.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    @torch.no_grad()
    def _validate(self) -> None:
        network = self.average.module.eval()
        losses, errors = [], []
        for batch in self.validation:
            loss, _ = self._loss(network, batch)
            losses.append(float(loss))
            errors.append(self._error(network, batch))
        means = np.mean(self.losses or [[math.nan] * 3], axis=0)
        row = {
            "step": self.step,
            "seconds": round(self.seconds_before + time.monotonic() - self.started, 1),
            "rate": self._rate(),
            "maps_loss": float(means[0]),
            "distance": float(means[1]),
            "presence": float(means[2]),
            "validation_loss": float(np.mean(losses)) if losses else math.nan,
            "validation_error": float(np.nanmean(np.concatenate(errors))) if errors else math.nan,
        }
        self.losses = []
        self.history.append(row)
        if self.validation:
            if self.best is None or row["validation_loss"] < self.best[0]:
                self.best, self.worse = (row["validation_loss"], _weights(network)), 0
            else:
                self.worse += 1
        self._save()
        if self._exhausted():
            self.engine.terminate()

    def _error(self, network: nn.Module, batch: Batch) -> np.ndarray:
        """Distance of what is read from the landmark, in samples; NaN where nothing is."""
        device = self.run.device
        which = None if batch.which is None else batch.which.to(device)
        with self.mixed:
            images = batch.images.to(device)
            output = network(images, which) if which is not None else network(images)
        distance = (self.objective.read(output.heatmaps) - batch.landmarks.to(device)).norm(dim=-1)
        return distance[batch.present.to(device)].cpu().numpy()

    def _exhausted(self) -> bool:
        return self.training.patience is not None and self.worse >= self.training.patience

    def _listen(self) -> None:
        if self.run.progress is not None:
            self.run.progress(self.run.name, self.step / self.training.steps)
        if self.run.cancelled is not None and self.run.cancelled():
            self._save()
            raise Cancelled(
                f"Training was cancelled in stage {self.run.name} at step {self.step}; --resume goes on from there."
            )

    def _save(self) -> None:
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "best": None if self.best is None else list(self.best),
            "worse": self.worse,
            "history": self.history,
            "seconds": self.seconds_before + time.monotonic() - self.started,
            "losses": self.losses,
        }
        temporary = self.checkpoint.with_suffix(".new")
        torch.save(state, temporary)
        os.replace(temporary, self.checkpoint)
        if self.history:
            with self.curve.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(self.history[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in self.history)

    def _load(self) -> None:
        state = torch.load(self.checkpoint, map_location=self.run.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.worse, self.history = state["step"], state["worse"], state["history"]
        self.best = None if state["best"] is None else (state["best"][0], state["best"][1])
        self.seconds_before, self.losses = state["seconds"], state["losses"]


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in network.state_dict().items()}


def _number(name: str) -> int:
    return int.from_bytes(name.encode(), "little") % 2**31


def _bfloat16_pays(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 in hardware; elsewhere it would be emulated, and slower."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return device.type == "cpu" and bool(torch.cpu.get_capabilities().get("avx512_bf16"))

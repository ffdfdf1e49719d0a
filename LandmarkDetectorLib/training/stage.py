"""Train one stage: a sampler and a network in, averaged weights and a curve out.

The engine is ignite's. Every step draws its sample, and what dropout leaves out, by a seed of (seed, stage, step), and
the checkpoint holds the network, its average, the optimiser and the step: an interrupted run goes on to the same result
(bit for bit on one machine's CPU; CUDA adds up in any order).
"""

from __future__ import annotations

import csv
import logging
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from ignite.engine import Engine, Events
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from LandmarkDetectorLib.core import Cancelled, RecipeError
from LandmarkDetectorLib.models.network import HeatmapOutput
from LandmarkDetectorLib.training.distributed import Team, mean_rows, share_of
from LandmarkDetectorLib.training.lesson import EVEN, Lesson, SharedLesson
from LandmarkDetectorLib.training.objective import Objective
from LandmarkDetectorLib.training.recipe import StageTraining
from LandmarkDetectorLib.training.samplers import Batch, Sampler
from LandmarkDetectorLib.training.specimens import Specimen

Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class StageRun:
    """Where and how a stage runs: its name, seed, team of processes, folder for checkpoints, and who listens."""

    name: str
    seed: int
    team: Team
    folder: Path
    resume: bool = False
    progress: Progress | None = None
    cancelled: Callable[[], bool] | None = None
    read_ahead: Callable[[Sequence[Specimen]], None] | None = None


def train_stage(
    network: nn.Module,
    sampler: Sampler,
    validation: Sequence[Batch],
    training: StageTraining,
    objective: Objective,
    run: StageRun,
) -> dict[str, Tensor]:
    """Train a network; return the averaged weights: the last, or with ``patience`` those that validated best.

    Of the ``validation`` batches each process of a team has its own, every ``team.size``-th.

    Raises:
        RecipeError: a batch is too small to be divided among the processes, or the training diverges.
        Cancelled: on request, after a checkpoint.
    """
    return _Stage(network, sampler, validation, training, objective, run).train()


class _Stage:
    def __init__(
        self, network, sampler, validation, training: StageTraining, objective: Objective, run: StageRun
    ) -> None:
        self.objective = objective
        self.run, self.training, self.sampler, self.validation = run, training, sampler, validation
        self.team, device = run.team, run.team.device
        self.share = share_of(self.team.rank, self.team.size, training.accumulate)
        if sampler.count * sampler.each < self.share.pieces:
            raise RecipeError(
                f"{run.name}: a batch of {sampler.count * sampler.each} cannot be divided among {self.share.pieces} "
                "processes; start fewer, or raise batch or accumulate in the recipe."
            )
        self.lesson = Lesson(network, objective, device, sampler.dimension)
        self.network = network.to(device, memory_format=self.lesson.memory)
        self.average = averaged(self.network, training.average)
        self.judge = Lesson(self.average.module, objective, device, sampler.dimension)
        groups = [{"params": list(self.network.parameters())}, *objective.to(device).learnt()]
        self.optimiser = torch.optim.AdamW(groups, lr=training.rate, weight_decay=training.decay)
        # Half precision has few small numbers; bfloat16 has as many as float32 and needs no scaling.
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.lesson.precision == torch.float16)
        self.step = 0
        self.pool: ThreadPoolExecutor
        self.next: Future[tuple[Batch, tuple[float, ...]]]
        self.best: tuple[float, dict[str, Tensor]] | None = None
        self.worse = 0
        self.engine = Engine(lambda _engine, _batch: self._step())
        self.engine.logger.setLevel(logging.CRITICAL)  # what ends a stage is raised; it need not be said twice
        self.checkpoint = run.folder / f"{run.name}.checkpoint.pt"
        self.curve = run.folder / f"{run.name}.csv"
        self.started, self.seconds_before = time.monotonic(), 0.0
        self.history: list[dict[str, float]] = []
        self.losses: list[list[float]] = []

    def train(self) -> dict[str, Tensor]:
        if self.run.resume and self.checkpoint.exists():
            self._load()
        # By the stage's own steps: the engine counts from 0 again when a run goes on.
        due = Events.ITERATION_COMPLETED(event_filter=lambda _engine, _event: self._is_due())
        self.engine.add_event_handler(due, lambda _: self._validate())
        self.engine.add_event_handler(Events.ITERATION_COMPLETED, lambda _: self._listen())
        remaining = self.training.steps - self.step
        if remaining > 0 and not self._exhausted():
            self.shared = SharedLesson(self.lesson, self.team, self.share.pieces)
            with ThreadPoolExecutor(1) as pool:
                self.pool, self.next = pool, pool.submit(self._batch, self.step * len(self.share.batches))
                self.engine.run([None] * remaining, max_epochs=1, epoch_length=remaining)
                self.next.result()
        if not self.history or self.history[-1]["step"] != self.step:
            self._validate()
        # Weights are picked by the validation cases only where the recipe asks for it: those cases are then no test.
        if self.best is not None and self.training.patience is not None:
            return self.best[1]
        return _weights(self.average.module)

    def _batch(self, turn: int) -> tuple[Batch, tuple[float, ...]]:
        """What this process learns from in a turn, of which it has some in every step, and what its terms count."""
        rows = self.share.rows
        if self.run.read_ahead is not None:
            turns = range(turn, min(turn + 2, self._turns))
            picked = [self.sampler.picked(self._draws(t), rows) for t in turns]
            self.run.read_ahead([specimen for batch in picked for specimen in batch])
        whole = self.sampler.batch(self._draws(turn), rows=rows)
        if self.share.pieces == 1:
            return whole, EVEN
        mine = rows(len(whole.images))
        return whole.rows(mine), self.objective.weights(whole.known, whole.present, mine, self.share.pieces)

    def _draws(self, turn: int, *of: int) -> np.random.Generator:
        step, part = divmod(turn, len(self.share.batches))
        number = step * self.training.accumulate + self.share.batches[part]
        return np.random.default_rng([self.run.seed, _number(self.run.name), number, *of])

    @property
    def _turns(self) -> int:
        return self.training.steps * len(self.share.batches)

    def _following(self, turn: int) -> tuple[Batch, tuple[float, ...]]:
        """Batch of a turn, made while the one before was learnt from; the next one is begun."""
        batch = self.next.result()
        self.next = self.pool.submit(self._batch, min(turn + 1, self._turns - 1))
        return batch

    def _step(self) -> float:
        count = len(self.share.batches)
        for group in self.optimiser.param_groups:
            group["lr"] = self._rate() * group.get("times", 1.0)
        self.lesson.train()
        self.optimiser.zero_grad(set_to_none=True)
        sums = np.zeros(3)
        for part in range(count):
            turn = self.step * count + part
            batch, weights = self._following(turn)
            # For dropout, which knows no generator but torch's own.
            torch.manual_seed(int(self._draws(turn, 1 + self.share.piece).integers(2**62)))
            with self.shared.alone(part < count - 1):
                loss, parts = self.shared(batch, weights)
                self.scaler.scale(loss / count).backward()
            sums += parts.tolist()
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.team.mean_statistics(self.network)
        self.average.update_parameters(self.network)
        self.step += 1
        self.objective.after(self.step, self.team.gather)
        self.losses.append((sums / count).tolist())
        return float(loss.detach())

    def _rate(self) -> float:
        warm = max(1, int(self.training.warmup * self.training.steps))
        if self.step < warm:
            return self.training.rate * (self.step + 1) / warm
        done = (self.step - warm) / max(1, self.training.steps - warm)
        return self.training.rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    @torch.no_grad()
    def _validate(self) -> None:
        self.judge.eval()
        self._check_finite()
        judged = []
        for batch in self.validation:
            output = self.judge.see(batch)
            judged.append((float(self.judge.loss(output, batch)[0]), self._error(output, batch)))
        everywhere = [pair for pairs in zip_longest(*self.team.gather(judged)) for pair in pairs if pair is not None]
        losses, errors = [loss for loss, _ in everywhere], [error for _, error in everywhere]
        self._agree_on_losses()
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
        if self.objective.sigma is not None:
            row["sigma"] = self.objective.sigma
        self.losses = []
        self.history.append(row)
        if losses:
            if self.best is None or row["validation_loss"] < self.best[0]:
                self.best, self.worse = (row["validation_loss"], _weights(self.average.module)), 0
            else:
                self.worse += 1
        self._save()
        if self._exhausted():
            self.engine.terminate()

    def _check_finite(self) -> None:
        """All processes have the same weights, so that all of them stop or none.

        Raises:
            RecipeError: a weight is no number any more, and none of them will ever be one again.
        """
        if all(bool(torch.isfinite(weight).all()) for weight in self.network.parameters()):
            return
        raise RecipeError(
            f"{self.run.name}: the weights are no numbers any more at step {self.step}; lower its rate in the recipe, "
            "and begin anew in another folder."
        )

    def _error(self, output: HeatmapOutput, batch: Batch) -> np.ndarray:
        """Distance of what is read from the landmark, in samples; NaN where nothing is."""
        distance = (self.objective.read(output.heatmaps) - batch.landmarks.to(self.team.device)).norm(dim=-1)
        return distance[batch.present.to(self.team.device)].cpu().numpy()

    def _agree_on_losses(self) -> None:
        """The mean over all processes of what each noted since the last row of the curve."""
        self.losses = mean_rows(self.team.gather(self.losses))
        self.objective.agree(self.team.gather)

    def _is_due(self) -> bool:
        return self.step % self.training.validate_every == 0

    def _exhausted(self) -> bool:
        return self.training.patience is not None and self.worse >= self.training.patience

    def _listen(self) -> None:
        if self.run.progress is not None:
            self.run.progress(self.run.name, self.step / self.training.steps)
        if self.team.any(self.run.cancelled is not None and self.run.cancelled()):
            self._agree_on_losses()
            self._save()
            raise Cancelled(
                f"Training was cancelled in stage {self.run.name} at step {self.step}; --resume goes on from there."
            )

    def _save(self) -> None:
        """Write the checkpoint and the curve; the first process does, for all of them have the same."""
        if not self.team.first:
            return
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "scaler": self.scaler.state_dict(),
            "objective": self.objective.state_dict(),
            "best": None if self.best is None else list(self.best),
            "worse": self.worse,
            "history": self.history,
            "seconds": self.seconds_before + time.monotonic() - self.started,
            "losses": self.losses,
        }
        temporary = self.checkpoint.with_suffix(".new")
        try:
            torch.save(state, temporary)
            os.replace(temporary, self.checkpoint)
        except (OSError, RuntimeError) as error:  # torch calls a full disk a RuntimeError
            with suppress(OSError):
                temporary.unlink()
            reason = error.strerror if isinstance(error, OSError) else "the disk does not take it"
            raise RecipeError(
                f"The checkpoint of stage {self.run.name} cannot be written ({reason}); free some space and --resume: "
                "the run goes on from the one before."
            ) from error
        if self.history:
            with self.curve.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, list(self.history[0]), lineterminator="\n")
                writer.writeheader()
                writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in self.history)

    def _load(self) -> None:
        try:
            self._take(torch.load(self.checkpoint, map_location=self.team.device, weights_only=True))
        except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, UnpicklingError) as error:
            raise RecipeError(
                f"{self.checkpoint.name} is damaged; delete it, and --resume begins stage {self.run.name} anew."
            ) from error

    def _take(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        if state.get("scaler"):  # empty where the run began on a device that scales nothing
            self.scaler.load_state_dict(state["scaler"])
        self.objective.load_state_dict(state.get("objective", {}))  # checkpoints of earlier versions have none
        self.step, self.worse, self.history = state["step"], state["worse"], state["history"]
        self.best = None if state["best"] is None else (state["best"][0], state["best"][1])
        self.seconds_before, self.losses = state["seconds"], state["losses"]


def averaged(network: nn.Module, decay: float) -> AveragedModel:
    """The moving average of a network's weights, of which a step leaves ``decay``.

    Early on it leaves less: the average must forget its random beginning.
    """

    def update(means: Any, now: Any, steps: Any) -> None:
        get_ema_multi_avg_fn(min(decay, 1 - 1 / (int(steps) / 4 + 2)))(means, now, steps)

    # For all weights at once: for each apart, a GPU would be waited for to say how many steps there were.
    return AveragedModel(network, multi_avg_fn=update)


def _weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in network.state_dict().items()}


def _number(name: str) -> int:
    return int.from_bytes(name.encode(), "little") % 2**31

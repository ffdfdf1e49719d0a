"""Fine-tuning: a bundle's networks, by the bundle's own recipe, go on learning from further cases, within a time.

Every stage begins from the bundle's weights, at a part of the recipe's rate. How many steps there are is settled once,
from the time that a few steps take on this machine, and written down: an interrupted run goes on with the same number,
to the same weights. Where cases of the original data are at hand they are rehearsed, lest what was learnt before be
forgotten; the new ones are shown as often.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from LandmarkDetectorLib.bundles import Bundle
from LandmarkDetectorLib.bundles.appearance import widened
from LandmarkDetectorLib.bundles.networks import build_network
from LandmarkDetectorLib.bundles.pipeline import STAGES, Pipeline, PriorSettings, read_pipeline
from LandmarkDetectorLib.core import Cancelled, RecipeError
from LandmarkDetectorLib.datasets.cases import Case
from LandmarkDetectorLib.io.atomic import atomic_write
from LandmarkDetectorLib.models import learn_shape_prior
from LandmarkDetectorLib.training.distributed import Team, assembled
from LandmarkDetectorLib.training.lesson import Lesson
from LandmarkDetectorLib.training.objective import Objective
from LandmarkDetectorLib.training.recipe import Recipe
from LandmarkDetectorLib.training.specimens import load_specimens, that_teach
from LandmarkDetectorLib.training.split import Split
from LandmarkDetectorLib.training.train import make_sampler, part_of, shapes_and_looks, train_networks

RATE = 0.3
"""Of the recipe's learning rate: the networks are nearly right."""
LEAST_STEPS = 10
"""Of every stage, however short the time."""
REPEATED = 4
"""So many times as often, at most, is a new case shown as one that is rehearsed."""
PROBED = 2
"""Steps whose time is taken."""
KNOWN = 0.8
"""The shape is learnt anew where so many cases are at hand, of those that it was learnt from."""
LEAST_SHAPES = 4
"""In so many of them every landmark must be placed."""
PLAN = "plan.json"


@dataclass(frozen=True)
class Plan:
    """What a run will do; settled at its beginning.

    Args:
        parent: fingerprint of the bundle that it begins from.
        material: checksum of what it learns from.
        steps: of each stage.
        seconds: that one step of each stage took on this machine.
        reviewed: new cases.
        rehearsed: cases of the original data.
        repeats: how many times as often a new case is shown.
        minutes: that were given.
    """

    parent: str
    material: str
    steps: Mapping[str, int]
    seconds: Mapping[str, float]
    reviewed: int
    rehearsed: int
    repeats: int
    minutes: float

    def shares(self) -> dict[str, tuple[float, float]]:
        """Where each stage begins and how long it takes, as fractions of the whole."""
        return stage_shares({name: count * self.seconds[name] for name, count in self.steps.items()})


@dataclass(frozen=True, eq=False)
class FineTuned:
    """What came of it."""

    state: dict[str, Tensor]
    pipeline: Pipeline
    plan: Plan


def stage_shares(times: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Where each stage begins and how long it takes, as fractions of the whole, from what each takes."""
    total, begin, found = sum(times.values()) or 1.0, 0.0, {}
    for name, seconds in times.items():
        found[name] = (begin, seconds / total)
        begin += seconds / total
    return found


def fine_tune(
    parent: Bundle,
    recipe: Recipe,
    reviewed: Sequence[Case],
    rehearsed: Sequence[Case],
    folder: Path,
    *,
    material: str,
    minutes: float,
    resume: bool = False,
    device: str = "auto",
    progress: Callable[[str, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> FineTuned:
    """Go on training a bundle.

    Args:
        parent: the bundle.
        recipe: its own.
        reviewed: new cases; landmarks that are neither placed nor absent teach nothing.
        rehearsed: cases that trained it before, as far as they are at hand.
        folder: for checkpoints, curves and the plan.
        material: checksum of what is new, by which a run that is resumed knows that it is the same.
        minutes: that the training may take; no stage has more steps than the recipe gave it.
        resume: go on from the checkpoints in ``folder``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        progress: called with a stage's name and the fraction of the whole that is done.
        cancelled: asked after every step; when it says yes, a checkpoint is written and :class:`Cancelled` raised.

    Raises:
        RecipeError: another run stands in the folder, or ``torchrun`` has started several processes.
        LandmarkDetectorError: images or device are not usable.
    """
    started = time.monotonic()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # each would settle a number of steps of its own, and wait for ever
        raise RecipeError("A bundle is retrained by one process; start it without torchrun.")
    folder.mkdir(parents=True, exist_ok=True)
    before = read_plan(folder / PLAN)
    if before is not None and not resume:
        raise RecipeError(f"{folder.name} holds a run already; go on with it by --resume, or choose another folder.")
    if before is not None and (before.parent, before.material) != (parent.fingerprint, material):
        raise RecipeError(f"{folder.name} holds a run from another bundle or other corrections; choose another folder.")
    known, weights = read_pipeline(parent.settings, parent.name), parent.state_dict()
    cases = [*reviewed, *rehearsed]
    with assembled(device) as team:
        pipeline = _pipeline(known, recipe, reviewed, rehearsed, parent.card.training_data.subjects)
        plan = before
        if plan is not None and (plan.reviewed, plan.rehearsed) != (len(reviewed), len(rehearsed)):
            raise RecipeError(
                f"{folder.name} was begun with {plan.reviewed} reviewed and {plan.rehearsed} rehearsed cases, and now "
                f"there are {len(reviewed)} and {len(rehearsed)}; give the same --data, or another folder."
            )
        if plan is None:
            seconds = seconds_a_step(recipe, pipeline, cases, weights, team, cancelled)
            left = max(1.0, 60 * minutes - (time.monotonic() - started))
            repeats = int(np.clip(round(len(rehearsed) / max(1, len(reviewed))), 1, REPEATED))
            steps = steps_within(recipe, seconds, left)
            plan = Plan(
                parent.fingerprint, material, steps, seconds, len(reviewed), len(rehearsed), repeats, float(minutes)
            )
            write_plan(plan, folder / PLAN)
        shares = plan.shares()

        def told(stage: str, fraction: float) -> None:
            if progress is not None:
                begin, share = shares[stage]
                progress(stage, begin + share * fraction)

        state, pipeline = train_networks(
            adapted(recipe, pipeline, plan),
            pipeline,
            Split((*(list(reviewed) * plan.repeats), *rehearsed), ()),
            folder,
            team=team,
            resume=resume,
            initial=weights,
            progress=told,
            cancelled=cancelled,
        )
    return FineTuned(state, pipeline, plan)


def adapted(recipe: Recipe, pipeline: Pipeline, plan: Plan) -> Recipe:
    """The recipe with the plan's steps, a smaller rate, and targets as wide as they were at the end."""
    changes = {}
    for name in plan.steps:
        training, stage = getattr(recipe, f"{name}_training"), getattr(pipeline, name)
        change = {
            "steps": plan.steps[name],
            "rate": RATE * training.rate,
            "validate_every": max(5, plan.steps[name] // 20),
            "patience": None,
        }
        if name != "coarse" and stage.sigma > 0:
            change["sigma"] = stage.sigma
        changes[f"{name}_training"] = training.model_copy(update=change)
    return recipe.model_copy(update=changes)


def read_plan(path: Path) -> Plan | None:
    """The plan of a run, or ``None`` where there is no run.

    Raises:
        RecipeError: it is damaged.
    """
    if not path.is_file():
        return None
    try:
        return Plan(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise RecipeError(f"{path.name} of this run is damaged; begin anew in another folder.") from error


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan, whole or not at all."""
    with atomic_write(path, "w", encoding="utf-8") as stream:
        json.dump(asdict(plan), stream, indent=1)


def _pipeline(
    known: Pipeline, recipe: Recipe, reviewed: Sequence[Case], rehearsed: Sequence[Case], subjects: int
) -> Pipeline:
    """The bundle's settings; the shape anew where most of what it was learnt from is at hand, or more than that."""
    half = len(known.labels) / 2
    whole = [case for case in [*reviewed, *rehearsed] if np.isfinite(case.landmarks.positions).all(1).sum() >= half]
    enough = len({case.subject for case in whole}) >= KNOWN * subjects
    shapes, looks = shapes_and_looks(recipe, known, whole if enough else reviewed)
    changes: dict[str, Any] = {"appearance": widened(known.appearance, looks)}
    if enough and (np.isfinite(shapes).all(-1).sum(0) >= LEAST_SHAPES).all():
        prior = learn_shape_prior(shapes, modes=recipe.prior_modes, like=np.asarray(known.prior.mean))
        changes["prior"] = PriorSettings(
            mean=prior.mean.tolist(), factors=prior.factors.tolist(), noise=prior.noise.tolist(), scales=prior.scales
        )
    return known.model_copy(update=changes)


def seconds_a_step(
    recipe: Recipe,
    pipeline: Pipeline,
    cases: Sequence[Case],
    weights: Mapping[str, Tensor] | None,
    team: Team,
    cancelled: Callable[[], bool] | None,
) -> dict[str, float]:
    """How long a step of each stage takes here; nothing is kept of what these steps learn."""
    specimens = load_specimens(that_teach(cases, aloud=False)[:PROBED], pipeline)
    found = {}
    for name in STAGES:
        settings, training = getattr(recipe, name), getattr(recipe, f"{name}_training")
        if settings is None:
            continue
        if cancelled is not None and cancelled():
            raise Cancelled("Training was cancelled before its first step; nothing was learnt.")
        network = build_network(pipeline, settings.network, weights_follow=True).to(team.device)
        if weights is not None:
            network.load_state_dict(part_of(weights, name))
        sampler = make_sampler(name, specimens, pipeline, training, network)
        objective = Objective(training, getattr(pipeline, name), len(pipeline.design), pipeline.dimension)
        lesson = Lesson(network, objective.to(team.device), team.device, sampler.dimension).train()
        optimiser = torch.optim.AdamW(network.parameters(), lr=0.0)
        times = []
        for number in range(PROBED + 1):  # the first one pays for what later ones find ready
            begun = time.perf_counter()
            batch = sampler.batch(np.random.default_rng(number))
            made = time.perf_counter()
            loss = lesson(batch)[0]
            loss.backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            loss.item()  # a GPU works on by itself until a number is asked for
            done = time.perf_counter()
            # Batches are made beside the learning, where there is a core for it.
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
            times.append(max(made - begun, done - made) if cores > 1 else done - begun)
        found[name] = training.accumulate * min(times[1:])
    return found


def steps_within(recipe: Recipe, seconds: Mapping[str, float], left: float) -> dict[str, int]:
    """As many steps of each stage as the time allows, in the recipe's proportions; no more than the recipe's."""
    wanted = {name: getattr(recipe, f"{name}_training").steps for name in seconds}
    part = min(1.0, left / sum(wanted[name] * seconds[name] for name in seconds))
    return {name: min(wanted[name], max(LEAST_STEPS, int(part * wanted[name]))) for name in wanted}

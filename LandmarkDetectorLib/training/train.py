"""From a recipe and a data set to a bundle."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from LandmarkDetectorLib.bundles import Bundle, load_bundle
from LandmarkDetectorLib.bundles.appearance import Appearance, learn_appearance, look_of
from LandmarkDetectorLib.bundles.card import first_problem
from LandmarkDetectorLib.bundles.networks import build_network
from LandmarkDetectorLib.bundles.pipeline import STAGES, FrameStage, ImageStage, PatchStage, Pipeline, PriorSettings
from LandmarkDetectorLib.core import LandmarkDetectorWarning, RecipeError
from LandmarkDetectorLib.datasets.cases import Case, Dataset, read_dataset
from LandmarkDetectorLib.io.notices import notice
from LandmarkDetectorLib.models import ShapePrior, learn_shape_prior
from LandmarkDetectorLib.models.allocator import keep_freed_memory
from LandmarkDetectorLib.models.network import HeatmapNetwork
from LandmarkDetectorLib.training.distributed import Team, assembled, batch_norms, share_of
from LandmarkDetectorLib.training.foresight import check_to_the_end
from LandmarkDetectorLib.training.objective import Objective
from LandmarkDetectorLib.training.publish import publish, read_results
from LandmarkDetectorLib.training.recipe import Recipe, StageTraining, find_recipe, read_recipe
from LandmarkDetectorLib.training.run_record import check_record, run_record, write_record
from LandmarkDetectorLib.training.samplers import (
    Batch,
    FrameSampler,
    ImageSampler,
    PatchSampler,
    Sampler,
    WholeSampler,
)
from LandmarkDetectorLib.training.specimens import (
    NAMED,
    Specimen,
    called,
    check_all_placed,
    far_outside,
    load_specimens,
    positions_on,
    stream_specimens,
    that_teach,
)
from LandmarkDetectorLib.training.split import Split, split_cases
from LandmarkDetectorLib.training.stage import StageRun, train_stage
from LandmarkDetectorLib.training.streaming import StreamedPyramid

Images = Literal["cached", "streamed"]
Stage = TypeVar("Stage", ImageStage | None, FrameStage | None, PatchStage | None)


def train(
    recipe: Path | str,
    data: Path | str,
    output: Path | str,
    *,
    fold: int | None = None,
    resume: bool = False,
    device: str = "auto",
    images: Images = "cached",
    results: Path | str | None = None,
    settle: Callable[[Bundle], Bundle] | None = None,
    progress: Callable[[str, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Bundle:
    """Train a bundle; in several processes, where ``torchrun`` has started them.

    All processes see the same ``data`` and ``output``; the first one writes.

    Args:
        recipe: a YAML file, or the name of a recipe that comes with the library.
        data: a folder with a ``dataset.json``.
        output: a folder for checkpoints, curves and the bundle, which is written to ``output/NAME``.
        fold: hold out this fold of the recipe's cross-validation; by default everything but the samples trains.
        resume: go on from the checkpoints in ``output``.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``; of several processes each takes a device of its own.
        images: ``cached`` keeps them in memory, ``streamed`` reads them whenever they are looked at; the same weights.
        results: the file that a cross-validation of this very recipe wrote; the card quotes its errors.
        settle: called with the bundle that was written, and gives the one that is done. A recipe with ``offsets`` needs
            :func:`LandmarkDetectorLib.inference.offsets.settle` here, for only detections show them.
        progress: called with a stage's name and the fraction of it that is done.
        cancelled: asked after every step; when it says yes, a checkpoint is written and :class:`Cancelled` raised.

    Raises:
        LandmarkDetectorError: recipe, data or device are not usable; ``output`` holds a run, and ``resume`` is off or
            the run was begun with another fold, other cases or another way of training.
    """
    path = find_recipe(recipe)
    content = read_recipe(path)
    if content.offsets and settle is None:
        raise RecipeError(f"{path.name} has offsets, which detections teach; give settle, or leave offsets out.")
    output, data = Path(output), Path(data)
    quoted = read_results(None if results is None else Path(results), path)
    dataset = read_dataset(data)
    if dataset.cases and dataset.cases[0].landmarks.dimension not in (content.dimension, None):
        raise RecipeError(
            f"{path.name} is for {content.dimension}D images and {dataset.name} is not; choose another recipe."
        )
    split = split_cases(content, dataset, fold)
    record = run_record(content, split, fold)
    check_record(output, record, resume=resume)
    check_to_the_end(content, _pipeline(content, dataset, None), split, data, quoted)
    with assembled(device) as team:
        if team.first:
            write_record(output, record)
        learnt = learn_pipeline(content, dataset, split.training) if team.first else None
        pipeline = team.from_first(learnt)
        assert pipeline is not None
        state, pipeline = train_networks(
            content,
            pipeline,
            split,
            output,
            team=team,
            resume=resume,
            images=images,
            progress=progress if team.first else None,
            cancelled=cancelled,
        )
        bundle = None
        if team.first:
            settling = settle if content.offsets else None
            bundle = publish(content, path, pipeline, state, split, data, output, fold, quoted, settling)
        team.from_first(None)  # the others wait until it is written
    return bundle or load_bundle(output / content.name)


def learn_pipeline(recipe: Recipe, dataset: Dataset, cases: Sequence[Case]) -> Pipeline:
    """The settings of a detector, with a prior learnt from the landmarks of these cases, and how their images look.

    Raises:
        DatasetError: a label that none of them has a place for, or landmarks that do not fit their image.
        RecipeError: an image is of another dimension than the recipe or has other channels, or the recipe names
            labels or an axis that there are not.
    """
    check_all_placed(cases, dataset.labels, dataset.name)
    draft = _pipeline(recipe, dataset, None)
    shapes, appearance = shapes_and_looks(recipe, draft, cases)
    return _pipeline(recipe, dataset, learn_shape_prior(shapes, modes=recipe.prior_modes), appearance)


def shapes_and_looks(recipe: Recipe, pipeline: Pipeline, cases: Sequence[Case]) -> tuple[np.ndarray, Appearance | None]:
    """The shapes of cases (N, K, d) in view units, NaN where not annotated, and how their images look.

    Raises:
        RecipeError: an image is of another dimension or unit than the recipe, or has other channels.
        DatasetError: landmarks are in another unit or dimension than their image.
    """
    shapes, looks, far = [], [], []
    relative = recipe.intensity.quantiles
    for case in cases:
        image = case.image()
        if image.dimension != recipe.dimension:
            raise RecipeError(
                f"{recipe.name}: the recipe is for images in {recipe.dimension}D, and {called(case)} is in "
                f"{image.dimension}D; choose another recipe."
            )
        if image.channels != recipe.channels:
            raise RecipeError(
                f"{recipe.name}: the recipe is for images of {recipe.channels} channel(s), and {called(case)} has "
                f"{image.channels}; set channels in the recipe, or convert the image."
            )
        if recipe.view_unit == "world" and image.grid.unit != recipe.unit:
            raise RecipeError(
                f"{recipe.name}: the recipe's lengths are in {recipe.unit}, and {called(case)} is in "
                f"{image.grid.unit}; give its spacing, or set unit or view_unit in the recipe."
            )
        shapes.append(pipeline.ordered(positions_on(case, image.grid)) / pipeline.unit(image.grid))
        looks.append(look_of(image, relative, flat=recipe.dimension == 2))
        far += [f"{label!r} of {called(case)}" for label in far_outside(case, image.grid)]
    # Not refused: what was cut out of a scan may keep all landmarks of the scan, and teaches what is in it. Said, since
    # more often they are of another image or coordinate system, and spoil the shape by which all others are sought.
    if far:
        more = f" and {len(far) - NAMED} more" if len(far) > NAMED else ""
        notice(
            f"Landmarks lie farther outside their image than it is long ({', '.join(far[:NAMED])}{more}); look whether "
            "they are of this image and in its coordinate system, since the mean shape is learnt from them too."
        )
    appearance = learn_appearance(looks, scaled=recipe.view_unit == "world", relative=relative)
    return np.array(shapes), appearance


def _pipeline(
    recipe: Recipe, dataset: Dataset, prior: ShapePrior | None, appearance: Appearance | None = None
) -> Pipeline:
    count, d = len(dataset.labels), recipe.dimension
    prior = prior or ShapePrior(np.zeros((count, d)), np.zeros((count * d, 0)), np.ones(count * d), (1.0, 1.0))
    try:
        return Pipeline(
            dimension=recipe.dimension,
            channels=recipe.channels,
            labels=list(dataset.labels),
            view_unit=recipe.view_unit,
            intensity=recipe.intensity,
            prior=PriorSettings(
                mean=prior.mean.tolist(),
                factors=prior.factors.tolist(),
                noise=prior.noise.tolist(),
                scales=prior.scales,
            ),
            mirror=recipe.mirror_map(),
            order=recipe.order,
            auxiliary=recipe.auxiliary,
            coarse=recipe.coarse,
            image=_with_presence(_with_sigma(recipe.image, recipe.image_training), recipe.image_training),
            frame=_with_sigma(recipe.frame, recipe.frame_training),
            patch=_with_sigma(recipe.patch, recipe.patch_training),
            calibration=recipe.calibration,
            appearance=appearance,
        )
    except ValidationError as error:
        raise RecipeError(f"{recipe.name} and {dataset.name} do not fit: {first_problem(error)}.") from error


def _with_sigma(stage: Stage, training: StageTraining | None) -> Stage:
    """The stage's settings, which inference reads, with the width of the Gaussians that it is trained on."""
    if stage is None or training is None:
        return stage
    return stage.model_copy(update={"sigma": training.sigma})


def _with_presence(stage: ImageStage | None, training: StageTraining | None) -> ImageStage | None:
    """The stage's settings, with whether its network learns what is not there."""
    if stage is None or training is None:
        return stage
    return stage.model_copy(update={"presence": training.presence > 0})


def train_networks(
    recipe: Recipe,
    pipeline: Pipeline,
    split: Split,
    folder: Path,
    *,
    team: Team,
    resume: bool = False,
    images: Images = "cached",
    stages: Sequence[str] = STAGES,
    initial: Mapping[str, Tensor] | None = None,
    progress: Callable[[str, float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[dict[str, Tensor], Pipeline]:
    """Train every stage.

    Args:
        recipe: how.
        pipeline: the stages' numbers.
        split: what trains, and what the curves judge.
        folder: for checkpoints and curves.
        team: of processes.
        resume: go on from the checkpoints in ``folder``.
        images: cached or streamed.
        stages: these only.
        initial: weights to begin from, keys prefixed by the stage's name; by default they are drawn.
        progress: called with a stage's name and the fraction of it that is done.
        cancelled: asked after every step.

    Returns:
        One state dict, keys prefixed by the stage's name; and the pipeline, with the widths that targets which adapt
        ended with.
    """
    keep_freed_memory()
    folder.mkdir(parents=True, exist_ok=True)
    # Each process judges by its own part of the held-out cases.
    held_out = [case for case in split.held_out if case.annotated][:VALIDATED][team.rank :: team.size]
    state: dict[str, Tensor] = {}
    with _specimens(that_teach(split.training, aloud=team.first), pipeline, recipe, images) as (specimens, ahead):
        for name in stages:
            settings, training = getattr(recipe, name), getattr(recipe, f"{name}_training")
            if settings is None:
                continue
            torch.manual_seed(recipe.seed)
            network = build_network(pipeline, settings.network, weights_follow=initial is not None)
            if initial is not None:
                network.load_state_dict(part_of(initial, name))
            _say_what_batches_norms_see(name, network, team, training)
            sampler = make_sampler(name, specimens, pipeline, training, network)
            run = StageRun(name, recipe.seed, team, folder, resume, progress, cancelled, ahead)
            objective = Objective(training, getattr(pipeline, name), len(pipeline.design), pipeline.dimension)
            batches = _validation(name, held_out, pipeline, training, network, team)
            weights = train_stage(network, sampler, batches, training, objective, run)
            state |= {f"{name}.{key}": value for key, value in weights.items()}
            if objective.sigma is not None and name != "coarse":
                # Inference takes this width off what it reads. It is one for all: the mean over landmarks and axes.
                stage = getattr(pipeline, name).model_copy(update={"sigma": objective.sigma})
                pipeline = pipeline.model_copy(update={name: stage})
    return state, pipeline


def part_of(state: Mapping[str, Tensor], stage: str) -> dict[str, Tensor]:
    """The weights of one stage out of a bundle's, in single precision."""
    head = f"{stage}."
    part = {name.removeprefix(head): value for name, value in state.items() if name.startswith(head)}
    return {name: value.float() if value.is_floating_point() else value for name, value in part.items()}


@contextmanager
def _specimens(
    cases: Sequence[Case], pipeline: Pipeline, recipe: Recipe, images: Images
) -> Iterator[tuple[list[Specimen], Callable[[Sequence[Specimen]], None] | None]]:
    """Specimens, and how to say which of them are looked at next, where they are streamed."""
    if images == "cached":
        yield load_specimens(cases, pipeline), None
        return
    # What one batch looks at while the next one is read, whichever stage needs most.
    trainings = [training for name in STAGES if (training := getattr(recipe, f"{name}_training")) is not None]
    keep = 2 * max(max(training.batch, training.cases) for training in trainings)
    specimens, stream = stream_specimens(cases, pipeline, keep)

    def ahead(following: Sequence[Specimen]) -> None:
        stream.read_ahead(s.pyramid.number for s in following if isinstance(s.pyramid, StreamedPyramid))

    try:
        yield specimens, ahead
    finally:
        stream.close()


def _say_what_batches_norms_see(name: str, network: HeatmapNetwork, team: Team, training: StageTraining) -> None:
    pieces = share_of(team.rank, team.size, training.accumulate).pieces
    if team.first and pieces > 1 and team.device.type == "cpu" and batch_norms(network):
        warnings.warn(
            f"{name}: on the CPU each process's batch normalisation sees 1 of {pieces} parts of a batch, so that this "
            f"run is not what one process computes; let accumulate be a multiple of {team.size}, or train on CUDA.",
            LandmarkDetectorWarning,
            stacklevel=2,
        )


def make_sampler(
    name: str, specimens: list[Specimen], pipeline: Pipeline, training: StageTraining, network: HeatmapNetwork
) -> Sampler:
    """What a stage is shown in training."""
    if name == "coarse":
        return WholeSampler(specimens, pipeline, training)
    if name == "image":
        return ImageSampler(specimens, pipeline, training)
    if name == "frame":
        return FrameSampler(specimens, pipeline, training, network.factor)
    return PatchSampler(specimens, pipeline, training)


def _validation(
    name: str,
    cases: Sequence[Case],
    pipeline: Pipeline,
    training: StageTraining,
    network: HeatmapNetwork,
    team: Team,
) -> list[Batch]:
    """Fixed batches of held-out cases: posed as in training, their values as they are."""
    still = {"gain": 0.0, "gamma": 0.0, "noise": 0.0, "cut": 0.0, "absent": 0.0, "mirror": 0.0}
    training = training.model_copy(update={"augmentation": training.augmentation.model_copy(update=still), "batch": 1})
    batches = []
    for number, case in enumerate(cases):
        specimen = load_specimens([case], pipeline)[0]
        sampler = make_sampler(name, [specimen], pipeline, training, network)
        rng = np.random.default_rng([7, number * team.size + team.rank])
        batches.append(sampler.batch(rng, specimens=[specimen]))
    return batches


VALIDATED = 24
"""How many held-out cases are looked at while a stage trains; all of them are judged at the end."""

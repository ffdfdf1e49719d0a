"""The recipe: one YAML file that says how a bundle is made from a data set.

It is read strictly: a word that is not known is an error, not a wish. Lengths are in view units, as in
:mod:`LandmarkDetectorLib.bundles.pipeline`. A recipe may stand on another, see
:mod:`LandmarkDetectorLib.training.recipe_file`.
"""

from __future__ import annotations

import re
from collections import Counter
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from LandmarkDetectorLib.bundles.card import VERSION, first_problem
from LandmarkDetectorLib.bundles.names import check_bundle_name
from LandmarkDetectorLib.bundles.pipeline import (
    OFFSETS_AND_ORDER,
    STAGES,
    Calibration,
    FrameStage,
    ImageStage,
    IntensitySettings,
    Order,
    PatchStage,
    WholeStage,
    stages_disagree,
)
from LandmarkDetectorLib.core import BundleError, RecipeError
from LandmarkDetectorLib.training.recipe_file import recipe_content


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


Spread = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""The standard deviation of a draw."""


class Augmentation(_Strict):
    """How a training sample is varied; each number is the standard deviation of a normal draw unless said otherwise.

    ``rotation`` in degrees (``full``: uniformly over all rotations), ``scale`` and ``shear`` relative, ``shift`` in
    view units,
    ``centre`` in view units (patches: of the patch around the landmark), ``gain``, ``gamma`` and ``noise`` of the
    values,
    ``mirror``, ``cut`` and ``absent`` probabilities: of a mirror image, of a half-space beyond which nothing was
    scanned, of a sample without what is looked for (a patch elsewhere, a frame or an image in a wrong pose or of
    nothing).
    """

    rotation: Spread | Literal["full"] = 0.0
    scale: Spread = 0.0
    shear: Spread = 0.0
    shift: Spread = 0.0
    centre: Spread = 0.0
    gain: Spread = 0.1
    gamma: Spread = 0.1
    noise: Spread = 0.02
    mirror: float = Field(0.5, ge=0, le=1)
    cut: float = Field(0.1, ge=0, le=1)
    absent: float = Field(0.0, ge=0, le=1)


class LossSettings(_Strict):
    """A loss on heatmaps of the registry in :mod:`LandmarkDetectorLib.losses`, and its arguments."""

    name: str
    arguments: dict[str, Any] = {}


class LearntTargets(_Strict):
    """Widths of the target Gaussians that the optimiser moves, from ``sigma`` on; the loss is ``gaussian_heatmap_l2``.

    ``alpha``: what a width costs, per squared (cubed) sample beside the sum of squared differences over a map, whatever
    the map's size; ``rotation``: whether the Gaussians may also turn; ``rate``: of the widths, times the network's.
    """

    name: Literal["learnable"] = "learnable"
    alpha: float = Field(5.0, gt=0)
    rotation: bool = False
    rate: float = Field(1.0, gt=0)


class AdaLossTargets(_Strict):
    """Widths that shrink where a landmark's loss has become calm, every ``every`` steps, from ``sigma`` on.

    ``window``: losses that a variance is taken over; ``rho``: the largest step, ``floor`` and ``ceiling`` the bounds,
    in samples; ``non_increasing``: never wider. See :mod:`LandmarkDetectorLib.training.adaptive_sigma`.
    """

    name: Literal["adaloss"] = "adaloss"
    every: int = Field(50, ge=1)
    window: int = Field(3, ge=2)
    rho: float = Field(0.1, gt=0)
    floor: float = Field(1.0, gt=0)
    ceiling: float | None = None
    non_increasing: bool = False


def _by_name(value: Any) -> Any:
    """``learnable`` for ``{name: learnable}``, and ``none`` for nothing."""
    if isinstance(value, str):
        return None if value == "none" else {"name": value}
    return value


class StageTraining(_Strict):
    """How one stage is trained.

    ``size``: samples a side of what the coarse network sees; ``sigma``: of the target Gaussians, in samples; ``loss``:
    on the maps, the cross-entropy of their softmax by default; ``supervision``: weight of that loss on the maps of a
    network's earlier heads; ``distance``:
    weight of the distance loss beside it; ``presence``: weight of the presence loss; ``steps`` of
    ``accumulate`` batches of ``batch`` samples (``cases`` specimens, each with batch/cases patches, for the patch
    stage);
    several small batches a step stay in the processor's cache and fit a small GPU; ``patience``: validations without
    gain after which the stage stops early (never, by default); ``adaptive``: targets whose widths change, ``learnable``
    or ``adaloss``, or one of these with its settings, ``{name: learnable, alpha: 0.5}``.
    """

    sigma: float = Field(gt=0)
    steps: int = Field(ge=1)
    batch: int = Field(ge=1)
    cases: int = Field(4, ge=1)
    accumulate: int = Field(1, ge=1)
    size: int | None = Field(None, ge=8)
    loss: LossSettings | None = None
    supervision: float = Field(1.0, ge=0)
    rate: float = Field(2e-3, gt=0)
    decay: float = Field(1e-2, ge=0)
    warmup: float = Field(0.05, ge=0, lt=1)
    distance: float = Field(0.0, ge=0)
    presence: float = Field(0.0, ge=0)
    average: float = Field(0.998, gt=0, lt=1)
    validate_every: int = Field(200, ge=1)
    patience: int | None = Field(None, ge=1)
    adaptive: Annotated[
        Annotated[LearntTargets | AdaLossTargets, Field(discriminator="name")] | None, BeforeValidator(_by_name)
    ] = None
    augmentation: Augmentation = Augmentation()

    @model_validator(mode="after")
    def _widths_can_change(self) -> StageTraining:
        if self.adaptive is not None and self.patience is not None:
            raise ValueError("patience picks weights by a loss that adaptive widths change; leave one of them out")
        if isinstance(self.adaptive, LearntTargets) and (self.loss is not None or self.distance):
            raise ValueError("learnable widths have a loss of their own; leave out loss and distance")
        if isinstance(self.adaptive, AdaLossTargets):
            ceiling = self.sigma if self.adaptive.ceiling is None else self.adaptive.ceiling
            if not self.adaptive.floor <= self.sigma <= ceiling:
                raise ValueError(f"adaptive: the floor and the ceiling must enclose sigma, which is {self.sigma:g}")
        return self


class Validation(_Strict):
    """``folds``: families held out together; ``origins``: only annotations of these origins are judged."""

    folds: list[list[str]] = []
    fold_count: int | None = Field(None, ge=2)
    origins: list[str] = ["native"]

    @model_validator(mode="after")
    def _judged_once(self) -> Validation:
        found = Counter(family for fold in self.folds for family in fold)
        twice = next((family for family, count in found.items() if count > 1), None)
        if twice is not None:
            raise ValueError(f"the family {twice!r} stands twice in the folds; it is judged once")
        return self


class CardText(_Strict):
    """What the card says that data and training do not know."""

    title: str
    description: str
    modality: str
    intended_use: str
    licence: str
    licence_file: str
    credit: str
    training_data: dict[str, Any]
    definitions: dict[str, str] = {}
    names: dict[str, str] = {}
    limits: list[str] = []
    not_tested_on: list[str] = []


class Recipe(_Strict):
    """The whole recipe.

    ``offsets``: once the networks are trained, learn what detections are systematically off by on the training cases
    of the origins that are judged, and take it off.
    """

    name: str
    version: str = "0.1.0"
    seed: int = Field(0, ge=0)
    dimension: Literal[2, 3]
    channels: int = Field(1, ge=1)
    unit: Literal["mm", "px"] = "mm"
    view_unit: Literal["world", "image"] = "world"
    intensity: IntensitySettings
    mirror: list[list[str]] = []
    order: list[Order] = []
    auxiliary: dict[str, dict[str, float]] = {}
    samples: list[str] = []
    validation: Validation = Validation()
    coarse: WholeStage | None = None
    coarse_training: StageTraining | None = None
    image: ImageStage | None = None
    image_training: StageTraining | None = None
    frame: FrameStage | None = None
    frame_training: StageTraining | None = None
    patch: PatchStage | None = None
    patch_training: StageTraining | None = None
    prior_modes: int = Field(12, ge=0)
    offsets: bool = False
    calibration: Calibration
    card: CardText

    @model_validator(mode="after")
    def _offsets_are_of_landmarks_told_apart(self) -> Recipe:
        if self.offsets and self.order:
            raise ValueError(OFFSETS_AND_ORDER)
        return self

    @field_validator("name")
    @classmethod
    def _names_a_bundle(cls, name: str) -> str:
        try:
            return check_bundle_name(name)
        except BundleError as error:
            raise ValueError(str(error)) from error

    @field_validator("version")
    @classmethod
    def _three_numbers(cls, version: str) -> str:
        if not re.fullmatch(VERSION, version):
            raise ValueError(f"{version!r} is no version; write three numbers, as in 1.0.0")
        return version

    def mirror_map(self) -> dict[str, str]:
        """Each label's partner; a pair is written once, a landmark of the midline alone."""
        partners: dict[str, str] = {}
        for group in self.mirror:
            if len(group) not in (1, 2):
                raise RecipeError(f"mirror: {group} is neither a pair nor one landmark of the midline.")
            twice = next((label for label in group if label in partners), None)
            if twice is not None or len(set(group)) < len(group):
                raise RecipeError(f"mirror: {twice or group[0]!r} stands there twice; a landmark has one partner.")
            partners[group[0]], partners[group[-1]] = group[-1], group[0]
        return partners


RECIPES = Path(__file__).parent / "recipes"
"""The recipes that come with the library."""


def widths_cannot_be_learnt(stage: Any, training: StageTraining | None) -> str | None:
    """Why a stage's targets cannot have learnable widths though its training asks for them, or ``None``."""
    if training is None or not isinstance(training.adaptive, LearntTargets):
        return None
    if getattr(stage, "decoder", None) is None or stage.activation != "none":
        return (
            "learnable widths need maps that are heatmaps of any height; give the stage a decoder and no activation, "
            "or leave adaptive out"
        )
    return None


def find_recipe(name: str | Path) -> Path:
    """The path of a recipe, given as a path or by the name of one that comes with the library.

    Raises:
        RecipeError: there is neither.
    """
    path = Path(name)
    if path.is_file():
        return path
    shipped = RECIPES / f"{name}.yaml"
    if path.name == str(name) and shipped.is_file():
        return shipped
    known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
    raise RecipeError(f"There is no recipe {path.name!r}; give a YAML file, or one of {known}.")


def _unknown_word(error: ValidationError) -> str | None:
    """What is said of a word that the recipe does not know, with the one that was meant; ``None`` if all are known."""
    problem = next((one for one in error.errors(include_url=False) if one["type"] == "extra_forbidden"), None)
    if problem is None:
        return None
    schema = Recipe.model_json_schema()
    known = {word for part in (schema, *schema["$defs"].values()) for word in part.get("properties", ())}
    near = get_close_matches(str(problem["loc"][-1]), sorted(known), 1)
    meant = f"{near[0]!r} is the nearest" if near else "training/recipe.py and bundles/pipeline.py have all of them"
    return f"a recipe has no word {'.'.join(map(str, problem['loc']))!r}; {meant}"


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Raises:
        RecipeError: the file is missing, is not YAML, or says what the schema does not know.
    """
    path = Path(path)
    try:
        recipe = Recipe.model_validate(recipe_content(path))
    except ValidationError as error:
        raise RecipeError(f"{path.name}: {_unknown_word(error) or first_problem(error)}.") from error
    disagreement = stages_disagree(recipe.dimension, recipe.coarse, recipe.image, recipe.frame, recipe.patch)
    if disagreement:
        raise RecipeError(f"{path.name}: {disagreement}.")
    for stage in STAGES:
        if (getattr(recipe, stage) is None) != (getattr(recipe, f"{stage}_training") is None):
            raise RecipeError(f"{path.name}: {stage} needs both its settings and its training, or neither.")
        refused = widths_cannot_be_learnt(getattr(recipe, stage), getattr(recipe, f"{stage}_training"))
        if refused:
            raise RecipeError(f"{path.name}: {stage}: {refused}.")
    return recipe

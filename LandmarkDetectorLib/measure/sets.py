"""Sets of measurements: those that come with the library, a person's own, and which of them a bundle's labels allow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from LandmarkDetectorLib.core import LandmarkFileError, MeasurementError
from LandmarkDetectorLib.io.yaml_files import parse_yaml
from LandmarkDetectorLib.measure.formula import Formula, Need, Scope, is_name, read_formula
from LandmarkDetectorLib.measure.labels import lacking_of, match_labels, needs_of, plain
from LandmarkDetectorLib.measure.schema import KINDS, Definition, LandmarkEntry, Measurement, MidSagittal, Vocabulary

SETS = Path(__file__).parent / "sets"
VOCABULARIES = Path(__file__).parent / "vocabularies"

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class MeasurementSet:
    """A set of measurements whose every formula was read and checked.

    Attributes:
        name: by which it was loaded.
        definition: what its file says.
        landmarks: those of the vocabulary and the set's own, by the name that formulas use.
        mid_sagittal: the landmarks that determine the mid-sagittal plane, if any.
    """

    name: str
    definition: Definition
    landmarks: Mapping[str, LandmarkEntry]
    mid_sagittal: MidSagittal | None
    _compiled: dict[tuple[tuple[str, str], ...], tuple[tuple[Measurement, Formula], ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def title(self) -> str:
        """As a person calls the set."""
        return self.definition.title

    @cached_property
    def known_labels(self) -> Mapping[str, Need]:
        """What each plain label means."""
        return needs_of(self.landmarks)

    def match(self, labels: Iterable[str], mapping: Mapping[str, str] | None = None) -> dict[Need, str]:
        """The label of each landmark of the set, as far as there is one; see :func:`match_labels`."""
        return match_labels(self.known_labels, labels, mapping)

    def own_mapping(self, mapping: Mapping[str, str] | None) -> dict[str, str]:
        """Of a mapping for several sets what names landmarks of this one."""
        return {word: label for word, label in (mapping or {}).items() if plain(word) in self.known_labels}

    @property
    def names(self) -> list[str]:
        """The names of its measurements, in order."""
        return [measurement.name for measurement in self.definition.measurements]

    def chosen(self, choices: Mapping[str, str] | None = None) -> dict[str, str]:
        """The option of each choice of the set: as asked for, otherwise the default.

        Raises:
            MeasurementError: a choice or an option that the set does not know.
        """
        known = self.definition.choices
        for name, option in (choices or {}).items():
            if name not in known:
                raise MeasurementError(
                    f"{self.name} has no choice {name!r}; it has {', '.join(known) or 'none at all'}."
                )
            if option not in known[name].options:
                raise MeasurementError(
                    f"{self.name}: {name} cannot be {option!r}; choose one of {', '.join(known[name].options)}."
                )
        return {name: (choices or {}).get(name, choice.default) for name, choice in known.items()}

    def formulas(self, choices: Mapping[str, str] | None = None) -> tuple[tuple[Measurement, Formula], ...]:
        """Each measurement with its formula, read under these choices.

        Raises:
            MeasurementError: a formula is wrong; the message names the file, the measurement and the field.
        """
        chosen = self.chosen(choices)
        key = tuple(chosen.items())
        if key not in self._compiled:
            self._compiled[key] = self._read(chosen)
        return self._compiled[key]

    def _read(self, chosen: Mapping[str, str]) -> tuple[tuple[Measurement, Formula], ...]:
        defined: dict[str, Formula] = {}
        scope = Scope({name: entry.bilateral for name, entry in self.landmarks.items()}, defined)
        for name, option in chosen.items():
            text = self.definition.choices[name].options[option]
            defined[name] = self._formula(text, scope, f"choices.{name}.options.{option}")
        for name, text in self.definition.constructions.items():
            defined[name] = self._formula(text, scope, f"constructions.{name}")
        read = []
        for measurement in self.definition.measurements:
            where = f"measurements.{measurement.name}"
            formula = self._formula(measurement.formula, scope, f"{where}.formula")
            if formula.kind != KINDS[measurement.unit]:
                raise MeasurementError(
                    f"{self.name}: {where}.unit: the formula gives {formula.kind}, which is not in {measurement.unit}."
                )
            if formula.signed and not measurement.sign:
                raise MeasurementError(
                    f"{self.name}: {where}.sign: the value can be negative; say what positive means."
                )
            for number, norm in enumerate(measurement.norms):
                try:
                    self.chosen(norm.choices)
                except MeasurementError as error:
                    raise MeasurementError(f"{self.name}: {where}.norms.{number}.choices: {error}") from error
            if is_name(measurement.name) and measurement.name not in self.landmarks:
                defined[measurement.name] = formula
            read.append((measurement, formula))
        return tuple(read)

    def _formula(self, text: str, scope: Scope, where: str) -> Formula:
        try:
            return read_formula(text, scope)
        except MeasurementError as error:
            raise MeasurementError(f"{self.name}: {where}: {error}.") from error


@dataclass(frozen=True)
class Suggestion:
    """How much of a set some labels allow.

    Attributes:
        name: of the set.
        title: as a person calls it.
        computable: names of the measurements that can be computed if all the labels are found.
        missing: for each other measurement the landmarks that it lacks.
    """

    name: str
    title: str
    computable: tuple[str, ...]
    missing: Mapping[str, tuple[str, ...]]


def measure_sets() -> list[str]:
    """The names of the sets that come with the library."""
    return sorted(path.stem for path in SETS.glob("*.yaml"))


def load_set(name: str | Path) -> MeasurementSet:
    """A set of measurements, by the name of one that comes with the library or by the path of a YAML file.

    Raises:
        MeasurementError: there is neither, or the file is wrong; the message names file, measurement and field.
    """
    path = Path(name)
    if path.name == str(name) and (SETS / f"{name}.yaml").is_file():
        return _shipped(str(name))
    if not path.is_file():
        raise MeasurementError(
            f"There is no set of measurements {path.name!r}; give a YAML file, or one of {', '.join(measure_sets())}."
        )
    return build_set(_yaml(path), path.stem, path.name)


@cache
def _shipped(name: str) -> MeasurementSet:
    path = SETS / f"{name}.yaml"
    return build_set(_yaml(path), name, path.name)


def build_set(content: Any, name: str, source: str = "") -> MeasurementSet:
    """A set from the content of a file of definitions.

    Args:
        content: mappings and lists, as YAML gives them.
        name: of the set.
        source: what messages call it; the name by default.

    Raises:
        MeasurementError: the content is not what a set must be, or a formula is wrong under one of the choices.
    """
    source = source or name
    definition = _check(Definition, content, source)
    landmarks, mid_sagittal = dict(definition.landmarks), definition.mid_sagittal
    if definition.vocabulary is not None:
        shared = _vocabulary(definition.vocabulary, source)
        landmarks = {**shared.landmarks, **landmarks}
        mid_sagittal = mid_sagittal or shared.mid_sagittal
    _check_landmarks(landmarks, mid_sagittal, source)
    for word in (*definition.constructions, *definition.choices):
        if word in landmarks:  # a formula would take the landmark, and nobody would see it
            raise MeasurementError(
                f"{source}: {word!r} is a landmark of the vocabulary; call the construction or choice otherwise."
            )
    measurement_set = MeasurementSet(source, definition, landmarks, mid_sagittal)
    measurement_set.formulas()
    for choice, options in definition.choices.items():
        for option in options.options:
            measurement_set.formulas({choice: option})
    return MeasurementSet(name, definition, landmarks, mid_sagittal, measurement_set._compiled)


def distance_set(labels: Sequence[str], pairs: Iterable[tuple[str, str]], name: str = "distances") -> MeasurementSet:
    """A set for landmarks of any kind: the distances of pairs, and the centroid size of all.

    Args:
        labels: of the landmarks.
        pairs: of labels.
        name: of the set.

    Raises:
        MeasurementError: fewer than two labels, two that mean the same, a pair of others or of one label.
    """
    names = {label: f"m{number}" for number, label in enumerate(labels)}
    pairs = list(pairs)
    strange = [label for pair in pairs for label in pair if label not in names]
    twice = [a for a, b in pairs if a == b]
    if twice:
        raise MeasurementError(f"{name}: {twice[0]!r} has no distance from itself; give two labels.")
    if strange or len(names) < 2:
        raise MeasurementError(
            f"{name}: {strange[0]!r} is none of the labels." if strange else f"{name}: no two labels."
        )
    shared = {"unit": "mm", "views": ["2D", "3D"], "no_norm": "it is of landmarks that somebody chose"}
    measurements = [{"title": "Centroid size", "formula": f"centroid_size({', '.join(names.values())})"}]
    measurements += [{"title": f"{a} to {b}", "formula": f"distance({names[a]}, {names[b]})"} for a, b in pairs]
    content = {
        "title": "Distances and centroid size",
        "description": "Between landmarks that somebody chose.",
        "citation": "Bookstein FL. Morphometric Tools for Landmark Data, Cambridge University Press 1991",
        "landmarks": {names[label]: {"title": label} for label in names},
        "measurements": [{"name": each["title"], **each, **shared} for each in measurements],
    }
    return build_set(content, name)


def suggest_sets(
    labels: Iterable[str],
    sets: Iterable[str | Path | MeasurementSet] | None = None,
    dimension: int | None = None,
) -> list[Suggestion]:
    """The sets of which these labels allow something, the most complete first.

    Args:
        labels: of a bundle or of a file of landmarks.
        sets: to choose from; those that come with the library by default.
        dimension: of the landmarks, where it is known: what is measured in other views only does not count.
    """
    labels = list(labels)
    found = []
    for each in measure_sets() if sets is None else sets:
        measurements = each if isinstance(each, MeasurementSet) else load_set(each)
        there = set(measurements.match(labels))
        computable, missing = [], {}
        for measurement, formula in measurements.formulas():
            if (dimension == 2 and "2D" not in measurement.views) or (dimension == 3 and measurement.views == ("2D",)):
                continue
            lacking = lacking_of(formula.needs, None, measurements.landmarks, there)
            if lacking:
                missing[measurement.name] = lacking
            else:
                computable.append(measurement.name)
        if computable:
            found.append(Suggestion(measurements.name, measurements.title, tuple(computable), missing))
    return sorted(found, key=lambda each: -len(each.computable) / (len(each.computable) + len(each.missing)))


def _check(model: type[Model], content: Any, source: str) -> Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = list(first["loc"])
        entries = content.get("measurements") if isinstance(content, dict) else None
        if len(place) > 1 and place[0] == "measurements" and isinstance(place[1], int) and isinstance(entries, list):
            entry = entries[place[1]]
            place[1] = entry.get("name", place[1]) if isinstance(entry, dict) else place[1]
        where = ".".join(map(str, place))
        message = first["msg"].removeprefix("Value error, ")
        raise MeasurementError(f"{source}: {where + ': ' if where else ''}{message}.") from error


def _check_landmarks(landmarks: Mapping[str, LandmarkEntry], mid_sagittal: MidSagittal | None, source: str) -> None:
    try:
        needs_of(landmarks)
    except MeasurementError as error:
        raise MeasurementError(f"{source}: landmarks: {error}.") from error
    for names, bilateral in ((mid_sagittal.midline, False), (mid_sagittal.pairs, True)) if mid_sagittal else ():
        for name in names:
            if name not in landmarks or landmarks[name].bilateral != bilateral:
                what = "bilateral landmark" if bilateral else "landmark of the midline"
                raise MeasurementError(f"{source}: mid_sagittal: {name!r} is no {what} of the set.")


@cache
def _vocabulary(name: str, source: str) -> Vocabulary:
    path = VOCABULARIES / f"{name}.yaml"
    if not is_name(name) or not path.is_file():
        known = ", ".join(sorted(p.stem for p in VOCABULARIES.glob("*.yaml")))
        raise MeasurementError(f"{source}: vocabulary: there is no {name!r}; there is {known}.")
    return _check(Vocabulary, _yaml(path), path.name)


def _yaml(path: Path) -> Any:
    try:
        return parse_yaml(path.read_bytes(), path.name)
    except LandmarkFileError as error:
        raise MeasurementError(str(error)) from error

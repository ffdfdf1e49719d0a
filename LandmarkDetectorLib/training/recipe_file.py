"""A recipe's file, and the recipe that it stands on.

``base: other.yaml`` at the top takes everything that ``other.yaml``, beside it, says, and changes what is said here:
what a family of recipes shares is then written once, and each shows what it changes. Mappings are joined key by key,
but for one that gives another ``name``, which stands alone; anything else takes the place of what the base said, and
``null`` takes it away.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from LandmarkDetectorLib.core import LandmarkFileError, RecipeError
from LandmarkDetectorLib.io.yaml_files import parse_yaml


def recipe_content(path: Path) -> Any:
    """What a recipe says, its base included.

    Raises:
        RecipeError: a file is missing or is not YAML, or recipes stand on each other in a circle.
    """
    return _content(path, ())


def recipe_text(path: Path) -> bytes:
    """A recipe that needs no other file: the file as it is, or with its base written out."""
    text = _read(path)
    if not _stands_on(_parsed(path, text)):
        return text
    head = f"# Written out from {path.name} and what it stands on.\n"
    return (head + yaml.safe_dump(recipe_content(path), sort_keys=False, allow_unicode=True, width=120)).encode()


def _content(path: Path, above: tuple[Path, ...]) -> Any:
    content = _parsed(path, _read(path))
    base = _stands_on(content)
    if base is None:
        return content
    here = path.resolve()
    if here in above:
        raise RecipeError(f"{path.name} stands on itself by way of {above[-1].name}; take one base out.")
    below = _content(path.parent / base, (*above, here))
    if not isinstance(below, dict):
        raise RecipeError(f"{base} is no recipe, and {path.name} stands on it; give a YAML file of keys and values.")
    return _joined(below, {key: value for key, value in content.items() if key != "base"})


def _stands_on(content: Any) -> str | None:
    return str(content["base"]) if isinstance(content, dict) and content.get("base") is not None else None


def _joined(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    joined = dict(base)
    for key, value in own.items():
        if value is None:
            joined.pop(key, None)
        elif _same_thing(base.get(key), value):
            joined[key] = _joined(base[key], value)
        else:
            joined[key] = value
    return joined


def _same_thing(base: Any, own: Any) -> bool:
    """Whether two values are mappings, of what has the same name or none."""
    if not (isinstance(base, dict) and isinstance(own, dict)):
        return False
    return "name" not in own or own["name"] == base.get("name")


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise RecipeError(f"There is no recipe {path.name!r}; give the path of a YAML file.")
    return path.read_bytes()


def _parsed(path: Path, text: bytes) -> Any:
    try:
        return parse_yaml(text, path.name)
    except LandmarkFileError as error:
        raise RecipeError(str(error)) from error

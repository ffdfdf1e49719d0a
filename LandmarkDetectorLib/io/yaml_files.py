"""YAML that other people write: plain values only, read strictly and within bounds, with errors in sentences.

A few lines of YAML can stand for more values than any memory holds: a value may be named once and meant a thousand
times, and each of these again. So what such a text says is counted before it is made.
"""

from __future__ import annotations

from typing import Any

import yaml

from LandmarkDetectorLib.core import LandmarkFileError

LARGEST = 8 * 2**20
"""Characters of a text."""
MOST = 200_000
"""Values that it may hold, each counted as often as it is meant."""
DEEPEST = 50
"""Lists and mappings within each other."""


def parse_yaml(data: bytes | str, name: str) -> Any:
    """What a YAML text of the file ``name`` holds: mappings, lists, texts, numbers, dates, nothing else.

    Raises:
        LandmarkFileError: it is not UTF-8 or not YAML, says a key twice in one mapping, holds a number or a date that
            is none, or is too large or nested too deeply, written out.
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        if len(text) > LARGEST:
            raise LandmarkFileError(f"{name}: it is larger than the {LARGEST >> 20} MB a YAML file may have.")
        return yaml.load(text, Loader=_Bounded)  # noqa: S506  (a safe loader)
    except UnicodeDecodeError as error:
        raise LandmarkFileError(f"{name} is not YAML: byte {error.start} is not UTF-8 text.") from error
    except (yaml.YAMLError, ValueError) as error:  # the last: the 99th of a month, endless digits
        raise LandmarkFileError(f"{name} is not YAML: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    """What is wrong and where, without the lines of the file that the parser would show."""
    mark = getattr(error, "problem_mark", None)
    words = " ".join(str(getattr(error, "problem", None) or error).split()).rstrip(".")[:200]
    return words if mark is None else f"{words}, line {mark.line + 1}, column {mark.column + 1}"


class _Bounded(yaml.SafeLoader):
    """Refuses what would not end, and a key that stands twice, of which YAML would silently keep the last."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """A node of the text, if it is not too deep."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.YAMLError(f"it is nested deeper than {DEEPEST}")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def get_single_node(self) -> Any:
        """The whole text as nodes, if they are not too many."""
        node = super().get_single_node()
        if node is not None:
            _count(node, {})
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        """The mapping, if its keys differ; keys that ``<<`` brings in may be said anew."""
        keys: set[Any] = set()
        for key_node, _ in node.value:
            key = (key_node.tag, key_node.value) if isinstance(key_node, yaml.ScalarNode) else id(key_node)
            if key in keys:
                raise yaml.MarkedYAMLError(problem=f"{key_node.value!r} stands twice", problem_mark=key_node.start_mark)
            keys.add(key)
        return super().construct_mapping(node, deep=deep)


def _count(node: Any, known: dict[int, int]) -> int:
    """How many values a node means; a node that holds itself means no end of them."""
    if id(node) in known:
        if not known[id(node)]:
            raise yaml.YAMLError("a part of it holds itself")
        return known[id(node)]
    known[id(node)] = 0
    if isinstance(node, yaml.ScalarNode):
        total = 1
    elif isinstance(node, yaml.SequenceNode):
        total = 1 + sum(_count(item, known) for item in node.value)
    else:
        total = 1 + sum(_count(part, known) for pair in node.value for part in pair)
    if total > MOST:
        raise yaml.YAMLError(f"written out it holds more than {MOST} values")
    known[id(node)] = total
    return total

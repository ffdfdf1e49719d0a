"""The Qt that both bindings speak, as rules over the panel's source; ``offences`` finds what breaks them.

A rule looks at what ``kinds`` knows to be Qt's, and at one thing more: the panel's own names are snake_case and those
of VTK begin with a capital, so that a property in camelCase (``currentIndex``, ``plainText``) can only be Qt's. Which
names are properties is asked of PySide6's meta-objects, for the classes that the source and the ``.ui`` file name.
"""

from __future__ import annotations

import ast
import enum
import re
import sys
from collections.abc import Iterator
from typing import Any

from PySide6 import QtGui, QtWidgets

from Testing.panel.kinds import OWN, QT, Kinds, properties, qt_class, qt_name
from Testing.panel.pythonqt import ABSENT, FIRST_OF_TUPLE, SHORTCUT_METHODS

BARRED = {*ABSENT, "QSignalBlocker", "QMetaObject", "SIGNAL", "SLOT"}
HOSTS = {"slicer", "vtk", "numpy", "scipy", "SimpleITK", "qt", "ctk", "LandmarkDetector"}
OTHER_BINDINGS = {"PySide6", "PySide2", "PyQt5", "PyQt6", "qtpy", "PythonQt", "shiboken6"}
THREADS = {"threading", "_thread", "concurrent", "multiprocessing"}
FEWEST = {"clicked": 0, "triggered": 0, "finished": 1}  # arguments that a slot can count on
CAMEL = re.compile(r"[a-z]+[A-Z]")
ITEMS = (QtWidgets.QTableWidgetItem, QtWidgets.QListWidgetItem, QtWidgets.QTreeWidgetItem, QtGui.QMouseEvent)
USUAL = (QtWidgets.QTableWidget, QtWidgets.QComboBox, QtWidgets.QTextEdit, QtWidgets.QProgressDialog)


def offences(
    source: str, where: str = "snippet", forms: dict[str, Any] | None = None, knows_qt: bool = True
) -> list[str]:
    """What in a source breaks a rule, one sentence each, with its line.

    Args:
        source: the text of a Python file.
        where: what the sentences call it.
        forms: the widgets of the .ui files, by name.
        knows_qt: whether the file may import qt at all; what speaks MRML may not.
    """
    tree = ast.parse(source)
    named = {qt_name(node).split(".")[0] for node in ast.walk(tree)} - {""}
    rules = _Rules(forms or {}, {*map(qt_class, named), *(forms or {}).values(), *USUAL} - {None})
    rules.visit(tree)
    return [f"{where}:{line} {said}" for line, said in sorted({*_imports(tree, knows_qt), *rules.found})]


def _imports(tree: ast.Module, knows_qt: bool) -> Iterator[tuple[int, str]]:
    """Imports that Slicer would not find, or that would delay its start."""
    for node, later in _walk(tree, False):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        relative = isinstance(node, ast.ImportFrom) and node.level
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for name in () if relative else names:
            first = name.split(".")[0]
            if first in OTHER_BINDINGS:
                yield node.lineno, f"imports {name}; the host provides qt"
            elif first in THREADS:
                yield node.lineno, f"imports {name}; threads starve under Slicer's event loop, use a QProcess"
            elif first in QT and not knows_qt:
                yield node.lineno, f"imports {name}; what speaks MRML knows no Qt"
            elif not later and first not in HOSTS and first not in sys.stdlib_module_names:
                yield node.lineno, f"imports {name} at file scope; import it in the function that needs it"


def _walk(node: ast.AST, later: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Every node, and whether it runs later than the import of the file (or never, for the type checker alone)."""
    for child in ast.iter_child_nodes(node):
        typing_only = isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING")
        inside = later or typing_only or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield child, inside
        yield from _walk(child, inside)


def _root(node: ast.AST) -> str:
    """The first name of a dotted expression."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_enum(name: str) -> bool:
    """Whether a dotted name below qt, as ``Qt.AlignLeft``, is a value of an enum."""
    first, *rest = name.split(".")
    found: Any = qt_class(first)
    for part in rest:
        found = getattr(found, part, None)
    return isinstance(found, enum.Enum)


class _Rules(Kinds):
    """The rules, each beside the kind of node that it looks at."""

    def __init__(self, forms: dict[str, Any], used: set[Any]) -> None:
        super().__init__(forms)
        self._of_qt = {name for kind in used for name in dir(kind) if CAMEL.match(name)}
        self._camel = {name for kind in used for name in properties(kind) if CAMEL.match(name)}
        self._unlike_items = {name for name in self._camel if not any(hasattr(item, name) for item in ITEMS)}
        self.found: set[tuple[int, str]] = set()

    def _say(self, node: ast.AST, sentence: str) -> None:
        self.found.add((getattr(node, "lineno", 0), sentence))

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for base in filter(qt_name, node.bases):
            self._say(node, f"inherits from {ast.unparse(base)}; hold one instead")
        super().visit_ClassDef(node)

    def assigned(self, target: ast.AST) -> None:
        """``w.text = ...`` does nothing in PySide6, and ``w.anything = ...`` fails in PythonQt."""
        for part in target.elts if isinstance(target, ast.Tuple) else [target]:
            if not isinstance(part, ast.Attribute):
                continue
            kind = self.kind(part.value)
            if kind not in (None, OWN):
                self._say(part, f"assigns {ast.unparse(part)}; call a setter, and keep state in an object of your own")
            elif kind is None and part.attr in self._camel and _root(part) not in ("self", "slicer"):
                self._say(part, f"assigns {ast.unparse(part)}; call its setter")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        name = qt_name(node)
        if name:
            self._qt_attribute(node, name)
        elif isinstance(node.ctx, ast.Load):
            self._read(node)

    def _qt_attribute(self, node: ast.Attribute, name: str) -> None:
        if name in BARRED:
            self._say(node, f"uses qt.{name}, which PythonQt has not, or not so")
        elif name.split(".")[-1] in FIRST_OF_TUPLE:
            self._say(node, f"calls qt.{name}, a text in PythonQt and a tuple in PySide6; use the dialog as an object")
        elif name.split(".")[-1] in ("value", "name") and _is_enum(name.rpartition(".")[0]):
            self._say(node, f"reads qt.{name}; an enum of PythonQt is an int without that")

    def _read(self, node: ast.Attribute) -> None:
        kind = self.kind(node.value)
        if kind is None:
            if node.attr in self._unlike_items and _root(node) not in ("slicer", "vtk"):
                self._say(node, f'reads {ast.unparse(node)}, a property; write .property("{node.attr}")')
        elif kind is not OWN:
            if node.attr in properties(kind):
                self._say(node, f'reads {ast.unparse(node)}, a property; write .property("{node.attr}")')
            elif isinstance(getattr(kind, node.attr, None), (enum.Enum, enum.EnumMeta)):
                self._say(node, f"reaches the enum {ast.unparse(node)} through an instance; write qt.{kind.__name__}")

    def visit_Call(self, node: ast.Call) -> None:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name):
            self._plain_call(node, node.func.id)
        elif isinstance(node.func, ast.Attribute):
            self._method_call(node, node.func)

    def _plain_call(self, node: ast.Call, name: str) -> None:
        if name in ("isinstance", "issubclass") and any(map(qt_name, ast.walk(node))):
            self._say(node, f"asks {name} of a class of Qt, True only for the exact class; use .inherits(NAME)")
        if name == "int" and any(_is_enum(qt_name(argument)) for argument in node.args):
            self._say(node, "makes an int of an enum, which PySide6 refuses")

    def _method_call(self, node: ast.Call, function: ast.Attribute) -> None:
        name, owner = qt_name(function), self.kind(function.value)
        told = ast.unparse(function)
        ours = owner not in (None, OWN)
        unknown = owner is None and _root(function) not in ("slicer", "vtk")
        if isinstance(function.value, ast.Call) and ast.unparse(function.value) == "super()":
            if function.attr != "__init__" and any(
                hasattr(kind, function.attr) for kind in (QtWidgets.QWidget, *USUAL)
            ):
                self._say(node, f"calls {told}; call the class, qt.QWidget.{function.attr}(self, ...)")
            return
        if node.keywords and (name or ours or (unknown and function.attr in self._of_qt)):
            self._say(node, f"passes keywords to {told}; PythonQt takes positional arguments only")
        if told == "slicer.util.loadVolume" and len(node.args) + len(node.keywords) < 2:
            self._say(node, f"calls {told} without a word on singleFile; 001.png brings its neighbours along")
        elif function.attr == "connect":
            self._connect(node, function)
        elif function.attr == "emit" and isinstance(function.value, ast.Attribute):
            if self.kind(function.value.value) not in (None, OWN):
                self._say(node, f"calls {told}, which PythonQt has not; call a slot that leads to it, as click()")
        elif function.attr == "sender":
            self._say(node, f"calls {told}, None in PythonQt; bind what you need with a lambda")
        elif function.attr == "exec_" or (function.attr == "position" and owner is None):
            self._say(node, f"calls {told}, which one binding has not; write exec() and pos()")
        elif function.attr in SHORTCUT_METHODS or name == "QShortcut":
            if any(map(_is_text, node.args)):
                self._say(node, f"passes a text to {told}; write qt.QKeySequence(...)")
        elif name == "QDialogButtonBox":
            if any(isinstance(item, ast.BinOp) or _is_enum(qt_name(item)) for item in node.args):
                self._say(node, "makes a QDialogButtonBox with flags, empty in PythonQt; call setStandardButtons")
        elif (
            (name or ours) and function.attr != "singleShot" and any(isinstance(item, ast.Lambda) for item in node.args)
        ):
            self._say(node, f"passes a function to {told}; connect a signal")

    def _connect(self, node: ast.Call, function: ast.Attribute) -> None:
        told = ast.unparse(function)
        if isinstance(function.value, ast.Subscript):
            self._say(node, f"calls {told}; PythonQt has no overloads by index")
        if len(node.args) != 1 or node.keywords or _is_text(node.args[0]):
            self._say(node, f"calls {told} with something else than one callable")
            return
        signal = ast.unparse(function.value).rpartition(".")[2]
        slot = node.args[0]
        wants = self._wants(slot) if signal in FEWEST else 0
        if wants > FEWEST.get(signal, 0):
            self._say(node, f"connects {signal} to {ast.unparse(slot)}, which wants {wants} arguments; write *_")

    def _wants(self, slot: ast.AST) -> int:
        """How many arguments a lambda or a method of this class cannot do without."""
        if isinstance(slot, ast.Lambda):
            return len(slot.args.args) - len(slot.args.defaults)
        if isinstance(slot, ast.Attribute) and ast.unparse(slot.value) == "self" and slot.attr in self.methods:
            arguments = self.methods[slot.attr].args
            static = any(ast.unparse(item) == "staticmethod" for item in self.methods[slot.attr].decorator_list)
            return len(arguments.args) - (not static) - len(arguments.defaults)
        return 0

    def visit_Compare(self, node: ast.Compare) -> None:
        self.generic_visit(node)
        sides = [node.left, *node.comparators]
        enums = [side for side in sides if _is_enum(qt_name(side)) or self._gives_enum(side)]
        numbers = [side for side in sides if isinstance(side, ast.Constant) and type(side.value) is int]
        if enums and numbers:
            self._say(node, f"compares {ast.unparse(node)}; an enum is no int in PySide6, write its name")
        if enums and any(isinstance(operator, (ast.Is, ast.IsNot)) for operator in node.ops):
            self._say(node, f"asks {ast.unparse(node)}; compare enums with ==")

    def _gives_enum(self, node: ast.AST) -> bool:
        """Whether a call of a Qt method is declared to return an enum."""
        kind = self.kind(node) if isinstance(node, ast.Call) else None
        return isinstance(kind, enum.EnumMeta)

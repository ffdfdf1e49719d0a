"""What can be told of the names in the panel's source: which class of Qt they hold, or that they are its own.

- ``qt.QLabel(...)``, what was assigned from it (a name, or ``self.x`` anywhere in the class), and what a method of it
  is declared to return, have their class. ``ui.NAME`` has the class that the ``.ui`` file gives to NAME.
- A name that nobody assigned or annotated is taken for what its last word says (``WORDS``): ``combo`` is a QComboBox.
- What was assigned from anything else, or annotated as anything else, is the panel's own, and no rule looks at it.
- Of the rest nothing is known.
"""

from __future__ import annotations

import ast
import enum
import re
import typing
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from PySide6.QtCore import QObject
from shiboken6 import Shiboken
from shibokensupport.signature import get_signature

QT = ("qt", "ctk")
OWN = object()  # known, and not Qt's
STANDS_FOR = {  # Slicer's own widgets, by the class of Qt that they are built on
    "ctkCollapsibleButton": QtWidgets.QPushButton,
    "qMRMLNodeComboBox": QtWidgets.QWidget,
    "qMRMLWidget": QtWidgets.QWidget,
}
WORDS = {
    "action": QtGui.QAction,
    "bar": QtWidgets.QProgressBar,
    "box": QtWidgets.QMessageBox,
    "button": QtWidgets.QPushButton,
    "combo": QtWidgets.QComboBox,
    "dialog": QtWidgets.QDialog,
    "edit": QtWidgets.QLineEdit,
    "frame": QtWidgets.QFrame,
    "label": QtWidgets.QLabel,
    "layout": QtWidgets.QVBoxLayout,
    "menu": QtWidgets.QMenu,
    "process": QtCore.QProcess,
    "slider": QtWidgets.QSlider,
    "spin": QtWidgets.QSpinBox,
    "table": QtWidgets.QTableWidget,
    "timer": QtCore.QTimer,
    "widget": QtWidgets.QWidget,
}


def qt_class(name: str) -> Any:
    """The class of PySide6 of that name, or what one of Slicer's widgets is built on; None if there is none."""
    modules = (QtWidgets, QtCore, QtGui, QtUiTools)
    return STANDS_FOR.get(name) or next((getattr(module, name) for module in modules if hasattr(module, name)), None)


def properties(kind: Any) -> frozenset[str]:
    """The names that PythonQt reads as values of an instance of a Qt class."""
    if not (isinstance(kind, type) and issubclass(kind, QObject)):
        return frozenset()
    return _PROPERTIES.get(kind) or _properties(kind)


def _properties(kind: type[QObject]) -> frozenset[str]:
    meta = kind.staticMetaObject
    return frozenset(meta.property(index).name() for index in range(meta.propertyCount()))


# Read beforehand: once an object was asked for its metaObject(), that of its class is gone with the object.
_PROPERTIES = {
    kind: _properties(kind)
    for module in (QtWidgets, QtCore, QtGui)
    for kind in (getattr(module, name) for name in dir(module))
    if isinstance(kind, type) and issubclass(kind, QObject)
}


def widgets_of_forms(*forms: Path) -> dict[str, Any]:
    """The class of every named widget and layout of .ui files."""
    found = {}
    for form in forms:
        for tag in ElementTree.parse(form).iter():
            if tag.tag in ("widget", "layout", "action") and tag.get("name"):
                found[tag.get("name", "")] = qt_class(tag.get("class", "QAction")) or QtWidgets.QWidget
    return found


def qt_name(node: ast.AST) -> str:
    """``QLabel`` for ``qt.QLabel``, ``Qt.AlignLeft`` for ``qt.Qt.AlignLeft``, and nothing for anything else."""
    text = ast.unparse(node) if isinstance(node, ast.Attribute) else ""
    first, _dot, rest = text.partition(".")
    return rest if first in QT and re.fullmatch(r"[\w.]+", rest) else ""


def _returned(signature: Any) -> Any:
    """The class of Qt or the enum that a function is declared to return, or OWN: a text, a number, nothing."""
    first = signature[0] if isinstance(signature, list) else signature
    declared = getattr(first, "return_annotation", None)
    for kind in (declared, *typing.get_args(declared)):
        if isinstance(kind, enum.EnumMeta) or (isinstance(kind, type) and issubclass(kind, Shiboken.Object)):
            return kind
    return OWN


class Kinds(ast.NodeVisitor):
    """Walks a file from top to bottom and keeps what it learns of the names on its way.

    Args:
        forms: the widgets of the .ui files, by name.
    """

    def __init__(self, forms: dict[str, Any]) -> None:
        self._forms = forms
        self._scopes: list[dict[str, Any]] = [{}]
        self._members: list[dict[str, Any]] = [{}]  # of self, by name
        self.methods: dict[str, ast.FunctionDef] = {}

    # ---- what is known of an expression

    def kind(self, node: ast.AST | None) -> Any:
        """A class of PySide6, OWN, or None where nothing is known."""
        if isinstance(node, ast.Name):
            known = next((scope[node.id] for scope in reversed(self._scopes) if node.id in scope), None)
            return known or self._by_word(node.id)
        if isinstance(node, ast.Attribute):
            if isinstance(node.value, ast.Name) and node.value.id == "self":
                return self._members[-1].get(node.attr) or self._by_word(node.attr)
            if ast.unparse(node.value).rpartition(".")[2].strip("_") == "ui":
                return self._forms.get(node.attr) or self._by_word(node.attr)
            return None
        if isinstance(node, ast.Call):
            return self._made(node)
        if isinstance(node, ast.IfExp):
            return self.kind(node.body) or self.kind(node.orelse)
        return OWN if isinstance(node, (ast.Constant, ast.List, ast.Dict, ast.Tuple, ast.BinOp, ast.Compare)) else None

    def _made(self, node: ast.Call) -> Any:
        """What a call gives: an instance of the class that is called, or what a method is declared to return."""
        name = qt_name(node.func)
        if name and "." not in name:
            return qt_class(name)
        if not isinstance(node.func, ast.Attribute):
            return OWN
        owner = qt_class(name.split(".")[0]) if name else self.kind(node.func.value)
        if owner in (None, OWN):
            return owner
        function = getattr(owner, node.func.attr, None)
        return OWN if function is None or isinstance(function, type) else _returned(get_signature(function))

    @staticmethod
    def _by_word(name: str) -> Any:
        return WORDS.get(re.split(r"_|(?=[A-Z])", name.strip("_"))[-1].lower())

    def _annotated(self, annotation: ast.AST | None) -> Any:
        if annotation is None:
            return None
        return qt_class(qt_name(annotation)) or OWN

    def _learn(self, target: ast.AST, kind: Any) -> None:
        if isinstance(target, ast.Name):
            self._scopes[-1][target.id] = kind
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
            if kind is not None:
                self._members[-1].setdefault(target.attr, kind)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for part in target.elts:
                self._learn(part, kind if kind is OWN else None)

    # ---- scopes

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._members.append({})
        outer, self.methods = self.methods, {item.name: item for item in node.body if isinstance(item, ast.FunctionDef)}
        for child in ast.walk(node):  # self.x may be used above the line that assigns it
            if isinstance(child, ast.Assign) and isinstance(child.value, ast.Call):
                made = qt_name(child.value.func) or isinstance(child.value.func, ast.Name)
                for target in child.targets if made else ():
                    if isinstance(target, ast.Attribute):
                        self._learn(target, self.kind(child.value))
        self.generic_visit(node)
        self.methods = outer
        self._members.pop()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        self._scopes.append({item.arg: self._annotated(item.annotation) for item in arguments})
        self.generic_visit(node)
        self._scopes.pop()

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._scopes.append({})
        self.generic_visit(node)
        self._scopes.pop()

    def visit_For(self, node: ast.For) -> None:
        items = node.iter.elts if isinstance(node.iter, (ast.Tuple, ast.List)) else []
        kinds = [self.kind(item) for item in items]
        self._learn(node.target, kinds[0] if kinds else None)
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self.visit(node.value)
        for target in node.targets:
            self.assigned(target)
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for part, value in zip(target.elts, node.value.elts, strict=False):
                    self._learn(part, self.kind(value))
            else:
                self._learn(target, self.kind(node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self.assigned(node.target)
        self._learn(node.target, self._annotated(node.annotation))
        if node.value:
            self.visit(node.value)

    def assigned(self, target: ast.AST) -> None:
        """Called with what something is assigned to, before it is learnt."""

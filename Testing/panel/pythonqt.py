"""PySide6 behind the manners of PythonQt, so that the panel's tests run under both bindings without 3D Slicer.

``make_pythonqt()`` gives a module to put in the place of ``qt``. What it hands out are thin wrappers: each holds one
object of PySide6 and answers as PythonQt was measured to answer (that of Slicer 5.6 to 5.12). Where PythonQt quietly
does something else than PySide6, the wrapper raises with a sentence where it can, because a test should see it. It is
stricter than PythonQt in one thing: Qt's classes cannot be subclassed, since the panel composes.
"""

from __future__ import annotations

import enum
import inspect
import types
import weakref
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets
from PySide6.QtCore import QObject
from shiboken6 import Shiboken
from shibokensupport.signature import get_signature

SOURCES = (QtCore, QtGui, QtWidgets, QtUiTools)
ABSENT = {"QThread", "QThreadPool", "QRunnable", "Signal", "Slot", "Property", "QRegExp", "QTextCodec", "QVariant"}
FIRST_OF_TUPLE = {"getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"}
FIRST_OF_TUPLE |= {"getText", "getMultiLineText", "getInt", "getDouble", "getItem"}
SHORTCUT_METHODS = {"setShortcut", "setShortcuts", "setKey"}
TAKES_CALLABLE = {"singleShot"}
LATER_THAN_QT5 = {"position", "globalPosition", "scenePosition"}  # Slicer is built on Qt 5.15: events have pos()
# Signals of which Qt 5 or Slicer has a second one, and what that one says instead: PythonQt connects either.
SAYS_INSTEAD = {
    "currentNodeChanged": lambda _owner, node: node is not None,
    "currentIndexChanged": lambda owner, index: _text_of(owner, index),
    "activated": lambda owner, index: _text_of(owner, index),
}
# Properties of Slicer's own widgets, whose getters the desktop's Python stand-ins have as methods of the same name.
NATIVE_PROPERTIES = {
    "ctkCollapsibleButton": {"collapsed", "collapsedHeight"},
    "qMRMLNodeComboBox": {"currentNodeID", "nodeTypes", "noneEnabled", "addEnabled", "removeEnabled", "renameEnabled"},
}


def wrap(value: Any) -> Any:
    """What PythonQt would hand out for a value of PySide6: wrappers, enums that are ints, tuples instead of lists.

    Takes instances, classes and modules of PySide6 (and of the desktop host's stand-ins); what is none of them comes
    back as it is. ``unwrap`` is the way back.
    """
    if isinstance(value, enum.Enum):
        return EnumValue(value)
    if isinstance(value, (list, tuple)):
        return tuple(wrap(item) for item in value)
    if isinstance(value, Shiboken.Object):
        return _wrapper_of(value)
    if isinstance(value, type) and issubclass(value, enum.Enum):
        return EnumType(value)
    if isinstance(value, type) and issubclass(value, Shiboken.Object):
        return QtClass(value)
    if isinstance(value, types.ModuleType):
        return PythonQtModule(value.__name__, (value,))
    return value


def unwrap(value: Any) -> Any:
    """The object of PySide6 behind a wrapper; containers are followed, anything else comes back as it is."""
    if isinstance(value, (Wrapped, QtClass)):
        return object.__getattribute__(value, "_inner")
    if isinstance(value, EnumValue):
        return value.member
    if isinstance(value, (list, tuple)):
        return list(map(unwrap, value)) if isinstance(value, list) else tuple(map(unwrap, value))
    if isinstance(value, dict):
        return {key: unwrap(item) for key, item in value.items()}
    return value


class EnumValue(int):
    """One value of an enum: an int with a type, made anew at every reading, so that ``is`` never holds."""

    member: enum.Enum

    def __new__(cls, member: enum.Enum) -> EnumValue:
        made = super().__new__(cls, member.value)
        made.member = member
        return made

    def _combined(self, other: Any, operation: str) -> Any:
        theirs = unwrap(other)
        if not isinstance(theirs, enum.Enum):
            return getattr(int, operation)(self, theirs)
        return wrap(getattr(self.member, operation)(theirs))

    def __or__(self, other: Any) -> Any:
        return self._combined(other, "__or__")

    def __and__(self, other: Any) -> Any:
        return self._combined(other, "__and__")

    def __xor__(self, other: Any) -> Any:
        return self._combined(other, "__xor__")

    def __invert__(self) -> Any:
        return wrap(~self.member)  # type: ignore[operator]


class EnumType:
    """An enum class: its values are reached by name, and one is made from an int."""

    def __init__(self, inner: type[enum.Enum]) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> EnumValue:
        return EnumValue(self._inner[name]) if name in self._inner.__members__ else _absent(self._inner, name)

    def __call__(self, value: int) -> EnumValue:
        return EnumValue(self._inner(int(value)))


class Signal:
    """A signal: connected to one Python callable, and nothing else."""

    def __init__(self, owner: Any, name: str) -> None:
        self._signal, self._name, self._owner = getattr(owner, name), name, weakref.ref(owner)
        meta = owner.metaObject()
        methods = (meta.method(index) for index in range(meta.methodCount()))
        counts = [method.parameterCount() for method in methods if bytes(method.name().data()).decode() == name]
        # Qt lists clicked(bool) and clicked(), finished(int, ExitStatus) and finished(int): PythonQt takes either.
        self._fewest = min(counts, default=None)
        self._slots: list[tuple[Callable, Callable]] = _slots_of(owner).setdefault(name, [])

    def connect(self, slot: Callable, *more: Any) -> bool:
        """Call ``slot`` with as many of the fewest arguments as it takes; it must be callable, and comes alone."""
        if more or isinstance(slot, (str, Signal)) or not callable(slot):
            raise TypeError(f"{self._name}.connect() takes one Python callable, not {slot!r} {more or ''}")
        limit = _positional(slot)

        def call(*arguments: Any) -> Any:
            given = arguments[: self._fewest]
            if given and self._name in SAYS_INSTEAD:
                given = (SAYS_INSTEAD[self._name](self._owner(), *given),)
            return slot(*(wrap(argument) for argument in (given if limit is None else given[:limit])))

        self._slots.append((slot, call))
        self._signal.connect(call)
        return True

    def disconnect(self, slot: Callable) -> bool:
        """Stop calling ``slot``; False where it was not connected."""
        for pair in self._slots:
            if pair[0] == slot:
                self._slots.remove(pair)
                self._signal.disconnect(pair[1])
                return True
        return False

    def emit(self, *_: Any) -> None:
        """Refused: not supported by PythonQt for signals of Qt."""
        raise TypeError(f"{self._name}.emit() does not exist in PythonQt; call the slot that leads to it, as click()")

    def __getitem__(self, key: Any) -> None:
        raise TypeError(f"{self._name}[{key!r}]: PythonQt has no overloads by index; connect the signal itself")


class Method:
    """A function of Qt: positional arguments in, wrapped results out."""

    def __init__(self, inner: Callable, name: str) -> None:
        self._inner, self._name = inner, name

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        given = _checked(self._name, self._inner, arguments, keywords)
        if self._name in SHORTCUT_METHODS and any(isinstance(argument, str) for argument in given):
            raise TypeError(f"{self._name}({given[0]!r}): PythonQt takes a QKeySequence here, never a text")
        found = self._inner(*given)
        if self._name in FIRST_OF_TUPLE and isinstance(found, tuple):
            found = found[0]
        return wrap(found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Method) and other._inner == self._inner

    def __hash__(self) -> int:
        return hash(self._inner)


class Wrapped:
    """An instance of a Qt class: properties are values, the other getters and all setters are methods."""

    __slots__ = ("__weakref__", "_inner")
    _inner: Any

    def __init__(self, inner: Any) -> None:
        object.__setattr__(self, "_inner", inner)

    def __getattr__(self, name: str) -> Any:
        inner = self._inner
        if name in _properties(inner):
            return wrap(_read(inner, name))
        if name == "sender" and isinstance(inner, QObject):
            return lambda: None
        if name == "connect" or (name in LATER_THAN_QT5 and isinstance(inner, QtCore.QEvent)):
            _absent(type(inner), name)
        found = getattr(inner, name) if not name.startswith("__") else _absent(type(inner), name)
        if isinstance(found, QtCore.SignalInstance):
            return Signal(inner, name)
        if isinstance(found, (enum.Enum, type)):
            _absent(type(inner), name)
        return Method(found, name) if callable(found) else wrap(found)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _properties(self._inner):
            _absent(type(self._inner), name)
        self._inner.setProperty(name, unwrap(value))

    def __eq__(self, other: object) -> bool:
        return bool(self._inner == unwrap(other))

    def __hash__(self) -> int:
        return hash(self._inner)

    def __lt__(self, other: Any) -> Any:
        return self._inner < unwrap(other)

    def __add__(self, other: Any) -> Any:
        return wrap(self._inner + unwrap(other))

    def __sub__(self, other: Any) -> Any:
        return wrap(self._inner - unwrap(other))

    def __mul__(self, other: Any) -> Any:
        return wrap(self._inner * unwrap(other))

    def __repr__(self) -> str:
        return f"{type(self._inner).__name__} (PythonQt at: {id(self._inner):#x})"


class QtClass:
    """A Qt class: makes instances, holds enums and static functions, and is not there to be inherited from."""

    def __init__(self, inner: type) -> None:
        self._inner = inner
        self.__name__ = inner.__name__

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        given = _checked(self.__name__, self._inner, arguments, keywords)
        if self.__name__ == "QShortcut" and any(isinstance(argument, str) for argument in given):
            raise TypeError("QShortcut: PythonQt takes a QKeySequence, never a text")
        if self.__name__ == "QDialogButtonBox":  # PythonQt takes the flags for something else: the box is empty
            given = [argument for argument in given if not isinstance(argument, enum.Enum)]
        return _wrapper_of(self._inner(*given))

    def __getattr__(self, name: str) -> Any:
        found = _absent(self._inner, name) if name.startswith("__") else getattr(self._inner, name)
        wrapped = wrap(found)
        return wrapped if wrapped is not found or not callable(found) else Method(found, name)

    def __instancecheck__(self, instance: Any) -> bool:
        return type(unwrap(instance)) is self._inner  # measured: False for a subclass

    def __eq__(self, other: object) -> bool:
        return isinstance(other, QtClass) and other._inner is self._inner

    def __hash__(self) -> int:
        return hash(self._inner)

    def __mro_entries__(self, bases: tuple) -> tuple:
        raise TypeError(f"class of qt.{self.__name__}: the panel composes; hold a {self.__name__} instead")


class PythonQtModule(types.ModuleType):
    """A module whose classes are wrapped as they are asked for (PySide6 fills its own modules lazily, too)."""

    wrap = staticmethod(wrap)
    unwrap = staticmethod(unwrap)

    def __init__(self, name: str, sources: tuple[types.ModuleType, ...]) -> None:
        super().__init__(name)
        self._sources = sources

    def __getattr__(self, name: str) -> Any:
        source = next((source for source in self._sources if hasattr(source, name)), None)
        if source is None or name in ABSENT or name.startswith("__"):
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
        found = getattr(source, name)
        wrapped = wrap(found)
        return Method(found, name) if wrapped is found and callable(found) and not isinstance(found, type) else wrapped


def make_pythonqt() -> PythonQtModule:
    """A module to stand for ``qt``, with PythonQt's semantics; ``wrap`` and ``unwrap`` are its two doors."""
    return PythonQtModule("qt", SOURCES)


_wrappers: weakref.WeakValueDictionary[int, Wrapped] = weakref.WeakValueDictionary()
_slots: weakref.WeakKeyDictionary[Any, dict[str, list]] = weakref.WeakKeyDictionary()
_property_names: dict[type, frozenset[str]] = {}


def _wrapper_of(inner: Any) -> Wrapped:
    """The one wrapper of an object, as long as somebody holds it."""
    known = _wrappers.get(id(inner))
    if known is None or known._inner is not inner:
        known = _wrappers[id(inner)] = Wrapped(inner)
    return known


def _text_of(owner: Any, index: Any) -> Any:
    return owner.itemText(index) if isinstance(owner, QtWidgets.QComboBox) else index


def _slots_of(owner: Any) -> dict[str, list]:
    return _slots.setdefault(owner, {})


def _properties(inner: Any) -> frozenset[str]:
    """Names of what PythonQt reads as values: Qt's properties, those of Python stand-ins, those of Slicer's widgets."""
    if not isinstance(inner, QObject):
        return frozenset()
    kind = type(inner)
    if kind not in _property_names:
        meta = inner.metaObject()
        names = {meta.property(index).name() for index in range(meta.propertyCount())}
        for base in kind.__mro__:
            names |= NATIVE_PROPERTIES.get(base.__name__, set())
        _property_names[kind] = frozenset(names)
    return _property_names[kind]


def _read(inner: Any, name: str) -> Any:
    if inner.metaObject().indexOfProperty(name) < 0:
        return _asked(inner, name)
    try:
        return inner.property(name)
    except RuntimeError:  # PySide6 knows the type of some flags only after somebody has asked the getter
        return _asked(inner, name)


def _asked(inner: Any, name: str) -> Any:
    found = getattr(inner, name)
    return found() if callable(found) else found


def _absent(kind: type, name: str) -> Any:
    raise AttributeError(f"'{kind.__name__}' object has no attribute '{name}' in PythonQt")


def _checked(name: str, function: Callable, arguments: tuple, keywords: dict) -> list[Any]:
    """The arguments as PySide6 takes them, after refusing what PythonQt does not take."""
    if keywords:
        raise TypeError(f"{name}() takes no keyword arguments in PythonQt, not {', '.join(keywords)}")
    given = []
    for place, argument in enumerate(arguments):
        if not _is_python(function):
            if _is_python(argument) and name not in TAKES_CALLABLE:
                raise TypeError(f"{name}(): PythonQt takes no Python function as argument; connect a signal")
            if type(argument).__module__ == "numpy":
                raise TypeError(f"{name}(): PythonQt takes no {type(argument).__name__}; write int(), float() or str()")
        given.append("None" if argument is None and _wants_text(function, place) else unwrap(argument))
    return given


def _is_python(function: Any) -> bool:
    return isinstance(function, (types.FunctionType, types.MethodType))


def _forms(function: Callable) -> list[list[inspect.Parameter]]:
    """The arguments of every overload of a function of Qt, without ``self``."""
    owner = getattr(function, "__self__", None)
    if isinstance(owner, Shiboken.Object):  # the signature of an inherited method is kept with the class alone
        function = getattr(type(owner), function.__name__, function)
    found = get_signature(function) or []
    signatures = found if isinstance(found, list) else [found]
    return [[value for key, value in one.parameters.items() if key != "self"] for one in signatures]


def _wants_text(function: Callable, place: int) -> bool:
    """Whether every form of a Qt function that has an argument at ``place`` has a text there."""
    if _is_python(function) or isinstance(function, type):
        return False
    texts = [form[place].annotation is str for form in _forms(function) if place < len(form)]
    return bool(texts) and all(texts)


def _positional(slot: Callable) -> int | None:
    """How many positional arguments a callable takes; None for any number."""
    if isinstance(slot, Method):
        return _positional(slot._inner) if _is_python(slot._inner) else max(map(len, _forms(slot._inner)), default=None)
    try:
        parameters = inspect.signature(slot).parameters.values()
    except ValueError:  # a builtin has no signature to read
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    return sum(item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD) for item in parameters)

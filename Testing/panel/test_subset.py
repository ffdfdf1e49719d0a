"""The module and its panel keep to the Qt that both bindings speak; and every rule that says so bites."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("PySide6", reason="the rules ask PySide6 which names are properties: pip install .[desktop]")

from PySide6 import QtWidgets  # noqa: E402

from Testing.panel.kinds import STANDS_FOR, qt_class, widgets_of_forms  # noqa: E402
from Testing.panel.subset import offences  # noqa: E402

MODULE = Path(__file__).resolve().parents[2] / "LandmarkDetector"
SOURCES = sorted(MODULE.rglob("*.py"))
FORMS = {"searchEdit": QtWidgets.QLineEdit, "reviewTable": QtWidgets.QTableWidget, "bundleCombo": QtWidgets.QComboBox}

BAD = {
    "calls a property of what it made": ("label = qt.QLabel()\nprint(label.text())", "property"),
    "reads a property without calling it": ("label = qt.QLabel()\nprint(label.text)", "property"),
    "calls a property of a member": (
        "class V:\n  def f(self):\n    return self.x.value()\n  def __init__(self):\n    self.x = qt.QSpinBox()",
        "property",
    ),
    "calls a property of a widget of the form": ("def f(ui):\n  return ui.searchEdit.text()", "property"),
    "calls a property of what its name says": ("def f(combo):\n  return combo.count()", "property"),
    "calls a property in camelCase of anything": ("def f(it):\n  return it.currentIndex()", "property"),
    "calls a property of the loop's widget": ("def f(ui):\n  for w in (ui.searchEdit,):\n    w.text()", "property"),
    "calls a property of what a method returns": (
        "def f(ui):\n  return ui.reviewTable.horizontalHeader().size()",
        "prop",
    ),
    "passes keywords to a constructor": ("qt.QLabel(text='q')", "keywords"),
    "passes keywords to a method": ("def f(button):\n  button.setText(text='q')", "keywords"),
    "passes keywords to a method of anything": ("def f(it):\n  it.setText(text='q')", "keywords"),
    "calls Qt through super": ("class V:\n  def closeEvent(self, e):\n    super().closeEvent(e)", "super"),
    "asks isinstance": ("isinstance(w, qt.QWidget)", "exact class"),
    "asks isinstance of several": ("isinstance(w, (str, qt.QWidget))", "exact class"),
    "connects a text": ("def f(button):\n  button.connect('clicked()', f)", "one callable"),
    "connects a text to a signal": ("def f(button):\n  button.clicked.connect('f')", "one callable"),
    "connects with a type": ("def f(button):\n  button.clicked.connect(f, qt.Qt.QueuedConnection)", "one callable"),
    "connects an overload": ("def f(button):\n  button.clicked[bool].connect(f)", "overloads"),
    "uses SIGNAL": ("qt.SIGNAL('clicked()')", "qt.SIGNAL"),
    "emits a signal of Qt": ("def f(button):\n  button.clicked.emit(True)", "emit"),
    "asks for the sender": ("class V:\n  def f(self):\n    return self.sender()", "sender"),
    "connects a slot that wants an argument": (
        "class V:\n  def __init__(self, ui):\n    ui.goButton.clicked.connect(self.go)\n  def go(self, on):\n    pass",
        "wants 1",
    ),
    "connects a lambda that wants an argument": ("def f(button):\n  button.clicked.connect(lambda c: c)", "wants 1"),
    "inherits from a class of Qt": ("class V(qt.QWidget):\n  pass", "inherits"),
    "inherits from a class of CTK": ("class V(ctk.ctkCollapsibleButton):\n  pass", "inherits"),
    "imports torch": ("import torch", "file scope"),
    "imports the library": ("from LandmarkDetectorLib.core import Image", "file scope"),
    "imports the library in a try": ("try:\n  import pydantic\nexcept ImportError:\n  pydantic = None", "file scope"),
    "imports in the body of a class": ("class V:\n  import torch", "file scope"),
    "imports another binding": ("def f():\n  from PySide6 import QtCore", "the host provides qt"),
    "imports threads": ("import threading", "starve"),
    "uses a thread": ("qt.QThread()", "qt.QThread"),
    "uses a signal blocker": ("with qt.QSignalBlocker(w):\n  pass", "qt.QSignalBlocker"),
    "compares an enum with a number": ("def f(process):\n  return process.state() == 0", "no int"),
    "compares a name of an enum with a number": ("f() == (qt.Qt.Checked == 2)", "no int"),
    "asks whether an enum is another": ("f() is qt.Qt.Checked", "compare enums with =="),
    "makes an int of an enum": ("int(qt.Qt.Checked)", "int of an enum"),
    "reads the value of an enum": ("qt.Qt.Checked.value", "an int without that"),
    "reaches an enum through an instance": ("def f(box):\n  return box.Ok", "through an instance"),
    "assigns a property": ("label = qt.QLabel()\nlabel.text = 'q'", "setter"),
    "assigns a property of anything": ("def f(it):\n  it.toolTip = 'q'", "setter"),
    "keeps state on a widget": ("def f(button):\n  button.landmark = 1", "object of your own"),
    "makes a box of buttons with flags": ("qt.QDialogButtonBox(qt.QDialogButtonBox.Ok)", "setStandardButtons"),
    "gives a shortcut as text": ("def f(action):\n  action.setShortcut('Ctrl+Z')", "QKeySequence"),
    "makes a shortcut of a text": ("qt.QShortcut('Ctrl+Z', w)", "QKeySequence"),
    "calls a static file dialog": ("qt.QFileDialog.getOpenFileName(None, 'Open')", "as an object"),
    "gives an action a function": ("def f(menu):\n  menu.addAction('Go', lambda: 1)", "connect a signal"),
    "calls exec_": ("def f(dialog):\n  dialog.exec_()", "exec()"),
    "loads a file with those that are numbered alike": ("slicer.util.loadVolume('001.png')", "singleFile"),
    "asks an event for its position": ("def f(event):\n  return event.position()", "pos()"),
}

GOOD = {
    "property and setters": "label = qt.QLabel('q')\nlabel.setText(label.property('text') + '!')",
    "boolean states": "def f(button):\n  return button.isChecked() and button.isEnabled()",
    "getters that are no properties": "def f(ui):\n  ui.reviewTable.item(0, 0).text(), ui.reviewTable.currentRow()",
    "items by any name": "def f(it):\n  return it.text(), it.toolTip()",
    "own names that a property has too": "def f(card, row):\n  card.title, row.label.text, card.size, row.value()",
    "own objects with a widget's name": "class V:\n  def f(self):\n    self._edit = Note()\n    self._edit.text()",
    "annotated as its own": "def f(combo: Choice):\n  return combo.count()",
    "layouts": "layout = qt.QVBoxLayout()\nlayout.count()",
    "keywords to own functions": "update(label='q')\nslicer.util.infoDisplay('q', windowTitle='w')\nx.say(text='q')",
    "keywords to what is not Qt": "logic.installTorch(ask=1)",
    "text of an item": "def f(ui):\n  return ui.reviewTable.item(0, 0).text().split(sep=',')",
    "super of own": "class V(Base):\n  def __init__(self):\n    super().__init__()\n    super().setup()",
    "isinstance of Python's": "isinstance(w, str)",
    "slots that take anything": (
        "class V:\n  def __init__(self, ui):\n    ui.goButton.clicked.connect(self.go)\n"
        "    ui.goButton.clicked.connect(self.also)\n    ui.goButton.clicked.connect(lambda *_, k=1: k)\n"
        "  def go(self, *_):\n    pass\n  def also(self, checked=False):\n    pass"
    ),
    "own signals": "class V:\n  def __init__(self):\n    self.changed = Signal()\n    self.changed.emit(1)",
    "imports of the hosts and of the module": (
        "import json\nimport numpy as np\nimport qt, ctk, slicer, vtk\nfrom LandmarkDetector.Panel.texts import _"
    ),
    "imports when needed": "def f():\n  import torch\n  from LandmarkDetectorLib.core import Image",
    "imports for the type checker": "if TYPE_CHECKING:\n  from LandmarkDetectorLib.core import Image",
    "enums by name": "def f(process):\n  return process.state() == qt.QProcess.NotRunning",
    "combined flags": "item.setFlags(item.flags() & ~qt.Qt.ItemIsEditable)",
    "own attributes": "class V:\n  def __init__(self, label):\n    self.label = label\n    self.text = 'q'",
    "button boxes": "b = qt.QDialogButtonBox()\nb.setStandardButtons(qt.QDialogButtonBox.Ok)",
    "key sequences": "s = qt.QShortcut(qt.QKeySequence('Ctrl+Z'), w)\ns.activated.connect(lambda *_: 1)",
    "timers": "qt.QTimer.singleShot(0, lambda: 1)",
    "one file as a volume": "slicer.util.loadVolume('001.png', {'singleFile': True})",
    "MRML": "node.SetName('q')\nnode.GetDisplayNode().SetVisibility(True)",
}


@pytest.mark.parametrize("what", BAD)
def test_the_rules_find_a_source_that(what):
    source, says = BAD[what]
    found = offences(source, forms=FORMS)
    assert len(found) >= 1 and says in " ".join(found)


@pytest.mark.parametrize("what", GOOD)
def test_the_rules_let_pass(what):
    assert offences(GOOD[what], forms=FORMS) == []


def test_a_rule_names_the_file_and_the_line():
    assert offences("\n\nqt.QThread()", "Panel/x.py") == [
        "Panel/x.py:3 uses qt.QThread, which PythonQt has not, or not so"
    ]


def test_what_speaks_mrml_imports_no_qt():
    assert offences("def f():\n  import qt", knows_qt=False) and not offences("def f():\n  import qt")


def test_the_form_names_only_widgets_that_the_rules_know():
    for form in MODULE.rglob("*.ui"):
        text = form.read_text(encoding="utf-8")
        kinds = {part.split('"')[0] for part in text.split('class="')[1:]}
        assert all(qt_class(kind) or kind in STANDS_FOR for kind in kinds), kinds


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(MODULE).as_posix())
def test_the_module_keeps_to_the_common_subset(path):
    name = path.relative_to(MODULE).as_posix()
    forms = widgets_of_forms(*MODULE.rglob("*.ui"))
    assert offences(path.read_text(encoding="utf-8"), name, forms, knows_qt=not name.startswith("Scene/")) == []


def test_there_is_a_module_to_look_at():
    assert {"LandmarkDetector.py"} <= {path.name for path in SOURCES}

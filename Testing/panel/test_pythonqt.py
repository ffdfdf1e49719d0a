"""The proxy answers as PythonQt does: a sentence for each thing that was measured there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("PySide6", reason="the panel's tests need the desktop's packages: pip install .[desktop]")

from PySide6 import QtCore, QtWidgets  # noqa: E402

from Testing.panel.pythonqt import EnumValue, Wrapped, make_pythonqt  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _application() -> QtWidgets.QApplication:
    return QtWidgets.QApplication.instance() or QtWidgets.QApplication([])


@pytest.fixture
def qt() -> Any:
    return make_pythonqt()


def test_a_property_is_a_value(qt):
    spin = qt.QSpinBox()
    spin.setValue(7)
    assert (spin.value, spin.minimum, spin.property("value")) == (7, 0, 7)


def test_calling_a_property_says_that_it_is_not_callable(qt):
    label = qt.QLabel("q")
    for read in (lambda: label.text(), lambda: label.width(), lambda: label.size(), lambda: label.alignment()):
        with pytest.raises(TypeError, match="not callable"):
            read()


def test_setters_stay(qt):
    label = qt.QLabel("before")
    label.setText("after")
    assert label.property("text") == "after"


def test_boolean_states_are_methods(qt):
    box = qt.QCheckBox("b")
    box.setChecked(True)
    assert box.isChecked() is True and box.isEnabled() is True and box.isVisible() is False and box.isHidden() is True


def test_getters_that_are_no_properties_are_methods(qt):
    table, layout, combo = qt.QTableWidget(2, 3), qt.QVBoxLayout(), qt.QComboBox()
    table.setItem(1, 2, qt.QTableWidgetItem("cell"))
    table.setCurrentCell(1, 2)
    combo.addItem("a", "key")
    layout.addWidget(table)
    assert table.item(1, 2).text() == "cell" and table.currentRow() == 1 and table.property("rowCount") == 2
    assert combo.itemText(0) == "a" and combo.itemData(0) == "key"
    assert layout.count() == 1 and layout.parent() is None


def test_assigning_a_property_sets_it(qt):
    label = qt.QLabel("before")
    label.text = "after"
    assert label.property("text") == "after"


def test_a_new_attribute_on_a_qt_object_is_refused(qt):
    with pytest.raises(AttributeError, match="landmark"):
        qt.QWidget().landmark = 1


def test_an_unknown_attribute_is_an_attribute_error(qt):
    with pytest.raises(AttributeError):
        qt.QWidget().landmark  # noqa: B018
    with pytest.raises(AttributeError):
        qt.QLandmark  # noqa: B018


def test_keywords_are_refused_by_constructors_and_by_calls(qt):
    with pytest.raises(TypeError, match="keyword"):
        qt.QLabel(text="q")
    with pytest.raises(TypeError, match="keyword"):
        qt.QWidget().setToolTip(arg__1="q")


def test_none_passed_as_text_becomes_the_text_none(qt):
    label = qt.QLabel("q")
    label.setText(None)
    label.setToolTip(None)
    assert (label.text, label.toolTip) == ("None", "None")


def test_none_stays_none_where_an_object_is_meant(qt):
    parent = qt.QWidget()
    child = qt.QLabel("q", parent)
    child.setParent(None)
    assert child.parent() is None and qt.QWidget(None).parent() is None


def test_lists_come_back_as_tuples(qt):
    parent = qt.QWidget()
    child = qt.QLabel("q", parent)
    found = parent.children()
    assert type(found) is tuple and list(found) == [child]
    dialog = qt.QFileDialog()
    dialog.setNameFilters(["Images (*.mha)", "All (*)"])
    assert dialog.nameFilters() == ("Images (*.mha)", "All (*)")


def test_isinstance_is_true_only_for_the_exact_class(qt):
    label = qt.QLabel()
    assert isinstance(label, qt.QLabel) and not isinstance(label, qt.QWidget)
    assert label.inherits("QWidget")


def test_a_qt_class_cannot_be_inherited_from(qt):
    with pytest.raises(TypeError, match="composes"):

        class View(qt.QWidget):
            pass


def test_the_sender_is_none(qt):
    senders, button = [], qt.QPushButton("b")
    button.clicked.connect(lambda *_: senders.append(button.sender()))
    button.click()
    assert senders == [None]


def test_a_signal_is_connected_to_one_callable_and_to_nothing_else(qt):
    button, seen = qt.QPushButton("b"), []
    button.clicked.connect(lambda *_: seen.append("clicked"))
    button.click()
    assert seen == ["clicked"]
    for wrong in (("on_click",), (print, qt.Qt.QueuedConnection), (button.clicked,)):
        with pytest.raises(TypeError, match="one Python callable"):
            button.clicked.connect(*wrong)
    with pytest.raises(AttributeError):
        button.connect("clicked()", print)
    with pytest.raises(TypeError):
        button.clicked[bool]


def test_a_signal_can_be_disconnected(qt):
    button, seen = qt.QPushButton("b"), []

    class View:
        def on_click(self, *_):
            seen.append(1)

    view = View()
    button.clicked.connect(view.on_click)
    assert button.clicked.disconnect(view.on_click) is True
    button.click()
    assert seen == [] and button.clicked.disconnect(view.on_click) is False


def test_a_slot_is_called_with_the_fewest_arguments_that_the_signal_has(qt):
    button, process, seen = qt.QPushButton("b"), qt.QProcess(), []
    button.clicked.connect(lambda *given: seen.append(given))
    button.click()
    process.finished.connect(lambda *given: seen.append(given))
    process.start("true", [])
    assert process.waitForFinished(10000)
    assert seen == [(), (0,)] and process.exitCode() == 0


def test_a_slot_cannot_tell_which_of_two_signals_of_one_name_it_hears(qt):
    combo, selector, seen = qt.QComboBox(), qt.wrap(qMRMLNodeComboBox()), []
    combo.addItem("a")
    combo.currentIndexChanged.connect(seen.append)
    selector.currentNodeChanged.connect(seen.append)
    combo.setCurrentIndex(-1)
    combo.setCurrentIndex(0)
    selector.setCurrentNode(object())
    assert seen == ["", "a", True]  # the text and not the index; whether there is a node and not the node


def test_a_slot_gets_no_more_arguments_than_it_takes(qt):
    spin, seen = qt.QSpinBox(), []
    spin.valueChanged.connect(lambda: seen.append("bare"))
    spin.valueChanged.connect(lambda value: seen.append(value))
    spin.valueChanged.connect(spin.selectAll)
    spin.setValue(3)
    assert seen == ["bare", 3]


def test_a_slot_of_qt_can_be_connected(qt):
    box, label = qt.QCheckBox(), qt.QLabel("q")
    box.toggled.connect(label.setEnabled)
    box.setChecked(True)
    box.setChecked(False)
    assert not label.isEnabled()


def test_slots_are_given_wrapped_objects(qt):
    table, seen = qt.QTableWidget(1, 1), []
    table.setItem(0, 0, qt.QTableWidgetItem("a"))
    table.itemChanged.connect(seen.append)
    table.item(0, 0).setText("b")
    assert [type(item) for item in seen] == [Wrapped] and seen[0].text() == "b"


def test_emitting_a_signal_of_qt_is_refused(qt):
    with pytest.raises(TypeError, match="emit"):
        qt.QPushButton().clicked.emit(True)


def test_a_button_box_made_with_flags_is_empty(qt):
    flags = qt.QDialogButtonBox.Ok | qt.QDialogButtonBox.Cancel
    assert qt.QDialogButtonBox(flags).buttons() == ()
    box = qt.QDialogButtonBox()
    box.setStandardButtons(flags)
    assert len(box.buttons()) == 2


def test_the_static_file_dialogs_give_the_path_alone(qt, monkeypatch):
    monkeypatch.setattr(QtWidgets.QFileDialog, "getOpenFileName", lambda *_: ("/a/b.mha", "All (*)"))
    monkeypatch.setattr(QtWidgets.QInputDialog, "getText", lambda *_: ("name", True))
    assert qt.QFileDialog.getOpenFileName(None, "Open") == "/a/b.mha"
    assert qt.QInputDialog.getText(None, "a", "b") == "name"


def test_enums_are_ints_reached_with_and_without_their_scope(qt):
    assert qt.QSizePolicy.Policy.Expanding == qt.QSizePolicy.Expanding == 7
    assert isinstance(qt.Qt.AlignCenter, EnumValue) and isinstance(qt.Qt.AlignCenter, int)
    assert qt.Qt.AlignCenter is not qt.Qt.AlignCenter
    with pytest.raises(AttributeError):
        qt.QFrame().HLine  # noqa: B018
    with pytest.raises(AttributeError):
        qt.QFrame.Shape.Landmark  # noqa: B018


def test_flags_combine_and_come_back_equal(qt):
    item, label = qt.QTableWidgetItem("a"), qt.QLabel("a")
    item.setFlags(item.flags() & ~qt.Qt.ItemIsEditable)
    assert not item.flags() & qt.Qt.ItemIsEditable and item.flags() & qt.Qt.ItemIsSelectable
    label.setAlignment(qt.Qt.AlignRight | qt.Qt.AlignTop)
    assert label.property("alignment") == qt.Qt.AlignRight | qt.Qt.AlignTop


def test_an_enum_is_taken_where_qt_gave_it(qt):
    process = qt.QProcess()
    assert process.state() == qt.QProcess.NotRunning
    policy = qt.QSizePolicy(qt.QSizePolicy.Expanding, qt.QSizePolicy.Policy.Fixed)
    assert policy.horizontalPolicy() == qt.QSizePolicy.Expanding


def test_there_is_no_thread_and_no_signal_class(qt):
    for name in ("QThread", "QThreadPool", "QRunnable", "Signal", "Slot", "QRegExp", "QTextCodec"):
        assert not hasattr(qt, name)


def test_a_signal_blocker_is_no_context_manager(qt):
    widget = qt.QWidget()
    with pytest.raises((AttributeError, TypeError)), qt.QSignalBlocker(widget):
        pass


def test_blocking_signals_by_hand_works(qt):
    spin, seen = qt.QSpinBox(), []
    spin.valueChanged.connect(lambda *_: seen.append(1))
    old = spin.blockSignals(True)
    spin.setValue(3)
    spin.blockSignals(old)
    assert old is False and seen == []


def test_a_shortcut_is_a_key_sequence_and_never_a_text(qt):
    parent = qt.QWidget()
    with pytest.raises(TypeError, match="QKeySequence"):
        qt.QShortcut("Ctrl+Q", parent)
    with pytest.raises(TypeError, match="QKeySequence"):
        qt.QPushButton().setShortcut("Ctrl+Q")
    shortcut, seen = qt.QShortcut(qt.QKeySequence("Ctrl+Q"), parent), []
    shortcut.activated.connect(lambda *given: seen.append(given))
    qt.unwrap(shortcut).activated.emit()
    assert seen == [()]
    assert shortcut.property("key") == qt.QKeySequence("Ctrl+Q")


def test_a_python_function_is_no_argument_of_qt_except_of_a_timer(qt):
    with pytest.raises(TypeError, match="connect"):
        qt.QMenu().addAction("a", lambda: None)
    seen = []
    qt.QTimer.singleShot(0, lambda: seen.append(1))
    qt.QApplication.processEvents()
    qt.QApplication.instance().processEvents()
    assert seen == [1]


def test_numbers_of_numpy_are_refused(qt):
    with pytest.raises(TypeError, match="float64"):
        qt.QDoubleSpinBox().setValue(np.float64(0.5))


def test_an_event_has_pos_and_not_position(qt):
    event = QtCore.QEvent(QtCore.QEvent.Type.MouseMove)
    with pytest.raises(AttributeError, match="position"):
        qt.wrap(event).position()
    assert qt.wrap(event).type() == qt.QEvent.MouseMove


def test_objects_are_found_again_as_the_same(qt):
    parent = qt.QWidget()
    child = qt.QPushButton("b", parent)
    child.setObjectName("detect")
    assert parent.findChild(qt.QPushButton, "detect") is child
    assert parent.children()[0] is child and child.parent() == parent and len({child, parent.children()[0]}) == 1
    assert parent.findChild(qt.QPushButton, "nothing") is None


def test_wrap_and_unwrap_are_inverse(qt):
    label = QtWidgets.QLabel("q")
    assert qt.unwrap(qt.wrap(label)) is label and qt.wrap(qt.wrap(label)).text == "q"
    assert qt.unwrap([qt.wrap(label), {"a": qt.wrap(label)}]) == [label, {"a": label}]
    assert qt.unwrap(qt.QLabel) is QtWidgets.QLabel
    nothing_of_qt = object()
    assert qt.wrap(nothing_of_qt) is nothing_of_qt and qt.unwrap(nothing_of_qt) is nothing_of_qt


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """A stand-in as the desktop has it: in Python, with a signal, methods, and a property of its own."""

    currentNodeChanged = QtCore.Signal(object)
    noneDisplay = QtCore.Property(str, lambda self: "None")

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.node = None

    def currentNode(self) -> Any:
        return self.node

    def currentNodeID(self) -> str:
        return "vtkMRMLScalarVolumeNode1"

    def setCurrentNode(self, node: Any) -> None:
        self.node = node
        self.currentNodeChanged.emit(node)


def test_a_stand_in_keeps_its_methods_and_signals(qt):
    box, seen, node = qt.wrap(qMRMLNodeComboBox()), [], object()
    box.currentNodeChanged.connect(seen.append)
    box.setCurrentNode(node)
    assert box.currentNode() is node and len(seen) == 1 and box.isEnabled()
    with pytest.raises(TypeError, match="keyword"):
        box.setCurrentNode(node=node)


def test_a_stand_in_has_the_properties_of_slicers_widget_as_values(qt):
    box = qt.wrap(qMRMLNodeComboBox())
    assert box.currentNodeID == "vtkMRMLScalarVolumeNode1" and box.noneDisplay == "None"


def test_a_module_of_stand_ins_can_be_wrapped(qt):
    import types

    ctk = types.ModuleType("ctk")
    ctk.qMRMLNodeComboBox = qMRMLNodeComboBox
    made = qt.wrap(ctk).qMRMLNodeComboBox()
    assert isinstance(made, Wrapped) and made.currentNode() is None


def test_a_form_made_by_the_loader_is_wrapped(qt, tmp_path):
    path = tmp_path / "form.ui"
    path.write_text(
        '<ui version="4.0"><widget class="QWidget" name="form"><widget class="QSpinBox" name="spin"/></widget></ui>'
    )
    file = qt.QFile(str(path))
    assert file.open(qt.QIODevice.ReadOnly)
    form = qt.QUiLoader().load(file)
    spin = form.findChild(qt.QSpinBox, "spin")
    assert spin in form.children() and spin.objectName == "spin" and spin.value == 0


def test_a_process_speaks_in_bytes(qt):
    process, heard = qt.QProcess(), []
    process.readyReadStandardOutput.connect(lambda: heard.append(process.readAllStandardOutput().data().decode()))
    environment = qt.QProcessEnvironment.systemEnvironment()
    environment.insert("LANDMARK", "nasion")
    process.setProcessEnvironment(environment)
    process.start("sh", ["-c", "echo $LANDMARK; cat"])
    assert process.waitForStarted(10000)
    process.write(b"line\n")
    process.closeWriteChannel()
    assert process.waitForFinished(10000)
    assert "".join(heard) == "nasion\nline\n"

"""Stand-ins for what a scripted module expects of the Slicer application and ``slicer-core`` does not bring.

A module sees these names, and may use no others of Slicer's Qt side:

``qt``
    every class of QtCore, QtGui, QtWidgets, QtUiTools, QtTest, QtNetwork and QtSvg (:mod:`.qt_names`).
``ctk``
    ctkCollapsibleButton (:mod:`.ctk_widgets`).
``slicer.*`` widgets
    qMRMLWidget, qMRMLNodeComboBox (:mod:`.mrml_widgets`). All of them may stand in a .ui file; a connection
    ``mrmlSceneChanged(vtkMRMLScene*)`` to ``setMRMLScene(vtkMRMLScene*)`` in it is kept.
``slicer.app``, ``slicer.modules``, ``slicer.i18n``, ``slicer.ScriptedLoadableModule``, ``slicer.mrmlScene``
    :mod:`.app`, :mod:`.scripted`.
``slicer.util``
    loadUI, childWidgetVariables, loadVolume, loadMarkups, loadScene, loadNodeFromFile, saveNode, saveScene,
    errorDisplay, warningDisplay, infoDisplay, messageBox, confirmOkCancelDisplay, confirmYesNoDisplay,
    confirmRetryCloseDisplay, delayDisplay, mainWindow, showStatusMessage, selectModule, resetSliceViews,
    resetThreeDViews, setSliceViewerLayers, forceRenderAllViews, getModuleWidget, getModuleLogic, modulePath
    (:mod:`.util`); and what ``slicer-core`` has by itself (arrays, getNode(s), NodeModify, VTKObservationMixin).

They are put in place by :class:`LandmarkDetectorDesktop.standins.install.Installation` and taken away again when the
desktop closes, so that two desktops can follow each other in one process.
"""

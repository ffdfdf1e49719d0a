# A stand-in for 3D Slicer, enough to configure and install the extension without it: what the real macros demand of
# their arguments is demanded here too. Found through CMAKE_MODULE_PATH, by Testing/house/test_extension.py.
set(Slicer_FOUND TRUE)
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/UseSlicer.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/ExtensionConfig.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/ExtensionPack.cmake)

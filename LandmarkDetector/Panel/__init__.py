"""The panel: what a person sees. Qt in the subset that PythonQt and PySide6 share; one plain class a view."""

"""The regions of uncertainty: there while a result is reviewed and the person wants to see them."""

from __future__ import annotations

from typing import Any


class HaloView:
    """Shows the halo of one review at a time.

    Args:
        ui: the widgets of the .ui file by name.
    """

    def __init__(self, ui) -> None:
        self._ui = ui
        self._halo: Any = None

    def show(self, review: Any) -> None:
        """Show the halo of this review, or none."""
        from LandmarkDetector.Scene.halo import Halo

        review = review if self._ui.halosCheck.isChecked() else None
        if self._halo is not None and self._halo.review is not review:
            self.drop()
        if self._halo is None and review is not None:
            self._halo = Halo(review)

    def drop(self) -> None:
        """Take it out of the scene."""
        if self._halo is not None:
            self._halo.release()
            self._halo = None

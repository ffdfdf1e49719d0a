"""What ``slicer.packaging`` does, for the Slicer versions that have none of it yet (5.10)."""

from __future__ import annotations

from typing import Any

from LandmarkDetector.Panel.texts import _


class OldPackaging:
    """Checks and installs by ``slicer.util``; the person is asked first, with the packages in view.

    Args:
        util: ``slicer.util``, or what has its ``confirmOkCancelDisplay`` and ``pip_install``.
        is_satisfied: whether a line ``NAME>=VERSION`` is fulfilled by what is installed.
    """

    def __init__(self, util: Any, is_satisfied: Any) -> None:
        self._util = util
        self.pip_check = is_satisfied

    def pip_ensure(self, lines: list[str], constraints: str, requester: str) -> None:
        """Ask, then install.

        Raises:
            RuntimeError: the person said no.
            CalledProcessError: pip failed.
        """
        question = _("{requester} needs Python packages that are not installed yet:\n\n{packages}\n\nInstall them?")
        if not self._util.confirmOkCancelDisplay(question.format(requester=requester, packages="\n".join(lines))):
            raise RuntimeError("the person declined")
        self._util.pip_install([*lines, "--constraint", constraints])

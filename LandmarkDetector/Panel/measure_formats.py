"""The kinds of file that measurements are exported to; the library writes every one of them.

**Further formats go into** :data:`FORMATS`. Nothing else of the panel needs to know of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from LandmarkDetector.Panel.texts import _


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Args:
        key: by which the scene keeps the choice.
        suffix: of the file; one of the library's, which writes by it.
        text: in the list.
        many: whether one file holds several times; of the others each time has one of its own.
        pictures: whether it shows the image.
        signed: whether it says by name who reviewed, in plain sight.
        wide: a row a time, numbers only.
    """

    key: str
    suffix: str
    text: str
    many: bool = False
    pictures: bool = False
    signed: bool = False
    wide: bool = False

    def write(
        self,
        times: Sequence[Any],
        path: Path,
        source: Sequence[Any] = (),
        progress: Callable[[str, float], None] | None = None,
    ) -> None:
        """Write the library's ``Measured`` of one time, or where :attr:`many` of two; whole or not at all.

        Args:
            times: one, or two to compare.
            path: the file.
            source: headers of the DICOM images for a DICOM report.
            progress: is told what is at work, and how far.

        Raises:
            LandmarkDetectorError: it cannot be written, or the form cannot hold it.
        """
        from LandmarkDetectorLib.measure.reports import save_measurements

        save_measurements(
            times, path, wide=self.wide, compared=len(times) > 1 and self.many, source=source, progress=progress
        )

    def missing(self) -> list[str]:
        """The packages that it needs and that are not installed, as pip calls them."""
        from LandmarkDetectorLib.measure.reports import missing_packages

        return list(missing_packages(self.suffix))


FORMATS: tuple[Format, ...] = (
    Format(".csv", ".csv", _("Table, a row a measurement (.csv)"), many=True),
    Format("wide.csv", ".csv", _("Table, a row a time point (.csv)"), many=True, wide=True),
    Format(".xlsx", ".xlsx", _("Spreadsheet with both tables (.xlsx)"), many=True),
    Format(".html", ".html", _("Report with pictures (.html)"), pictures=True, signed=True),
    Format(".pdf", ".pdf", _("Report with pictures (.pdf)"), pictures=True, signed=True),
    Format(".mrk.json", ".mrk.json", _("Landmarks with constructions (.mrk.json)")),
    Format(".dcm", ".dcm", _("DICOM structured report (.dcm)"), signed=True),
)
"""The kinds of file that are offered, in order."""

"""The report of a subject's measurements as a PDF: what the page says, on paper of A4, by reportlab.

Texts are texts, which can be searched and copied. The letters are those of DejaVu, which comes with matplotlib and
knows the alphabets up to Greek and Cyrillic; others come out as boxes.
"""

from __future__ import annotations

import datetime
import io
from collections.abc import Callable, Sequence
from typing import Any
from xml.sax.saxutils import escape

from LandmarkDetectorLib import __version__
from LandmarkDetectorLib.evaluation.canvas import font_files
from LandmarkDetectorLib.evaluation.page import number, report_packages
from LandmarkDetectorLib.measure.reports.bars import NormBar
from LandmarkDetectorLib.measure.reports.content import Content, Part, Row, caption, content_of
from LandmarkDetectorLib.measure.subject import Measured

INK, SOFT, LINE, PANEL = "#1c2430", "#56606e", "#d5dae1", "#f5f7f9"
WARNING, WARNED, LOST = "#b25000", "#fff6ec", "#fbeee6"
FONT = "LandmarkDetectorSans"
MARGIN = 40.0
"""Points; a typographic point is 1/72 inch."""
CLOSE_UPS = 4
"""Side by side."""


def render_pdf(
    measured: Measured,
    *,
    title: str | None = None,
    today: datetime.date | None = None,
    progress: Callable[[str, float], None] | None = None,
) -> bytes:
    """Write the report as a PDF.

    Args:
        measured: the subject; with its image, there are pictures.
        title: of the report.
        today: the day on which it is written; that of the computer by default.
        progress: is told what is at work and the fraction of it that is done; it may raise ``Cancelled``.

    Returns:
        The file. The caller writes it, whole or not at all.

    Raises:
        LandmarkDetectorError: a package for reports is not installed.
    """
    with report_packages():
        from LandmarkDetectorLib.measure.reports.drawing import close_ups, overviews

        paper = _Paper()
        whole = [(picture.name, picture.data) for picture in overviews(measured, progress=progress)]
        close = [(result, picture.data) for result, picture in close_ups(measured, progress=progress)]
    content = content_of(measured, title=title, today=today)
    story = [*paper.head(content), *(piece for part in content.parts for piece in paper.results(part, content))]
    story += paper.pictures(whole, [(caption(result, content.views), data) for result, data in close])
    story += paper.landmarks(content) + paper.sources(content) + paper.model(content)
    return paper.printed(story, content)


class _Paper:
    """Styles, and what each section looks like."""

    def __init__(self) -> None:
        from reportlab.lib.colors import HexColor
        from reportlab.lib.pagesizes import A4
        from reportlab.lib.styles import ParagraphStyle

        _register_fonts()
        self.size = A4
        self.width = A4[0] - 2 * MARGIN - 12  # reportlab pads its frames by 6 points
        body = ParagraphStyle("body", fontName=FONT, fontSize=8.5, leading=11.2, textColor=HexColor(INK))
        self.styles = {
            "body": body,
            "soft": ParagraphStyle("soft", body, textColor=HexColor(SOFT)),
            "small": ParagraphStyle("small", body, fontSize=7, leading=8.8, textColor=HexColor(SOFT)),
            "title": ParagraphStyle("title", body, fontName=f"{FONT}-Bold", fontSize=16, leading=20),
            "strong": ParagraphStyle("strong", body, fontName=f"{FONT}-Bold", fontSize=11, leading=15),
            "heading": ParagraphStyle(
                "heading", body, fontName=f"{FONT}-Bold", fontSize=11.5, leading=15, spaceBefore=12, spaceAfter=4,
                keepWithNext=True,
            ),
        }  # fmt: skip

    def say(self, text: str, style: str = "body") -> Any:
        """A paragraph of plain text."""
        return self.mark(escape(text), style)

    def mark(self, markup: str, style: str = "body") -> Any:
        """A paragraph whose text is escaped already."""
        from reportlab.platypus import Paragraph

        return Paragraph(markup, self.styles[style])

    def table(self, rows: Sequence[Sequence[Any]], widths: Sequence[float], *style: tuple, repeat: int = 1) -> Any:
        """A table with thin lines between its rows."""
        from reportlab.lib.colors import HexColor
        from reportlab.platypus import LongTable

        given = [
            ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, HexColor(LINE)),
            ("TOPPADDING", (0, 0), (-1, -1), 2.5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ("LEFTPADDING", (0, 0), (-1, -1), 4),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ]
        given += [("BACKGROUND", (0, 0), (-1, 0), HexColor(PANEL))] if repeat else []
        return LongTable(rows, colWidths=widths, repeatRows=repeat, style=[*given, *style])

    def head(self, content: Content) -> list[Any]:
        """Title, how far the review has come, notices."""
        from reportlab.lib.colors import HexColor
        from reportlab.platypus import Spacer

        edge, ground = (SOFT, PANEL) if content.state == "reviewed" else (WARNING, WARNED)
        box = self.table(
            [[[self.say(content.headline, "strong"), self.say(content.explanation)]]],
            [self.width],
            ("BACKGROUND", (0, 0), (-1, -1), HexColor(ground)),
            ("BOX", (0, 0), (-1, -1), 1, HexColor(edge)),
            ("LINEBEFORE", (0, 0), (0, -1), 6, HexColor(edge)),
            ("LEFTPADDING", (0, 0), (-1, -1), 12),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 7),
            repeat=0,
        )
        pieces = [self.say(content.title, "title"), self.say(content.about, "soft")]
        return [*pieces, Spacer(0, 8), box, Spacer(0, 6), *(self.say(f"• {notice}") for notice in content.notices)]

    def results(self, part: Part, content: Content) -> list[Any]:
        """The table of a set."""
        from reportlab.lib.colors import HexColor

        shares = {"Measurement": 0.2, "View": 0.1, "Value": 0.15, "Norm": 0.14, "Value and norm": 0.18, "Notes": 0.27}
        if not content.views:
            del shares["View"]
        if not part.compared:
            del shares["Norm"], shares["Value and norm"]
        widths = [self.width * share / sum(shares.values()) for share in shares.values()]
        columns = list(shares)
        rows: list[list[Any]] = [[self.mark(f"<b>{head}</b>") for head in columns]]
        style: list[tuple] = []
        for line, row in enumerate(part.rows, start=1):
            cells = self._cells(row)
            if row.bar is not None and part.compared:
                width = widths[columns.index("Value and norm")] - 8
                cells["Value and norm"] = _bar(row.bar, width, bool(row.outside))
            rows.append([cells.get(head, "") for head in columns])
            if row.not_computed:
                first, last = columns.index("Value"), columns.index("Notes") - 1
                style += [("SPAN", (first, line), (last, line)), ("BACKGROUND", (0, line), (-1, line), HexColor(LOST))]
        return [
            self.say(part.title, "heading"),
            self.say(part.description, "soft"),
            self.table(rows, widths, *style),
            *(self.say(f"{note}.", "small") for note in part.shared),
        ]

    def _cells(self, row: Row) -> dict[str, Any]:
        """What stands in each column but the bar."""
        open_mark = " ○" if row.proposed else ""
        title = f"<br/><font size=7 color='{SOFT}'>{escape(row.title)}</font>" if row.title else ""
        cells = {
            "Measurement": self.mark(f"<b>{escape(row.name)}</b>{open_mark}{title}"),
            "View": self.say(row.view),
            "Notes": self.say("; ".join(row.notes), "small"),
        }
        if row.not_computed:
            return cells | {"Value": self.say(f"not computed: {row.not_computed}")}
        return cells | {"Value": self._value(row), "Norm": self._norm(row)}

    def _value(self, row: Row) -> Any:
        interval = f"<br/><font size=7 color='{SOFT}'>{escape(row.interval)}</font>" if row.interval else ""
        return self.mark(f"<b>{escape(row.value)}</b>{interval}")

    def _norm(self, row: Row) -> Any:
        source = f" <font color='{SOFT}'>[{row.source}]</font>" if row.source else ""
        deviation = f"<br/><font size=7 color='{SOFT}'>{escape(row.deviation)}</font>" if row.deviation else ""
        return self.mark(f"{escape(row.norm)}{source}{deviation}")

    def pictures(
        self, whole: Sequence[tuple[str, bytes]], close: Sequence[tuple[tuple[str, str, str], bytes]]
    ) -> list[Any]:
        """The whole image, and each construction close up."""
        from reportlab.platypus import KeepTogether

        if not whole:
            return []
        pieces: list[Any] = [self.say("Landmarks and constructions", "heading")]
        wide = min(self.width, 330.0) if len(whole) == 1 else self.width / 2 - 8
        cells = [[_picture(data, wide, 330.0), *self._captions(name, len(whole) > 1)] for name, data in whole]
        lines = [cells[i : i + 2] for i in range(0, len(cells), 2)]
        pieces.append(self._grid(lines, 2 if len(whole) > 1 else 1))
        if close:
            each = self.width / CLOSE_UPS
            cells = []
            for (name, value, title), data in close:
                words = f"<b>{escape(name)}</b> {escape(value)}"
                soft = f"<font size=7 color='{SOFT}'>{escape(title)}</font>"
                cells.append([self.mark(f"{words}<br/>{soft}"), _picture(data, each - 10, each - 10)])
            lines = [cells[i : i + CLOSE_UPS] for i in range(0, len(cells), CLOSE_UPS)]
            first, *others = [self._grid([line], CLOSE_UPS) for line in lines]
            pieces.append(KeepTogether([self.say("Each measurement", "heading"), first]))
            pieces += others
        return pieces

    def _captions(self, name: str, wanted: bool) -> list[Any]:
        return [self.say(f"{name.capitalize()} projection", "soft")] if wanted else []

    def _grid(self, lines: list[list[Any]], columns: int) -> Any:
        from reportlab.platypus import Table

        rows = [[*line, *[""] * (columns - len(line))] for line in lines]
        style = [("VALIGN", (0, 0), (-1, -1), "BOTTOM"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
        return Table(rows, colWidths=[self.width / columns] * columns, style=style)

    def landmarks(self, content: Content) -> list[Any]:
        """The table of landmarks."""
        if not content.landmarks:
            return []
        errors = content.errors
        heads = ["", "Landmark", *(f"{axis} ({content.unit})" for axis in content.axes), "Confidence", "Review"]
        heads += [f"Model's mean error ({errors['unit']})", "95 % are below"] if errors else []
        rows: list[list[Any]] = [[self.mark(f"<b>{escape(head)}</b>") for head in heads]]
        for mark in content.landmarks:
            cells = [mark["short"], mark["label"], *mark["position"], number(mark["confidence"]), mark["status"]]
            if errors:
                cells += [number(mark["expected"].get(name)) for name in ("mean", "p95")]
            rows.append([self.say(cell) for cell in cells])
        shares = [0.08, 0.2, *[0.11] * len(content.axes), 0.17, 0.17, *([0.16, 0.12] if errors else [])]
        widths = [self.width * share / sum(shares) for share in shares]
        return [self.say("The landmarks that were used", "heading"), self.table(rows, widths)]

    def sources(self, content: Content) -> list[Any]:
        """Where norms and definitions are from, how intervals came about."""
        pieces = [self.say("Norms and definitions", "heading")]
        pieces += [self.say(f"[{i}] {source}") for i, source in enumerate(content.sources, start=1)]
        if not content.sources:
            pieces.append(self.say("None of these measurements has a norm that may be compared here."))
        pieces += [self.say(f"• {part.title}: {part.citation}. {' '.join(part.notes)}") for part in content.parts]
        pieces += [self.say(f"• {view}.") for view in content.views]
        return pieces + [self.say(f"• {interval}") for interval in content.intervals]

    def model(self, content: Content) -> list[Any]:
        """The model, its error, its limits, and what the numbers are for."""
        pieces = [self.say("Model and use", "heading"), self.say(content.use)]
        if content.model:
            rows = [[self.say(name, "soft"), self.say(value)] for name, value in content.model]
            pieces.append(self.table(rows, [0.22 * self.width, 0.78 * self.width], repeat=0))
        pieces += [self.say(content.unknown)] if content.unknown else []
        for head, lines in (("Known limits", content.limits), ("Not tested on", content.not_tested_on)):
            pieces += [self.mark(f"<b>{head}</b>")] if lines else []
            pieces += [self.say(f"• {line}") for line in lines]
        return pieces

    def printed(self, story: list[Any], content: Content) -> bytes:
        """The file, with the state of the review and the page's number at the foot of each page."""
        from reportlab.lib.colors import HexColor
        from reportlab.platypus import SimpleDocTemplate

        def foot(canvas: Any, document: Any) -> None:
            canvas.saveState()
            canvas.setFont(FONT, 7)
            canvas.setFillColor(HexColor(SOFT))
            canvas.drawString(MARGIN, 24, f"{content.headline}. {content.written}")
            canvas.drawRightString(self.size[0] - MARGIN, 24, str(document.page))
            canvas.restoreState()

        packed = io.BytesIO()
        edges = {f"{side}Margin": MARGIN for side in ("left", "right", "top", "bottom")}
        document = SimpleDocTemplate(
            packed, pagesize=self.size, title=content.title, creator=f"LandmarkDetector {__version__}", author="",
            invariant=1, lang="en", **edges,
        )  # fmt: skip
        document.build(story, onFirstPage=foot, onLaterPages=foot)
        return packed.getvalue()


def _register_fonts() -> None:
    """DejaVu, as matplotlib brings it, under a name of ours."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    if FONT in pdfmetrics.getRegisteredFontNames():
        return
    for name, path in zip((FONT, f"{FONT}-Bold"), font_files(), strict=True):
        pdfmetrics.registerFont(TTFont(name, str(path)))
    pdfmetrics.registerFontFamily(FONT, normal=FONT, bold=f"{FONT}-Bold", italic=FONT, boldItalic=f"{FONT}-Bold")


def _picture(data: bytes, width: float, height: float) -> Any:
    from reportlab.lib.utils import ImageReader
    from reportlab.platypus import Image

    across, down = ImageReader(io.BytesIO(data)).getSize()
    scale = min(width / across, height / down)
    return Image(io.BytesIO(data), across * scale, down * scale, hAlign="LEFT")


def _bar(bar: NormBar, width: float, outside: bool) -> Any:
    """The bar of the page, drawn for paper."""
    from reportlab.graphics.shapes import Drawing, Line, Polygon, Rect, String
    from reportlab.lib.colors import HexColor, white

    drawing = Drawing(width, 24)
    middle = 15.0

    def box(ends: tuple[float, float], half: float, colour: str) -> None:
        left, right = (bar.at(end) * width for end in ends)
        drawing.add(Rect(left, middle - half, right - left, 2 * half, fillColor=HexColor(colour), strokeColor=None))

    box((bar.low, bar.high), 1, LINE)
    if bar.wide:
        box(bar.wide, 3.5, "#dcebf6")
    if bar.usual:
        box(bar.usual, 5, "#a9cfe8")
    if bar.mean is not None:
        x = bar.at(bar.mean) * width
        drawing.add(Line(x, middle - 6, x, middle + 6, strokeColor=HexColor(SOFT), strokeWidth=1.2))
    for cut in bar.cut_offs:
        x = bar.at(cut) * width
        drawing.add(Line(x, middle - 7, x, middle + 7, strokeColor=HexColor(INK), strokeDashArray=[2, 1.5]))
    if bar.interval:
        box(bar.interval, 0.7, INK)
    x, colour = bar.at(bar.value) * width, HexColor("#d55e00" if outside else "#0072b2")
    corners = [x, middle - 4.5, x + 3.2, middle, x, middle + 4.5, x - 3.2, middle]
    drawing.add(Polygon(corners, fillColor=colour, strokeColor=white, strokeWidth=0.5))
    for place, anchor, value in ((0.0, "start", bar.low), (width, "end", bar.high)):
        text = number(value, bar.digits)
        drawing.add(String(place, 1, text, fontName=FONT, fontSize=5.5, textAnchor=anchor, fillColor=HexColor(SOFT)))
    return drawing

"""Images, the landmarks in them, and what is known of each."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class Batch:
    """Images (B, C, [Z, ]Y, X), landmarks (B, M, d) in x, y[, z] sample index, and what is known of them, (B, M) bool.

    ``known``: annotated, or looked for in vain, so that the presence counts; ``present``: its place is within what was
    scanned.
    ``which`` (B,): the landmark of each patch.
    """

    images: Tensor
    landmarks: Tensor
    known: Tensor
    present: Tensor
    which: Tensor | None = None

    def rows(self, rows: range) -> Batch:
        """Some of it."""
        part = slice(rows.start, rows.stop)
        which = None if self.which is None else self.which[part]
        return Batch(self.images[part], self.landmarks[part], self.known[part], self.present[part], which)

"""Deep supervision: every output of a network is judged, not only its last.

Newell et al. 2016 (stacked hourglass), arXiv:1603.06937; Lee et al. 2015, arXiv:1409.5185.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from LandmarkDetectorLib.losses.loss import LandmarkLoss


class StackedLoss(nn.Module):
    """Σᵢ aᵢ L(pᵢ, yᵢ) over the outputs of a network; the reduction is that of L.

    Args:
        loss: L, any loss of this package.
        output_weights: aᵢ, one for each output; None weighs all with 1.
    """

    def __init__(self, loss: LandmarkLoss, output_weights: Sequence[float] | None = None) -> None:
        super().__init__()
        self.loss = loss
        self.output_weights = None if output_weights is None else tuple(output_weights)

    def forward(
        self,
        predictions: Sequence[Tensor | Sequence[Tensor]],
        target: Tensor | Sequence[Tensor | Sequence[Tensor]],
        valid: Tensor | None = None,
        weights: Tensor | None = None,
    ) -> Tensor:
        """The weighted sum, of the shape that the loss gives.

        Args:
            predictions: what the loss takes, once for each output; their resolutions may differ.
            target: a list with one target for each output, or one tensor for all.
            valid: (B, K) bool, see ``LandmarkLoss``.
            weights: (K,), see ``LandmarkLoss``.

        Raises:
            ValueError: there is no output, or not as many targets or weights as outputs.
        """
        count = len(predictions)
        targets = [target] * count if isinstance(target, Tensor) else list(target)
        factors = (1.0,) * count if self.output_weights is None else self.output_weights
        if not count or len(targets) != count or len(factors) != count:
            raise ValueError(f"{count} outputs have {len(targets)} targets and {len(factors)} weights; give one each")
        terms = [
            factor * self.loss(output, goal, valid, weights)
            for factor, output, goal in zip(factors, predictions, targets, strict=True)
        ]
        return sum(terms[1:], terms[0])

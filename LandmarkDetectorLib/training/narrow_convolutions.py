"""Convolutions that processors compute wrongly in bfloat16, computed in single precision.

Torch 2.13 on a processor with bfloat16 (oneDNN) gives values that have nothing to do with the input, other ones each
time, often none that are numbers, and sometimes ends the process, where a convolution leaves no more samples along an
axis than its kernel spans, or is dilated. Mostly it is the gradient of the weights that is wrong: in 3D, with AVX-512
and without AMX, that of every kernel of three on a map two samples deep. Deep networks on small images do that at
their deepest levels, where single precision costs little.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def guard_narrow_convolutions(network: nn.Module) -> None:
    """Have the narrow ones of a network's convolutions computed in single precision, from now on."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)) and max(module.kernel_size) > 1:
            module.register_forward_hook(_again_where_narrow)


def _again_where_narrow(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    assert isinstance(module, (nn.Conv2d, nn.Conv3d))
    dilated = max(module.dilation) > 1
    if output.dtype != torch.bfloat16 or (min(output.shape[2:]) > max(module.kernel_size) and not dilated):
        return output
    with torch.autocast(output.device.type, enabled=False):
        return module.forward(inputs[0].float())  # its own, for there are convolutions that pad by themselves

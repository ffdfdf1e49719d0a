"""Convolutions that processors compute wrongly in bfloat16, computed in single precision.

Torch 2.13 on a processor with bfloat16 (oneDNN) gives values that have nothing to do with the input, other ones each
time and sometimes none that are numbers, where a convolution with a kernel of several samples leaves one or two along
the last axis: seen with strides in 2D and 3D, and without where there is one channel. Deep networks on small images do
that at their deepest level, where single precision costs nothing.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

NARROW = 2
"""Samples along the last axis of what a convolution gives, up to which it is not left to bfloat16."""


def guard_narrow_convolutions(network: nn.Module) -> None:
    """Have the narrow ones of a network's convolutions computed in single precision, from now on."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)) and max(module.kernel_size) > 1:
            module.register_forward_hook(_again_where_narrow)


def _again_where_narrow(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    assert isinstance(module, (nn.Conv2d, nn.Conv3d))
    if output.dtype != torch.bfloat16 or output.shape[-1] > NARROW:
        return output
    with torch.autocast(output.device.type, enabled=False):
        bias = None if module.bias is None else module.bias.float()
        return module._conv_forward(inputs[0].float(), module.weight.float(), bias)

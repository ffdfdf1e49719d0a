"""What maps cost: beside themselves next to nothing, in every type, with and without gradients."""

from __future__ import annotations

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from LandmarkDetectorLib.heatmaps import GaussianHeatmaps
from LandmarkDetectorLib.heatmaps.generators import ellipses
from Testing.heatmaps.generator_formula import BOTH, SHAPES, TURN, formula, somewhere


class Made(TorchDispatchMode):
    """Notes how many bytes each new piece of memory has."""

    def __init__(self):
        super().__init__()
        self.bytes: dict[int, int] = {}
        self.kept: list[torch.Tensor] = []

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        out = function(*arguments, **(keywords or {}))
        for each in tree_leaves(out):
            if isinstance(each, torch.Tensor):
                self.kept.append(each)  # so that no address is used twice
                self.bytes[each.untyped_storage().data_ptr()] = each.untyped_storage().nbytes()
        return out


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("instances", [1, 2])
def test_nothing_is_made_that_is_as_large_as_the_maps_beside_the_maps(kind, d, instances, monkeypatch):
    """Not the coordinates of all voxels, which would be D times the maps, nor anything of B × K × grid."""
    monkeypatch.setattr(ellipses, "CHUNK_VOXELS", 1 << 14)
    shape = {2: (400, 500), 3: (50, 60, 70)}[d]
    size = torch.tensor(shape[::-1])
    landmarks = torch.rand(2, 3, instances, d, generator=torch.Generator().manual_seed(0)) * size
    generator = kind(3, d, 20.0, rotation=TURN[d])
    with Made() as made, torch.no_grad():
        maps, _ = generator(landmarks, shape)
    whole = maps.numel() * maps.element_size()
    sizes = sorted(made.bytes.values())
    assert sizes[-1] == whole
    assert sizes[-2] <= 8 * ellipses.CHUNK_VOXELS < whole / 6


@pytest.mark.parametrize("kind", BOTH)
def test_learning_a_spread_keeps_nothing_as_large_as_the_maps_either(kind, monkeypatch):
    monkeypatch.setattr(ellipses, "CHUNK_VOXELS", 1 << 14)
    generator = kind(6, 3, 8.0, learnable=True)
    landmarks = torch.rand(1, 6, 3, generator=torch.Generator().manual_seed(0)) * 50
    upstream = torch.ones(1, 6, 50, 60, 70)
    with Made() as made:
        maps, _ = generator(landmarks, (50, 60, 70))
        maps.backward(upstream)
    made.bytes.pop(upstream.untyped_storage().data_ptr())
    sizes = sorted(made.bytes.values())
    assert sizes[-1] == maps.numel() * maps.element_size()
    assert sizes[-2] <= 8 * ellipses.CHUNK_VOXELS < sizes[-1] / 6
    assert generator.log_sigma.grad.abs().sum() > 0


def test_a_small_distribution_in_a_large_map_costs_its_own_box():
    generator = GaussianHeatmaps(2, 2, 1.0, rotation=0.5)
    with Made() as made, torch.no_grad():
        maps, _ = generator(torch.tensor([[[300.0, 200.0], [0.0, 599.0]]]), (600, 700))
    sizes = sorted(made.bytes.values())
    assert sizes[-1] == maps.numel() * maps.element_size()
    assert sizes[-2] <= 8 * 2 * 32 * 32


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize("chunk", [1, 50, 700])
def test_maps_and_gradients_do_not_depend_on_the_pieces_they_are_made_in(kind, d, chunk, monkeypatch):
    def made():
        generator = kind(3, d, 2.0, rotation=TURN[d], learnable=True)
        landmarks = torch.stack([somewhere(d), somewhere(d, seed=1)], 2).requires_grad_()
        maps, _ = generator(landmarks, SHAPES[d], dtype=torch.float64)
        maps.square().sum().backward()
        return maps.detach(), landmarks.grad, generator.log_sigma.grad, generator.rotation.grad

    whole = made()
    monkeypatch.setattr(ellipses, "CHUNK_VOXELS", chunk)
    for piece, expected in zip(made(), whole, strict=True):
        torch.testing.assert_close(piece, expected)


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
@pytest.mark.parametrize(
    ("dtype", "step", "least"),
    [(torch.float32, 2**-24, 2e-45), (torch.float16, 2**-11, 6e-8), (torch.bfloat16, 2**-8, 1e-40)],
)
def test_narrower_types_are_double_precision_rounded_once(kind, d, dtype, step, least):
    """Half a unit in the last place, down to the smallest number of the type, inside and outside of the box."""
    landmarks, sigma = somewhere(d), torch.tensor([[1.5, 0.7, 1.0][:d]], dtype=torch.float64)
    generator = kind(3, d, sigma, rotation=TURN[d])
    maps, _ = generator(landmarks, SHAPES[d], dtype=dtype)
    wide = formula(kind, landmarks, SHAPES[d], generator.covariance)
    assert maps.dtype == dtype
    torch.testing.assert_close(maps.double(), wide, rtol=1.001 * step, atol=least)


def test_autocast_leaves_the_maps_as_they_are():
    generator = GaussianHeatmaps(3, 2, 2.0, rotation=0.3, learnable=True)
    plain, _ = generator(somewhere(2), SHAPES[2])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast, _ = generator(somewhere(2), SHAPES[2])
    assert cast.dtype == torch.float32 and cast.equal(plain)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("d", [2, 3])
def test_a_gpu_makes_the_same_maps_and_gradients(kind, d):
    results = []
    for device in ("cpu", "cuda"):
        generator = kind(3, d, 2.0, rotation=TURN[d], learnable=True, gamma=3.0, background=True).to(device)
        landmarks = torch.stack([somewhere(d), somewhere(d, seed=1)], 2).to(device).requires_grad_()
        maps, mask = generator(landmarks, SHAPES[d], affine=torch.eye(d) + 0.1, dtype=torch.float64)
        maps.square().sum().backward()
        assert maps.device.type == mask.device.type == device
        grads = (landmarks.grad, generator.log_sigma.grad, generator.rotation.grad)
        results.append([each.detach().cpu() for each in (maps, *grads)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)

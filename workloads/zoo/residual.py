"""Residual networks: convolutions beside a shortcut."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from rpusim.workloads.zoo.named import named


class Bottleneck(nn.Module):
    """The block of ResNet-50: 1 x 1, 3 x 3 and 1 x 1 convolutions with batch normalisation, beside a shortcut.

    inputs:  channels that come in.
    width:   channels inside; four times as many go out.
    stride:  of the 3 x 3 convolution.
    """

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1, self.norm1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.norm2 = nn.Conv2d(width, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.norm3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = named(conv=nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm=nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.norm1(self.conv1(x)))
        y = self.norm3(self.conv3(self.relu(self.norm2(self.conv2(y)))))
        return cast(Tensor, self.relu(y + self.shortcut(x)))


def resnet50() -> nn.Module:
    """Build ResNet-50 (He et al. 2016) for 224 x 224 images and 1000 classes, strides in the 3 x 3 convolutions.

    25.5 million weights in 53 convolutions and a linear layer.
    """
    layers: list[tuple[str, nn.Module]] = []
    inputs = 64
    for stage, (width, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)], start=1):
        for block in range(blocks):
            layers.append((f"stage{stage}{'abcdef'[block]}", Bottleneck(inputs, width, 2 if stage > 1 > block else 1)))
            inputs = 4 * width
    return _for_images(layers, 2048)


class Basic(nn.Module):
    """The block of the small residual networks: two 3 x 3 convolutions with batch normalisation, beside a shortcut.

    inputs:   channels that come in.
    outputs:  channels that go out.
    stride:   of the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)
        self.conv2, self.norm2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = named(conv=nn.Conv2d(inputs, outputs, 1, stride, bias=False), norm=nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(self.relu(self.norm1(self.conv1(x)))))
        return cast(Tensor, self.relu(y + self.shortcut(x)))


def resnet20() -> nn.Module:
    """Build ResNet-20 (He et al. 2016) for 32 x 32 images and 10 classes, with 1 x 1 convolutions where sizes change.

    270,896 weights in 21 convolutions and a linear layer, biases aside.
    """
    layers: list[tuple[str, nn.Module]] = []
    inputs = 16
    for stage, outputs in enumerate([16, 32, 64], start=1):
        for block in range(3):
            layers.append((f"stage{stage}{'abc'[block]}", Basic(inputs, outputs, 2 if stage > 1 > block else 1)))
            inputs = outputs
    return named(
        conv=nn.Conv2d(3, 16, 3, padding=1, bias=False),
        norm=nn.BatchNorm2d(16),
        relu=nn.ReLU(),
        **dict(layers),
        mean=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(64, 10),
        log_softmax=nn.LogSoftmax(dim=1),
    )


def resnet18() -> nn.Module:
    """Build ResNet-18 (He et al. 2016) for 224 x 224 images and 1000 classes: 11,689,512 parameters."""
    layers: list[tuple[str, nn.Module]] = []
    inputs = 64
    for stage, outputs in enumerate([64, 128, 256, 512], start=1):
        for block in range(2):
            layers.append((f"stage{stage}{'ab'[block]}", Basic(inputs, outputs, 2 if stage > 1 > block else 1)))
            inputs = outputs
    return _for_images(layers, 512)


def _for_images(stages: list[tuple[str, nn.Module]], features: int) -> nn.Sequential:
    """Put stages of blocks between what all these networks for 224 x 224 images and 1000 classes begin and end with.

    stages: blocks by name. features: that the last of them gives.
    """
    return named(
        conv=nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
        norm=nn.BatchNorm2d(64),
        relu=nn.ReLU(),
        pool=nn.MaxPool2d(3, stride=2, padding=1),
        **dict(stages),
        mean=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        fc=nn.Linear(features, 1000),
        log_softmax=nn.LogSoftmax(dim=1),
    )

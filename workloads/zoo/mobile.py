"""Convolutions of single channels, and of all channels at one place: MobileNet-V2 and ConvNeXt."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from rpusim.workloads.zoo.named import named


class Inverted(nn.Module):
    """The block of MobileNet-V2: wider by a 1 x 1 convolution, 3 x 3 channel by channel, narrower again.

    inputs, outputs:  channels that come in and go out.
    stride:           of the 3 x 3 convolution.
    widening:         how many times more channels are inside; 1: the first convolution is left out.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, widening: int) -> None:
        super().__init__()
        inside = inputs * widening
        layers: list[tuple[str, nn.Module]] = []
        if widening > 1:
            layers += [("wide", nn.Conv2d(inputs, inside, 1, bias=False)), ("wide_norm", nn.BatchNorm2d(inside))]
            layers.append(("wide_relu", nn.ReLU6()))
        layers += [("each", nn.Conv2d(inside, inside, 3, stride, 1, groups=inside, bias=False))]
        layers += [("each_norm", nn.BatchNorm2d(inside)), ("each_relu", nn.ReLU6())]
        layers += [("narrow", nn.Conv2d(inside, outputs, 1, bias=False)), ("narrow_norm", nn.BatchNorm2d(outputs))]
        self.path = named(**dict(layers))
        self.beside = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = cast(Tensor, self.path(x))
        return x + y if self.beside else y


def mobilenet_v2() -> nn.Module:
    """Build MobileNet-V2 (Sandler et al. 2018) for 224 x 224 images and 1000 classes: 3,504,872 parameters."""
    layers: list[tuple[str, nn.Module]] = []
    inputs = 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for stage, (widening, outputs, blocks, stride) in enumerate(stages, start=1):
        for block in range(blocks):
            step = stride if block == 0 else 1
            layers.append((f"stage{stage}{'abcd'[block]}", Inverted(inputs, outputs, step, widening)))
            inputs = outputs
    return named(
        conv=nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False),
        norm=nn.BatchNorm2d(32),
        relu=nn.ReLU6(),
        **dict(layers),
        last=nn.Conv2d(320, 1280, 1, bias=False),
        last_norm=nn.BatchNorm2d(1280),
        last_relu=nn.ReLU6(),
        mean=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        dropout=nn.Dropout(0.2),
        fc=nn.Linear(1280, 1000),
        log_softmax=nn.LogSoftmax(dim=1),
    )


class ChannelNorm(nn.LayerNorm):
    """A layer norm over the channels of an image."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Mixing(nn.Module):
    """The block of ConvNeXt: 7 x 7 channel by channel, then two linear layers at each place, beside a shortcut.

    width: channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.each, self.norm = nn.Conv2d(width, width, 7, padding=3, groups=width), nn.LayerNorm(width, eps=1e-6)
        self.wide, self.gelu, self.narrow = nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.full((width,), 1e-6))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.each(x).permute(0, 2, 3, 1))
        y = self.narrow(self.gelu(self.wide(y))) * self.scale
        return cast(Tensor, x + y.permute(0, 3, 1, 2))


def convnext_t() -> nn.Module:
    """Build ConvNeXt-T (Liu et al. 2022) for 224 x 224 images and 1000 classes: 28,589,128 parameters."""
    layers: list[tuple[str, nn.Module]] = [("patches", nn.Conv2d(3, 96, 4, 4)), ("norm", ChannelNorm(96, eps=1e-6))]
    inputs = 96
    for stage, (width, blocks) in enumerate([(96, 3), (192, 3), (384, 9), (768, 3)], start=1):
        if width != inputs:
            layers.append((f"norm{stage}", ChannelNorm(inputs, eps=1e-6)))
            layers.append((f"halve{stage}", nn.Conv2d(inputs, width, 2, 2)))
        layers += [(f"stage{stage}{'abcdefghi'[block]}", Mixing(width)) for block in range(blocks)]
        inputs = width
    return named(
        **dict(layers),
        mean=nn.AdaptiveAvgPool2d(1),
        flatten=nn.Flatten(),
        last_norm=nn.LayerNorm(768, eps=1e-6),
        fc=nn.Linear(768, 1000),
        log_softmax=nn.LogSoftmax(dim=1),
    )

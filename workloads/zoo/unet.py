"""The U-Net: down to a small image of many channels, and up again beside what was there on the way down."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn

from rpusim.workloads.zoo.named import named


def _twice(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3 x 3 convolutions with ReLU."""
    return named(
        conv1=nn.Conv2d(inputs, outputs, 3, padding=1),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(outputs, outputs, 3, padding=1),
        relu2=nn.ReLU(),
    )


class UNet(nn.Module):
    """A U-Net (Ronneberger, Fischer & Brox 2015), its convolutions padded so that nothing is cropped.

    inputs:   channels of the image.
    classes:  of each pixel.
    widths:   channels at each size of image, each half of the one before.
    """

    def __init__(self, inputs: int = 1, classes: int = 2, widths: tuple[int, ...] = (64, 128, 256, 512, 1024)) -> None:
        super().__init__()
        pairs = list(pairwise(widths))
        self.first, self.pool = _twice(inputs, widths[0]), nn.MaxPool2d(2)
        self.down = nn.ModuleList(_twice(before, after) for before, after in pairs)
        self.up = nn.ModuleList(nn.ConvTranspose2d(after, before, 2, 2) for before, after in reversed(pairs))
        self.beside = nn.ModuleList(_twice(2 * before, before) for before, _ in reversed(pairs))
        self.last, self.log_softmax = nn.Conv2d(widths[0], classes, 1), nn.LogSoftmax(dim=1)

    def forward(self, x: Tensor) -> Tensor:
        x, kept = self.first(x), []
        for down in cast(Iterable[nn.Module], self.down):
            kept.append(x)
            x = down(self.pool(x))
        for up, beside in zip(cast(Iterable[nn.Module], self.up), cast(Iterable[nn.Module], self.beside), strict=True):
            x = beside(torch.cat([kept.pop(), up(x)], dim=1))
        return cast(Tensor, self.log_softmax(self.last(x)))

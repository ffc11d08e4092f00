"""Convolutions on cross-point arrays: every output position is one vector."""

from __future__ import annotations

from typing import Any

import torch

from rpusim.errors import InputError
from rpusim.kernels import checks
from rpusim.kernels.config import LayerConfig
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.patches import Window

Tensor = torch.Tensor


class AnalogConv2d(AnalogLayer):
    """A two-dimensional convolution on cross-point arrays; stands in for torch.nn.Conv2d with groups=1.

    The matrix is (out_channels) x (in_channels * kernel height * kernel width), one vector per output position.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        config: LayerConfig,
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        **options: Any,
    ) -> None:
        if groups != 1:
            raise InputError(f"groups: {groups!r} was given; accepted is 1")
        checks.integer("in_channels", in_channels, low=1)
        checks.integer("out_channels", out_channels, low=1)
        kernel = _pair("kernel_size", kernel_size, 1)
        inputs = in_channels * kernel[0] * kernel[1]
        super().__init__(out_channels, inputs, bias, config, **options)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel
        self.stride, self.padding = _pair("stride", stride, 1), _pair("padding", padding, 0)
        self.dilation = _pair("dilation", dilation, 1)
        self._window = Window(kernel, self.stride, self.padding, self.dilation)
        self._start(bias)

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """Output positions for an image of this size."""
        return self._window.positions(height, width)

    def forward(self, x: Tensor) -> Tensor:
        """x (samples, in_channels, height, width) -> (samples, out_channels, height', width')."""
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise InputError(
                f"layer {self.layer}: an input of shape {tuple(x.shape)} was given; "
                f"accepted is (samples, {self.in_channels}, height, width)"
            )
        height, width = self.output_size(x.shape[2], x.shape[3])
        if height < 1 or width < 1:
            raise InputError(
                f"layer {self.layer}: an image of {x.shape[2]} x {x.shape[3]} was given; "
                f"accepted are images that the kernel {self.kernel_size} fits into"
            )
        y = self._product(x)
        return y.reshape(len(x), height * width, self.out_channels).transpose(1, 2).reshape(len(x), -1, height, width)

    def vectors_of(self, x: Tensor) -> Tensor:
        return self._window.vectors(x, self.bias_column)

    def input_of(self, vectors: Tensor, shape: torch.Size) -> Tensor:
        return self._window.images(vectors, shape)


def _pair(field: str, given: int | tuple[int, int], low: int) -> tuple[int, int]:
    pair = (given, given) if isinstance(given, int) else tuple(given)
    if len(pair) != 2 or not all(isinstance(v, int) and v >= low for v in pair):
        raise InputError(f"{field}: {given!r} was given; accepted is an integer >= {low} or a pair of them")
    return pair[0], pair[1]

"""Convolutions on cross-point arrays: every output position is one vector, in raster order, sample by sample.

The matrix is (out_channels) x (in_channels / groups * kernel volume). Groups stand on tiles of their own, so that no
cross-point is spent on the zeros between them, and none of those learns. Padding with anything but zeros, and "same"
padding of an even window, is done digitally before the array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch.nn import functional

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.patches import Window
from rpusim.kernels.layers.shared import used
from rpusim.kernels.tiles.tile import LayerConfig

Tensor = torch.Tensor
Sizes = tuple[int, ...]
_PADDINGS = ("zeros", "reflect", "replicate", "circular")
_AXES = ("depth", "height", "width")


class AnalogConvolution(AnalogLayer):
    """Share what convolutions over one, two and three axes have in common.

    Arguments are those of torch's; config: what the layer's tiles are; options: as for `AnalogLayer`.
    """

    axes: ClassVar[int]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        config: LayerConfig,
        *,
        stride: int | Sizes = 1,
        padding: int | Sizes | str = 0,
        dilation: int | Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        **options: Any,
    ) -> None:
        for field, given in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
            checks.integer(field, given, low=1)
        if in_channels % groups or out_channels % groups:
            raise InputError(
                f"groups: {groups} was given for {in_channels} channels in and {out_channels} out; "
                "accepted is a number that divides both"
            )
        checks.one_of("padding_mode", padding_mode, _PADDINGS)
        kernel = self._sizes("kernel_size", kernel_size, 1)
        inputs = in_channels // groups * math.prod(kernel)
        shape = (out_channels, in_channels // groups, *kernel)
        super().__init__(out_channels, inputs, bias, config, groups=groups, weight_shape=shape, **options)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel
        self.stride, self.dilation = self._sizes("stride", stride, 1), self._sizes("dilation", dilation, 1)
        self.padding, self.padding_mode = padding, padding_mode
        before, after = self._paddings()
        # What the window itself puts around an image is zeros, and equal at both ends.
        digital = before != after or (padding_mode != "zeros" and any(before))
        self._window = Window(kernel, self.stride, (0,) * self.axes if digital else before, self.dilation)
        ends = zip(reversed(before), reversed(after), strict=True)
        self._frame = [size for pair in ends for size in pair] if digital else []  # as torch's pad wants it
        self._start(bias)

    @classmethod
    def of(cls, module: Any, config: LayerConfig, **options: Any) -> AnalogConvolution:
        """Make a layer that stands in for a torch layer, with its weights; options as for `AnalogLayer`."""
        analog = cls(
            module.in_channels,
            module.out_channels,
            module.kernel_size,
            config,
            stride=module.stride,
            padding=module.padding,
            dilation=module.dilation,
            groups=module.groups,
            bias=module.bias is not None,
            padding_mode=module.padding_mode,
            **options,
        )
        analog.set_weights(module.weight, module.bias)
        analog.learn_as(module.weight, module.bias)
        return analog

    def output_size(self, *sizes: int) -> Sizes:
        """Count the output positions along each axis for an image of this size."""
        framed = [size + sum(self._frame[2 * axis : 2 * axis + 2]) for axis, size in enumerate(reversed(sizes))]
        return self._window.positions(*reversed(framed))

    def forward(self, x: Tensor) -> Tensor:
        """Convolve x (samples, in_channels, ...) -> (samples, out_channels, ...).

        A single sample may come without its axis. InputError: another shape, or an image smaller than the kernel.
        """
        if x.dim() == self.axes + 1 and x.shape[0] == self.in_channels:
            return self.forward(x.unsqueeze(0)).squeeze(0)
        if x.dim() != self.axes + 2 or x.shape[1] != self.in_channels:
            axes = ", ".join(_AXES[-self.axes :])
            raise InputError(
                f"layer {self.layer}: an input of shape {tuple(x.shape)} was given; "
                f"accepted is (samples, {self.in_channels}, {axes})"
            )
        positions = self.output_size(*x.shape[2:])
        if min(positions) < 1:
            raise InputError(
                f"layer {self.layer}: an image of {' x '.join(map(str, x.shape[2:]))} was given; "
                f"accepted are images that the kernel {self.kernel_size} fits into"
            )
        if self._frame:
            x = functional.pad(x, self._frame, "constant" if self.padding_mode == "zeros" else self.padding_mode)
        y = self._product(x)
        y = y.reshape(len(x), math.prod(positions), self.out_channels).transpose(1, 2)
        return y.reshape(len(x), self.out_channels, *positions)

    def used_outside(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return used(self, func, args, kwargs)

    def vectors_of(self, x: Tensor) -> Tensor:
        if self.groups == 1 or not self.bias_column:
            return self._window.vectors(x, self.bias_column, self.path)
        vectors = self._window.vectors(x, False, self.path)
        each = vectors.reshape(len(vectors), self.groups, vectors.shape[1] // self.groups)
        return torch.cat([each, each.new_ones(len(vectors), self.groups, 1)], 2).flatten(1)

    def input_of(self, vectors: Tensor, shape: torch.Size) -> Tensor:
        if self.groups > 1 and self.bias_column:
            vectors = vectors.reshape(len(vectors), self.groups, vectors.shape[1] // self.groups)[..., :-1].flatten(1)
        return self._window.images(vectors, shape, self.path)

    def _paddings(self) -> tuple[Sizes, Sizes]:
        """Count the positions that are added before the first one and after the last one along each axis."""
        if not isinstance(self.padding, str):
            before = self._sizes("padding", self.padding, 0)
            return before, before
        if self.padding not in ("same", "valid"):
            raise InputError(f"padding: {self.padding!r} was given; accepted are numbers, 'same' and 'valid'")
        if self.padding == "valid":
            return (0,) * self.axes, (0,) * self.axes
        if max(self.stride) > 1:
            raise InputError(f"padding: 'same' was given with stride {self.stride}; accepted is stride 1")
        total = [d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True)]
        return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)

    @classmethod
    def _sizes(cls, field: str, given: int | Sizes, low: int) -> Sizes:
        sizes = (given,) * cls.axes if isinstance(given, int) else tuple(given)
        if len(sizes) != cls.axes or not all(isinstance(v, int) and v >= low for v in sizes):
            raise InputError(f"{field}: {given!r} was given; accepted is an integer >= {low} or {cls.axes} of them")
        return sizes


class AnalogConv1d(AnalogConvolution):
    """A convolution over sequences; stands in for torch.nn.Conv1d."""

    axes = 1


class AnalogConv2d(AnalogConvolution):
    """A convolution over images; stands in for torch.nn.Conv2d."""

    axes = 2


class AnalogConv3d(AnalogConvolution):
    """A convolution over volumes; stands in for torch.nn.Conv3d."""

    axes = 3

"""Transposed convolutions on cross-point arrays: every input position is one vector, and what overlaps is added up.

The matrix is (output channels x places of the window) x (input channels of a group). The array gives, for each input
position, its part of every output that the window reaches from there; digital units put these in their places and add
those that meet, and the bias. So a transposed convolution is a convolution whose sums are made after the array.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import torch
from torch.nn import functional

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.base.precision import exactly
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.shared import used
from rpusim.kernels.tiles.tile import LayerConfig

Tensor = torch.Tensor
Sizes = tuple[int, ...]


class AnalogTransposed(AnalogLayer):
    """Share what transposed convolutions over one, two and three axes have in common.

    Arguments are those of torch's; config: what the layer's tiles are; options: as for `AnalogLayer`. A bias is a
    digital parameter, as an output is the sum of several products.
    """

    axes: ClassVar[int]
    _summed: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sizes,
        config: LayerConfig,
        *,
        stride: int | Sizes = 1,
        padding: int | Sizes = 0,
        output_padding: int | Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | Sizes = 1,
        **options: Any,
    ) -> None:
        for field, given in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups)):
            checks.integer(field, given, low=1)
        if in_channels % groups or out_channels % groups:
            raise InputError(
                f"groups: {groups} was given for {in_channels} channels in and {out_channels} out; "
                "accepted is a number that divides both"
            )
        kernel = self._sizes(kernel_size)
        places = math.prod(kernel)
        shape = (in_channels, out_channels // groups, *kernel)
        rows = out_channels * places
        super().__init__(rows, in_channels // groups, False, config, groups=groups, weight_shape=shape, **options)
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel
        self.stride, self.padding, self.dilation = map(self._sizes, (stride, padding, dilation))
        self.output_padding = self._sizes(output_padding)
        self.register_parameter("bias", torch.nn.Parameter(torch.zeros(out_channels)) if bias else None)
        one = torch.eye(places).reshape(places, 1, *kernel)
        self.register_buffer("_summed", one.repeat(out_channels, 1, *[1] * self.axes), persistent=False)
        self._start(False, (out_channels // groups * places) ** -0.5)

    @classmethod
    def of(cls, module: Any, config: LayerConfig, **options: Any) -> AnalogTransposed:
        """Make a layer that stands in for a torch layer, with its weights; options as for `AnalogLayer`."""
        same = ("stride", "padding", "output_padding", "groups", "dilation")
        own = {name: getattr(module, name) for name in same} | {"bias": module.bias is not None}
        analog = cls(module.in_channels, module.out_channels, module.kernel_size, config, **own, **options)
        analog.set_weights(module.weight, module.bias)
        analog.learn_as(module.weight, module.bias)
        return analog

    @property
    def has_bias(self) -> bool:
        """Whether there is a (digital) bias."""
        return self.bias is not None

    def learn_as(self, weight: Tensor, bias: Tensor | None) -> None:
        """Learn, or stay frozen, as the parameters of the torch layer do."""
        super().learn_as(weight, None)
        if self.bias is not None and bias is not None:
            self.bias.requires_grad_(bias.requires_grad)

    def set_weights(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Write weights as torch has them, (in_channels, out_channels / groups, ...), or as a matrix, and the bias.

        InputError: another size, or numbers that are not finite.
        """
        matrix = self._matrix(weight) if tuple(weight.shape) == self.weight_shape else weight
        super().set_weights(matrix)
        if bias is not None and self.bias is not None:
            with torch.no_grad():
                self.bias.copy_(bias)

    def part(self, name: str) -> Tensor:
        """Read ``weight`` as the tiles hold it, in the shape that torch gives it; a copy."""
        return self._as_torchs(self.get_weights()[0])

    def part_gradient(self, name: str, x: Tensor, d: Tensor) -> Tensor:
        """Compute the gradient of ``weight``, in the shape that torch gives it."""
        matrix = super().part_gradient(name, x, d).reshape(self.rows, self.columns)
        return self._as_torchs(matrix)

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        """Send x (samples, in_channels, ...) through the transposed convolution -> (samples, out_channels, ...).

        output_size: as torch's: the sizes of the result, where the stride leaves several. A single sample may come
        without its axis. InputError: another shape, or a size that cannot be.
        """
        if x.dim() == self.axes + 1 and x.shape[0] == self.in_channels:
            return self.forward(x.unsqueeze(0), output_size).squeeze(0)
        if x.dim() != self.axes + 2 or x.shape[1] != self.in_channels:
            raise InputError(
                f"layer {self.layer}: an input of shape {tuple(x.shape)} was given; accepted is (samples, "
                f"{self.in_channels}, and {self.axes} sizes)"
            )
        more = self.output_padding if output_size is None else self._more(x.shape[2:], output_size)
        single = x.float() if x.is_floating_point() else x
        parts = self._product(single).reshape(len(x), *x.shape[2:], self.rows).movedim(-1, 1)
        summed = (functional.conv_transpose1d, functional.conv_transpose2d, functional.conv_transpose3d)[self.axes - 1]
        with exactly(x.device):  # outputs are summed up as they come from the arrays
            y: Tensor = summed(
                parts, self._summed, self.bias, self.stride, self.padding, more, self.out_channels, self.dilation
            )
        return y.to(x.dtype)

    def used_outside(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return used(self, func, args, kwargs)

    def vectors_of(self, x: Tensor) -> Tensor:
        return x.movedim(1, -1).reshape(-1, self.in_channels).to(torch.float32).contiguous()

    def input_of(self, vectors: Tensor, shape: torch.Size) -> Tensor:
        return vectors.reshape(shape[0], *shape[2:], self.in_channels).movedim(-1, 1)

    def _more(self, sizes: Any, wanted: Any) -> Sizes:
        """Find what is added after the last position for a result of the sizes that are wanted."""
        listed = tuple(wanted)[-self.axes :]
        sides = zip(sizes, self.stride, self.padding, self.dilation, self.kernel_size, strict=True)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, s, p, d, k in sides]
        more = tuple(want - low for want, low in zip(listed, least, strict=True))
        if any(not 0 <= each < max(s, d) for each, s, d in zip(more, self.stride, self.dilation, strict=True)):
            raise InputError(
                f"output_size: {tuple(wanted)} was given; accepted are from {tuple(least)} on, by less than a stride"
            )
        return more

    def _matrix(self, weight: Tensor) -> Tensor:
        groups = weight.detach().reshape(self.groups, self.columns, -1)
        return groups.transpose(1, 2).reshape(self.rows, self.columns)

    def _as_torchs(self, matrix: Tensor) -> Tensor:
        groups = matrix.reshape(self.groups, self.rows // self.groups, self.columns)
        return groups.transpose(1, 2).reshape(self.weight_shape)

    @classmethod
    def _sizes(cls, given: int | Sizes) -> Sizes:
        return (given,) * cls.axes if isinstance(given, int) else tuple(given)


class AnalogConvTranspose1d(AnalogTransposed):
    """A transposed convolution over sequences; stands in for torch.nn.ConvTranspose1d."""

    axes = 1


class AnalogConvTranspose2d(AnalogTransposed):
    """A transposed convolution over images; stands in for torch.nn.ConvTranspose2d."""

    axes = 2


class AnalogConvTranspose3d(AnalogTransposed):
    """A transposed convolution over volumes; stands in for torch.nn.ConvTranspose3d."""

    axes = 3

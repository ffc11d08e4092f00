"""A parameter of a module of one's own on arrays, such as ``self.w`` in ``x @ self.w``.

No layer of torch holds it, so it gets an `AnalogParameter`, whose rows and columns are those that the function
multiplies: the axes that stay and that are summed over. What functions ask of the parameter is done there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rpusim.errors import InputError
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.convolution import AnalogConv1d, AnalogConv2d, AnalogConv3d
from rpusim.kernels.layers.gradient import ArrayWeights
from rpusim.kernels.layers.shared import used
from rpusim.kernels.tiles.tile import LayerConfig

Tensor = torch.Tensor
HELD = "_on_arrays"
"""What is added to a parameter's name for the module of its arrays."""
_LETTERS = "abcdefghijklmnopqrstuvw"
_PRODUCTS = (torch.matmul, torch.mm, torch.bmm, Tensor.matmul, Tensor.mm, Tensor.bmm, Tensor.__matmul__)


@dataclass(frozen=True)
class Held:
    """Say how a parameter that functions use lies on arrays.

    parameter: its full name in the module.
    rows, columns, groups: of the matrix; each group of the rows reads columns of its own.
    order:     axes of the parameter as they make the matrix, rows first; (): as they are.
    bias:      full name of the parameter that is a further column of it; "": none.
    windows:   of a convolution: stride, padding and dilation.
    """

    parameter: str
    rows: int
    columns: int
    groups: int = 1
    order: tuple[int, ...] = ()
    bias: str = ""
    windows: tuple[tuple[int, ...], ...] = ()

    def layer(self, parameter: Tensor, config: LayerConfig, **options: Any) -> AnalogLayer:
        """Make the layer that holds the parameter; config: what its tiles are; options: as for `AnalogLayer`."""
        if not self.windows:
            return AnalogParameter(parameter.shape, self, config, **options)
        stride, padding, dilation = self.windows
        kind = (AnalogConv1d, AnalogConv2d, AnalogConv3d)[parameter.dim() - 3]
        channels, kernel = parameter.shape[1] * self.groups, tuple(parameter.shape[2:])
        own: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation, "groups": self.groups}
        return kind(channels, self.rows, kernel, config, bias=bool(self.bias), **own, **options)


class AnalogParameter(AnalogLayer):
    """Hold a parameter of a module of one's own on arrays; functions that use it multiply here.

    shape:    of the parameter.
    held:     how it lies on arrays.
    options:  as for `AnalogLayer`.
    """

    def __init__(self, shape: Sequence[int], held: Held, config: LayerConfig, **options: Any) -> None:
        self.order = held.order or tuple(range(len(shape)))
        super().__init__(
            held.rows,
            held.columns,
            bool(held.bias),
            config,
            groups=held.groups,
            weight_shape=tuple(shape),
            **options,
        )

    def set_weights(self, weight: Tensor, bias: Tensor | None = None) -> None:
        """Write weights in the shape of the parameter, or as a matrix; and a bias, if a column holds it."""
        if tuple(weight.shape) == self.weight_shape:
            weight = weight.detach().permute(self.order).reshape(self.rows, -1)
        super().set_weights(weight, bias)

    def part(self, name: str) -> Tensor:
        """Read the parameter as the tiles hold it, in its own shape; a copy."""
        found = self.get_weights()[name == "bias"]
        assert found is not None, "a parameter without a bias"
        return self._as_given(found) if name == "weight" else found

    def part_gradient(self, name: str, x: Tensor, d: Tensor) -> Tensor:
        """Compute the gradient of the parameter, in its own shape."""
        given = super().part_gradient(name, x, d)
        return self._as_given(given.reshape(self.rows, -1)) if name == "weight" else given

    def forward(self, x: Tensor) -> Tensor:
        """Multiply x (..., groups x columns) -> (..., rows)."""
        return self._product(x.reshape(-1, x.shape[-1])).reshape(*x.shape[:-1], self.rows)

    def used_outside(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if func is torch.einsum and len(args) == 3:
            which = 1 + isinstance(args[2], ArrayWeights)
            return self.contract(args[0].replace(" ", ""), args[3 - which], which - 1)
        # A matrix that lies as it is given is read the other way by `x @ w`.
        exchanged = self.order == (1, 0) or len(self.weight_shape) > 2
        if func in _PRODUCTS and len(args) == 2 and exchanged:
            which = int(isinstance(args[1], ArrayWeights))
            return self.contract(_of_matrices(args[0].dim(), args[1].dim()), args[1 - which], which)
        return used(self, func, args, kwargs)

    def vectors_of(self, x: Tensor) -> Tensor:
        x = x.to(torch.float32)
        if self.bias_column:
            x = x.reshape(len(x), self.groups, -1)
            x = torch.cat([x, x.new_ones(len(x), self.groups, 1)], 2).flatten(1)
        return x.contiguous()

    def input_of(self, vectors: Tensor, shape: torch.Size) -> Tensor:
        if self.bias_column:
            vectors = vectors.reshape(len(vectors), self.groups, -1)[..., :-1].flatten(1)
        return vectors.reshape(shape)

    def contract(self, equation: str, x: Tensor, which: int) -> Tensor:
        """Sum over products as `torch.einsum` does; ``which`` of the two operands is the parameter."""
        terms, _, output = equation.partition("->")
        of_weight, of_signal = terms.split(",")[which], terms.split(",")[1 - which]
        sizes = dict(zip(of_weight, self.weight_shape, strict=True)) | dict(zip(of_signal, x.shape, strict=True))
        shared = [letter for letter in of_weight if letter in of_signal and letter in output]
        summed = [letter for letter in of_weight if letter in of_signal and letter not in output]
        free = [letter for letter in of_weight if letter not in of_signal]
        rest = [letter for letter in of_signal if letter not in of_weight]
        inside = x.permute([of_signal.index(letter) for letter in (*rest, *shared, *summed)])
        vectors = inside.reshape(math.prod(sizes[letter] for letter in rest), -1)
        if self.order != tuple(of_weight.index(letter) for letter in (*shared, *free, *summed)):
            raise InputError(
                f"layer {self.layer}: its parameter is multiplied along other axes ({equation}) than when it was "
                "placed; accepted: the same ones"
            )
        made = [*rest, *shared, *free]
        y = self._product(vectors).reshape([sizes[letter] for letter in made])
        return y.permute([made.index(letter) for letter in output])

    def _as_given(self, matrix: Tensor) -> Tensor:
        sizes = [self.weight_shape[axis] for axis in self.order]
        back = [self.order.index(axis) for axis in range(len(sizes))]
        return matrix.reshape(sizes).permute(back).contiguous()


def _of_matrices(left: int, right: int) -> str:
    """Write the product of two matrices of so many dimensions with letters, as `torch.einsum` does."""
    before = _LETTERS[: max(left, right, 2) - 2]
    first = before[len(before) - max(left - 2, 0) :] + ("yz" if left > 1 else "z")
    second = before[len(before) - max(right - 2, 0) :] + ("zx" if right > 1 else "z")
    return f"{first},{second}->{before}{'y' if left > 1 else ''}{'x' if right > 1 else ''}"

"""AnalogLinear: a matrix product on cross-point arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.shared import used
from rpusim.kernels.tiles.tile import ALONE, LayerConfig, Step

Tensor = torch.Tensor


class AnalogLinear(AnalogLayer):
    """Compute y = x W^T + b on cross-point arrays; stands in for torch.nn.Linear.

    in_features, out_features, bias:  as for torch's.
    config:   what the layer's tiles are.
    start:    bound of the uniform first weights; None: torch's, 1 / sqrt(in_features).
    options:  as for `AnalogLayer`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        config: LayerConfig,
        *,
        bias: bool = True,
        start: float | None = None,
        **options: Any,
    ) -> None:
        checks.integer("in_features", in_features, low=1)
        checks.integer("out_features", out_features, low=1)
        super().__init__(out_features, in_features, bias, config, **options)
        self.in_features, self.out_features = in_features, out_features
        self._ones = torch.ones(0, 1)  # what the bias column was fed with last
        self._start(bias, start)

    @classmethod
    def of(cls, module: torch.nn.Linear, config: LayerConfig, **options: Any) -> AnalogLinear:
        """Make a layer that stands in for a torch layer, with its weights; options as for `AnalogLayer`."""
        analog = cls(module.in_features, module.out_features, config, bias=module.bias is not None, **options)
        analog.set_weights(module.weight, module.bias)
        analog.learn_as(module.weight, module.bias)
        return analog

    def forward(self, x: Tensor, step: Step = ALONE) -> Tensor:
        """Multiply x (..., in_features) -> (..., out_features).

        step: which step x is, of a sequence that comes step by step. InputError: x has another shape.
        """
        self.check_inputs(x)
        y = self._product(x, step)
        return y if x.dim() == 2 else y.reshape(*x.shape[:-1], self.out_features)

    def check_inputs(self, x: Tensor) -> None:
        """Raise InputError if an input has another last dimension than the layer reads."""
        if x.shape[-1] != self.in_features:
            raise InputError(
                f"layer {self.layer}: an input of shape {tuple(x.shape)} was given; "
                f"accepted is a last dimension of {self.in_features}"
            )

    def used_outside(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        return used(self, func, args, kwargs)

    def vectors_of(self, x: Tensor) -> Tensor:
        if x.dim() != 2 or x.dtype is not torch.float32:
            x = x.reshape(-1, self.in_features).to(torch.float32)
        if not self.bias_column:
            return x.contiguous()
        if self._ones.shape[0] != x.shape[0] or self._ones.device != x.device:
            self._ones = x.new_ones(x.shape[0], 1)
        return torch.cat((x, self._ones), 1)

    def input_of(self, vectors: Tensor, shape: torch.Size) -> Tensor:
        gradient = vectors[:, : self.in_features] if self.bias_column else vectors
        return gradient if len(shape) == 2 else gradient.reshape(shape)

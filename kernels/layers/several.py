"""Modules with several matrices, each an `AnalogLinear` with a name and a number of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from rpusim.errors import InputError, nearest
from rpusim.kernels.layers.linear import AnalogLinear
from rpusim.kernels.tiles.tile import LayerConfig


def add_matrices(
    module: torch.nn.Module,
    sizes: Mapping[str, tuple[int, int, bool]],
    config: LayerConfig,
    *,
    start: float | None = None,
    layer: int = 0,
    per_matrix: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> None:
    """Give ``module`` one `AnalogLinear` for each name in ``sizes``: (inputs, outputs, bias).

    module:      gets the matrices as submodules.
    config:      what the tiles of all matrices are.
    start:       bound of the uniform first weights; None: torch's for a linear layer.
    layer:       number of the first matrix; the others follow.
    per_matrix:  options that differ for a matrix, by its name, such as ``{"hh_l0": {"config": ...}}``.
    options:     as for `AnalogLayer`.

    InputError: per_matrix names a matrix that there is not.
    """
    for name in per_matrix or {}:
        if name not in sizes:
            raise InputError(f"per_matrix: no matrix is called {name!r}{nearest(name, sizes)}")
    for index, (name, (inputs, outputs, bias)) in enumerate(sizes.items()):
        own = {"config": config, **options, **(per_matrix or {}).get(name, {})}
        module.add_module(name, AnalogLinear(inputs, outputs, bias=bias, start=start, layer=layer + index, **own))

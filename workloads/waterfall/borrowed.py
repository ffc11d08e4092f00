"""A model on loan: tried with other peripheries, cells and random numbers, and given back as it was.

The chip under a placed model hears nothing of it: its account, its clock and its analysis are those of what the user
does.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from rpusim.kernels.inference.tile import InferenceTile
from rpusim.kernels.layers import AnalogLayer

_HOOKS = "_forward_pre_hooks", "_forward_pre_hooks_with_kwargs", "_forward_hooks", "_forward_hooks_always_called"


@contextmanager
def borrowed(model: nn.Module) -> Iterator[list[InferenceTile]]:
    """Have a model in evaluation mode, silent and with nothing programmed, and give it back as it was.

    Yields the arrays that are programmed.
    """
    parts = list(model.modules())
    tiles = [part for part in parts if isinstance(part, InferenceTile)]
    layers = [part for part in parts if isinstance(part, AnalogLayer)]
    before = copy.deepcopy(model.state_dict())
    modes = [part.training for part in parts]
    hooks = {name: vars(model)[name] for name in _HOOKS} if hasattr(model, "chip") else {}
    circuits = [(tile.config, tile.forward_io) for tile in tiles]
    told = [(tile.log, tile.layer, tile.tile) for tile in tiles]
    called = [(layer.calls, layer.at_work) for layer in layers]
    try:
        vars(model).update({name: OrderedDict() for name in hooks})
        for tile in tiles:
            tile.end_mini_batch()
            tile.log, tile.programmed = None, False
        model.eval()
        yield tiles
    finally:
        for tile, (config, io) in zip(tiles, circuits, strict=True):
            tile.config = config
            tile.read_through(io)
        model.load_state_dict(before)
        for tile, names in zip(tiles, told, strict=True):
            tile.log, tile.layer, tile.tile = names
        for layer, (calls, at_work) in zip(layers, called, strict=True):
            vars(layer).update(calls=calls, at_work=at_work)
        for part, mode in zip(parts, modes, strict=True):
            part.training = mode
        vars(model).update(hooks)

"""`program` and `drift`: what is done to a converted model between training and use."""

from __future__ import annotations

from torch import nn

from rpusim.errors import InputError
from rpusim.kernels import checks
from rpusim.kernels.inference.tile import InferenceTile


def program(model: nn.Module) -> None:
    """Write the weights of all inference layers into their cells, with the noise of programming.

    From then on the model in evaluation mode (``model.eval()``) multiplies with what the cells hold. Training forgets
    it. InputError if the model has no inference layers.
    """
    for tile in _tiles(model):
        tile.program()


def drift(model: nn.Module, seconds: float) -> None:
    """Let the cells be as they are ``seconds`` after programming, and measure their drift if that is compensated.

    Calls do not add up: each starts from programming, which is done first if it was not yet. InputError if the model
    has no inference layers, or the noise model of one does not cover that time.
    """
    tiles = _tiles(model)
    checks.number("seconds", seconds, low=0.0)
    for tile in tiles:
        if tile.config.noise is not None:
            tile.config.noise.check_time(seconds)
    for tile in tiles:
        tile.drift(seconds)


def _tiles(model: nn.Module) -> list[InferenceTile]:
    checks.instance("model", model, nn.Module)
    found = [module for module in model.modules() if isinstance(module, InferenceTile)]
    if not found:
        raise InputError(
            f"model: {type(model).__name__} has no inference layers; accepted is what convert(module, "
            "InferenceConfig(...)) returns"
        )
    return found

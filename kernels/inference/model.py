"""`program`, `drift` and `elapse`: what is done to a converted model between training and use."""

from __future__ import annotations

from torch import nn

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.inference.tile import InferenceTile


def program(model: nn.Module) -> None:
    """Write the weights of all inference layers of ``model`` into their cells, with the noise of programming.

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
    _drift(tiles, [seconds] * len(tiles))


def elapse(model: nn.Module, seconds: float) -> None:
    """Let what is programmed in ``model`` become ``seconds`` older: `drift` to the age that it then has.

    Does nothing if nothing is programmed. InputError if a noise model does not cover that age.
    """
    checks.number("seconds", seconds, low=0.0)
    tiles = [tile for tile in _inferring(model) if tile.programmed and seconds]
    _drift(tiles, [tile.age + seconds for tile in tiles])


def _drift(tiles: list[InferenceTile], ages: list[float]) -> None:
    """Drift all tiles, or none if a noise model does not cover an age."""
    for tile, age in zip(tiles, ages, strict=True):
        if tile.config.noise is not None:
            tile.config.noise.check_time(age)
    for tile, age in zip(tiles, ages, strict=True):
        tile.drift(age)


def _inferring(model: nn.Module) -> list[InferenceTile]:
    return [module for module in model.modules() if isinstance(module, InferenceTile)]


def _tiles(model: nn.Module) -> list[InferenceTile]:
    checks.instance("model", model, nn.Module)
    found = _inferring(model)
    if not found:
        raise InputError(
            f"model: {type(model).__name__} has no inference layers; accepted is what convert(module, "
            "InferenceConfig(...)) returns"
        )
    return found

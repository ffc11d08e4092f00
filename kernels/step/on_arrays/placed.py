"""Weight layers of a step: the modules that hold them, and what the program needs to know of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from rpusim.arch.contract.activity import ActivityLog
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.convolution import AnalogConvolution
from rpusim.kernels.layers.linear import AnalogLinear
from rpusim.kernels.layers.patches import Window
from rpusim.kernels.mvm.compiled import simple
from rpusim.kernels.mvm.whole import in_parts
from rpusim.kernels.step.program import Layer, Unsuitable
from rpusim.kernels.tiles.analog import AnalogTile

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


@dataclass(frozen=True)
class Matrix:
    """A matrix of a recurrent layer of torch, with its bias. name: such as ``hh_l0``."""

    holder: nn.RNNBase
    name: str

    @property
    def weight(self) -> nn.Parameter:
        """The matrix (outputs, inputs)."""
        weight: nn.Parameter = getattr(self.holder, f"weight_{self.name}")
        return weight

    @property
    def bias(self) -> nn.Parameter | None:
        """What is added to the outputs."""
        bias: nn.Parameter | None = getattr(self.holder, f"bias_{self.name}", None)
        return bias

    def parameters(self) -> Iterator[nn.Parameter]:
        """Go through the matrix and its bias."""
        yield self.weight
        if self.bias is not None:
            yield self.bias


@dataclass(frozen=True)
class Placed:
    """A weight layer of the program, with what it is made of.

    module:    an analog layer, or a torch layer that computes in floating point.
    window:    of a convolution; None: linear.
    image:     (channels, sizes...) of what it reads, of a convolution.
    layer:     what the program needs to know.
    groups:    so many equal parts of the outputs read inputs of their own.
    """

    module: Any
    window: Window | None
    image: tuple[int, ...]
    layer: Layer
    groups: int = 1

    @property
    def free(self) -> tuple[bool, bool]:
        """Whether weights are free to learn, and the column of biases on their tiles."""
        weight = bool(self.module.weight.requires_grad)
        if isinstance(self.module, AnalogLayer) and self.module.bias_column:
            return weight, bool(self.module.bias is not None and self.module.bias.requires_grad)
        return weight, weight

    @property
    def learns(self) -> bool:
        """Whether anything on the tiles learns; a digital bias may do so by itself."""
        return self.layer.reached and any(self.free)

    @property
    def blocks(self) -> int:
        """How many tiles stand for it in the tables."""
        return len(self.tiles) or self.groups

    @staticmethod
    def of(module: nn.Module | Matrix, source: Sequence[int], positions: int) -> Placed:
        """Describe a module that reads samples of the shape ``source`` and makes ``positions`` vectors of each turn.

        Raises Unsuitable if the step cannot compute it.
        """
        window, groups = _window(module), int(getattr(module, "groups", 1))
        if isinstance(module, AnalogLayer):
            _check(module)
            columns, rows, bias = module.columns, module.rows, module.bias_column
        elif isinstance(module, nn.Linear | Convolution | Matrix):
            rows, columns, bias = module.weight.shape[0], module.weight[0].numel(), False
        else:
            raise Unsuitable(f"a {type(module).__name__}")
        copied, learns = window is not None or bias, any(each.requires_grad for each in module.parameters())
        layer = Layer(positions, groups * columns, rows, copied, window is not None, learns=learns)
        return Placed(module, window, tuple(source), layer, groups)

    @property
    def uses(self) -> tuple[int, ...]:
        """The numbers of layers by which rows of activity are told apart, a number for each use; or none."""
        log = self.module.log if isinstance(self.module, AnalogLayer) else None
        return log.uses if log is not None else ()

    @property
    def numbers_of_tiles(self) -> list[list[int] | None]:
        """Use by use, the numbers that the rows of its tiles bear there; None: their own."""
        found = self.module.log.tiles if self.uses else ()
        return [None if numbers is None else numbers.tolist() for numbers in found]

    @property
    def tiles(self) -> list[AnalogTile]:
        """The tiles of an analog layer; none of a torch layer."""
        grid: list[Any] = self.module._grid if isinstance(self.module, AnalogLayer) else []
        return grid


def _window(module: nn.Module | Matrix) -> Window | None:
    """Find the window of a convolution whose padding is zeros, and the same at both ends; None: it is none."""
    if isinstance(module, AnalogConvolution):
        if module._frame:
            raise Unsuitable("a convolution that is padded with other than zeros, or differently at both ends")
        return module._window
    if not isinstance(module, Convolution):
        return None
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise Unsuitable("a convolution that is padded with other than zeros, or differently at both ends")
    return Window(module.kernel_size, module.stride, module.padding, module.dilation)


def _check(layer: AnalogLayer) -> None:
    """Raise Unsuitable for what the step does not compute of an analog layer."""
    if not isinstance(layer, AnalogLinear | AnalogConvolution):
        raise Unsuitable(f"a {type(layer).__name__}")
    if layer.out_scale is not None or layer.input_range is not None:
        raise Unsuitable("factors of inputs or outputs that are learned")
    if layer.learns is None:
        raise Unsuitable("a layer whose weights torch trains")
    if layer.log is not None and type(layer.log) is not ActivityLog and not layer.log.uses:
        raise Unsuitable("a layer whose activity nobody accounts for")
    for tile in layer._grid:
        if not isinstance(tile, AnalogTile) or tile.path_now != "numba" or tile.history is not None:
            raise Unsuitable("tiles that are not computed in compiled loops")
        if tile.config.half_select:
            raise Unsuitable("arrays whose half-selected cells creep")
        for io in (tile._forward_io, tile._backward_io):
            alone = io.wires is not None and io.wires.alone and io.slices is None
            if alone or not (io.is_perfect or simple(io) or in_parts.fits(io)):
                raise Unsuitable("a periphery that is not computed in one compiled pass")

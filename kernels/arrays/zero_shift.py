"""Zero-shifting: drive an array to its symmetry points, and count from there.

At its symmetry point w* an up and a down pulse of a cell are equally large, so that random pulses average out; away
from it they pull the weight back to it. Alternating pulses of the whole array find it without any measurement,

    w_n - w* = (w_0 - w*) exp(-n (a_up / b_up + a_down / b_down))        soft bounds b, steps a, n pairs          (1)

(1 % of the way is left after about 1380 pairs for a = 0.001, b = 0.6). A second array, the reference R, is then
programmed to the values found, and the weight counts from there: W = A - R. What remains is the granularity of the
pulses, their noise, and where a reference cell's bounds do not reach the value.

Kim, Rasch, Gokmen et al., "Zero-shifting technique for deep neural network training on resistive cross-point arrays",
arXiv:1907.10228 (2019).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from rpusim.arch.contract import checks
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.devices import Cells, Device
from rpusim.kernels.pulses.counts import UpdateCounts
from rpusim.kernels.pulses.execution import Way
from rpusim.kernels.pulses.trains import Execution, UpdateParameters

Tensor = torch.Tensor

# One pulse per vector that hits every cell: the probabilities are sqrt(granularity / granularity) = 1. One by one, as
# a search for a symmetry point is about what each single pulse does there.
_EVERY_CELL = UpdateParameters(
    desired_bl=1, update_management=False, update_bl_management=False, execution=Execution.EXACT
)
_VECTORS = 64


@dataclass(frozen=True)
class ZeroShift:
    """What zero-shifting did.

    pulses:   how many pulses each cell got.
    residual: distance of the weights from the cells' symmetry points (rows, columns), in weight.
    """

    pulses: int
    residual: Tensor


def zero_shift(array: DeviceArray, pairs: int) -> ZeroShift:
    """Send pairs of an up and a down pulse to every cell of an array, in place.

    array: whose cells are pulsed. pairs: how many pairs, 0 or more. Returns what they did; InputError: pairs below 0.
    """
    checks.integer("pairs", pairs, low=0)
    rows, columns = array.weights.shape
    place = array.weights.device
    for start in range(0, 2 * pairs, _VECTORS):
        vectors = min(_VECTORS, 2 * pairs - start)
        x, d = torch.ones(vectors, columns, device=place), torch.ones(vectors, rows, device=place)
        d[::2] = -1.0  # a pulse's direction is the opposite of x d
        array.pulse(x, d, array.device.granularity, _EVERY_CELL)
    return ZeroShift(2 * pairs, array.weights - array.device.symmetry_point(array.cells))


class ShiftedArray(torch.nn.Module):
    """An array A read against a reference R that is programmed to A's symmetry points; used like a `DeviceArray`.

    array, reference: A and R, of equal size; both are written here. pairs: of pulses that find A's symmetry points.
    Attributes: weights, A - R; shift, what zero-shifting did, until the state of another run is loaded.
    """

    def __init__(self, array: DeviceArray, reference: DeviceArray, pairs: int) -> None:
        super().__init__()
        self.array, self.reference = array, reference
        self.shift = zero_shift(array, pairs)
        reference.set_weights(array.weights)
        array.set_weights(reference.weights)

    @property
    def weights(self) -> Tensor:
        """The weights counted from the reference (rows, columns)."""
        return self.array.weights - self.reference.weights

    @property
    def device(self) -> Device:
        """The device of A."""
        return self.array.device

    @property
    def cells(self) -> Cells:
        """The cells of A."""
        return self.array.cells

    @property
    def path_now(self) -> str:
        """The path that A takes where it lies now."""
        return self.array.path_now

    def way(self, parameters: UpdateParameters) -> Way | None:
        """Say how the pulses of A are computed, see `DeviceArray.way`."""
        return self.array.way(parameters)

    def set_weights(self, weights: Tensor) -> None:
        """Write weights (rows, columns) that are counted from the reference."""
        self.array.set_weights(weights.to(self.reference.weights.device) + self.reference.weights)

    def pulse(
        self,
        x: Tensor,
        d: Tensor,
        learning_rate: float,
        parameters: UpdateParameters,
        lines: tuple[int, ...] | None = None,
        only_up: bool = False,
    ) -> UpdateCounts:
        """Pulse A as `DeviceArray.pulse` does; the reference is never pulsed."""
        return self.array.pulse(x, d, learning_rate, parameters, lines, only_up)

    def reset(self, first: int = 0, columns: int | None = None, probability: float = 1.0, whole: bool = False) -> None:
        """Reset columns of A as `DeviceArray.reset` does."""
        self.array.reset(first, columns, probability, whole=whole)

    @property
    def volatile(self) -> bool:
        """Whether time alone moves the weights of either."""
        return self.array.volatile or self.reference.volatile

    def elapse(self, seconds: float) -> None:
        """Let ``seconds`` pass for both arrays: leakage and drift."""
        self.array.elapse(seconds)
        self.reference.elapse(seconds)

    def end_mini_batch(self) -> None:
        """End a mini-batch of both arrays: diffusion and decay."""
        self.array.end_mini_batch()
        self.reference.end_mini_batch()

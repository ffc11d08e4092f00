"""The drop on the wires of an array: what of a voltage reaches a cell, and what of a cell's current comes out.

Driven lines cross read lines, and cells are taken to conduct alike, by their mean conductance 1/R, all cells of the
array, whether they hold a weight or not; a weight is what a cell conducts more, or less. Lines that are driven with
nothing, or not used, are at ground. Rows and columns have drivers and converters at one end each, where the weights
begin, or so many cells behind it where an array is shared. With f_i and t_j the profiles of a driven and of a read
line, and P the potentials of a read line (equations 2 and 3 of `rpusim.arch.contract.ladder`), weights of output i and
input j give

    y_i = f_i sum_j W_ij t_j (u_j - sum_k P_jk u_k)                                                           (1)

which is exact to the first order in the weights for the read lines alone, whatever the load, and for the driven lines
but for what a cell does to its own line and its reference alike; of both together, what is left out is of the order of
their product. f_i: what of the voltage reaches line i; u - P u: a
cell has less of it, as the read line is not at ground where other cells feed it; t_j: what of its current comes out.
The reference of a weight lies beside it and loses as much. Of a slice that is read alone, the other cells of its read
lines are left out, which have next to no voltage:

    y_i = f_i t_j (1 - P_jj) W_ij u_j                                                                         (2)

A pulse of an update is half a voltage on each of two lines, which drops as in a read. Cells with half a voltage do not
move, and steps are taken to grow in proportion beyond (an assumption), so that of a step is left

    f_i + t_j - 1                                                                                         (3)

Tested against the whole network of wires and cells, see docs/wires.md. Not modelled: that weights change the load,
resistance of drivers and switches, coincidences of other lines while a cell is pulsed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from numba import prange
from numpy.typing import NDArray

from rpusim.arch.contract import checks, ladder
from rpusim.kernels.base.loops import Floats, Loop, inlined

Tensor = torch.Tensor
Wide = NDArray[np.float64]

# Numbers above which the loop pays to be parallel, as in `compiled`.
_PARALLEL_WORK = 4_000_000
# Vectors that are solved side by side.
_LANES = 8


@dataclass(frozen=True)
class Wires:
    """Say how wires load an array in one direction.

    load:          resistance of the wire from cell to cell over the mean resistance of a cell.
    read_cells:    cells that a read line crosses, which are the array's inputs.
    driven_cells:  cells that a driven line crosses, which are the array's outputs.
    alone:         whether a single slice is read (equation 2).
    first_read:    cells of a read line before the first input.
    first_driven:  cells of a driven line before the first output.

    InputError: a field is out of its range.
    """

    load: float
    read_cells: int
    driven_cells: int
    alone: bool = False
    first_read: int = 0
    first_driven: int = 0

    def __post_init__(self) -> None:
        checks.number("load", self.load, low=0.0, high=1e6)
        for name in ("read_cells", "driven_cells"):
            checks.integer(name, getattr(self, name), low=1)
        for name in ("first_read", "first_driven"):
            checks.integer(name, getattr(self, name), low=0)
        checks.flag("alone", self.alone)

    @property
    def turned(self) -> Wires:
        """The same array in the other direction: what was driven is read."""
        return Wires(self.load, self.driven_cells, self.read_cells, self.alone, self.first_driven, self.first_read)

    def reach(self, rows: int, columns: int) -> Tensor:
        """Compute equation 3 for the steps of ``rows`` x ``columns`` weights, rows being the read lines; at least 0."""
        across = ladder.profile(self.load, self.driven_cells, self.first_driven + np.arange(1, rows + 1))
        along = ladder.profile(self.load, self.read_cells, self.first_read + np.arange(1, columns + 1))
        return torch.from_numpy((across[:, None] + along - 1.0).clip(0.0).astype(np.float32))


class Spread(NamedTuple):
    """What inputs become on their way to the cells, in the compiled loop.

    load:   see `Wires`.
    gains:  (inputs + 1,) what of a line's potential is left a cell further; the first one also adds what the cells
            before the first input feed on.
    share:  t_j (inputs,).
    own:    t_j (1 - P_jj), if a slice is read alone; else empty.
    """

    load: float
    gains: Wide
    share: Wide
    own: Wide


@lru_cache(maxsize=4096)
def spread_of(wires: Wires, inputs: int) -> Spread:
    """Prepare `driven` for so many inputs."""
    first = wires.first_read
    voltages = ladder.profile(wires.load, wires.read_cells, np.arange(first + inputs + 2))
    gains, before = voltages[1:] / voltages[:-1], 0.0
    for k in range(first):  # the potential of the line where its inputs begin, over what they feed there
        before = gains[k] * (voltages[first + 1] / voltages[k + 1] + before)
    own = np.empty(0)
    if wires.alone:
        own = voltages[first + 1 : first + inputs + 1] * (1.0 - np.diag(_potentials(wires, inputs)))
    gains = gains[first:].copy()
    gains[0] *= 1.0 + before
    return Spread(wires.load, gains, voltages[first + 1 : first + inputs + 1].copy(), own)


def _potentials(wires: Wires, inputs: int) -> Wide:
    """Compute P of equation 1 (inputs, inputs)."""
    first = wires.first_read
    return ladder.potentials(wires.load, wires.read_cells, first + inputs)[first:, first:]


@lru_cache(maxsize=4096)
def arriving(wires: Wires, lines: int, slices: int = 1, unit: bool = False) -> NDArray[np.float32]:
    """Compute f for read lines, as float32.

    lines: how many there are, slice by slice, at last the unit line if there is one (``unit``). slices: of a weight,
    which lie on neighbouring lines; the unit line is the array's last.
    """
    weight, part = np.meshgrid(np.arange((lines - unit) // slices), np.arange(slices))
    places = [*(wires.first_driven + weight * slices + part + 1).ravel(), *([wires.driven_cells] if unit else [])]
    return ladder.profile(wires.load, wires.driven_cells, np.array(places)).astype(np.float32)


@lru_cache(maxsize=16)
def _matrix(wires: Wires, inputs: int, device: torch.device) -> Tensor:
    """Make the matrix (inputs, inputs) float64 of what stands behind W in equation 1."""
    own = np.eye(inputs) - _potentials(wires, inputs)
    if wires.alone:
        own = np.diag(np.diag(own))
    share = ladder.profile(wires.load, wires.read_cells, wires.first_read + np.arange(1, inputs + 1))
    return torch.from_numpy(share[:, None] * own).to(device)


def at_the_cells(u: Tensor, wires: Wires) -> Tensor:
    """Find what inputs u (vectors, inputs) are worth at the cells by equation 1, in torch; float32."""
    return (u.double() @ _matrix(wires, u.shape[1], u.device).T).to(u.dtype)


def at_the_end(y: Tensor, wires: Wires, slices: int, unit: bool) -> Tensor:
    """Multiply analog sums y (vectors, lines) by f of equation 1; slices, unit: as for `arriving`."""
    return y * torch.from_numpy(arriving(wires, y.shape[1], slices, unit)).to(y.device)


@inlined
def _one(row: Floats, load: float, gains: Wide, share: Wide) -> None:
    """Do `_drive` for the inputs of one vector (inputs,)."""
    inputs, behind, potential = len(row), 0.0, 0.0
    fed = np.empty(inputs)
    for k in range(inputs - 1, -1, -1):
        behind = load * np.float64(row[k]) + gains[k + 1] * behind
        fed[k] = behind
    for k in range(inputs):
        potential = gains[k] * (fed[k] + potential)
        row[k] = np.float32(share[k] * (np.float64(row[k]) - potential))


@inlined
def _several(u: Floats, load: float, gains: Wide, share: Wide) -> None:
    """Do `_drive` for up to `_LANES` vectors u (vectors, inputs) side by side, as each sum waits for the one before."""
    vectors, inputs = u.shape
    wide, fed = np.zeros((inputs, _LANES)), np.empty((inputs, _LANES))
    carried = np.zeros(_LANES)
    for n in range(vectors):
        for k in range(inputs):
            wide[k, n] = np.float64(u[n, k])
    for k in range(inputs - 1, -1, -1):
        gain = gains[k + 1]
        for n in range(_LANES):
            carried[n] = load * wide[k, n] + gain * carried[n]
            fed[k, n] = carried[n]
    carried[:] = 0.0
    for k in range(inputs):
        gain, left = gains[k], share[k]
        for n in range(_LANES):
            carried[n] = gain * (fed[k, n] + carried[n])
            wide[k, n] = left * (wide[k, n] - carried[n])
    for n in range(vectors):
        for k in range(inputs):
            u[n, k] = np.float32(wide[k, n])


def _drive(u: Floats, load: float, gains: Wide, share: Wide, own: Wide) -> None:
    """Find what inputs u (vectors, inputs) are worth at the cells, in place: equation 1 solved along the line.

    The potential of the line is v = P u: from its far end on, y_k = load u_k + g_(k+1) y_(k+1) is what feeds it from
    cell k on, and from its near end on v_k = g_k (y_k + v_(k-1)).
    """
    for block in prange((len(u) + _LANES - 1) // _LANES):
        part = u[block * _LANES : (block + 1) * _LANES]
        if len(own):
            for n in range(len(part)):
                for k in range(u.shape[1]):
                    part[n, k] = np.float32(own[k] * np.float64(part[n, k]))
        elif len(part) < _LANES // 2:
            for n in range(len(part)):
                _one(part[n], load, gains, share)
        else:
            _several(part, load, gains, share)


_DRIVE = Loop(_drive, _PARALLEL_WORK)


def drive(u: Floats, wires: Wires) -> None:
    """Do what `at_the_cells` does in a compiled loop, in place: u (vectors, inputs) float32."""
    _DRIVE(u, *spread_of(wires, u.shape[1]), work=u.size)


def arrive(sums: Floats, wires: Wires, slices: int = 1, unit: bool = False) -> None:
    """Do what `at_the_end` does, in place: sums (vectors, lines) float32."""
    np.multiply(sums, arriving(wires, sums.shape[1], slices, unit), out=sums)

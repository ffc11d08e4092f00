"""Unit cells: what stands at a cross-point and how it learns. One file per cell; `base` tells what a cell is.

    single           one device: plain stochastic gradient descent
    vector           several devices share a weight
    reference        a device against a fixed one
    one_sided        two devices that only go up
    mixed_precision  digital gradient, analog weights
    bit_sliced       the digits of a weight in cells of their own
    hamiltonian      Stochastic Hamiltonian Descent
    tiki_taka/       transfer (Tiki-Taka), buffered (version 2), chopped (c-TTv2), dynamic (AGAD)

To add a cell, write a `CellParameters` and a `UnitCell` in one file and enter the former in `CELLS`. Parameters say
everything that others have to know: numbers, arrays and memory (`layout`), what happens between updates
(`periodic_work`), what has to be written or calibrated before. ``tests/kernels/cells/test_cells.py`` then tests it with
all others, and compares what it says with what it does; files, `rpusim time` and the documents know it by its kind.
"""

from rpusim.kernels.arrays.zero_shift import ShiftedArray, ZeroShift, zero_shift
from rpusim.kernels.cells.base import CellActivity, CellParameters, Site, UnitCell
from rpusim.kernels.cells.bit_sliced import BitSliced
from rpusim.kernels.cells.hamiltonian import Hamiltonian
from rpusim.kernels.cells.mixed_precision import MixedPrecision
from rpusim.kernels.cells.one_sided import OneSided
from rpusim.kernels.cells.reference import Reference
from rpusim.kernels.cells.single import Single
from rpusim.kernels.cells.tiki_taka.buffered import BufferedTransfer
from rpusim.kernels.cells.tiki_taka.chopped import ChoppedTransfer
from rpusim.kernels.cells.tiki_taka.dynamic import DynamicTransfer
from rpusim.kernels.cells.tiki_taka.transfer import Transfer
from rpusim.kernels.cells.vector import Policy, Vector

CELLS: dict[str, type[CellParameters]] = {
    cell.kind: cell
    for cell in (
        *(Single, Vector, Reference, OneSided, Transfer, BufferedTransfer, ChoppedTransfer, DynamicTransfer),
        *(MixedPrecision, Hamiltonian, BitSliced),
    )
}

__all__ = [
    "CELLS",
    "BitSliced",
    "BufferedTransfer",
    "CellActivity",
    "CellParameters",
    "ChoppedTransfer",
    "DynamicTransfer",
    "Hamiltonian",
    "MixedPrecision",
    "OneSided",
    "Policy",
    "Reference",
    "ShiftedArray",
    "Single",
    "Site",
    "Transfer",
    "UnitCell",
    "Vector",
    "ZeroShift",
    "zero_shift",
]

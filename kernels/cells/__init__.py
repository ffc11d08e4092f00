"""Unit cells: what stands at a cross-point and how it learns. One file per cell; `base` tells what a cell is.

    single           one device: plain stochastic gradient descent
    vector           several devices share a weight
    reference        a device against a fixed one
    one_sided        two devices that only go up
    mixed_precision  digital gradient, analog weights
    selective        the same, written only where it is worth a write (EaPU)
    bit_sliced       the digits of a weight in cells of their own
    hamiltonian      Stochastic Hamiltonian Descent
    tiki_taka/       transfer (Tiki-Taka), buffered (version 2), chopped (c-TTv2), dynamic (AGAD)
    residual/        residual_learning (RL), filtered (RLv2), multi_tile, rider (RIDER, E-RIDER)

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
from rpusim.kernels.cells.residual.filtered import FilteredResidual
from rpusim.kernels.cells.residual.multi_tile import MultiTile
from rpusim.kernels.cells.residual.residual_learning import ResidualLearning
from rpusim.kernels.cells.residual.rider import EnhancedRider, Rider
from rpusim.kernels.cells.selective import Selective
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
        *(MixedPrecision, Selective, Hamiltonian, BitSliced),
        *(ResidualLearning, FilteredResidual, MultiTile, Rider, EnhancedRider),
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
    "EnhancedRider",
    "FilteredResidual",
    "Hamiltonian",
    "MixedPrecision",
    "MultiTile",
    "OneSided",
    "Policy",
    "Reference",
    "ResidualLearning",
    "Rider",
    "Selective",
    "ShiftedArray",
    "Single",
    "Site",
    "Transfer",
    "UnitCell",
    "Vector",
    "ZeroShift",
    "zero_shift",
]

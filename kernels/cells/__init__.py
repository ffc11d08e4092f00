"""Unit cells: what stands at a cross-point and how it learns. One file per cell; `base` tells what a cell is.

single           one device: plain stochastic gradient descent      transfer     Tiki-Taka
vector           several devices share a weight                     buffered     Tiki-Taka 2
reference        a device against a fixed one                       chopped      chopped Tiki-Taka (c-TTv2)
one_sided        two devices that only go up                        dynamic      AGAD
mixed_precision  digital gradient, analog weights                   hamiltonian  Stochastic Hamiltonian Descent
zero_shift       finds symmetry points and programs a reference to them
"""

from rpusim.kernels.arrays.zero_shift import ShiftedArray, ZeroShift, zero_shift
from rpusim.kernels.cells.base import CellActivity, CellParameters, Site, UnitCell
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
        *(MixedPrecision, Hamiltonian),
    )
}

__all__ = [
    "CELLS",
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

"""Bit-sliced: the bits of a weight lie in several cells, and pulses reach all of them in one outer product.

A weight is a fixed-point number v of K digits of b bits, W = w_max v / (2^(Kb) - 1), and every digit stands in a cell
of its own, one level of which is one mean step of the device. The cells of a weight lie on neighbouring rows of one
array.
For each pair (x, d), the inputs become integers of x_bits, the errors integers of d_bits in units of the product:

    X = rint(x / s),  s = max|x| / (2^x_bits - 1);      D = rint(lr d s (2^(Kb) - 1) / w_max)                 (1)
    v <- v - X D                                                                                              (2)

X comes bit by bit on the columns. In cycle i the rows hold |D| shifted by i bits; cell k of a weight gets the b bits of
it that have its place, as so many of 2^b - 1 pulses:

    g_ik = (|D| 2^i >> b k) mod 2^b,      w_k <- w_k - sign(X D) sum_i X_i g_ik                               (3)

so that nothing is carried from cell to cell: cells go beyond their digit, for which they have ``carry_bits`` more, and
saturate there, each by itself. Carries are resolved every so many vectors: column by column all cells are read through
the converters and rounded to levels (4), v is put together and cut into digits c of its sign, and the difference is
written in pulses (5):

    q_k = rint(w_k),   v = sum_k 2^(bk) q_k       (4)        w_k <- w_k + (c_k - q_k)                          (5)

What a cell has lost by saturation is lost; what its level is off by stays. Digital operations per vector: the search
for the largest input, a division, a multiplication for every line; per column that is resolved K - 1 additions for each
weight to put it together, and K for the differences.

Ankit et al., "PANTHER: a programmable architecture for neural network training harnessing energy-efficient ReRAM",
IEEE Trans. Comput. 69:1128 (2020), arXiv:1912.11516, as its simulator has it (puma-simulator,
test/val/old/op_val.py): 32-bit weights, operands of 16 bits; slices of 4, 4, 4, 6, 6, 5, 5, 5 bits, highest first
(secondary reading). There every slice has an array of its own, and forward, backward and gradient may have copies of
their own; here one array has all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace

import numpy as np
import torch

from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.cell_layout import CellLayout, FullTrains, PeriodicWork
from rpusim.arch.contract.digital_work import Work
from rpusim.errors import InputError
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.cells.base import CellActivity, CellParameters, Extra, Name, Site, UnitCell, joined
from rpusim.kernels.devices import Cells, Device, PulsedDevice
from rpusim.kernels.mvm.periphery import IOParameters
from rpusim.kernels.mvm.slices import Encoding, SlicedCells, Slices
from rpusim.kernels.pulses.counts import UpdateCounts
from rpusim.kernels.pulses.execution import Way
from rpusim.kernels.pulses.trains import PulseType, UpdateParameters

Tensor = torch.Tensor

_DEVICES = "constant-step", "linear-step", "soft-bounds"
"""Devices that may have other bounds: their steps depend on the weight relative to these, if at all."""
_NUMBERS = 1 << 22
"""Digits of so many cycles and rows are worked out at a time."""


@dataclass(frozen=True)
class BitSliced(CellParameters):
    """Cut a weight over several cells, all of which learn.

    slices:         cells of a weight, their bits, and how signs are held; on a chip, those of its arrays.
    carry_bits:     bits that cells have beyond those of their digit, the lowest slice first; the last one given holds
                    for the rest.
    resolve_every:  vectors from one resolution of carries to the next.
    x_bits, d_bits: bits of the operands; 0: half of the weight's. Together they have at most those of the weight.
    sto_round:      round the errors of equation 1 up or down at random instead of to the nearest.
    w_max:          the largest weight.
    read:           the converters through which cells are read to resolve carries; on a chip, those of its tiles.

    Source: the module.
    """

    slices: Slices = field(default_factory=lambda: Slices(8, 4))
    carry_bits: tuple[int, ...] = (1,)
    resolve_every: int = 1024
    x_bits: int = 0
    d_bits: int = 0
    sto_round: bool = False
    w_max: float = 1.0
    read: IOParameters = field(default_factory=IOParameters)

    kind = "bit-sliced"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.slices.encoding is not Encoding.SIGNED:
            raise InputError(
                f"slices: the encoding {str(self.slices.encoding)!r} was given; accepted is 'signed', as digits "
                "without signs are read backwards against a unit line that arrays do not have there"
            )
        given = (self.carry_bits,) if isinstance(self.carry_bits, int) else tuple(self.carry_bits)
        object.__setattr__(self, "carry_bits", given)
        if not 1 <= len(given) <= self.slices.number or any(type(n) is not int or not 0 <= n <= 8 for n in given):
            raise InputError(
                f"carry_bits: {list(given)} were given; accepted are 1 to {self.slices.number} whole numbers from 0 to "
                "8, one for each slice, the lowest first"
            )
        self._check("integer", ("resolve_every",), low=1)
        self._check("integer", ("x_bits", "d_bits"), low=0, high=16)
        self._check("flag", ("sto_round",))
        self._check("number", ("w_max",), above=0.0, high=1e6)
        bits = self.slices.number * self.slices.bits
        if sum(self.operands) > bits:
            raise InputError(
                f"x_bits: operands of {self.operands[0]} and {self.operands[1]} bits (d_bits) were given; accepted are "
                f"as many as the weight has together, which are {bits}"
            )

    @property
    def operands(self) -> tuple[int, int]:
        """Bits of inputs and of errors."""
        half = max(self.slices.number * self.slices.bits // 2, 1)
        return self.x_bits or min(half, 16), self.d_bits or min(half, 16)

    @property
    def ranges(self) -> list[int]:
        """Levels of the cells of each slice on either side of 0, the lowest slice first."""
        more = [self.carry_bits[min(k, len(self.carry_bits) - 1)] for k in range(self.slices.number)]
        return [(1 << self.slices.bits + bits) - 1 for bits in more]

    @property
    def arrays(self) -> int:
        return 1

    @property
    def layout(self) -> CellLayout:
        """One array, read column by column to resolve carries, and written itself."""
        return CellLayout(self.kind, targets=((0,),), own_trains=True)

    @property
    def cells_per_weight(self) -> int:
        return self.slices.number

    @property
    def slots_per_vector(self) -> int:
        """As many as the highest digit has pulses, for every bit of the inputs."""
        return self.operands[0] * self.slices.top

    def work_per_vector(self, rows: int, columns: int) -> Work:
        """Equation 1: the largest input is looked for, and every input and error is scaled."""
        return Work(multiply=rows + columns, compare=columns, divide=1, **({"random": rows} if self.sto_round else {}))

    def periodic_work(self, device: Device, rows: int, columns: int, vectors: int) -> Iterator[PeriodicWork]:
        """Every column is read and written when carries are resolved."""
        yield PeriodicWork(
            Phase.TRANSFER,
            self.resolve_every,
            slices=columns,
            passes=1,
            work=Work(add=rows * (2 * self.slices.number - 1)),
            pulses=FullTrains(self.slices.top, rows, 1),
        )

    def build(self, site: Site) -> UnitCell:
        return BitSlicedCell(self, site)


class BitSlicedCell(UnitCell):
    """Hold one array, in which the cells of a weight are neighbouring rows."""

    visible: Tensor

    def __init__(self, parameters: BitSliced, site: Site) -> None:
        device = parameters.device_of(0, site.device)
        if not isinstance(device, PulsedDevice) or device.kind not in _DEVICES:
            raise InputError(
                f"device: {device.kind!r} was given for cells of kind 'bit-sliced'; accepted are "
                f"{', '.join(_DEVICES)}, whose bounds may be set without another shape of their steps"
            )
        super().__init__(parameters, site, [_array(parameters, site, device)])
        self.p, self.step = parameters, device.granularity
        s = parameters.slices
        self.unit = parameters.w_max / self._largest
        self.rename()
        self._trains = UpdateParameters(
            desired_bl=s.top, update_management=False, update_bl_management=False, pulse_type=PulseType.MEAN_COUNT
        )
        self.counters["read"] = 0
        self._cells: tuple[int, SlicedCells] | None = None
        self.register_buffer("visible", torch.zeros(site.rows, site.columns))
        self.show()

    def rename(self) -> None:
        io, rows = replace(self.p.read, slices=None), self.site.rows * self.p.slices.number
        self.reader = Reader(io, rows, self.site.columns, (*self.site.stream, Name.READ), by_columns=True)

    @property
    def weights(self) -> Tensor:
        return self.visible

    @property
    def _shape(self) -> tuple[int, int, int]:
        return self.site.rows, self.p.slices.number, self.site.columns

    @property
    def levels(self) -> Tensor:
        """What each cell holds, in levels: (rows, slices, columns), float64."""
        held: Tensor = self._arrays[0].weights
        return (held.double() / self.step).reshape(self._shape)

    @property
    def sliced_cells(self) -> SlicedCells:
        """What forward and backward passes read."""
        version = self._arrays[0].weights._version  # which a restored state raises
        if self._cells is None or self._cells[0] != version:
            levels = (self.levels / self.p.slices.top).float().transpose(0, 1).contiguous()
            none = torch.zeros(levels.shape[:2], dtype=torch.bool, device=levels.device)
            self._cells = version, SlicedCells(levels, none, None, self.p.w_max)
        return self._cells[1]

    def show(self) -> None:
        self._cells = None
        places = 2.0 ** (self.p.slices.bits * torch.arange(self.p.slices.number, dtype=torch.float64))
        total = (self.levels * places.to(self.visible.device)[:, None]).sum(1)
        self.visible.copy_(total * self.unit)

    def set_weights(self, weights: Tensor) -> None:
        """Write the digits of weights, those beyond w_max as w_max."""
        digits = self._digits(torch.round(weights.double() / self.unit).clamp(-self._largest, self._largest).long())
        self._arrays[0].set_weights((digits.flatten(0, 1) * self.step).float())
        self.show()

    @property
    def _largest(self) -> int:
        return (1 << self.p.slices.number * self.p.slices.bits) - 1

    def _digits(self, value: Tensor) -> Tensor:
        """Cut integers (rows, columns) into digits with their sign: (rows, slices, columns)."""
        places = self.p.slices.bits * torch.arange(self.p.slices.number, device=value.device)[:, None]
        return (value.abs()[:, None] >> places & self.p.slices.top) * value.sign()[:, None]

    def way(self, index: int) -> Way | None:
        way: Way | None = self._arrays[index].way(self._trains)
        return way

    def update(self, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
        vectors, start, every = len(x), self.counters["updates"], self.p.resolve_every
        inputs, errors = self._operands(x, d, learning_rate, start)
        extra, counts, first = Extra(), [UpdateCounts.zeros(0)], 0
        at_once = max(1, _NUMBERS // (self.p.operands[0] * self.site.rows * self.p.slices.number))
        while first < vectors:
            last = min(vectors, first + every - (start + first) % every, first + at_once)
            counts.append(self._accumulate(inputs[first:last], errors[first:last]))
            if (start + last) % every == 0:
                self._resolve(extra, last - 1)
            first = last
        self.counters["updates"] = start + vectors
        self.show()
        return CellActivity(joined(counts), self.p.work_per_vector(self.site.rows, self.site.columns), extra)

    def _operands(self, x: Tensor, d: Tensor, learning_rate: float, start: int) -> tuple[Tensor, Tensor]:
        """Turn x and d into integers by equation 1; ``start``: vectors that came before, for random numbers."""
        x_bits, d_bits = self.p.operands
        if not bool(torch.isfinite(x).all() and torch.isfinite(d).all()):
            raise InputError("an update holds NaN or infinite numbers; accepted are finite numbers")
        step = x.double().abs().amax(1, keepdim=True) / ((1 << x_bits) - 1)
        step = torch.where(step > 0.0, step, torch.ones_like(step))
        error = d.double() * learning_rate * (step / self.unit)
        if self.p.sto_round:
            steps = start + np.arange(len(d))
            error = error + (self.uniform(Name.ROUND_D, steps, d.shape[1]).to(d.device) - 0.5)
        largest = (1 << d_bits) - 1
        return torch.round(x.double() / step).long(), torch.round(error).clamp(-largest, largest).long()

    def _accumulate(self, inputs: Tensor, errors: Tensor) -> UpdateCounts:
        """Send the pulses of equation 3 for pairs of integers X (vectors, columns) and D (vectors, rows)."""
        s, cycles, slots = self.p.slices, self.p.operands[0], self.p.slices.top
        cycle = torch.arange(cycles, device=inputs.device)[:, None]
        bits = (inputs.abs()[:, None] >> cycle & 1) * inputs.sign()[:, None]
        places = s.bits * torch.arange(s.number, device=inputs.device)
        digits = (errors.abs()[:, None] << cycle)[..., None] >> places & s.top
        digits = (digits * errors.sign()[:, None, :, None]).flatten(2)
        found = self._pulsed(bits.flatten(0, 1), digits.flatten(0, 1), slots)
        counts = UpdateCounts(*(column.reshape(len(inputs), cycles).sum(1) for column in found))
        sent = ((inputs != 0).any(1) & (errors != 0).any(1)).long().cpu()
        counts.slots[:] = (sent * slots * cycles).numpy()
        counts.column_pulses[:] = (sent * slots * (bits != 0).sum((1, 2)).cpu()).numpy()
        counts.active_columns[:] = (sent * (inputs != 0).sum(1).cpu()).numpy()
        counts.active_rows[:] = (sent * (errors != 0).sum(1).cpu()).numpy()
        return counts

    def _pulsed(self, x: Tensor, d: Tensor, slots: int) -> UpdateCounts:
        """Pulse cells by -x d levels: x (vectors, columns) of -1, 0 and 1, d (vectors, rows of cells) up to ``slots``.

        Columns send a pulse in each slot, rows as many as they have levels: the mean counts of trains whose
        product is that number.
        """
        root = float(slots) ** 0.5
        both = (x * root).float().contiguous(), (d / root).float().contiguous()
        trains = replace(self._trains, desired_bl=slots)
        counts: UpdateCounts = self._arrays[0].pulse(*both, self.step, trains)
        return counts

    def _resolve(self, extra: Extra, vector: int) -> None:
        """Resolve the carries of all weights: equations 4 and 5, after ``vector``."""
        s, columns = self.p.slices, self.site.columns
        scaled = self._arrays[0].weights / (self.step * s.top)
        seen = self.reader.read(scaled, range(columns), self.counters["read"], self.path_now)
        self.counters["read"] += columns
        level = torch.round(seen.double() * s.top).long().t().reshape(self._shape)
        places = s.bits * torch.arange(s.number, device=level.device)[:, None]
        value = (level << places).sum(1).clamp(-self._largest, self._largest)
        missing = self._digits(value) - level
        slots = missing.abs().amax((0, 1))
        before, most, counts = self._arrays[0].weights.clone(), int(slots.max()), UpdateCounts.zeros(columns)
        if most:
            hot = torch.eye(columns, dtype=torch.long, device=level.device)
            counts = self._pulsed(hot, -missing.flatten(0, 1).t(), most)
            counts.slots[:] = counts.column_pulses[:] = slots.cpu().numpy()
            counts.active_rows[:] = missing.ne(0).any(1).sum(0).cpu().numpy()
        moved = (self._arrays[0].weights != before).reshape(self._shape).any(1).sum(0).tolist()
        work = Work(add=self.site.rows * (2 * s.number - 1))
        for column in range(columns):
            extra.add(vector, passes=1, writes=moved[column], work=work, counts=counts, entry=column)


def _array(parameters: BitSliced, site: Site, device: PulsedDevice) -> DeviceArray:
    """Make the array: of every slice the device with its range, row by row of weights."""
    number, step = parameters.slices.number, device.granularity
    kinds = [replace(device, w_max=levels * step, w_min=-levels * step) for levels in parameters.ranges]
    stream = (*site.stream, Name.ARRAY)
    widest = max(kinds, key=lambda each: each.w_max)
    array = DeviceArray(site.rows * number, site.columns, widest, stream, site.path, site.reach, site.half_select)
    if len(set(kinds)) > 1:
        whole = site.rows * number, site.columns
        drawn = [each.sample(*whole, stream, site.reach) for each in kinds]
        for name in (each.name for each in fields(Cells)):
            parts = [getattr(cells, name) for cells in drawn]
            if parts[0] is not None:
                mixed = torch.stack([part[k::number] for k, part in enumerate(parts)], 1)
                array.register_buffer(f"cell_{name}", mixed.flatten(0, 1).contiguous())
        array.set_weights(torch.zeros(whole))
    return array

"""One-sided: two devices that can only go up, one for each sign of the weight, with a refresh before they are full.

    W = g_plus - g_minus                                                                          (1)
    a pulse that would lower W raises g_minus, one that would raise it raises g_plus              (2)

Both arrays hang on the same drivers. Every ``refresh_every`` the pair is read column by column; where the larger device
is above refresh_upper_thres of its range and the smaller above refresh_lower_thres, both are reset and the difference
is written back to the larger one by pulses (open loop):

    reset if  max(g) / w_max > upper  and  min(g) / w_max > lower                                 (3)

Array 0 is g_minus, array 1 g_plus. For phase-change memory, whose crystallisation is gradual and whose amorphisation is
not: Burr et al., IEEE Trans. Electron Devices 62:3498 (2015); Nandakumar et al., Front. Neurosci. 14:406 (2020).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import torch

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.cell_layout import CellLayout, PeriodicWork
from rpusim.errors import InputError
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.cells.base import (
    CellActivity,
    CellParameters,
    Extra,
    Name,
    Site,
    UnitCell,
    changed,
    joined,
    together,
)
from rpusim.kernels.devices import Device
from rpusim.kernels.mvm.multiply import IOParameters
from rpusim.kernels.pulses.specification import UpdateCounts, UpdateParameters

Tensor = torch.Tensor


@dataclass(frozen=True)
class OneSided(CellParameters):
    """Put a pair of devices that only go up at every cross-point.

    refresh_every:  vectors from one refresh to the next, or mini-batches if ``units_in_mbatch``; 0: never.
    units_in_mbatch: whether ``refresh_every`` counts mini-batches.
    refresh_upper_thres, refresh_lower_thres: equation 3, as fractions of the mean w_max.
    refresh_forward: periphery of the read; its noise and bound management are always off.
    refresh_update:  how the difference is written back.

    Source: the module; parameters named as in AIHWKit (Rasch et al. 2021).
    """

    refresh_every: int = 0
    units_in_mbatch: bool = True
    refresh_upper_thres: float = 0.75
    refresh_lower_thres: float = 0.25
    refresh_forward: IOParameters = field(default_factory=IOParameters)
    refresh_update: UpdateParameters = field(default_factory=UpdateParameters)

    kind = "one-sided"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check("integer", ("refresh_every",), low=0)
        self._check("flag", ("units_in_mbatch",))
        self._check("number", ("refresh_upper_thres", "refresh_lower_thres"), low=0.0)
        checks.instance("refresh_forward", self.refresh_forward, IOParameters)
        checks.instance("refresh_update", self.refresh_update, UpdateParameters)
        if len({type(device) for device in self.devices}) > 1:
            raise InputError("devices: two kinds were given; accepted are two of the same kind")

    @property
    def arrays(self) -> int:
        return 2

    @property
    def layout(self) -> CellLayout:
        """Both arrays are read, and take the pulses: which one of them depends on the sign."""
        return replace(super().layout, visible=(0, 1), learning=(0, 1))

    @property
    def resets(self) -> bool:
        return self.refresh_every > 0

    def refresh_period(self, vectors: int) -> int:
        """Count the vectors from one refresh to the next, in mini-batches of ``vectors``; 0: never."""
        return self.refresh_every * (vectors if self.units_in_mbatch else 1)

    def periodic_work(self, device: Device, rows: int, columns: int, vectors: int) -> Iterator[PeriodicWork]:
        """Refreshes read both arrays column by column; which pairs are full, and reset, is up to the data."""
        if self.refresh_every:
            for array in (0, 1):
                yield PeriodicWork(Phase.MAINTENANCE, self.refresh_period(vectors), array=array, passes=columns)

    def build(self, site: Site) -> UnitCell:
        return OneSidedCell(self, site)


class OneSidedCell(UnitCell):
    """Hold the arrays g_minus and g_plus.

    Counters: reads, columns read so far; refreshed, pairs that were reset and written back so far.
    """

    visible: Tensor

    def __init__(self, parameters: OneSided, site: Site) -> None:
        super().__init__(parameters, site, parameters.make_arrays(site))
        self.o = parameters
        self.refresh_update = parameters.refresh_update.executed_as(site.update)
        self.counters |= {"reads": 0, "refreshed": 0}
        self.register_buffer("visible", torch.zeros(site.rows, site.columns))
        self.rename()
        self.show()

    def rename(self) -> None:
        site, io = self.site, self.o.refresh_forward
        self.readers = [Reader(io, site.rows, site.columns, (*site.stream, Name.READ + k), True) for k in (0, 1)]

    @property
    def weights(self) -> Tensor:
        return self.visible

    def show(self) -> None:
        torch.sub(self._arrays[1].weights, self._arrays[0].weights, out=self.visible)

    def set_weights(self, weights: Tensor) -> None:
        """The sign's device takes the magnitude, the other 0."""
        self._arrays[0].set_weights((-weights).clamp(min=0.0))
        self._arrays[1].set_weights(weights.clamp(min=0.0))
        self.counters["updates"] = 0
        self.show()

    def update(self, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
        vectors, start = len(x), self.counters["updates"]
        period = self.o.refresh_period(vectors)
        parts: list[UpdateCounts] = []
        extra = Extra()
        at = 0
        while at < vectors:
            stop = min(at + (period - (start + at) % period if period else vectors), vectors)
            parts.append(self._learn(x[at:stop], d[at:stop], learning_rate))
            at = stop
            self.counters["updates"] = start + at
            if period and (start + at) % period == 0:
                self._refresh(extra, at - 1)
        self.show()
        return CellActivity(joined(parts), extra=extra)

    def _learn(self, x: Tensor, d: Tensor, learning_rate: float) -> UpdateCounts:
        """Equation 2: with the rate's sign changed, the pulses that would lower a weight are those that raise it."""
        options = {"lines": (*self.site.stream, Name.DRIVERS), "only_up": True}
        return together([self.pulse(k, x, d, way * learning_rate, **options) for k, way in ((0, -1.0), (1, 1.0))])

    def _refresh(self, extra: Extra, vector: int) -> None:
        """Equation 3, column by column. In the log each array is read, then reset, then written by pulses."""
        columns, count = self.site.columns, self.counters["reads"]
        everything = list(range(columns))
        minus, plus = (
            reader.read(array.weights, everything, count, self.path_now).t()
            for reader, array in zip(self.readers, self._arrays, strict=True)
        )
        self.counters["reads"] = count + columns
        of_minus, of_plus = (
            values / abs(a.device.w_max) for values, a in zip((minus, plus), self._arrays, strict=True)
        )
        full = torch.maximum(of_minus, of_plus) > self.o.refresh_upper_thres
        full &= torch.minimum(of_minus, of_plus) > self.o.refresh_lower_thres
        number = int(full.sum())
        self.counters["refreshed"] += number
        for extra.array in (0, 1):
            extra.add(vector, passes=columns, phase=Phase.MAINTENANCE)
        if not number:
            return
        for extra.array, array in enumerate(self._arrays):
            before = array.weights.clone()
            array.reset(only=full)
            extra.add_reset(vector, before, array.weights)
        difference = torch.where(full, plus - minus, torch.zeros_like(plus))
        missing_of = (-difference).clamp(min=0.0), difference.clamp(min=0.0)
        for extra.array, (array, missing) in enumerate(zip(self._arrays, missing_of, strict=True)):
            # One vector per column that has something to write; none of them touches another's cells.
            where = missing.any(0).nonzero()[:, 0].tolist()
            if where:
                before = array.weights.clone()
                hot = self.readers[0].one_hot(where, missing.device)
                counts = array.pulse(hot, missing[:, where].t().contiguous(), -1.0, self.refresh_update)
                for entry, column in enumerate(where):
                    writes = changed(before[:, column], array.weights[:, column])
                    extra.add(vector, writes=writes, counts=counts, entry=entry, phase=Phase.MAINTENANCE)

"""Mixed precision: the gradient is computed and collected digitally, and written to the array in whole pulses.

    chi <- chi + lr d x^T                   outer product in floating point                       (1)
    n = trunc(chi / epsilon),  chi <- chi - n epsilon      every ``transfer_every`` mini-batches  (2)
    row r takes the pulses of (x = n_r, d = one-hot r) at learning rate epsilon transfer_lr       (3)

Update and BL management are always on in the write, so a cell gets up to desired_bl pulses at a time. x and d may be
quantised to n bins: width max|x| / floor(bins / 2), rounded to the nearest, or at random.

Digital operations per vector: N^2 multiplications and N^2 additions (rank-one update), N multiplications (one factor
scaled); per examined row of N in a transfer: N comparisons, with the epsilon that n is counted in.

Transfers happen when the mini-batches are complete. With ``late_transfer`` the check comes before the counter, as in
AIHWKit: none after the first mini-batch, and each within the first vector of the next one.

Nandakumar, Le Gallo et al., "Mixed-precision deep learning based on computational memory", Front. Neurosci. 14:406
(2020).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.cell_layout import CellLayout, Crossings, PeriodicWork
from rpusim.arch.contract.digital_work import Work
from rpusim.errors import InputError
from rpusim.kernels.cells.base import CellActivity, CellParameters, Extra, Name, Site, UnitCell, changed
from rpusim.kernels.cells.single import Single
from rpusim.kernels.devices import Device
from rpusim.kernels.pulses.execution import Way
from rpusim.kernels.pulses.specification import UpdateCounts

Tensor = torch.Tensor


@dataclass(frozen=True)
class MixedPrecision(CellParameters):
    """Collect the gradient digitally, and write it to analog weights.

    inner:               the cell that holds the weights: a single device, or a vector, reference or one-sided cell.
    transfer_every:      mini-batches from one transfer to the next.
    n_rows_per_transfer: rows per transfer; 0: all.
    random_row:          whether they start anywhere instead of going round.
    granularity:         epsilon; 0: the granularity of the inner cell.
    transfer_lr:         learning rate of the transfer, see equation 3.
    n_x_bins, n_d_bins:  quantisation of x and d; 0: none.
    stoc_round_x, stoc_round_d: whether they are rounded at random.
    late_transfer:       check for a transfer before a mini-batch is counted, see the module.

    Source: the module; parameters named as in AIHWKit (Rasch et al. 2021).
    """

    inner: CellParameters = field(default_factory=Single)
    transfer_every: int = 1
    n_rows_per_transfer: int = 0
    random_row: bool = False
    granularity: float = 0.0
    transfer_lr: float = 1.0
    n_x_bins: int = 0
    n_d_bins: int = 0
    stoc_round_x: bool = True
    stoc_round_d: bool = True
    late_transfer: bool = False

    kind = "mixed-precision"

    def __post_init__(self) -> None:
        checks.instance("inner", self.inner, CellParameters)
        if self.inner.kind not in ("single", "vector", "reference", "one-sided"):
            raise InputError(f"inner: {self.inner.kind} was given; accepted are single, vector, reference, one-sided")
        super().__post_init__()
        self._check("integer", ("transfer_every",), low=1)
        self._check("integer", ("n_rows_per_transfer", "n_x_bins", "n_d_bins"), low=0, high=1 << 24)
        self._check("number", ("granularity",), low=0.0)
        self._check("number", ("transfer_lr",), above=0.0)
        self._check("flag", ("random_row", "stoc_round_x", "stoc_round_d", "late_transfer"))

    @property
    def arrays(self) -> int:
        return self.inner.arrays

    @property
    def layout(self) -> CellLayout:
        """The arrays of the inner cell, written row by row from the gradient in digital memory, one word per weight."""
        inner = self.inner.layout
        targets = (inner.learning,) * inner.arrays
        return replace(inner, name=self.kind, learning=(), targets=targets, slices="row", words=1)

    @property
    def arrays_per_coincidence(self) -> int:
        return self.inner.arrays_per_coincidence

    @property
    def resets(self) -> bool:
        return self.inner.resets

    def work_per_vector(self, rows: int, columns: int) -> Work:
        """Equation 1: a multiplication and an addition for every weight, and one of the factors is scaled."""
        return Work(multiply=rows * columns + rows, add=rows * columns)

    def examined(self, columns: int) -> Work:
        """Digital operations of a row of ``columns`` in a transfer: a comparison each."""
        return Work(compare=columns)

    def periodic_work(self, device: Device, rows: int, columns: int, vectors: int) -> Iterator[PeriodicWork]:
        """Every due row of the gradient is examined; those in which a threshold was crossed are written."""
        yield PeriodicWork(
            Phase.TRANSFER,
            self.transfer_every * vectors,
            slices=min(self.n_rows_per_transfer or rows, rows),
            work=self.examined(columns),
            pulses=Crossings(columns, along_row=True, arrays=self.arrays_per_coincidence),
        )
        yield from self.inner.periodic_work(device, rows, columns, vectors)

    def build(self, site: Site) -> UnitCell:
        return MixedPrecisionCell(self, site)


class MixedPrecisionCell(UnitCell):
    """Hold the inner cell and chi, the gradient that was not yet written (rows, columns)."""

    chi: Tensor

    def __init__(self, parameters: MixedPrecision, site: Site) -> None:
        managed = replace(site.update, update_management=True, update_bl_management=True)
        inner = parameters.inner
        if parameters.devices and not inner.devices:
            inner = replace(inner, devices=parameters.devices)
        cell = inner.build(replace(site, update=managed))
        super().__init__(parameters, site, cell._arrays)
        self.m, self.inner = parameters, cell
        self.epsilon = parameters.granularity or cell.granularity
        self.register_buffer("chi", torch.zeros(site.rows, site.columns))
        self.counters |= {"batches": 0, "row": 0, "transfers": 0}

    @property
    def weights(self) -> Tensor:
        return self.inner.weights

    def set_weights(self, weights: Tensor) -> None:
        """Program the weights, and forget chi."""
        self.inner.set_weights(weights)
        self.chi.zero_()

    def show(self) -> None:
        self.inner.show()

    def way(self, index: int) -> Way | None:
        return self.inner.way(index)

    def update(self, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
        vectors, start = len(x), self.counters["updates"]
        x, d = self._quantised(x, d, start)
        extra = Extra()
        batches = self.counters["batches"]
        first = 0
        if self.m.late_transfer and batches > 0 and batches % self.m.transfer_every == 0:
            self._collect(x[:1], d[:1], learning_rate)
            self._transfer(extra, 0)
            first = 1
        self._collect(x[first:], d[first:], learning_rate)
        self.counters["updates"] = start + vectors
        self.counters["batches"] = batches + 1
        if not self.m.late_transfer and (batches + 1) % self.m.transfer_every == 0:
            self._transfer(extra, vectors - 1)
        work = self.m.work_per_vector(self.site.rows, self.site.columns)
        return CellActivity(UpdateCounts.zeros(vectors), work, extra)

    def _collect(self, x: Tensor, d: Tensor, learning_rate: float) -> None:
        """Add the gradient of vectors to chi: equation 1."""
        self.chi.addmm_(d.t(), x, alpha=learning_rate)

    def _transfer(self, extra: Extra, vector: int) -> None:
        """Write the next rows of chi: equations 2 and 3. Rows without a pulse are only examined."""
        rows, count = self.site.rows, self.m.n_rows_per_transfer or self.site.rows
        start = self.counters["row"]
        if self.m.random_row:
            step = np.array([self.counters["transfers"]])
            start = int(self.uniform(Name.CHOICE, step, 1)[0, 0] * rows)
        places = [(start + r) % rows for r in range(min(count, rows))]
        number = self._taken(places)
        sends = number.ne(0).any(1).tolist()
        busy = [r for r, sent in zip(places, sends, strict=True) if sent]
        done = None
        if busy:
            hot = torch.zeros(len(busy), rows, device=self.chi.device)
            hot[range(len(busy)), busy] = 1.0
            before = self.inner.weights[busy].clone()
            done = self.inner.update(number[sends].contiguous(), hot, self.epsilon * self.m.transfer_lr)
            after = self.inner.weights[busy]
        entry, extra.array, examined = 0, 0, self.m.examined(self.site.columns)
        for sent in sends:
            if sent and done is not None:
                writes = changed(before[entry], after[entry])
                extra.add(vector, writes=writes, work=examined, counts=done.update, entry=entry)
                entry += 1
            else:
                extra.add(vector, work=examined)
        if done is not None:
            extra.add_from(done.extra, vector)
        self.counters["row"] = (start + len(places)) % rows
        self.counters["transfers"] += 1

    def _taken(self, places: list[int]) -> Tensor:
        """Take the pulses that are due out of rows of chi: equation 2. Returns how many, (rows, columns)."""
        number = torch.trunc(self.chi[places] / self.epsilon)
        self.chi[places] -= number * self.epsilon
        return number

    def _quantised(self, x: Tensor, d: Tensor, start: int) -> tuple[Tensor, Tensor]:
        """Round x and d to their levels; ``start``: vectors that came before, by which random numbers are drawn."""
        m, results = self.m, []
        for values, bins, at_random, name in (
            (x, m.n_x_bins, m.stoc_round_x, Name.ROUND_X),
            (d, m.n_d_bins, m.stoc_round_d, Name.ROUND_D),
        ):
            if bins > 1 and len(values):
                half = float(bins // 2)
                width = values.abs().amax(1, keepdim=True) / half
                width = torch.where(width > 0, width, torch.ones_like(width))
                level = values / width
                if at_random:
                    steps = start + np.arange(len(values))
                    level = level + (self.uniform(name, steps, values.shape[1]).to(values.device) - 0.5)
                values = torch.round(level).clamp(-half, half) * width
            results.append(values)
        return results[0], results[1]

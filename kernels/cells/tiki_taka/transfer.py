"""Transfer: Tiki-Taka, which learns on one array and slowly transfers what it has learned to another.

    W = gamma A + C                                                                               (1)
    A <- A - lr_A d x^T             every vector, by pulses                                       (2)
    C[:, i] <- C[:, i] + lr_C A[:, i]    every ``transfer_every`` vectors, for the next column i  (3)

An asymmetric device pulls A back to its symmetry point with every pulse, so A holds a leaky mean of the gradient; if
the symmetry point reads as 0 (a reference device, see ``zero_shift_pairs``), noise does not reach C. Columns are read
one at a time with a one-hot vector (rows likewise, backwards) and written with the pulses of that vector and the
read-out; no digital memory is needed. With n > 2 arrays each one is transferred to the next, and

    W = sum_k gamma^(n-1-k) D_k.                                                                  (4)

The counter of vectors is raised before the check, and a transfer happens inside the update of the vector that made it
due: pulses of vector b, the transfer, pulses of vector b + 1.

Gokmen & Haensch, "Algorithm for training neural networks on resistive device arrays", Front. Neurosci. 14:103 (2020);
parameters named as in AIHWKit (Rasch et al. 2021), whose semantics are followed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import CLASSES_OF_COLUMNS, Phase
from rpusim.arch.contract.cell_layout import CellLayout, Crossings, FullTrains, PeriodicWork
from rpusim.arch.contract.digital_work import NOTHING, Work
from rpusim.errors import InputError
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.arrays.reads import Reader
from rpusim.kernels.arrays.zero_shift import ShiftedArray
from rpusim.kernels.base.loops import Loop
from rpusim.kernels.cells.base import (
    MOST_ARRAYS,
    MOST_PAIRS,
    CellActivity,
    CellParameters,
    Extra,
    Name,
    Site,
    UnitCell,
    changed,
    joined,
)
from rpusim.kernels.cells.tiki_taka import compiled
from rpusim.kernels.cells.tiki_taka.loops import VECTOR, Collecting, Numbers, due
from rpusim.kernels.devices import Device
from rpusim.kernels.mvm.multiply import IOParameters
from rpusim.kernels.pulses.execution import Way
from rpusim.kernels.pulses.specification import UpdateCounts, UpdateParameters
from rpusim.kernels.pulses.trains import Execution

Tensor = torch.Tensor
_DUE = Loop(due)


@dataclass(frozen=True)
class Transfer(CellParameters):
    """Learn by Tiki-Taka, version 1.

    number:               how many arrays: 2 are A and C.
    gamma:                equations 1 and 4.
    gamma_vec:            the weight of every array in the sum, instead of powers of gamma.
    transfer_every:       vectors from one transfer of A to the next, or mini-batches if units_in_mbatch; 0: never.
                          Array k + 1 is transferred (slice length / n_reads_per_transfer) times less often than k.
    transfer_every_vec:   the same for every array, instead.
    no_self_transfer:     the last array is not transferred to itself.
    units_in_mbatch:      count mini-batches, not vectors.
    n_reads_per_transfer: consecutive slices per transfer.
    transfer_columns:     slices are columns, else rows.
    with_reset_prob:      probability that a column is reset, all its cells at once, after it was read.
    random_selection:     slices start anywhere instead of going round.
    fast_lr:              learning rate of A; 0: that of the optimizer.
    scale_fast_lr:        multiply fast_lr by the optimizer's learning rate.
    transfer_lr:          learning rate of C.
    transfer_lr_vec:      that of the transfer from every array, instead.
    scale_transfer_lr:    multiply it by the optimizer's learning rate.
    transfer_forward:     periphery of the read; its noise and bound management are always off.
    transfer_update:      how the write is pulsed.
    zero_shift_pairs:     pairs of pulses that find A's symmetry points, which it then counts from; 0: it counts from 0.

    Source: Gokmen & Haensch (2020); parameters and their defaults as in AIHWKit (Rasch et al. 2021).
    """

    number: int = 2
    gamma: float = 0.0
    gamma_vec: tuple[float, ...] = ()
    transfer_every: float = 1.0
    transfer_every_vec: tuple[float, ...] = ()
    no_self_transfer: bool = True
    units_in_mbatch: bool = True
    n_reads_per_transfer: int = 1
    transfer_columns: bool = True
    with_reset_prob: float = 0.0
    random_selection: bool = False
    fast_lr: float = 1.0
    scale_fast_lr: bool = True
    transfer_lr: float = 1.0
    transfer_lr_vec: tuple[float, ...] = ()
    scale_transfer_lr: bool = True
    transfer_forward: IOParameters = field(default_factory=IOParameters)
    transfer_update: UpdateParameters = field(default_factory=UpdateParameters)
    zero_shift_pairs: int = 0

    kind = "transfer"
    words: ClassVar[int] = 0
    """Digital words kept per weight."""
    work_per_position: ClassVar[Work] = NOTHING
    """Digital operations by class per position of a slice that is transferred."""

    def __post_init__(self) -> None:
        self._check("integer", ("number",), low=2, high=MOST_ARRAYS)
        super().__post_init__()
        for name, length in (
            ("gamma_vec", self.number),
            ("transfer_every_vec", self.number),
            ("transfer_lr_vec", self.number),
        ):
            values = tuple(getattr(self, name))
            object.__setattr__(self, name, values)
            for value in values:
                checks.number(name, value)
            if values and len(values) != length:
                raise InputError(f"{name}: {len(values)} were given; accepted are {length}, one for each array")
        self._check("number", ("gamma", "fast_lr", "transfer_lr"), low=0.0)
        self._check("number", ("transfer_every",))
        self._check("number", ("with_reset_prob",), low=0.0, high=1.0)
        self._check("integer", ("n_reads_per_transfer",), low=1, high=10_000)
        self._check("integer", ("zero_shift_pairs",), low=0, high=MOST_PAIRS)
        flags = ("no_self_transfer", "units_in_mbatch", "transfer_columns", "random_selection")
        self._check("flag", (*flags, "scale_fast_lr", "scale_transfer_lr"))
        checks.instance("transfer_forward", self.transfer_forward, IOParameters)
        checks.instance("transfer_update", self.transfer_update, UpdateParameters)
        if self.gamma_vec and self.gamma_vec[-1] == 0.0:
            raise InputError(f"gamma_vec: {self.gamma_vec} was given; accepted is a last one that is not 0")
        if self.with_reset_prob > 0.0 and not self.transfer_columns:
            raise InputError("with_reset_prob: it was given with rows; accepted is 0, or transfer_columns=True")
        if self.transfer_every < 0.0 and not self.automatic_period:
            raise InputError(f"transfer_every: {self.transfer_every} was given; accepted is a number >= 0")

    @property
    def automatic_period(self) -> bool:
        """Whether a negative transfer_every is accepted."""
        return False

    @property
    def arrays(self) -> int:
        return self.number

    @property
    def column_by_column(self) -> bool:
        """Whether one column at a time goes from A to C, in turn, and nothing is reset."""
        by_columns = self.number == 2 and self.transfer_columns and self.n_reads_per_transfer == 1
        return by_columns and self.no_self_transfer and not self.random_selection and self.with_reset_prob == 0.0

    @property
    def gammas(self) -> tuple[float, ...]:
        """The weight of every array in the sum: equations 1 and 4."""
        return self.gamma_vec or tuple(self.gamma ** (self.number - 1 - k) for k in range(self.number))

    @property
    def layout(self) -> CellLayout:
        """Each of A, ..., C is transferred to the next; those with a weight in the sum are seen."""
        made = CellLayout(
            self.kind,
            self.number,
            visible=tuple(k for k, weight in enumerate(self.gammas) if weight),
            targets=tuple((self.target(k),) for k in range(self.number)),
            slices="column" if self.transfer_columns else "row",
            words=self.words,
        )
        return made.with_reference() if self.zero_shift_pairs else made

    @property
    def resets(self) -> bool:
        return self.with_reset_prob > 0.0

    @property
    def calibration_pairs(self) -> int:
        return self.zero_shift_pairs

    def target(self, array: int) -> int:
        """The array that an array is transferred to."""
        return min(array + 1, self.number - 1)

    def periods(self, device: Device, slices: int, length: int, vectors: int) -> list[int]:
        """Count the vectors from one transfer of each array to the next, in mini-batches of ``vectors``; 0: never.

        device: as for `periodic_work`. slices, length: how many slices an array has, and how many positions a slice.
        """
        each, period = [], self.transfer_every
        for k in range(self.number):
            given = self.transfer_every_vec[k] if self.transfer_every_vec else period
            if k == self.number - 1 and self.no_self_transfer:
                given = 0.0
            each.append(math.ceil(given * vectors) if self.units_in_mbatch else round(given))
            period *= length / self.n_reads_per_transfer
        return each

    def periodic_work(self, device: Device, rows: int, columns: int, vectors: int) -> Iterator[PeriodicWork]:
        """Transfers of every array to the next one, a slice at a time."""
        slices, length = (columns, rows) if self.transfer_columns else (rows, columns)
        for array, period in enumerate(self.periods(device, slices, length, vectors)):
            if period:
                yield PeriodicWork(
                    Phase.TRANSFER,
                    period,
                    self.n_reads_per_transfer,
                    array,
                    passes=1,
                    work=self.work_per_position * length,
                    pulses=self.pulses_of_slice(length),
                )

    def pulses_of_slice(self, length: int) -> FullTrains | Crossings:
        """Say what a slice of ``length`` positions is written with: full trains, as the read-out drives the lines."""
        rows, columns = (length, 1) if self.transfer_columns else (1, length)
        return FullTrains(self.transfer_update.desired_bl, rows, columns)

    def build(self, site: Site) -> UnitCell:
        return TransferCell(self, site)


class Turn(NamedTuple):
    """Describe a transfer as far as it is known before anything is read.

    slices:  slices that are read, in order.
    reads:   how many reads of the array came before.
    gain:    what read-outs are multiplied by on their way to the next array or buffer.
    fresh:   whether the reference is taken anew first (AGAD).
    writes:  whether pulses are sent.
    """

    slices: list[int]
    reads: int
    gain: float
    fresh: bool = False
    writes: bool = True


class TransferCell(UnitCell):
    """Hold arrays A, ..., C. What follows here is common to all transfer cells; `write` is what they differ in.

    `step_by_step` is how they learn, vector after vector; `compiled` does the same in compiled loops wherever it
    can (`compiled.covers`).
    """

    visible: Tensor | None

    def __init__(self, parameters: Transfer, site: Site) -> None:
        arrays: list[DeviceArray | ShiftedArray] = list(parameters.make_arrays(site))
        if parameters.zero_shift_pairs:
            fast = arrays[0]
            assert isinstance(fast, DeviceArray)
            reference = site.array(parameters.number, fast.device)
            arrays[0] = ShiftedArray(fast, reference, parameters.zero_shift_pairs)
        super().__init__(parameters, site, arrays)
        self.p, number = parameters, parameters.number
        self.transfer_update = replace(parameters.transfer_update, execution=Execution.EXACT)
        self.column_by_column = parameters.column_by_column
        self._fast_rate = 0.0  # learning rate of A for the last vector of `learn`
        self._periods: tuple[int, list[int]] = (-1, [])  # those of the last size of a mini-batch
        self.gamma = parameters.gammas
        hidden = not any(self.gamma[:-1]) and self.gamma[-1] == 1.0
        self.register_buffer("visible", None if hidden else torch.zeros(site.rows, site.columns))
        self.rename()
        self.slices, self.length = self.readers[0].slices, self.readers[0].length
        for k in range(number):
            self.counters[f"slice {k}"] = self.counters[f"reads {k}"] = 0
        self.show()

    def rename(self) -> None:
        site, p = self.site, self.p
        self.readers = [
            Reader(p.transfer_forward, site.rows, site.columns, (*site.stream, Name.READ + k), p.transfer_columns)
            for k in range(p.number)
        ]

    @property
    def weights(self) -> Tensor:
        weights: Tensor = self._arrays[-1].weights if self.visible is None else self.visible
        return weights

    def way(self, index: int) -> Way | None:
        found = super().way(index)
        if found is None or index == 0 or found.why == "asked for":
            return found
        return Way(Execution.EXACT, "a transfer writes its slices one pulse after the other")

    def show(self) -> None:
        if self.visible is not None:
            self.visible.zero_()
            for k, (gamma, array) in enumerate(zip(self.gamma, self._arrays, strict=True)):
                if gamma:
                    self.visible.add_(self.decoded(k, array.weights), alpha=gamma)

    @property
    def choppers(self) -> tuple[Tensor, Tensor] | None:
        """The choppers that A learns with: signs of the columns and of the rows; None: there are none."""
        return None

    def decoded(self, index: int, weights: Tensor) -> Tensor:
        """Say what the weights of array ``index`` stand for in the sum: here, themselves."""
        return weights

    def set_weights(self, weights: Tensor) -> None:
        """Program C and set the other arrays to 0; the cycle of transfers starts again."""
        for array in self._arrays[:-1]:
            array.set_weights(torch.zeros(self.site.rows, self.site.columns))
        self._arrays[-1].set_weights(weights / self.gamma[-1])
        self.counters["updates"] = 0
        for k in range(len(self._arrays)):
            self.counters[f"slice {k}"] = 0
        self.show()

    # --- for the compiled loops ---------------------------------------------------------------------------------------

    @property
    def stops(self) -> Sequence[int]:
        """Say after how many transfers of the mini-batch that `signed` has planned `at_stop` is due; mostly never."""
        return ()

    def at_stop(self, extra: Extra, vector: int) -> None:
        """Do what comes between two transfers; rows of the log go to ``extra``, as work after ``vector``."""

    def pulses_at_once(self, vectors: int) -> bool:
        """Tell whether A takes a mini-batch of ``vectors`` with one rate, and no transfer before its end."""
        period = self.periods(vectors)[0]
        return not period or self.counters["updates"] % period + vectors <= period

    def schedule(
        self, rates: NDArray[np.float64], learning_rate: float, mini_batch: int
    ) -> tuple[NDArray[np.int64], Numbers]:
        """List the transfers of A that fall due in one mini-batch or several, and what read-outs are multiplied by.

        rates: learning rate of A for every vector (vectors,). mini_batch: vectors of each mini-batch. Returns a table
        as `loops.due` makes it, and the gains.
        """
        start, period = self.counters["updates"], self.periods(mini_batch)[0]
        counters = self.counters["slice 0"], self.counters["reads 0"]
        events = _DUE(len(rates), start, period, self.slices, *counters, self.writes_from)
        return events, self.gain(0, learning_rate, rates[events[:, VECTOR]], np.arange(len(events)))

    def signed(
        self, x: Tensor, d: Tensor, events: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Put the choppers on the vectors of a mini-batch, which flip them as its transfers come.

        events: its transfers, as `schedule` lists them. Returns x, d, and the signs of what they read (events, rows).
        """
        return x.numpy(), d.numpy(), np.ones((len(events), self.length), np.float32)

    def skip(self, vectors: int, transfers: int) -> None:
        """Count vectors and transfers of a mini-batch that the compiled loops have made."""
        self.counters["updates"] += vectors
        self.counters["reads 0"] += transfers
        self.counters["slice 0"] = (self.counters["slice 0"] + transfers) % self.slices

    @cached_property
    def collecting(self) -> Collecting:
        """What becomes of a read-out on its way to C."""
        return Collecting(*(getattr(self.work, kind) for kind in CLASSES_OF_COLUMNS))

    @property
    def memories(self) -> tuple[Tensor, ...]:
        """The digital memories (rows, columns) between A and C: of the buffer, the running mean and the reference."""
        return ()

    # --- update -------------------------------------------------------------------------------------------------------

    def periods(self, vectors: int) -> list[int]:
        """Count the vectors from one transfer of each array to the next, see `Transfer.periods`."""
        if self._periods[0] != vectors:
            self._periods = vectors, self.p.periods(self.site.device, self.slices, self.length, vectors)
        return self._periods[1]

    def fast_rate(self, learning_rate: float) -> float:
        """The learning rate of A."""
        if self.p.fast_lr > 0.0:
            return self.p.fast_lr * learning_rate if self.p.scale_fast_lr else self.p.fast_lr
        return learning_rate

    def fast_rates(self, x: Tensor, d: Tensor, learning_rate: float, vectors: int) -> NDArray[np.float64]:
        """The learning rate of A for each vector of a mini-batch of ``vectors``."""
        return np.full(len(x), self.fast_rate(learning_rate))

    def transfer_rate(self, index: int, learning_rate: float) -> float:
        """The learning rate of the transfer from array ``index``."""
        rate = self.p.transfer_lr_vec[index] if self.p.transfer_lr_vec else self.p.transfer_lr
        return rate * learning_rate if self.p.scale_transfer_lr else rate

    def update(self, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
        update = compiled.update if compiled.covers(self, len(x)) else TransferCell.step_by_step
        return update(self, x, d, learning_rate)

    def step_by_step(self, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
        """Do what `update` does, vector after vector, on any path and with any parameters."""
        vectors, start = len(x), self.counters["updates"]
        periods = self.periods(vectors)
        parts: list[UpdateCounts] = []
        extra = Extra()
        at = 0
        while at < vectors:
            # Vectors between two transfers go to the array at once.
            until_due = min((e - (start + at) % e for e in periods if e), default=vectors)
            stop = min(at + until_due, vectors)
            parts.append(self.learn(x[at:stop], d[at:stop], learning_rate, vectors))
            at = stop
            self.counters["updates"] = start + at
            for k, period in enumerate(periods):
                if period and (start + at) % period == 0:
                    self.transfer(k, learning_rate, extra, at - 1)
        self.show()
        return CellActivity(joined(parts) if parts else UpdateCounts.zeros(0), extra=extra)

    def learn(self, x: Tensor, d: Tensor, learning_rate: float, vectors: int) -> UpdateCounts:
        """Pulse A with vectors that have no transfer between them: equation 2. ``vectors``: of the whole mini-batch."""
        self._fast_rate = self.fast_rate(learning_rate)
        return self.pulse(0, x, d, self._fast_rate)

    def turn(self, index: int, learning_rate: float, fast_rate: float) -> Turn:
        """Plan the next transfer of array ``index``, after a vector for which A had the learning rate ``fast_rate``."""
        first, count = self.counters[f"slice {index}"], self.counters[f"reads {index}"]
        if self.p.random_selection:
            step = np.array([count * self.p.number + index])
            first = int(self.uniform(Name.CHOICE, step, 1)[0, 0] * self.slices)
        reads = self.p.n_reads_per_transfer
        slices = [first] if reads == 1 else [(first + read) % self.slices for read in range(reads)]
        return Turn(slices, count, float(self.gain(index, learning_rate, fast_rate)), writes=self.writes_from <= 0)

    def advance(self, index: int, turn: Turn) -> None:
        """Go on in the cycle of array ``index``, after this transfer."""
        self.counters[f"slice {index}"] = (turn.slices[-1] + 1) % self.slices
        self.counters[f"reads {index}"] = turn.reads + len(turn.slices)

    def gain(self, index: int, learning_rate: float, fast_rate: Numbers, ahead: Any = 0) -> Numbers:
        """What read-outs of array ``index`` are multiplied by, ``ahead`` transfers after the next one."""
        return self.transfer_rate(index, learning_rate)

    @property
    def writes_from(self) -> int:
        """How many transfers from the next one on do not write to C."""
        return 0

    def transfer(self, index: int, learning_rate: float, extra: Extra, vector: int) -> None:
        """Read the next slices of array ``index`` and write them to the next array; ``vector`` made it due."""
        turn, source = self.turn(index, learning_rate, self._fast_rate), self._arrays[index]
        values = self.readers[index].read(source.weights, turn.slices, turn.reads, self.path_now)
        extra.array = index
        if self.p.with_reset_prob > 0.0:
            before = source.weights.clone()
            source.reset(turn.slices[0], len(turn.slices), self.p.with_reset_prob, whole=True)
            extra.add_reset(vector, before, source.weights)
        self.write(index, turn, values, extra, vector)
        self.advance(index, turn)

    def write(self, index: int, turn: Turn, values: Tensor, extra: Extra, vector: int) -> None:
        """Send the read-out ``values`` (slices, length) straight to the next array: equation 3."""
        self.send(self.p.target(index), turn.slices, -values, turn.gain, extra, vector)

    def send(self, to: int, slices: list[int], lines: Tensor, rate: float, extra: Extra, vector: int) -> None:
        """Pulse slices of an array with one-hot vectors on one side and ``lines`` (slices, length) on the other."""
        target, hot = self._arrays[to], self.readers[0].one_hot(slices, lines.device)
        before = self._cut(target.weights, slices).clone()
        x, d = (hot, lines.contiguous()) if self.p.transfer_columns else (lines.contiguous(), hot)
        counts = target.pulse(x, d, rate, self.transfer_update)
        after = self._cut(target.weights, slices)
        for entry in range(len(slices)):
            writes = changed(before[entry], after[entry])
            extra.add(vector, passes=1, writes=writes, work=self.work, counts=counts, entry=entry)

    @property
    def work(self) -> Work:
        """Digital operations by class per transferred slice."""
        return self.p.work_per_position * self.length

    def _cut(self, weights: Tensor, slices: list[int]) -> Tensor:
        """Take slices out of a matrix: (len(slices), length)."""
        return weights[:, slices].t() if self.p.transfer_columns else weights[slices]

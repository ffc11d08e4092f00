"""What every unit cell shares. A unit cell is what stands at a cross-point: one device, or several that work together.

A tile multiplies with a cell's *visible* weights and asks it to learn; the cell decides which of its arrays are pulsed,
when one array is read and another written, and how their weights combine. Its parameters are a frozen dataclass
(`CellParameters`), one file per cell; `CellParameters.build` makes the cell for one tile.

    cell.weights                  the visible matrix (rows, columns)
    cell.set_weights(w)           program it
    cell.update(x, d, lr)         learn from pairs in order; returns what happened (`CellActivity`)
    cell.end_mini_batch()         decay and diffusion of every array
    cell.elapse(seconds)          leakage and drift of every array

Everything that a cell remembers (arrays, buffers, choppers, counters) is in its ``state_dict``; random numbers depend
on its name and counters only. So a restored cell continues bit for bit, also in the middle of a transfer cycle.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import WORK_COLUMNS, Phase, work_columns
from rpusim.arch.contract.cell_layout import CellLayout, PeriodicWork
from rpusim.arch.contract.digital_work import NOTHING, Work
from rpusim.errors import InputError
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.base import rng
from rpusim.kernels.devices import Device, PulsedDevice
from rpusim.kernels.pulses.counts import PULSE_COLUMNS, UpdateCounts
from rpusim.kernels.pulses.execution import Way
from rpusim.kernels.pulses.trains import UpdateParameters

Tensor = torch.Tensor

MOST_ARRAYS = 64
"""The most arrays of one unit cell; published ones have up to 8."""
MOST_PAIRS = 100_000
"""The most pairs of pulses with which a symmetry point is looked for."""


class Name(IntEnum):
    """Give random numbers inside a cell a name of their own: words that follow the tile's name.

    They do not meet those of `rpusim.kernels.base.rng.Purpose`, which stand in the same place.
    """

    ARRAY = 100  # ARRAY + k is array k
    DRIVERS = 200
    READ = 300  # READ + k reads array k
    CHOICE = 400
    INPUT_CHOPPER = 401
    OUTPUT_CHOPPER = 402
    ROUND_X = 403
    ROUND_D = 404
    CHOICE_OF_WRITES = 405


@dataclass(frozen=True)
class Site:
    """Say where a cell is built.

    rows, columns:  size of the tile.
    device:         what its arrays are made of, unless the cell says it itself.
    update:         how the arrays are pulsed.
    stream:         name of the tile for random numbers: (seed, layer, tile), or any integers.
    path:           "numba" or "torch", see `rpusim.kernels.tiles.tile.Tile`.
    reach:          (rows, columns) what of a step a pulse makes in each cell; None: all of it.
    half_select:    what of a step a pulse on one line of a cell alone makes.
    """

    rows: int
    columns: int
    device: Device
    update: UpdateParameters
    stream: tuple[int, ...]
    path: str
    reach: Tensor | None = field(default=None, compare=False)
    half_select: float = 0.0

    def array(self, index: int, device: Device | None = None) -> DeviceArray:
        """Make array ``index`` of the cell, with random numbers of its own; device: None: that of the site."""
        return self.named((*self.stream, Name.ARRAY + index), device)

    def named(self, stream: tuple[int, ...], device: Device | None = None) -> DeviceArray:
        """Make an array whose random numbers have the name ``stream``; device: None: that of the site."""
        size = self.rows, self.columns
        return DeviceArray(*size, device or self.device, stream, self.path, self.reach, self.half_select)


@dataclass(frozen=True)
class CellParameters(ABC):
    """Choose a cell, give its parameters, and tell everything that others have to know about it.

    A new cell is a frozen dataclass of this kind in a file of its own. It has to define ``kind``, `arrays` and `build`;
    it overrides `layout` and what follows there wherever the cell does not do what stands here.

    devices: those of the arrays, in order; empty: every array is made of the tile's own device
             (`rpusim.kernels.tiles.analog.AnalogConfig.device`). If fewer are given than there are arrays, the last one
             stands for the rest.
    kind:    the name by which a user asks for the cell, such as "one-sided".
    """

    devices: tuple[Device, ...] = ()

    kind: ClassVar[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "devices", tuple(self.devices))
        for device in self.devices:
            checks.instance("devices", device, Device)
        if len(self.devices) > self.arrays:
            raise InputError(
                f"devices: {len(self.devices)} were given; accepted are at most {self.arrays}, one for each array"
            )

    @property
    @abstractmethod
    def arrays(self) -> int:
        """How many arrays a cell has, a reference of zero-shifting aside."""

    @abstractmethod
    def build(self, site: Site) -> UnitCell:
        """Make the cell for one tile."""

    # --- what the chip has to know ------------------------------------------------------------------------------------

    @property
    def layout(self) -> CellLayout:
        """Which arrays are read, pulsed and written, and how many digital words a weight has.

        By default array 0 is the visible one and takes the pulses, and nothing goes from one array to another.
        """
        return CellLayout(self.kind, self.arrays, targets=tuple((k,) for k in range(self.arrays)))

    @property
    def arrays_per_coincidence(self) -> int:
        """How many arrays take every coincidence of an update's trains, all hanging on the same lines; by default 1."""
        return 1

    @property
    def cells_per_weight(self) -> int:
        """How many rows of cells of an array hold a row of weights; by default one."""
        return 1

    @property
    def slots_per_vector(self) -> int | None:
        """Pulse slots of one vector's update, if the cell decides that itself; by default None, the trains do."""
        return None

    @property
    def resets(self) -> bool:
        """Whether cells may be reset without trains of pulses, so that something has to write them; by default not."""
        return False

    @property
    def calibration_pairs(self) -> int:
        """Pairs of pulses that find the symmetry points of array 0 before the first sample; by default 0, none."""
        return 0

    @property
    def only_learns(self) -> bool:
        """Whether a mini-batch is nothing but updates, one vector after the other, so that time may pass in between.

        By default not: something may be read, collected or written besides.
        """
        return False

    def work_per_vector(self, rows: int, columns: int) -> Work:
        """Digital operations by class of one vector's update on a block of ``rows`` x ``columns``; by default none."""
        return NOTHING

    def periodic_work(self, device: Device, rows: int, columns: int, vectors: int) -> Iterator[PeriodicWork]:
        """Tell what happens between updates at fixed periods, which is known before anything is computed.

        By default nothing.

        device:         what the arrays are made of, if the cell does not say it itself (`device_of`).
        rows, columns:  size of the block.
        vectors:        of the block in a mini-batch.
        """
        return iter(())

    # --- devices ------------------------------------------------------------------------------------------------------

    def device_of(self, array: int, otherwise: Device) -> Device:
        """Say what an array, by its number, is made of; ``otherwise`` where the cell does not say."""
        return self.devices[min(array, len(self.devices) - 1)] if self.devices else otherwise

    def make_arrays(self, site: Site) -> list[DeviceArray]:
        """Make the arrays, each of its device."""
        return [site.array(k, self.device_of(k, site.device)) for k in range(self.arrays)]

    def _check(self, kind: str, names: Iterable[str], **limits: Any) -> None:
        """Check fields of one kind (number, integer or flag) by name."""
        for name in names:
            getattr(checks, kind)(name, getattr(self, name), **limits)


class Extra:
    """Collect rows of the activity log besides those of the update: transfers, writes, refreshes.

    array: the array that the rows which come next read, or in maintenance read and write; set it before adding them.
    """

    def __init__(self) -> None:
        self.array = 0
        self._rows: list[tuple[int, ...]] = []

    COLUMNS = (
        *("phase", "vector", "passes", "writes"),
        *WORK_COLUMNS,
        *PULSE_COLUMNS,
        "array",
    )

    def add(
        self,
        vector: int,
        *,
        passes: int = 0,
        writes: int = 0,
        work: Work = NOTHING,
        counts: UpdateCounts | None = None,
        entry: int = 0,
        phase: Phase = Phase.TRANSFER,
    ) -> None:
        """One row: ``passes`` read, then the pulses of ``counts[entry]``, which changed ``writes`` cells."""
        head = (int(phase), vector, passes, writes, *work_columns(work).values())
        none = (0,) * len(PULSE_COLUMNS)
        pulses = none if counts is None else tuple(int(column[entry]) for column in counts.columns().values())
        self._rows.append((*head, *pulses, self.array))

    def add_reset(self, vector: int, before: Tensor, after: Tensor) -> None:
        """Add a row of maintenance for cells that were reset without trains of pulses.

        before, after: weights (rows, columns). Cells that changed are its ``writes``, rows with such cells its
        ``active_rows``.
        """
        moved = before != after
        rows, cells = int(moved.any(1).sum()), int(moved.sum())
        pulses = tuple(rows if name == "active_rows" else 0 for name in PULSE_COLUMNS)
        none = (0,) * len(WORK_COLUMNS)
        self._rows.append((int(Phase.MAINTENANCE), vector, 0, cells, *none, *pulses, self.array))

    def add_from(self, other: Extra, vector: int) -> None:
        """Add the rows that a cell within this one has made, as work after ``vector``."""
        at = self.COLUMNS.index("vector")
        self._rows += [(*row[:at], vector, *row[at + 1 :]) for row in other._rows]

    def __len__(self) -> int:
        return len(self._rows)

    def columns(self) -> dict[str, NDArray[np.int64]]:
        """Give the rows as columns of `rpusim.arch.contract.activity.Activity`, by name."""
        return dict(zip(self.COLUMNS, self.table().T, strict=True))

    def table(self) -> NDArray[np.int64]:
        """Give the rows as a table (rows, columns of `COLUMNS`)."""
        return np.array(self._rows, np.int64).reshape(-1, len(self.COLUMNS))


@dataclass(frozen=True)
class CellActivity:
    """Tell what an update did.

    update:       pulses of every vector.
    work:         digital operations by class of each vector.
    extra:        rows of other phases, in program order.
    """

    update: UpdateCounts
    work: Work = NOTHING
    extra: Extra = field(default_factory=Extra)


class UnitCell(torch.nn.Module, ABC):
    """Hold the devices of one tile and let them learn; see the module's docstring.

    parameters_of_cell:  the cell's `CellParameters`.
    site:                where it was built.
    arrays:              its arrays, in the order of the paper's letters: A, C, ...
    counters:            what it counts, such as updates; part of its state.
    """

    def __init__(self, parameters: CellParameters, site: Site, arrays: Sequence[torch.nn.Module]) -> None:
        super().__init__()
        self.parameters_of_cell, self.site = parameters, site
        self.arrays = torch.nn.ModuleList(arrays)
        self._arrays: list[Any] = list(arrays)
        self.counters: dict[str, Any] = {"updates": 0}

    @property
    @abstractmethod
    def weights(self) -> Tensor:
        """The visible weights (rows, columns), not a copy where one array holds them."""

    @abstractmethod
    def set_weights(self, weights: Tensor) -> None:
        """Program the visible weights (rows, columns), limited by the bounds of the cells."""

    @abstractmethod
    def update(self, x: Tensor, d: Tensor, learning_rate: float) -> CellActivity:
        """Learn from pairs in order: W <- W - learning_rate d x^T on average, in the cell's own way.

        x: (vectors, columns), d: (vectors, rows), contiguous float32; they are one mini-batch.
        """

    def end_mini_batch(self) -> None:
        """Let every array diffuse and decay, as happens once per mini-batch."""
        for array in self._arrays:
            array.end_mini_batch()
        self.show()

    @property
    def volatile(self) -> bool:
        """Whether time alone moves its weights."""
        return any(array.volatile for array in self._arrays)

    def elapse(self, seconds: float) -> None:
        """Let ``seconds`` pass in every array: see `DeviceArray.elapse`."""
        for array in self._arrays:
            array.elapse(seconds)
        self.show()

    def show(self) -> None:
        """Recompute the visible weights after the hidden ones have changed."""

    @property
    def path_now(self) -> str:
        """The path that the arrays take where they lie now: the compiled one needs the CPU."""
        path: str = self._arrays[0].path_now
        return path

    @property
    def granularity(self) -> float:
        """The mean step of the arrays that take pulses, by which a learning rate is divided to count pulses."""
        each = [a.device.granularity for a in self._arrays if isinstance(a.device, PulsedDevice)]
        return sum(each) / len(each) if each else 1.0

    def way(self, index: int) -> Way | None:
        """Say how the pulses of one array, by its number, are computed; None if it takes none."""
        way: Way | None = self._arrays[index].way(self.site.update)
        return way

    def pulse(self, index: int, x: Tensor, d: Tensor, learning_rate: float, **options: Any) -> UpdateCounts:
        """Pulse one array, with the numbers of pulses that follow from the cell's granularity, not from its own.

        index: of the array. x: (vectors, columns), d: (vectors, rows). options: as for `DeviceArray.pulse`.
        """
        array, update = self._arrays[index], self.site.update
        if update.pulse_type.pulsed and isinstance(array.device, PulsedDevice):
            learning_rate *= array.device.granularity / self.granularity
        counts: UpdateCounts = array.pulse(x, d, learning_rate, update, **options)
        return counts

    def uniform(self, name: Name, steps: NDArray[np.int64], lines: int) -> Tensor:
        """Draw uniform numbers in [0, 1), (len(steps), lines): those of the given steps of what ``name`` stands for."""
        words = rng.torch_words(rng.key(*self.site.stream, name), steps)[:, None]
        return rng.uniform(rng.bits(words, 0, torch.arange(lines)))

    def rename(self) -> None:
        """Draw anew what depends on the cell's name, after it has taken that of a restored state."""

    def get_extra_state(self) -> dict[str, Any]:
        """Give the counters and the name, which travel with `state_dict`."""
        return {"counters": dict(self.counters), "stream": tuple(int(word) for word in self.site.stream)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        self.counters = dict(state["counters"])
        if tuple(state["stream"]) != self.site.stream:
            self.site = replace(self.site, stream=tuple(state["stream"]))
            self.rename()


def joined(parts: Sequence[UpdateCounts]) -> UpdateCounts:
    """Join counts of consecutive vectors."""
    if len(parts) == 1:
        return parts[0]
    return UpdateCounts(*map(np.concatenate, zip(*parts, strict=True)))


def together(parts: Sequence[UpdateCounts]) -> UpdateCounts:
    """Add the counts of arrays that took the same trains: their coincidences add up, the lines fired once."""
    up, down = (sum(getattr(p, f"coincidences_{way}") for p in parts) for way in ("up", "down"))
    return parts[0]._replace(coincidences_up=up, coincidences_down=down)


def scattered(vectors: int, parts: Iterable[tuple[NDArray[np.intp], UpdateCounts]]) -> UpdateCounts:
    """Put counts of parts of the vectors, each with the places of its vectors, back into one."""
    whole = UpdateCounts.zeros(vectors)
    for places, counts in parts:
        for of_whole, of_part in zip(whole, counts, strict=True):
            of_whole[places] = of_part
    return whole


def changed(before: Tensor, after: Tensor) -> int:
    """Count the cells that a write changed."""
    return int(torch.count_nonzero(before != after))

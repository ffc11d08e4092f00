"""Say what parts draw that do nothing: what leaks, what is on and waits, and what a chip's ``gating`` stops of it.

    on            leakage + idle    works, or waits for work; always, if gating is "none"
    clock-gated   leakage           bias currents, references and clocks are stopped; with "idle" and "tile", while an
                                    analog or mixed part does not work
    off           nothing           the supply is cut; with "tile", while nothing works on a tile. Its buffer leaks on

What a part draws at work is in the price of its operations, so only the time in which it waits is counted here. A part
that was stopped is on again ``wake`` seconds before its next operation: schedules are fixed beforehand, so waking costs
energy and no time. With pauses p between operations, of a unit that draws P while it waits,

    none          P x (time - time at work)
    idle, tile    P x sum of min(p, wake)

A pause ends with an operation; the first one began with the work, and after the last operation a unit stays stopped.
Tiles that share a digital unit or a pool of converters are cut off together, and wake in the longest wake time of their
parts. Tiles that hold no weights are off whatever ``gating`` says, as are banks of a pool, but for all together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import lcm

import numpy as np

from rpusim.arch.account.ledger import CHIP, IDLE, STANDBY, Ledger
from rpusim.arch.account.pauses import Pauses
from rpusim.arch.chips.bill_of_parts import BillOfParts
from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.columns import Integers
from rpusim.arch.parts.part import Part
from rpusim.arch.schedule.plan import ArrayPlan, BlockPlan, Plan

ZJ_PER_PS = 10**9
"""One watt in zeptojoules per picosecond."""


@dataclass(frozen=True)
class Waiting:
    """A part that waits at one station, or a part of a tile that leaks until the tile is cut off.

    part:      its name.
    zj_per_ps: what it draws.
    group:     of the stations that keep it awake, see `Rest.groups`.
    """

    part: str
    zj_per_ps: int
    group: int


@dataclass
class Rest:
    """Hold what the parts of a plan's chip draw that do nothing; see the module.

    plan:     the network as scheduled work.
    bill:     of its chip.

    standby:  power (zJ/ps, that is nW) by part: leakage, and circuits always on.
    idle:     power (zJ/ps) by part of all that are on and wait.
    relief:   (stations,) power (zJ/ps) that parts at a station draw while it waits, per vector that it can serve.
    groups:   sets of stations, each with a wake time (ps): awake while any of them works, and that long before; and
              what is drawn meanwhile (zJ/ps), of a single station that serves one vector at a time.
    """

    plan: Plan
    bill: BillOfParts
    standby: dict[str, int] = field(default_factory=dict)
    idle: dict[str, int] = field(default_factory=dict)
    relief: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    groups: list[tuple[tuple[int, ...], int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        chip, plan = self.bill.chip, self.plan
        self.gating = chip.gating
        self._waits: list[Waiting] = []
        self._cut: list[Waiting] = []
        self._at_station: list[tuple[str, int, int]] = []
        self._number: dict[tuple[tuple[int, ...], int], int] = {}
        self.standby = {part: _nanowatts(watts) for part, watts in self._leaking() if _nanowatts(watts)}
        self.relief = np.zeros(len(plan.stations), np.int64)
        arrays, counted = self._arrays_by_tile(), set[tuple[int, str, int]]()
        for tile, k in self._tiles().items():
            for name, part in self.bill.tiles[k].items():
                unit = k, name, self._among(tile, k) // chip.tiles[k].tiles_sharing(name)
                if not (watts := part.idle_w) or unit in counted:
                    continue
                counted.add(unit)
                self.idle[name] = self.idle.get(name, 0) + _nanowatts(watts)
                for station, share in _where(name, chip.tiles[k], arrays.get(tile, [])):
                    self._wait(part, station, int(_nanowatts(watts) * share))
        if self.gating == "tile":
            self._islands()

    # --- what is drawn ------------------------------------------------------------------------------------------------

    @property
    def drawn(self) -> int:
        """Power (zJ/ps) that is drawn while nothing works; with ``gating: tile``, as if no tile were off."""
        return sum(self.standby.values()) + (sum(self.idle.values()) if self.gating == "none" else 0)

    @property
    def most(self) -> int:
        """Power (zJ/ps) that is drawn at most beside what works and what it is woken for.

        Tiles count as if none were off, and gated pools of converters as if all were waking.
        """
        counted = sum(draws for _, _, draws in self.groups)
        waking = sum(wait.zj_per_ps for wait in self._waits) - counted
        return self.drawn + waking

    @property
    def waiting(self) -> tuple[Waiting, ...]:
        """What groups draw while they are awake: parts that wait, and all that leaks of tiles that are cut off."""
        return *self._waits, *self._cut

    @property
    def at_station(self) -> tuple[tuple[str, int, int], ...]:
        """Part, station and power (zJ/ps) of all that waits, for each vector that the station serves."""
        return tuple(self._at_station)

    @property
    def waking_groups(self) -> list[tuple[tuple[int, ...], int, int]]:
        """The groups, with all that is drawn while each is woken, of stations that serve several vectors too."""
        draws = [0] * len(self.groups)
        for wait in self._waits:
            draws[wait.group] += wait.zj_per_ps
        return [(stations, wake, more) for (stations, wake, _), more in zip(self.groups, draws, strict=True)]

    def relieved(self, station: Integers) -> Integers:
        """Return the power (zJ/ps) that ceases to be drawn while an operation of each station lasts."""
        if self.gating != "none":
            return np.zeros(len(station), np.int64)
        known = np.zeros(max(len(self.relief), int(station.max(initial=-1)) + 1), np.int64)
        known[: len(self.relief)] = self.relief
        relieved: Integers = known[station]
        return relieved

    def book(self, ledger: Ledger, busy_ps: Sequence[int] | Mapping[int, int], pauses: Pauses) -> None:
        """Book what was drawn beside the operations, in the ledger's time.

        ledger: whose time and operations are booked.
        busy_ps: by station, how long it worked (ps), all vectors that it served together.
        pauses: of ``groups``; not looked at if nothing is gated.
        """
        off = {part: 0 for part in self.standby}
        for cut in self._cut:
            off[cut.part] += cut.zj_per_ps * (ledger.time_ps - pauses.awake_ps(cut.group))
        for part, zj_per_ps in self.standby.items():
            ledger.add(part, STANDBY, CHIP, zj_per_ps * ledger.time_ps - off[part])
        if self.gating == "none":
            waited = self._waited(ledger.time_ps, busy_ps)
        else:
            waited = dict.fromkeys(self.idle, 0)
            for wait in self._waits:
                waited[wait.part] += wait.zj_per_ps * int(pauses.waking_ps[wait.group])
        for part, zeptojoules in waited.items():
            if zeptojoules:
                ledger.add(part, IDLE, CHIP, zeptojoules)

    def ungated(self, time_ps: int, busy_ps: Sequence[int]) -> int:
        """Return what would be drawn (zJ) in a time if nothing were gated; for the arguments see `book`."""
        return sum(self.standby.values()) * time_ps + sum(self._waited(time_ps, busy_ps).values())

    def _waited(self, time_ps: int, busy_ps: Sequence[int] | Mapping[int, int]) -> dict[str, int]:
        """Return what parts draw (zJ) that are on all the time, while they wait, by part."""
        waited = {part: zj_per_ps * time_ps for part, zj_per_ps in self.idle.items()}
        for part, station, zj_per_ps in self._at_station:
            waited[part] -= zj_per_ps * busy_ps[station]
        return waited

    def stand_still(self, ledger: Ledger, time_ps: int) -> None:
        """Book ``time_ps`` in which nothing works, and add it to the ledger's time."""
        still = Ledger(time_ps=time_ps)
        self.book(still, [0] * len(self.plan.stations), Pauses.none(len(self.groups)))
        ledger.time_ps += time_ps
        for key, zeptojoules in still.energy.items():
            ledger.add(*key, zeptojoules)

    # --- which parts wait where ---------------------------------------------------------------------------------------

    def _wait(self, part: Part, station: int, zj_per_ps: int) -> None:
        """Have a part wait at a station."""
        each = zj_per_ps // self.plan.station_capacity[station]
        if each:
            self._at_station.append((part.name, station, each))
            self.relief[station] += each
            if self.gating != "none":
                group = self._group((station,), part.wake_ps)
                self._waits.append(Waiting(part.name, zj_per_ps, group))
                if self.plan.station_capacity[station] == 1:
                    stations, wake_ps, draws = self.groups[group]
                    self.groups[group] = stations, wake_ps, draws + zj_per_ps

    def _group(self, stations: tuple[int, ...], wake_ps: int) -> int:
        """Return the number of a group of stations, a new one if there is none."""
        key = stations, wake_ps
        if key not in self._number:
            self._number[key] = len(self.groups)
            self.groups.append((*key, 0))
        return self._number[key]

    def _tiles(self) -> dict[int, int]:
        """Return the tiles with weights, and the kind of each."""
        placement = self.plan.placement
        every = (*placement.blocks(), *placement.resting)
        return {tile: block.kind for block in every for tile, _ in block.slots}

    def _arrays(self) -> Iterator[tuple[int, ArrayPlan, BlockPlan]]:
        """Yield every array with weights: its tile, its stations, and the block that it holds."""
        for layer in self.plan.layers:
            for block in layer.blocks:
                for (tile, _), array in zip(block.block.slots, block.arrays, strict=True):
                    yield tile, array, block

    def _arrays_by_tile(self) -> dict[int, list[tuple[ArrayPlan, BlockPlan]]]:
        """Return the arrays with weights of every tile, each once."""
        found: dict[int, list[tuple[ArrayPlan, BlockPlan]]] = {}
        seen: set[int] = set()
        for tile, array, block in self._arrays():
            if array.array not in seen:
                found.setdefault(tile, []).append((array, block))
                seen.add(array.array)
        return found

    def _among(self, tile: int, kind: int) -> int:
        """Return the number of a tile among those of its kind."""
        return tile - sum(earlier.count for earlier in self.bill.chip.tiles[:kind])

    def _leaking(self) -> Iterator[tuple[str, float]]:
        """Find the standby power (W) of each part that has any.

        Tiles without weights are switched off; a digital unit or router is on if any of its tiles is.
        """
        watts: dict[str, float] = {}
        chip, used = self.bill.chip, self._tiles()
        always = [{s.name for s in kind.support if s.busy_during == "always"} for kind in chip.tiles]
        for k, parts in enumerate(self.bill.tiles):
            tiles = [self._among(tile, k) for tile, kind in used.items() if kind == k]
            for name, part in parts.items():
                sharing = chip.tiles[k].tiles_sharing(name)
                units = len({tile // sharing for tile in tiles})
                running = part.full_power_w if name in always[k] else part.leakage_w
                watts[name] = watts.get(name, 0.0) + units * running
        nodes = len({tile // chip.mesh.tiles_per_router for tile in used})
        watts["links"] = nodes * chip.mesh.lanes * self.bill.chip_wide["links"].card.leakage
        for name in ("global buffer", "DRAM", "host link", "chip link"):
            if name in self.bill.chip_wide:
                watts[name] = self.bill.chip_wide[name].leakage_w
        for support in chip.support:
            watts[support.name] = self.bill.chip_wide[support.name].full_power_w
        yield from watts.items()

    def _islands(self) -> None:
        """Find the tiles that are cut off together, what keeps them on, and what they leak."""
        chip = self.bill.chip
        islands: dict[tuple[int, int], list[int]] = {}
        for tile, kind in self._tiles().items():
            sharing = lcm(*(chip.tiles[kind].tiles_sharing(name) for name in ("digital unit", "ADC")))
            islands.setdefault((kind, self._among(tile, kind) // sharing), []).append(tile)
        stations: dict[int, set[int]] = {}
        for tile, array, block in self._arrays():
            own = {array.array, array.row_drivers, array.column_drivers, array.row_adcs, array.column_adcs}
            stations.setdefault(tile, set()).update(own)
            stations.setdefault(block.block.chip_tile, set()).update((block.buffer, block.digital))
        for (kind, _), tiles in islands.items():
            parts = self.bill.tiles[kind]
            keeping = tuple(sorted(set().union(*(stations.get(tile, set()) for tile in tiles))))
            group = self._group(keeping, max(part.wake_ps for part in parts.values() if part.idle_w or part.leakage_w))
            always = {s.name for s in chip.tiles[kind].support if s.busy_during == "always"}
            for name, part in parts.items():
                if name == "buffer" or name in always or not part.leakage_w:
                    continue
                sharing = chip.tiles[kind].tiles_sharing(name)
                units = len({self._among(tile, kind) // sharing for tile in tiles})
                self._cut.append(Waiting(name, int(units * part.leakage_w * ZJ_PER_PS), group))


def _nanowatts(watts: float) -> int:
    return round(watts * ZJ_PER_PS)


_STATION_OF_SUPPORT = {"drive": "array", "convert": "adcs", "pulse": "array", "digital": "digital", "fetch": "buffer"}


def _where(name: str, kind: TileKind, arrays: list[tuple[ArrayPlan, BlockPlan]]) -> Iterator[tuple[int, float]]:
    """Yield the stations at which the units of a part of a tile wait, each with its share of them.

    name: of the part. kind: of the tile. arrays: those of the tile with weights; units of the others wait all the time.
    """
    rows, columns = kind.array.rows, kind.array.columns
    support = {s.name: s.busy_during for s in kind.support}
    many, adc = kind.array.arrays, kind.adc
    both = rows + columns if kind.trains else columns
    done: set[int] = set()
    for array, block in arrays:
        place = _STATION_OF_SUPPORT.get(support.get(name, ""), "")
        if name in ("array", "sample-and-hold") or place == "array":
            yield array.array, 1 / many
        elif name == "input drivers":
            yield array.column_drivers, columns / both / many
            yield array.row_drivers, (both - columns) / both / many
        elif name == "pulse drivers":
            yield array.column_drivers, columns / (rows + columns) / many
            yield array.row_drivers, rows / (rows + columns) / many
        elif name in ("ADC", "multiplexer") or place == "adcs":
            of_columns = adc.count(columns * kind.array.lines_of_a_column)
            read = (adc.count(rows), of_columns) if kind.trains else (adc.count(rows), 0)
            share = 1.0 if adc.pool else 1 / many
            if array.row_adcs == array.column_adcs:
                if array.row_adcs not in done:
                    yield array.row_adcs, share
            else:
                yield array.row_adcs, share * read[0] / sum(read)
                yield array.column_adcs, share * read[1] / sum(read)
            done.add(array.row_adcs)
        elif place in ("digital", "buffer"):
            station = block.digital if place == "digital" else block.buffer
            if station not in done:
                yield station, 1.0
            done.add(station)

"""A trace to look at: one lane for each unit, slices on it, and counters over time.

What both files for ui.perfetto.dev (`json_format`, `protobuf`) are written from. Perfetto knows processes and
threads: here a process is a tile and a thread is a unit on it. Its clock ticks in nanoseconds, ours in picoseconds:
slices are rounded down to its ticks, so that they neither overlap nor part, and say their exact time themselves; or a
trace is ``stretched``, one tick for each picosecond.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rpusim.arch.analysis.profile import Profile
from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.configuration import shown
from rpusim.arch.contract.quantity import TIME, picoseconds
from rpusim.errors import InputError
from rpusim.reports.trace.recorded import Trace
from rpusim.reports.words.readable import si

CHIP, MESH, UNITS = "chip", "mesh", "digital units"
_OF_A_TILE = re.compile(r"(tile \d+) (.+)")
_PORT = re.compile(r"port of (tile \d+)")
_WATTS = 1e-9
"""One zeptojoule per picosecond."""
PS_PER_TICK = 1000

ARGUMENTS = ("vector", "amount", "start_ps", "duration_ps", "energy_pJ")
"""What every slice says about itself. amount: bits moved, operations, conversions, passes or pulse slots."""


@dataclass(frozen=True)
class Lane:
    """Where a unit is shown: with which process, and as what."""

    process: str
    name: str

    @staticmethod
    def of(station: str) -> Lane:
        """Find the lane of a station by its name."""
        if match := _OF_A_TILE.fullmatch(station):
            return Lane(match[1], match[2])
        if match := _PORT.fullmatch(station):
            return Lane(match[1], "port")
        if station.startswith("digital unit "):
            return Lane(UNITS, station)
        return Lane(MESH if station.startswith(("link ", "port ")) else CHIP, station)


@dataclass(frozen=True)
class Counter:
    """A number over time, shown with a process."""

    process: str
    name: str
    profile: Profile


@dataclass(frozen=True)
class Window:
    """The part of the time (ps) that is shown: every event that goes on at some time in it, and all of that event."""

    begin: int = 0
    end: int | None = None

    @staticmethod
    def parse(given: str) -> Window:
        """Read a window such as "1us:3us"; either side may be left out.

        Raises `InputError` for anything else.
        """
        first, colon, last = given.partition(":")
        try:
            begin, end = (picoseconds(TIME.parse(side)) if side.strip() else None for side in (first, last))
        except ValueError as error:
            raise InputError(f"--window: {error}") from None
        if not colon or (end is not None and end <= (begin or 0)) or (begin or 0) < 0:
            raise InputError(f"--window: got {shown(given)!r}, but FROM:TO is needed, such as 1us:3us")
        return Window(begin or 0, end)

    def of(self, trace: Trace) -> Trace:
        """Choose the events that go on in the window; `InputError` if there are none."""
        chosen = (trace["end"] > self.begin) & (trace["start"] < (self.end or np.inf))
        if not chosen.any():
            last = si(int(trace["end"].max()) * 1e-12, "s")
            raise InputError(f"--window: nothing happens then; the trace is from 0 to {last}")
        return trace.of_rows(chosen)


ALL = Window()


@dataclass(frozen=True)
class Lanes:
    """All that is shown of a trace.

    whole:       every event, in the window or not.
    layers:      their names.
    standby_w:   power that is drawn whatever happens (W).
    window:      the part of the time that is shown.
    stretched:   whether a picosecond is shown as a nanosecond.
    """

    whole: Trace
    layers: Sequence[str]
    standby_w: float = 0.0
    window: Window = ALL
    stretched: bool = False

    @cached_property
    def trace(self) -> Trace:
        """The events that are shown, lane by lane, each lane from its beginning to its end."""
        return _sorted(_one_at_a_time(_sorted(self.window.of(self.whole))))

    def __len__(self) -> int:
        return len(self.trace)

    @cached_property
    def lanes(self) -> dict[int, Lane]:
        """The lane of every station that occurs, tile by tile, in the order of the plan."""
        used = {int(s): Lane.of(self.trace.stations[s]) for s in np.unique(self.trace["station"])}
        return dict(sorted(used.items(), key=lambda item: (*_place(item[1].process), item[0])))

    @cached_property
    def processes(self) -> list[str]:
        """The chip first, then tiles by number, then what they share."""
        names = {lane.process for lane in self.lanes.values()} | {counter.process for counter in self.counters}
        return sorted(names, key=_place)

    def ticks(self, times: NDArray[np.int64]) -> NDArray[np.int64]:
        """Convert times (ps) to Perfetto's clock."""
        return times if self.stretched else times // PS_PER_TICK

    @cached_property
    def names(self) -> tuple[list[str], NDArray[np.int64]]:
        """Name the slices, such as "conv1 forward drive": the different names, and for each slice which one it has."""
        trace = self.trace
        keys = np.stack([trace["layer"], trace["phase"], trace["op"]])
        different, which = np.unique(keys, axis=1, return_inverse=True)
        words = [
            f"{self.layers[layer]} {Phase(phase).name.lower()} {trace.ops[op].lower()}"
            for layer, phase, op in different.T.tolist()
        ]
        return words, which.reshape(-1)

    @cached_property
    def arguments(self) -> dict[str, list[Any]]:
        """The columns of `ARGUMENTS`; without energy where it is not known."""
        trace = self.trace
        found: dict[str, NDArray[Any]] = {name: trace[name] for name in ("vector", "amount")}
        found["start_ps"] = trace["start"]
        found["duration_ps"] = trace["end"] - trace["start"]
        if "energy" in trace.details:
            found["energy_pJ"] = trace.details["energy"] * 1e-9
        return {name: column.tolist() for name, column in found.items()}

    @cached_property
    def counters(self) -> list[Counter]:
        """All counters: of the chip power and ADCs in use, of every tile the bits that its buffer keeps."""
        return list(self._counters())

    def _counters(self) -> Iterator[Counter]:
        """Compute the counters for which the trace has details."""
        whole, details = self.whole, self.whole.details
        start, end = whole["start"], whole["end"]
        until = int(end.max())
        if "energy" in details:
            lasted = np.maximum(end - start, 1)
            watts = details["energy"] / lasted * _WATTS
            yield Counter(CHIP, "power (W)", Profile.of_intervals(start, start + lasted, watts, until, self.standby_w))
        if "converters" in details:
            yield Counter(CHIP, "ADCs in use", Profile.of_intervals(start, end, details["converters"], until))
        if "kept" in details:
            tiles = np.array([Lane.of(name).process for name in whole.stations])[whole["station"]]
            changed = details["kept"] != 0
            for tile in sorted(set(tiles[changed].tolist()), key=_place):
                mine = changed & (tiles == tile)
                kept = Profile.of_changes(end[mine], details["kept"][mine], until)
                yield Counter(tile, "buffer (bits)", Profile(kept.times, np.maximum(kept.values, 0)))

    def samples(self, counter: Counter) -> Iterator[tuple[int, float]]:
        """Give a counter in the window as (tick, value) where it changes; of several changes in a tick the last one."""
        times, values = counter.profile.times[:-1], counter.profile.values
        first = max(int(np.searchsorted(times, self.window.begin, side="right")) - 1, 0)
        last = len(times) if self.window.end is None else int(np.searchsorted(times, self.window.end))
        ticks = self.ticks(np.maximum(times[first:last], self.window.begin))
        values = values[first:last]
        final = np.r_[ticks[1:] != ticks[:-1], True] if len(ticks) else np.zeros(0, np.bool_)
        yield from zip(ticks[final].tolist(), values[final].tolist(), strict=True)


def _one_at_a_time(trace: Trace) -> Trace:
    """Give each bank of a pool a lane of its own, as slices on a lane must not overlap; the trace is sorted."""
    stations, station = list(trace.stations), trace["station"].copy()
    start, end = trace["start"], trace["end"]
    together = (station[1:] == station[:-1]) & (start[1:] < end[:-1])
    for pool in np.unique(station[1:][together]).tolist():
        free: list[int] = []
        numbers = [pool]
        for row in np.flatnonzero(trace["station"] == pool).tolist():
            bank = next((bank for bank, until in enumerate(free) if until <= start[row]), len(free))
            if bank == len(free):
                free.append(0)
                if bank:
                    numbers.append(len(stations))
                    stations.append(f"{stations[pool]} bank {bank + 1}")
            free[bank], station[row] = int(end[row]), numbers[bank]
    return Trace({**trace.columns, "station": station}, tuple(stations), trace.ops, trace.details)


def _sorted(trace: Trace) -> Trace:
    """Sort events by station, then by time."""
    order = np.lexsort((trace["end"], trace["start"], trace["station"]))
    columns, details = ({name: column[order] for name, column in of.items()} for of in (trace.columns, trace.details))
    return Trace(columns, trace.stations, trace.ops, details)


def _place(process: str) -> tuple[int, int, str]:
    """Give the key by which processes are sorted: the chip, then tiles by number, then the others by name."""
    word, _, number = process.partition(" ")
    if word == "tile" and number.isdecimal():
        return 1, int(number), ""
    return (0, 0, "") if process == CHIP else (2, 0, process)

"""A CSV file of measured conductances as traces, whatever its columns.

Three layouts are understood, by the names of the columns; capitals, blanks and units do not matter:

    long     a row for each reading: conductance, and beside it pulse number, device, cycle, direction (up or down)
    wide     a row for each pulse number, and for every curve a column with "up" or "down" in its name
    train    a row for each pulse, and for every device a column; `--pattern` says which pulses go up

Wide tables may have columns of device and cycle as well. Words for up are up, pot, ltp, set, increase, +, for down
down, dep, ltd, reset, decrease, -. The row with the lowest pulse number of a curve is where it begins; where pulse
numbers are missing in between, so many pulses went by without a reading. Columns of averages, spreads and fits are left
out, and named.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rpusim.errors import InputError, nearest, shown

UNITS = {"fS": 1e-15, "pS": 1e-12, "nS": 1e-9, "uS": 1e-6, "µS": 1e-6, "μS": 1e-6, "mS": 1e-3, "S": 1.0}
"""Units of conductance, in siemens."""
LONG_RUN = 5
"""More pulses one way than this make a curve whose ends are ends of the device's range."""
MOST_BYTES, MOST_PULSES = 200 * 2**20, 100_000
_UP = {"up", "pot", "potentiation", "ltp", "set", "increase", "rise", "+", "+1", "1", "1.0", "p"}
_DOWN = {"down", "dn", "dep", "depression", "ltd", "reset", "decrease", "fall", "-", "-1", "-1.0", "d", "0"}
_WHAT = {
    "pulse": {"pulse", "pulses", "n", "number", "index", "step"},
    "device": {"device", "cell", "dev", "sample", "id"},
    "cycle": {"cycle", "repeat", "repetition", "run", "sweep", "loop"},
    "direction": {"direction", "polarity", "sign", "dir"},
}
_CONDUCTANCE = {"conductance", "g", "cond"}
_DERIVED = re.compile(r"averag|mean|smooth|std|stdev|deviation|error|\bfit|median|time|voltage|temperature", re.I)
_UNIT = re.compile(r"(?:^|[\s_(\[/])([fpnuµμm]?S)[)\]]?\s*$")


@dataclass(frozen=True)
class Trace:
    """One curve of one device.

    device, cycle:  as the file calls them.
    readings:       conductance before the first pulse and after every one, in siemens (pulses + 1,); nan: not read.
    signs:          of the pulses (pulses,): 1 up, -1 down.
    """

    device: str
    cycle: str
    readings: NDArray[np.float64]
    signs: NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """What a file holds.

    traces:      all curves, by device, cycle and direction.
    name, digest, rows:  of the file: its name, the SHA-256 of its content, and lines with readings.
    unit:        of the file's conductances.
    layout:      how it was understood, in words.
    resolution:  the last digit of the readings, in siemens.
    left_out:    columns that were not used.
    """

    traces: tuple[Trace, ...]
    name: str
    digest: str
    rows: int
    unit: str
    layout: str
    resolution: float
    left_out: tuple[str, ...]

    @property
    def devices(self) -> list[str]:
        """The devices, in the order of the file."""
        return list(dict.fromkeys(trace.device for trace in self.traces))


@dataclass(frozen=True)
class _Column:
    """A column: its place, its name, what it is, its unit, and for a curve device, cycle and direction."""

    place: int
    name: str
    what: str
    unit: str = ""
    device: str = ""
    cycle: str = ""
    sign: int = 0


def load(path: Path, unit: str | None = None, patterns: Mapping[str, Sequence[int]] | None = None) -> Measured:
    """Load a file of measured conductances.

    path:      of a CSV file, with commas, semicolons or tabs between the columns; its first line names them.
    unit:      of its conductances; None: as the names of the columns say.
    patterns:  signs of pulses by device, "" for all others, where the file does not say which go up.

    Raises InputError, in one sentence, for what is not understood.
    """
    content = _content(path)
    names, rows = _table(path, content)
    columns, left_out = _columns(path, names)
    scale, said = _unit(path, columns, unit)
    curves = [column for column in columns if column.what == "curve"]
    layout = "long" if any(column.what == "direction" for column in columns) else "wide"
    if layout == "wide" and not all(column.sign for column in curves):
        if not patterns:
            raise InputError(
                f"{path.name}: does not say which pulses go up and which down; accepted: a column of directions, names "
                "of columns with up and down in them, or --pattern up:N,down:N"
            )
        layout = "train"
    if layout == "long" and len(curves) > 1:
        raise InputError(
            f"{path.name}: has a column of directions beside {len(curves)} columns of conductances "
            f"({shown(', '.join(c.name for c in curves))}); accepted with it is one"
        )
    if patterns and layout != "train":
        raise InputError(f"--pattern: was given, but {path.name} says itself which pulses go up; leave it out")
    found = _traces(path, rows, columns, curves, dict(patterns or {}))
    smallest = min(_last_digit(row[column.place]) for _, row in rows for column in curves) * scale
    traces = tuple(Trace(t.device, t.cycle, t.readings * scale, t.signs) for t in found)
    _check(path, traces)
    digest = hashlib.sha256(content).hexdigest()
    return Measured(traces, path.name, digest, len(rows), said, layout, smallest, tuple(left_out))


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{shown(str(path))}: cannot be read ({error.strerror}); accepted: a CSV file") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{path.name}: has {len(content)} bytes, accepted: at most {MOST_BYTES}")
    return content


def _table(path: Path, content: bytes) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Cut a file into the names of its columns and its rows, each with the number of its line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            text = content.decode("latin-1" if b"\x00" not in content else "utf-16")
        except UnicodeDecodeError:
            raise InputError(f"{path.name}: is no text; accepted: a CSV file in UTF-8") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    if len(lines) < 3:
        raise InputError(f"{path.name}: has {len(lines)} lines; accepted: names of columns, and two rows or more")
    delimiter = max("\t;,", key=lines[0].count)
    if lines[0].count(delimiter) == 0:
        raise InputError(
            f"{path.name}: its first line ({shown(repr(lines[0]), 60)}) has one column; accepted: names with commas, "
            "semicolons or tabs between"
        )
    numbered: list[tuple[int, list[str]]] = []
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    for row in reader:
        if any(field.strip() for field in row) and not row[0].lstrip().startswith("#"):
            fields = [field.strip() for field in row]
            numbered.append((reader.line_num, [f.replace(",", ".") for f in fields] if delimiter == ";" else fields))
    (_, names), rows = numbered[0], numbered[1:]
    while names and not names[-1]:
        names = names[:-1]
    if all(_number(name) is not None for name in names):
        raise InputError(
            f"{path.name}: its first line has numbers; accepted: names of columns there, such as "
            "pulse,G_up_uS,G_down_uS"
        )
    for line, row in rows:
        if len(row) < len(names):
            raise InputError(f"{path.name}: line {line} has {len(row)} fields, accepted: {len(names)}, as in the first")
    return names, rows


def _columns(path: Path, names: list[str]) -> tuple[list[_Column], list[str]]:
    """Find out what each column is; returns those that are used, and the names of the others."""
    found, left_out = [], []
    for place, name in enumerate(names):
        match = _UNIT.search(name)
        unit = match[1] if match else ""
        words = _split(name[: match.start()] if match else name)
        what = next(
            (kind for kind, known in _WHAT.items() if words and words[0] in known and not _up_or_down(words)), ""
        )
        short = what == "pulse" or len(words) <= 2
        if what and short and not unit and not set(words) & _CONDUCTANCE:
            found.append(_Column(place, name, what))
            continue
        sign = _up_or_down(words)
        if _DERIVED.search(name) or not (sign or set(words) & _CONDUCTANCE or unit):
            left_out.append(name)
            continue
        device, cycle = _labels(words, name)
        found.append(_Column(place, name, "curve", unit, device, cycle, sign))
    for what in _WHAT:
        if sum(column.what == what for column in found) > 1:
            several = ", ".join(column.name for column in found if column.what == what)
            raise InputError(f"{path.name}: has several columns of a {what} ({shown(several)}); accepted: one")
    if not any(column.what == "curve" for column in found):
        raise InputError(
            f"{path.name}: none of its columns ({shown(', '.join(names))}) is a conductance; accepted: names such as "
            "conductance, G_up_uS or G_down_uS"
        )
    return found, left_out


def _split(name: str) -> list[str]:
    """Cut a column's name into words: G_up1 -> g, up, 1."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Za-z])", " ", name)
    return [word.lower() for word in re.split(r"[\s_()\[\]{}.,:;/|-]+", name) if word]


def _up_or_down(words: list[str]) -> int:
    up = any(word in _UP and len(word) > 1 and not word.isdigit() and "." not in word for word in words)
    down = any(word in _DOWN and len(word) > 1 and not word.isdigit() and "-" not in word for word in words)
    return int(up) - int(down)


def _labels(words: list[str], name: str) -> tuple[str, str]:
    """Find device and cycle in the words of a column's name; what is left of it names the device."""
    cycle, rest = "", []
    skip = False
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if skip:
            skip = False
        elif word in _WHAT["cycle"] and after.isdigit():
            cycle, skip = after, True
        elif word in _CONDUCTANCE | _WHAT["device"] or _up_or_down([word]):
            continue
        else:
            rest.append(word)
    inside = re.search(r"[(\[]([^)\]]+)[)\]]", name)
    if inside and _split(inside[1]) == rest:
        return inside[1], cycle
    return " ".join(rest), cycle


def _unit(path: Path, columns: list[_Column], given: str | None) -> tuple[float, str]:
    """Find the unit of the conductances: that which was given, or that in the names of the columns."""
    said = {column.unit for column in columns if column.what == "curve"}
    if given is not None:
        if given not in UNITS:
            raise InputError(f"--unit: {shown(repr(given))} is no unit of conductance{nearest(given, UNITS)}")
        others = {unit for unit in said - {""} if UNITS[unit] != UNITS[given]}
        if others:
            raise InputError(f"--unit: got {given}, but {path.name} says {', '.join(sorted(others))}; leave it out")
        return UNITS[given], given
    if len({UNITS.get(unit) for unit in said}) > 1:
        raise InputError(
            f"{path.name}: its conductances have several units ({', '.join(sorted(u or 'none' for u in said))}); "
            "accepted: one for all"
        )
    unit = min(said)
    if not unit:
        raise InputError(
            f"{path.name}: does not say the unit of its conductances; give --unit (S, mS, uS, nS or pS), or name "
            "columns like G_up_uS"
        )
    return UNITS[unit], unit


def _traces(
    path: Path,
    rows: list[tuple[int, list[str]]],
    columns: list[_Column],
    curves: list[_Column],
    patterns: dict[str, Sequence[int]],
) -> list[Trace]:
    """Gather the readings of every device, cycle and direction, and put them in the order of their pulses."""
    places = {column.what: column.place for column in columns if column.what != "curve"}
    names = {column.device for column in curves}
    gathered: dict[tuple[str, str, int], list[tuple[int, float]]] = {}
    for order, (line, row) in enumerate(rows):
        pulse = order if "pulse" not in places else _whole(path, line, row[places["pulse"]])
        for column in curves:
            if row[column.place].lower() in ("", "nan", "na", "none"):
                continue
            value = _number(row[column.place])
            if value is None:
                raise InputError(
                    f"{path.name}: line {line} has {shown(repr(row[column.place]), 40)} in the column "
                    f"{shown(column.name)}, accepted: a number"
                )
            sign = column.sign if "direction" not in places else _direction(path, line, row[places["direction"]])
            of_row = row[places["device"]] if "device" in places else ""
            device = " ".join(filter(None, (of_row, column.device if len(names) > 1 else ""))) or column.device or "1"
            cycle = (row[places["cycle"]] if "cycle" in places else "") or column.cycle or "1"
            gathered.setdefault((device, cycle, sign), []).append((pulse, value))
    known = {device for device, _, _ in gathered}
    if unknown := [device for device in patterns if device and device not in known]:
        raise InputError(f"--pattern: {shown(unknown[0])!r} is no device of {path.name}{nearest(unknown[0], known)}")
    found: list[Trace] = []
    for (device, cycle, sign), values in gathered.items():
        if sign:
            found += _curves(path, device, cycle, sign, values, "pulse" in places)
        else:
            found += _train(path, device, cycle, values, patterns)
    return found


def _curves(
    path: Path, device: str, cycle: str, sign: int, values: list[tuple[int, float]], numbered: bool
) -> list[Trace]:
    """Make traces of the readings of one direction: one, or as many as pulse numbers begin anew."""
    starts = [k for k, (pulse, _) in enumerate(values) if k == 0 or pulse <= values[k - 1][0]]
    found = []
    for number, (begin, end) in enumerate(zip(starts, [*starts[1:], len(values)], strict=True)):
        part = values[begin:end] if numbered else [(k, value) for k, (_, value) in enumerate(values[begin:end])]
        first, last = part[0][0], part[-1][0]
        if last - first > MOST_PULSES:
            raise InputError(f"{path.name}: device {shown(device)} has {last - first} pulses, accepted: {MOST_PULSES}")
        readings = np.full(last - first + 1, math.nan)
        for pulse, value in part:
            readings[pulse - first] = value
        name = cycle if len(starts) == 1 else f"{cycle}.{number + 1}"
        found.append(Trace(device, name, readings, np.full(last - first, sign)))
    return [trace for trace in found if len(trace.signs)]


def _train(
    path: Path, device: str, cycle: str, values: list[tuple[int, float]], patterns: dict[str, Sequence[int]]
) -> list[Trace]:
    """Make traces of a train of pulses: one for each stretch that a pattern, which begins anew at its end, has."""
    pattern = patterns.get(device, patterns.get(""))
    if pattern is None:
        raise InputError(f"--pattern: {path.name} has a device {shown(device)} without one; give {device}=up:N,down:N")
    readings = np.array([value for _, value in values])
    signs = np.array([pattern[k % len(pattern)] for k in range(len(readings) - 1)])
    found: list[Trace] = []
    for begin, end in _stretches(signs):
        name = f"{cycle}.{len(found) + 1}"
        found.append(Trace(device, name, readings[begin : end + 1], signs[begin:end]))
    return found


def _stretches(signs: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Cut a train where pulses are skipped, and where a long run one way turns into a long one the other way."""
    turns = [0, *(np.flatnonzero(np.diff(signs)) + 1), len(signs)]
    runs = [(int(a), int(b)) for a, b in itertools.pairwise(turns) if signs[a]]
    found: list[tuple[int, int]] = []
    for begin, end in runs:
        follows = bool(found) and found[-1][1] == begin
        if follows and min(end - begin, found[-1][1] - found[-1][0]) <= LONG_RUN:
            found[-1] = found[-1][0], end
        else:
            found.append((begin, end))
    return found


def _check(path: Path, traces: tuple[Trace, ...]) -> None:
    """Refuse what no device can be fitted to: too few readings, one direction alone, what is no conductance."""
    for device in dict.fromkeys(trace.device for trace in traces):
        of_device = [trace for trace in traces if trace.device == device]
        for way, word in ((1, "up"), (-1, "down")):
            number = sum(int((trace.signs == way).sum()) for trace in of_device)
            if number < 5:
                raise InputError(
                    f"{path.name}: device {shown(device)} has {number} pulses {word}, accepted: 5 or more each way"
                )
        everything = np.concatenate([trace.readings for trace in of_device])
        if not np.isfinite(everything[~np.isnan(everything)]).all():
            raise InputError(f"{path.name}: device {shown(device)} has an infinite conductance, accepted: finite ones")
        if np.nanmax(everything) == np.nanmin(everything):
            raise InputError(f"{path.name}: device {shown(device)} never changes, accepted: curves that pulses move")


def _number(field: str) -> float | None:
    try:
        return float(field)
    except ValueError:
        return None


def _whole(path: Path, line: int, field: str) -> int:
    value = _number(field)
    if value is None or value != round(value) or not 0 <= value <= 1e9:
        raise InputError(
            f"{path.name}: line {line} has the pulse number {shown(repr(field), 40)}, accepted: 0, 1, 2 ..."
        )
    return round(value)


def _direction(path: Path, line: int, field: str) -> int:
    word = field.strip().lower()
    if word in _UP or word in _DOWN:
        return 1 if word in _UP else -1
    raise InputError(f"{path.name}: line {line} has the direction {shown(repr(field), 40)}, accepted: up or down")


def _last_digit(field: str) -> float:
    """Find what the last written digit of a number stands for; infinite where there is none.

    >>> _last_digit("5.000"), _last_digit("9.29E-05"), _last_digit("17")
    (0.001, 1e-07, 1.0)
    """
    match = re.fullmatch(r"[-+]?[0-9]*(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]+))?", field.strip())
    if match is None or not field.strip():
        return math.inf
    return float(f"1e{int(match[2] or 0) - len(match[1] or '')}")

"""A trace in Perfetto's own format: protobuf packets with track events, about a third of the size of JSON.

The few messages that are needed are encoded here, field by field as protos/perfetto/trace of the Perfetto project
numbers them. A message is a sequence of fields; a field is its number and wire type, then its value: a varint (0),
eight bytes (1), or a length and so many bytes (2). Names of slices and of their arguments are sent once and then called
by number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from rpusim.reports.trace.lanes import Lanes

_SEQUENCE = 1
_SLICE_BEGIN, _SLICE_END, _COUNTER = 1, 2, 4
_STATE_CLEARED, _NEEDS_STATE = 1, 2


class Trace:
    """Field of the file."""

    PACKET = 1


class Packet:
    """Fields of TracePacket."""

    TIMESTAMP, SEQUENCE, TRACK_EVENT, INTERNED, FLAGS, TRACK = 8, 10, 11, 12, 13, 60


class Track:
    """Fields of TrackDescriptor, and of the descriptors of a process and a thread."""

    UUID, NAME, PROCESS, THREAD, PARENT, COUNTER = 1, 2, 3, 4, 5, 8
    PROCESS_PID, PROCESS_NAME = 1, 6
    THREAD_PID, THREAD_TID, THREAD_NAME = 1, 2, 5


class TrackEvent:
    """Fields of TrackEvent, and of its annotations."""

    ANNOTATION, TYPE, NAME, TRACK, DOUBLE_VALUE = 4, 9, 10, 11, 44
    ANNOTATION_NAME, ANNOTATION_INT, ANNOTATION_DOUBLE = 1, 4, 5


class Interned:
    """Fields of InternedData, and of a name in it."""

    EVENT_NAMES, ANNOTATION_NAMES = 2, 3
    NUMBER, NAME = 1, 2


def write(lanes: Lanes) -> bytes:
    """Encode a trace as the content of a .pftrace file."""
    return b"".join(message(Trace.PACKET, packet) for packet in _packets(lanes))


def varint(number: int) -> bytes:
    """Encode a number from 0 on: seven bits to a byte, the lowest first; the highest bit says that more follow."""
    if number < 0x80:
        return bytes((number,))
    written = bytearray()
    while number >= 0x80:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def integer(field: int, value: int) -> bytes:
    """Encode a field that holds a whole number."""
    return varint(field << 3) + varint(value)


def double(field: int, value: float) -> bytes:
    """Encode a field that holds a float of eight bytes."""
    return varint(field << 3 | 1) + struct.pack("<d", value)


def message(field: int, content: bytes) -> bytes:
    """Encode a field that holds a message, or other bytes."""
    return varint(field << 3 | 2) + varint(len(content)) + content


def text(field: int, words: str) -> bytes:
    """Encode a field that holds words."""
    return message(field, words.encode())


def _packets(lanes: Lanes) -> Iterator[bytes]:
    """Give all packets: names, tracks of processes, threads and counters, values of counters, slices."""
    pids = {name: number for number, name in enumerate(lanes.processes, start=1)}
    tids = {station: number for number, station in enumerate(lanes.lanes, start=len(pids) + 1)}
    yield _interned(lanes)
    for name, pid in pids.items():
        process = integer(Track.PROCESS_PID, pid) + text(Track.PROCESS_NAME, name)
        yield _track(integer(Track.UUID, pid) + message(Track.PROCESS, process))
    for station, lane in lanes.lanes.items():
        thread = integer(Track.THREAD_PID, pids[lane.process]) + integer(Track.THREAD_TID, tids[station])
        thread += text(Track.THREAD_NAME, lane.name)
        place = integer(Track.UUID, tids[station]) + integer(Track.PARENT, pids[lane.process])
        yield _track(place + message(Track.THREAD, thread))
    for uuid, counter in enumerate(lanes.counters, start=len(pids) + len(tids) + 1):
        place = integer(Track.UUID, uuid) + integer(Track.PARENT, pids[counter.process])
        yield _track(place + text(Track.NAME, counter.name) + message(Track.COUNTER, b""))
        where = integer(TrackEvent.TYPE, _COUNTER) + integer(TrackEvent.TRACK, uuid)
        for tick, value in lanes.samples(counter):
            yield _event(tick, where + double(TrackEvent.DOUBLE_VALUE, value))
    yield from _slices(lanes, tids)


def _slices(lanes: Lanes, tids: dict[int, int]) -> Iterator[bytes]:
    """Give beginning and end of every slice, lane by lane; where one ends as the next begins, in this order."""
    trace, (_, which) = lanes.trace, lanes.names
    starts, ends = (lanes.ticks(trace[column]).tolist() for column in ("start", "end"))
    rows = zip(trace["station"].tolist(), which.tolist(), starts, ends, _annotations(lanes), strict=True)
    for station, name, start, end, arguments in rows:
        track = integer(TrackEvent.TRACK, tids[station])
        named = track + integer(TrackEvent.NAME, name + 1) + arguments
        yield _event(start, integer(TrackEvent.TYPE, _SLICE_BEGIN) + named)
        yield _event(end, integer(TrackEvent.TYPE, _SLICE_END) + track)


def _annotations(lanes: Lanes) -> Iterator[bytes]:
    """Encode the arguments of every slice: energies as floats, all others as whole numbers."""
    heads = [integer(TrackEvent.ANNOTATION_NAME, number + 1) for number in range(len(lanes.arguments))]
    for values in zip(*lanes.arguments.values(), strict=True):
        written = b""
        for head, value in zip(heads, values, strict=True):
            if isinstance(value, int):
                number = integer(TrackEvent.ANNOTATION_INT, value & 0xFFFFFFFFFFFFFFFF)
            else:
                number = double(TrackEvent.ANNOTATION_DOUBLE, value)
            written += message(TrackEvent.ANNOTATION, head + number)
        yield written


def _interned(lanes: Lanes) -> bytes:
    """Encode all names, each with its number, and that nothing which was sent before counts."""
    written = b""
    for field, words in ((Interned.EVENT_NAMES, lanes.names[0]), (Interned.ANNOTATION_NAMES, lanes.arguments)):
        for number, name in enumerate(words, start=1):
            written += message(field, integer(Interned.NUMBER, number) + text(Interned.NAME, name))
    return (
        integer(Packet.SEQUENCE, _SEQUENCE) + integer(Packet.FLAGS, _STATE_CLEARED) + message(Packet.INTERNED, written)
    )


def _track(descriptor: bytes) -> bytes:
    """Encode a packet that describes a track."""
    return integer(Packet.SEQUENCE, _SEQUENCE) + message(Packet.TRACK, descriptor)


def _event(tick: int, event: bytes) -> bytes:
    """Encode a packet with what happens on a track at a tick."""
    return (
        integer(Packet.TIMESTAMP, tick)
        + integer(Packet.SEQUENCE, _SEQUENCE)
        + integer(Packet.FLAGS, _NEEDS_STATE)
        + message(Packet.TRACK_EVENT, event)
    )

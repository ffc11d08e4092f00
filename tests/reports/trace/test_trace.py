"""Traces for ui.perfetto.dev: read again, and compared with the events they were written from."""

from __future__ import annotations

import json
import struct
from collections import Counter, defaultdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from rpusim.arch.engine.events import COLUMNS
from rpusim.errors import InputError
from rpusim.reports.trace import file, json_format, protobuf
from rpusim.reports.trace.lanes import Lane, Lanes, Window
from rpusim.reports.trace.recorded import Trace


@pytest.fixture(scope="module")
def lanes(timed):
    return file.lanes_of(Trace.of(timed), timed.document)


@pytest.fixture(scope="module")
def written(lanes):
    return json.loads(json_format.write(lanes))["traceEvents"]


@pytest.fixture(scope="module")
def packets(lanes):
    return [packet for field, packet in decoded(protobuf.write(lanes)) if field == 1]


def small(*rows, layers=("fc",), **shown):
    """Events given as (station, start, end), for one layer."""
    stations = tuple(dict.fromkeys(station for station, *_ in rows))
    columns = {name: np.zeros(len(rows), np.int64) for name in COLUMNS}
    columns["station"] = np.array([stations.index(station) for station, *_ in rows])
    columns["start"], columns["end"] = (np.array([row[i] for row in rows], np.int64) for i in (1, 2))
    return Lanes(Trace(columns, stations, ("FETCH",)), layers, **shown)


def nests(slices):
    """Whether (start, end) in the order given only ever follow each other on one lane."""
    return all(first[1] <= second[0] for first, second in pairwise(slices))


class TestLanes:
    @pytest.mark.parametrize(
        ("station", "process", "name"),
        [
            ("tile 3 array 0 row drivers", "tile 3", "array 0 row drivers"),
            ("tile 12 buffer", "tile 12", "buffer"),
            ("port of tile 3", "tile 3", "port"),
            ("digital unit reram 0", "digital units", "digital unit reram 0"),
            ("link (0,1)-(1,1)", "mesh", "link (0,1)-(1,1)"),
            ("port of the edge", "mesh", "port of the edge"),
            ("DRAM", "chip", "DRAM"),
        ],
    )
    def test_a_process_is_a_tile_and_a_thread_is_a_unit(self, station, process, name):
        assert Lane.of(station) == Lane(process, name)

    def test_rounding_to_nanoseconds_neither_overlaps_nor_parts(self):
        lanes = small(("tile 0 buffer", 0, 1500), ("tile 0 buffer", 1500, 1700), ("tile 0 buffer", 1700, 2999))
        ends = [(lanes.ticks(lanes.trace["start"]), lanes.ticks(lanes.trace["end"]))]
        assert [ends[0][0].tolist(), ends[0][1].tolist()] == [[0, 1, 1], [1, 1, 2]]

    def test_a_pool_has_a_lane_for_every_bank_that_is_at_work(self):
        shown = small(("ADC pool analog 0", 0, 5), ("ADC pool analog 0", 2, 7), ("ADC pool analog 0", 5, 9))
        assert [lane.name for lane in shown.lanes.values()] == ["ADC pool analog 0", "ADC pool analog 0 bank 2"]
        assert shown.trace["station"].tolist() == [0, 0, 1]

    def test_stretched_a_picosecond_is_a_tick(self):
        lanes = small(("tile 0 buffer", 3, 1500), stretched=True)
        assert json.loads(json_format.write(lanes))["traceEvents"][-1]["ts"] == 0.003
        assert lanes.ticks(lanes.trace["end"]).tolist() == [1500]


class TestWindow:
    @pytest.mark.parametrize(
        ("given", "window"), [("1us:3us", (10**6, 3 * 10**6)), ("2 ns:", (2000, None)), (":5ps", (0, 5))]
    )
    def test_is_two_times_with_their_units(self, given, window):
        assert Window.parse(given) == Window(*window)

    @pytest.mark.parametrize("given", ["1:3us", "1us", "3us:1us", "1us:1us", "1us:3m", "a:b", "-3us:1us", ""])
    def test_anything_else_is_refused(self, given):
        with pytest.raises(InputError, match="--window: got"):
            Window.parse(given)

    def test_keeps_all_that_goes_on_in_it(self):
        rows = [("tile 0 buffer", start, start + 10) for start in range(0, 100, 10)]
        lanes = small(*rows, window=Window(25, 45))
        assert lanes.trace["start"].tolist() == [20, 30, 40]

    def test_in_which_nothing_happens_says_until_when_something_does(self):
        with pytest.raises(InputError, match=r"nothing happens then; the trace is from 0 to 10\.0 ns"):
            len(small(("tile 0 buffer", 0, 10_000), window=Window(20_000, None)))

    def test_counters_begin_with_the_value_they_have_then(self, timed):
        whole = file.lanes_of(Trace.of(timed), timed.document)
        part = file.lanes_of(Trace.of(timed), timed.document, Window.parse("1us:2us"))
        for all_of_it, some in zip(whole.counters, part.counters, strict=True):
            assert all_of_it.name == some.name
            ticks, values = zip(*part.samples(some), strict=True)
            assert ticks[0] >= 1000 and ticks[-1] < 2000
            before = [value for tick, value in whole.samples(all_of_it) if tick <= ticks[0]]
            assert values[0] == before[-1]


class TestJson:
    def test_there_is_a_slice_for_every_event_with_its_layer_phase_and_operation(self, written, lanes, timed):
        slices = Counter(event["name"] for event in written if event["ph"] == "X")
        trace, layers = timed.trace, [layer["name"] for layer in timed["layers"]]
        phases = ("forward", "backward", "update", "transfer", "maintenance")
        expected = Counter(
            f"{layers[layer]} {phases[phase]} {lanes.trace.ops[op].lower()}"
            for layer, phase, op in zip(trace.layer, trace.phase, trace.op, strict=True)
        )
        assert slices == expected

    def test_slices_of_a_lane_follow_each_other(self, written):
        of_lane = defaultdict(list)
        for event in written:
            if event["ph"] == "X":
                start = round(event["ts"] * 1000)
                of_lane[event["pid"], event["tid"]].append((start, start + round(event["dur"] * 1000)))
        assert len(of_lane) > 10
        assert all(nests(slices) for slices in of_lane.values())

    def test_every_lane_and_process_has_a_name_of_its_own(self, written):
        names = [(e["pid"], e["tid"]) for e in written if e["name"] == "thread_name"]
        processes = {e["pid"]: e["args"]["name"] for e in written if e["name"] == "process_name"}
        assert len(set(names)) == len(names)
        assert {e["pid"] for e in written} == set(processes)
        assert {(e["pid"], e["tid"]) for e in written if e["ph"] == "X"} == set(names)
        assert not {tid for _, tid in names} & set(processes)

    def test_energies_of_slices_and_the_integral_of_power_are_the_energy(self, written, timed):
        slices = sum(e["args"]["energy_pJ"] for e in written if e["ph"] == "X") * 1e-12
        phases = timed["energy"]["by_phase"]
        assert slices + phases["standby"] + phases.get("idle", 0.0) == pytest.approx(timed["energy"]["total_J"])
        exact = [e["args"]["start_ps"] + e["args"]["duration_ps"] for e in written if e["ph"] == "X"]
        assert max(exact) == timed.trace.makespan_ps
        power = [(e["ts"], e["args"]["W"]) for e in written if e["name"] == "power (W)"]
        assert max(watts for _, watts in power) <= timed["power"]["peak_W"] * (1 + 1e-9)

    def test_counters_are_never_below_nothing(self, written):
        tracks = {(e["pid"], e["name"]) for e in written if e["ph"] == "C"}
        assert {name for _, name in tracks} == {"power (W)", "ADCs in use", "buffer (bits)"}
        assert all(min(e["args"].values()) >= 0 for e in written if e["ph"] == "C")


def decoded(content):
    """(field, value) of a protobuf message: integers, doubles, or bytes."""
    found, at = [], 0

    def varint():
        nonlocal at
        number = shift = 0
        while True:
            byte = content[at]
            at += 1
            number |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return number

    while at < len(content):
        field, kind = divmod(varint(), 8)
        if kind == 0:
            found.append((field, varint()))
        elif kind == 1:
            found.append((field, struct.unpack_from("<d", content, at)[0]))
            at += 8
        else:
            assert kind == 2
            length = varint()
            found.append((field, content[at : at + length]))
            at += length
    assert at == len(content)
    return found


def first(message, *path):
    """The first value of a field of a field of ... a message."""
    for field in path:
        message = dict(reversed(decoded(message))).get(field)
        if message is None:
            return None
    return message


class TestProtobuf:
    @pytest.mark.parametrize(("number", "written"), [(0, b"\0"), (127, b"\x7f"), (128, b"\x80\1"), (300, b"\xac\2")])
    def test_varints_are_those_of_the_wire_format(self, number, written):
        assert protobuf.varint(number) == written

    def test_it_says_what_the_json_says(self, packets, lanes):
        names = {
            first(entry, 1): first(entry, 2).decode()
            for packet in packets
            for field, entry in decoded(first(packet, 12) or b"")
            if field == 2
        }
        threads, counters = {}, {}
        for packet in packets:
            if track := first(packet, 60):
                uuid = first(track, 1)
                if thread := first(track, 4):
                    threads[uuid] = (first(thread, 1), first(thread, 2))
                elif first(track, 8) is not None:
                    counters[uuid] = first(track, 2).decode()
        open_slices, slices, samples = {}, Counter(), Counter()
        for packet in packets:
            if not (event := first(packet, 11)):
                continue
            tick, track = first(packet, 8), first(event, 11)
            kind = first(event, 9)
            if kind == 1:
                assert track not in open_slices
                open_slices[track] = (names[first(event, 10)], tick)
            elif kind == 2:
                name, start = open_slices.pop(track)
                slices[(*threads[track], name, start, tick - start)] += 1
            else:
                samples[counters[track], tick, first(event, 44)] += 1
        assert not open_slices
        written = json.loads(json_format.write(lanes))["traceEvents"]
        microseconds = [
            (e["pid"], e["tid"], e["name"], round(e["ts"] * 1000), round(e["dur"] * 1000))
            for e in written
            if e["ph"] == "X"
        ]
        assert slices == Counter(microseconds)
        in_json = [(e["name"], round(e["ts"] * 1000), *e["args"].values()) for e in written if e["ph"] == "C"]
        assert samples == Counter(in_json)

    def test_arguments_come_with_the_beginning_of_a_slice(self, packets, lanes):
        keys = [
            first(entry, 2).decode()
            for packet in packets
            for field, entry in decoded(first(packet, 12) or b"")
            if field == 3
        ]
        begins = [event for packet in packets if (event := first(packet, 11)) and first(event, 9) == 1]
        found = [
            {keys[first(a, 1) - 1]: first(a, 4) if first(a, 5) is None else first(a, 5) for a in annotations}
            for event in begins
            if (annotations := [value for field, value in decoded(event) if field == 4])
        ]
        wanted = [dict(zip(lanes.arguments, row, strict=True)) for row in zip(*lanes.arguments.values(), strict=True)]
        assert found == wanted


class TestFile:
    def test_a_name_that_says_no_format_is_refused(self, lanes, tmp_path):
        with pytest.raises(InputError, match=r"--out: got .*trace\.txt.*\.json or \.pftrace"):
            file.write(lanes, tmp_path / "trace.txt")
        assert list(tmp_path.iterdir()) == []

    def test_of_many_slices_it_is_protobuf(self, lanes, tmp_path, monkeypatch):
        assert file.write(lanes, tmp_path / "trace").name == "trace.json"
        monkeypatch.setattr(file, "MOST_IN_JSON", 10)
        assert file.write(lanes, tmp_path / "trace").name == "trace.pftrace"
        assert file.write(lanes, tmp_path / "x.json").name == "x.json"
        assert file.write(lanes, Path("/dev/null")) == Path("/dev/null")
        assert not Path("/dev/null.json").exists()
        with pytest.raises(InputError, match=r"^\.: is a folder"):
            file.write(lanes, Path("."))


class TestCommand:
    def test_a_run_folder_gets_its_trace_and_can_still_be_replaced(self, rpusim, tmp_path):
        folder = tmp_path / "timed"
        timing = ("time", "fcn", "--chip", "rpu-2016", "--out", folder)
        assert rpusim(*timing).status == 0
        outcome = rpusim("trace", folder, "--json")
        assert outcome.status == 0, outcome.stderr
        written = json.loads(outcome.stdout)
        assert written["file"] == str(folder / "trace.json")
        events = json.loads((folder / "trace.json").read_text())["traceEvents"]
        assert sum(event["ph"] == "X" for event in events) == written["slices"]
        assert {event["name"] for event in events if event["ph"] == "C"} >= {"power (W)", "ADCs in use"}
        assert rpusim(*timing).status == 0
        assert not (folder / "trace.json").exists()

    def test_of_a_network_every_sample_is_shown(self, rpusim, tmp_path):
        chosen = ("--network", "fcn", "--chip", "rpu-2016", "--samples", 9, "--out", tmp_path / "fcn.pftrace")
        written = json.loads(rpusim("trace", *chosen, "--json").stdout)
        # three scalings are done on the way into what follows; three results are stored for the way back, and fetched
        assert written["slices"] == 9 * (33 + 22 - 3 + 2 * 3)
        assert (tmp_path / "fcn.pftrace").stat().st_size > 10_000

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ([], "give a run folder, or --network, --chip and --out"),
            (["--network", "fcn"], "give a run folder, or --network, --chip and --out"),
            (["--network", "fcn", "--chip", "rpu-2016", "--out", "x.txt"], "--out: got 'x.txt'"),
            (["--network", "fcn", "--chip", "rpu-2016", "--out", "x", "--window", "1:2"], "a time needs a number"),
            (["--network", "fcn", "--chip", "rpu-2016", "--out", "no/x.json"], "cannot be written"),
            (["."], "is not a run folder"),
        ],
    )
    def test_what_cannot_be_done_is_one_sentence(self, rpusim, tmp_path, monkeypatch, given, said):
        monkeypatch.chdir(tmp_path)
        outcome = rpusim("trace", *given)
        assert outcome.status == 2
        assert said in outcome.stderr and outcome.stderr.count("\n") == 1
        assert list(tmp_path.iterdir()) == []

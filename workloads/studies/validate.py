"""Published figures beside ours: chips rolled up from their cost cards, times and energies from the engine's events.

A row with a tolerance must hold; a row without one is shown for comparison, and its note says where a difference comes
from. ``provenance`` says how well the published figure is known: read in the paper or in the authors' own code
("seen"), in a text about the paper ("secondary"), recalled, or derived from other figures of the same row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from rpusim.arch.account.ledger import STANDBY, Ledger, Pricer
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Phase
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import Placement, place
from rpusim.arch.network.network import Network, connect
from rpusim.arch.network.operations import WeightLayer
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import Schedule, run
from rpusim.workloads.cells.assumed_transfers import assumed
from rpusim.workloads.cells.training_cells import build
from rpusim.workloads.runs.estimate import place_by_name
from rpusim.workloads.studies.large_batch import account

RPU = "Gokmen & Vlasov 2016, Front. Neurosci. 10:333"
CNN = "Gokmen, Onen & Haensch 2017, Front. Neurosci. 11:538"
RAPA = "Rasch, Gokmen, Rigotti & Haensch 2019, Front. Neurosci. 13:753"
ISAAC = "Shafiee et al., ISCA 2016, Table I"
HAENSCH = "Haensch, Gokmen & Puri 2018, Proc. IEEE 107:108"
HERMES = "Khaddam-Aljameh et al. 2022, IEEE J. Solid-State Circuits 57:1027"
NEUROSIM = "DNN+NeuroSim V2.1, its default run (VGG-8 on CIFAR-10, mini-batches of 200), one epoch"


@dataclass(frozen=True)
class Case:
    """One published figure. tolerance: largest relative difference, None: for comparison only. note: why it differs."""

    case: str
    seed: str
    source: str
    provenance: str
    published: float
    unit: str
    simulated: Callable[[], float]
    tolerance: float | None
    note: str = ""

    def row(self) -> dict[str, Any]:
        simulated = self.simulated()
        ok = None if self.tolerance is None else abs(simulated / self.published - 1) <= self.tolerance
        shown = {name: value for name, value in vars(self).items() if name != "simulated"}
        return {**shown, "simulated": simulated, "difference": simulated / self.published - 1, "ok": ok}


def cases() -> Iterator[Case]:
    """All of them, quick ones first."""
    yield from _mapping()
    yield from _rpu()
    yield from _isaac()
    yield from _hermes()
    yield from _haensch()
    yield from _rapa()
    yield from _neurosim()


# --- what is run ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Timed:
    """Events of a piece of work, and its account."""

    events: Events
    ledger: Ledger
    kinds: np.ndarray

    @property
    def seconds(self) -> float:
        return self.ledger.time_ps / PICOSECONDS_PER_SECOND

    def joules(self, *phases: str) -> float:
        of_phase = self.ledger.by(1)
        return sum(of_phase.get(phase, 0) for phase in phases or of_phase) / ZEPTOJOULES_PER_JOULE

    def driving(self, layer: int = 0) -> np.ndarray:
        """Starts (ps) of what drives the first array of a layer."""
        chosen = (self.events.op == Op.DRIVE) & self.kinds[self.events.station]
        return np.sort(self.events.start[chosen & (self.events.layer == layer) & (self.events.tile == 0)])


def _timed(placement: Placement, samples: int, schedule: Schedule = "layer-pipelined") -> _Timed:
    """Inference."""
    plan = make_plan(placement)
    activity = assumed_activity(placement, samples, training=False)
    events = run(plan, activity, schedule)
    arrays = np.array([part == "array" for part in plan.station_parts])
    return _Timed(events, Pricer(plan)(events, activity), arrays)


@cache
def _inferred(network: str, samples: int, schedule: Schedule, replicas: tuple[int, ...] = ()) -> _Timed:
    """On as many tiles of rpu-2016 as it takes."""
    chip, captured = Chip.load("rpu-2016"), _network(network)
    roomy = chip.model_copy(update={"tiles": (chip.tiles[0].model_copy(update={"count": 4096}),)})
    copies = dict(zip((layer.name for layer in captured.layers), replicas, strict=False))
    return _timed(place(captured, roomy, replicas=copies), samples, schedule)


@cache
def _one_layer(chip: str, kind: int, lines: int) -> _Timed:
    """Fifty vectors through one square array of one kind of tile."""
    layer = WeightLayer.linear("fc", (lines,), lines, bias=False)
    whole = Chip.load(chip)
    only = whole.model_copy(update={"tiles": (whole.tiles[kind],)})
    return _timed(place(connect("one", (lines,), [(layer, ("input",))]), only), 50)


def _cycle(timed: _Timed) -> float:
    """Seconds from one vector to the next in the array, once they follow each other."""
    return float(np.diff(timed.driving())[-1]) / PICOSECONDS_PER_SECOND


# --- mapping and the RPU papers ---------------------------------------------------------------------------------------


@cache
def _network(name: str) -> Network:
    return place_by_name(name, "rpu-2016").network


def _mapping() -> Iterator[Case]:
    fcn = ("FCN 784-256-128-10: weights", "RPU concept and chip", RPU, "derived", 235_146.0, "weights")
    yield Case(*fcn, lambda: float(_network("fcn").weights), 0.0)
    lenet = ("LeNet: weights", "CNN on RPU", CNN, "derived", 80_202.0, "weights")
    yield Case(*lenet, lambda: float(_network("lenet-2017").weights), 0.0)
    vectors = ("LeNet: vectors per image", "CNN on RPU", CNN, "derived", 642.0, "vectors")
    yield Case(*vectors, lambda: float(sum(layer.vectors for layer in _network("lenet-2017").layers)), 0.0)


def _rpu() -> Iterator[Case]:
    def tops() -> float:
        return 2 * 4096**2 / _cycle(_one_layer("rpu-2016", 0, 4096)) * 1e-12

    yield Case("4096 x 4096 tile at 80 ns", "RPU concept and chip", RPU, "derived", 419.43, "TOPS", tops, 0.001)
    yield Case("50 such tiles", "RPU concept and chip", RPU, "recalled", 21_000.0, "TOPS", lambda: 50 * tops(), 0.01)

    def pipelined() -> float:
        events = _inferred("alexnet", 3, "layer-pipelined").events
        done = [events.end[(events.layer == 7) & (events.vector == sample)].max() for sample in (1, 2)]
        return float(done[1] - done[0]) * 1e-6

    def one_by_one() -> float:
        timed = _inferred("alexnet", 1, "sequential")
        return sum(80e-3 * len(timed.driving(layer)) for layer in range(8))

    what = "CNN on RPU", CNN, "derived"
    yield Case("AlexNet: between images, pipelined", *what, 242.0, "us", pipelined, 0.005)
    yield Case("AlexNet: array time, layer after layer", *what, 341.0, "us", one_by_one, 0.005)


# --- chips ------------------------------------------------------------------------------------------------------------


def _isaac() -> Iterator[Case]:
    def tile(figure: str) -> float:
        """With its share of the routers, as the table counts."""
        bill = bill_of_parts(Chip.load("isaac-2016"))
        own = sum(getattr(part, figure) for part in bill.tiles[0].values())
        return own + float(getattr(bill.chip_wide["links"], figure)) / bill.chip.tile_count

    def chip(figure: str) -> float:
        return sum(bill_of_parts(Chip.load("isaac-2016")).total(figure).values())

    what = "component costs", ISAAC, "secondary"
    yield Case("ISAAC: tile power", *what, 330.0, "mW", lambda: tile("full_power_w") * 1e3, 0.005)
    yield Case("ISAAC: tile area", *what, 0.372, "mm2", lambda: tile("area_m2") * 1e6, 0.005)
    yield Case("ISAAC: chip power", *what, 65.8, "W", lambda: chip("full_power_w"), 0.005)
    yield Case("ISAAC: chip area", *what, 85.4, "mm2", lambda: chip("area_m2") * 1e6, 0.005)


def _hermes() -> Iterator[Case]:
    operations = 2 * 256 * 256

    def timed() -> _Timed:
        return _one_layer("hermes-2021", 0, 256)

    def area() -> float:
        return sum(part.area_m2 for part in bill_of_parts(Chip.load("hermes-2021")).tiles[0].values())

    what = "component costs", HERMES, "secondary"
    note = "the split among parts is ours, the sums are the paper's"
    yield Case("HERMES: throughput", *what, 1.008, "TOPS", lambda: operations / _cycle(timed()) * 1e-12, 0.005, note)
    yield Case(
        "HERMES: efficiency", *what, 10.5, "TOPS/W", lambda: operations * 50 / timed().joules() * 1e-12, 0.02, note
    )
    yield Case("HERMES: energy per multiplication", *what, 12.5, "nJ", lambda: timed().joules() / 50 * 1e9, 0.02, note)
    yield Case(
        "HERMES: density", *what, 1.59, "TOPS/mm2", lambda: operations / _cycle(timed()) / area() * 1e-18, 0.01, note
    )


def _haensch() -> Iterator[Case]:
    def converters(kind: int, lines: int) -> float:
        adc = bill_of_parts(Chip.load("haensch-2018")).tiles[kind]["ADC"]
        return adc.full_power_w * (lines / 16) / adc.busy_units

    def array(kind: int) -> float:
        part = bill_of_parts(Chip.load("haensch-2018")).tiles[kind]["array"]
        read = part.actions["read"]
        return part.units * read.energy_zj / ZEPTOJOULES_PER_JOULE / (read.latency_ps / PICOSECONDS_PER_SECOND)

    def throughput(kind: int, lines: int) -> float:
        return 2 * lines**2 / _cycle(_one_layer("haensch-2018", kind, lines)) * 1e-12

    what = "component costs", HAENSCH, "secondary"
    printed = [(500, 0.144, 0.010, 6.25), (1000, 0.288, 0.042, 25.0), (4000, 1.15, 0.667, 400.0)]
    for kind, (lines, adc, cells, tops) in enumerate(printed):
        power = f"Haensch: N = {lines}, "
        yield Case(power + "converters", *what, adc, "W", partial(converters, kind, lines), 0.02)
        note = "printed to three decimals" if lines == 500 else ""
        yield Case(power + "array", *what, cells, "W", partial(array, kind), 0.05 if note else 0.02, note)
        yield Case(
            power + "throughput",
            *what,
            tops,
            "TOPS",
            partial(throughput, kind, lines),
            0.02,
        )


# --- replicas ---------------------------------------------------------------------------------------------------------


def _rapa() -> Iterator[Case]:
    """Array time; the readout, which the paper leaves out, is one vector."""

    def serial(*replicas: int) -> float:
        timed = _inferred("rapa-cifar", 1, "sequential", replicas)
        return sum(float(len(timed.driving(layer))) for layer in range(3))

    def pipelined(*replicas: int) -> float:
        """What three more images take; not the last two's distance, as images overtake each other on the mesh."""
        few, more = (_inferred("rapa-cifar", images, "layer-pipelined", replicas).seconds for images in (3, 6))
        return more - few

    def faster(taken: Callable[..., float], replicas: tuple[int, ...]) -> float:
        return taken(1, 1, 1) / taken(*replicas)

    what = "RAPA-ConvNets", RAPA, "derived"
    for replicas, together, one_by_one in (((16, 4, 1), 16.0, 7.0), ((64, 16, 4), 64.0, 28.0)):
        name = "RAPA: replicas " + ":".join(map(str, replicas))
        yield Case(
            f"{name}, speed-up pipelined",
            *what,
            together,
            "1",
            partial(faster, pipelined, replicas),
            0.1,
        )
        yield Case(
            f"{name}, speed-up layer after layer",
            *what,
            one_by_one,
            "1",
            partial(faster, serial, replicas),
            0.01,
        )


# --- NeuroSim ---------------------------------------------------------------------------------------------------------

SAMPLES, BATCH = 50_000, 200


@dataclass(frozen=True)
class _Epoch:
    """Seconds and joules of one epoch, by what NeuroSim calls the phases."""

    forward: float
    gradient: float
    weight_gradient: float
    weight_update: float
    joules: float
    joules_without_standby: float
    joules_dram: float


@cache
def _epoch() -> _Epoch:
    """Of equal mini-batches, each found as `large_batch` says.

    The gradient is collected digitally and written once per mini-batch (mixed precision), as NeuroSim's chip does.
    """
    cells = build("mixed-precision-reram-es")
    placement = place_by_name("vgg8", "neurosim-vgg8", "digital", cells)
    plan, learning = make_plan(placement), assumed(cells)
    ledger, events = account(plan, BATCH, lambda number: assumed_activity(placement, number, True, number, learning))

    def seconds(picoseconds: int, times: int) -> float:
        return picoseconds * times / PICOSECONDS_PER_SECOND

    def joules(chosen: Callable[[str, str], bool]) -> float:
        of_one = sum(zj for (part, phase, _), zj in ledger.energy.items() if chosen(part, phase))
        return of_one * (SAMPLES // BATCH) / ZEPTOJOULES_PER_JOULE

    vectors = np.array([layer.placed.layer.vectors for layer in plan.layers])[events.layer]
    of_first = (events.op == Op.DRIVE) & (events.vector < vectors)
    forward, backward = (int(events.end[of_first & (events.phase == p)].max()) for p in (Phase.FORWARD, Phase.BACKWARD))
    written = events.makespan_ps - int(events.end[events.phase == Phase.UPDATE].max())
    whole, update = (seconds(ps, SAMPLES // BATCH) for ps in (ledger.time_ps, written))
    return _Epoch(
        forward=seconds(forward, SAMPLES),
        gradient=seconds(backward - forward, SAMPLES),
        weight_gradient=whole - update - seconds(backward, SAMPLES),
        weight_update=update,
        joules=joules(lambda part, phase: True),
        joules_without_standby=joules(lambda part, phase: phase != STANDBY),
        joules_dram=joules(lambda part, phase: part == "DRAM" and phase != STANDBY),
    )


def _neurosim() -> Iterator[Case]:
    what = "NeuroSim", NEUROSIM, "seen"
    rows = [
        (
            "forward",
            37.9,
            "s",
            lambda: _epoch().forward,
            "2690 vectors an image of 144 ns each on all sub-arrays of a layer (19.4 s), and ways between tiles; "
            "NeuroSim's buffers and H-tree take longer than our mesh",
        ),
        (
            "activation gradient",
            30.2,
            "s",
            lambda: _epoch().gradient,
            "as long as forward on the layers that go back, which the first, with 1024 of the vectors, does not; "
            "shorter than NeuroSim's for the same reason",
        ),
        (
            "weight gradient",
            53.3,
            "s",
            lambda: _epoch().weight_gradient,
            "64 digital lanes per tile sum up outer products here, one digital unit those of both first layers; "
            "NeuroSim has SRAM arrays that multiply for it",
        ),
        (
            "weight update",
            1.35,
            "s",
            lambda: _epoch().weight_update,
            "rows of all sub-arrays at once, most of them while slower layers still sum up",
        ),
        (
            "energy",
            88.6,
            "J",
            lambda: _epoch().joules,
            "with the standby power of DRAM, digital units and buffers, which NeuroSim leaves out",
        ),
        (
            "energy without standby",
            88.6,
            "J",
            lambda: _epoch().joules_without_standby,
            "DRAM moves less (next row); of the rest, 12.6 J in NeuroSim, most here are outer products that digital "
            "units sum up, where it has SRAM arrays",
        ),
        (
            "energy of DRAM without standby",
            76.0,
            "J",
            lambda: _epoch().joules_dram,
            "NeuroSim moves every image's weight gradient through DRAM (13 million weights of 8 bits at 14 pJ/b: 73 J "
            "an epoch), here the sum of a mini-batch goes; most of ours is inputs and errors that no buffer holds. "
            "Found from mini-batches of 2 and 3 samples that wait where those of 200 do, group by group",
        ),
    ]
    for name, published, unit, simulated, note in rows:
        yield Case(f"VGG-8 epoch: {name}", *what, published, unit, simulated, None, note)

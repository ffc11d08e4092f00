"""Rates and efficiencies of whole systems: found by events, from the costs of their components."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial

from rpusim.arch.account.ledger import RESTING
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.engine.events import Op
from rpusim.workloads.studies.published.case import Simulated
from rpusim.workloads.studies.published.outer_products import panther
from rpusim.workloads.studies.published.timed import Timed, chain, on_chip, one_tile, perceptron

TERA, GIGA, VECTORS = 1e12, 1e9, 50


def systems() -> Simulated:
    """Find what is predicted of whole systems, by the names of the rows."""
    found = {**_rpu_chip(), **_neurram(), **_hermes_chip(), **_puma(), **_pipelayer(), **_yao()}
    return {**found, **_ambrogio(), **panther()}


def _rpu_chip() -> Simulated:
    """Send vectors through fifty full tiles, each layer with an activation; the design for large networks."""
    tiles, lines = 50, 4096
    operations = 2 * tiles * lines * (lines - 1)

    def more(activation: str) -> tuple[float, float]:
        """Return seconds and joules of one more vector, once all tiles are busy."""
        few, many = (chain("rpu-2016", tiles, lines, activation, vectors) for vectors in (100, 200))
        return (many.seconds - few.seconds) / 100, (many.joules - few.joules) / 100

    def rate(activation: str) -> float:
        return operations / more(activation)[0] / TERA

    def power() -> float:
        seconds, joules = more("relu")
        return joules / seconds

    return {
        "rpu-chip/rate": lambda: rate("relu"),
        "rpu-chip/rate-sigmoid": lambda: rate("sigmoid"),
        "rpu-chip/efficiency": lambda: operations / more("relu")[1] / TERA,
        "rpu-chip/power": power,
    }


def neurram(outputs: int, inputs: int) -> Chip:
    """Take one core of NeuRRAM at other resolutions than its preset has.

    outputs, inputs: bits, signs included; (3, 1), (5, 3) or (7, 5), for which there are cards. An input of 1 bit has no
    sign, but takes one integration as one with a sign and 1 bit does.
    """
    core = one_tile("neurram-2022")
    kind, tag = core.tiles[0], f"{inputs}b"
    changed = {
        "inputs": kind.inputs.model_copy(update={"bits": max(inputs, 2), "card": f"neurram-2022/drivers-{tag}"}),
        "array": kind.array.model_copy(update={"cell": f"neurram-2022/array-{tag}"}),
        "adc": kind.adc.model_copy(
            update={
                "bits": outputs,
                "rate": float(f"{1 / (0.3e-6 * (outputs + 1)):.10g}"),
                "card": f"neurram-2022/neuron-{outputs}b-{tag}",
            }
        ),
    }
    return core.model_copy(update={"tiles": (kind.model_copy(update=changed),)})


@cache
def _core(outputs: int, inputs: int) -> Timed:
    return on_chip(neurram(outputs, inputs), 128, 256, VECTORS)


def _neurram() -> Simulated:
    operations, cores = 2 * 128 * 256, Chip.load("neurram-2022").tile_count

    def rate(outputs: int, inputs: int) -> float:
        return cores * operations / _core(outputs, inputs).cycle / TERA

    def efficiency(outputs: int, inputs: int) -> float:
        return operations * VECTORS / _core(outputs, inputs).joules / TERA

    found: Simulated = {}
    for outputs, inputs in ((3, 1), (5, 3), (7, 5)):
        found[f"neurram/rate-{outputs}-{inputs}"] = partial(rate, outputs, inputs)
        found[f"neurram/efficiency-{outputs}-{inputs}"] = partial(efficiency, outputs, inputs)
    return found


def _hermes_chip() -> Simulated:
    def efficiency() -> float:
        return 2 * 256 * 256 * VECTORS / on_chip(one_tile("hermes-2023"), 256, 256, VECTORS).joules / TERA

    return {"hermes-chip/efficiency": efficiency}


def _puma() -> Simulated:
    """Multiply by 128 x 128 weights of 16 bits with ISAAC's arrays, drivers and converters."""
    parts = ("array", "ADC", "input drivers", "sample-and-hold", "shift-and-add")

    @cache
    def timed() -> Timed:
        return on_chip(one_tile("isaac-2016"), 128, 128, 1)

    def time() -> float:
        """Find how long it is from the first driven bit to the last conversion of one vector."""
        events = timed().events
        first, last = events.start[events.op == Op.DRIVE].min(), events.end[events.op == Op.CONVERT].max()
        return float(last - first) / PICOSECONDS_PER_SECOND * 1e6

    def energy() -> float:
        of_parts = (
            zj for (part, phase, _), zj in timed().ledger.energy.items() if part in parts and phase not in RESTING
        )
        return sum(of_parts) / ZEPTOJOULES_PER_JOULE * 1e9

    return {"puma/time": time, "puma/energy": energy}


def _pipelayer() -> Simulated:
    """Keep one tile of 128 x 128 weights busy, and compare what it does per joule and per area."""
    operations = 2 * 128 * 128

    @cache
    def timed() -> Timed:
        return on_chip(one_tile("pipelayer-2017"), 128, 128, VECTORS)

    def density() -> float:
        area = bill_of_parts(one_tile("pipelayer-2017")).area_m2 * 1e6
        return operations / timed().cycle / area / GIGA

    efficiency: Callable[[], float] = lambda: operations * VECTORS / timed().joules / GIGA  # noqa: E731
    return {"pipelayer/efficiency": efficiency, "pipelayer/density": density}


def _yao() -> Simulated:
    """Keep one array of 128 inputs and 8 outputs busy."""

    def efficiency() -> float:
        return 2 * 128 * 8 * VECTORS / on_chip(one_tile("yao-2020"), 128, 8, VECTORS).joules / GIGA

    return {"yao/efficiency": efficiency}


def _ambrogio() -> Simulated:
    """Send vectors through full layers on all tiles of the speech chip, and one keyword through a network of four."""

    def efficiency() -> float:
        tiles, lines = 34, 512
        few, many = (perceptron("ambrogio-2023", (lines,) * (tiles + 1), vectors) for vectors in (50, 100))
        return 2 * tiles * lines**2 * 50 / (many.joules - few.joules) / TERA

    def keywords() -> float:
        return perceptron("ambrogio-2023", (1960, 512, 512, 512, 12), 1).seconds * 1e6

    return {"ambrogio/efficiency": efficiency, "ambrogio/keywords": keywords}

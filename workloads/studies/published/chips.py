"""Published figures of chips, rolled up from the cost cards of ours."""

from __future__ import annotations

from functools import cache, partial

from rpusim.arch.chips.bill_of_parts import BillOfParts, bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.workloads.studies.published.case import Simulated
from rpusim.workloads.studies.published.timed import Timed, one_layer


@cache
def _bill(preset: str) -> BillOfParts:
    """Return the parts of a chip that ships, with their costs."""
    return bill_of_parts(Chip.load(preset))


def isaac() -> Simulated:
    """Find power and area of ISAAC, and its rate by events."""

    def tile(figure: str) -> float:
        """Add up a tile with its share of the routers, as the table counts."""
        bill = _bill("isaac-2016")
        own = sum(float(getattr(part, figure)) for part in bill.tiles[0].values())
        return own + float(getattr(bill.chip_wide["links"], figure)) / bill.chip.tile_count

    def chip(figure: str) -> float:
        return sum(_bill("isaac-2016").total(figure).values())

    def rate() -> float:
        kind = Chip.load("isaac-2016").tiles[0]
        weights = kind.count * kind.array.arrays * kind.array.columns * kind.array.weight_rows
        return 2 * weights / one_layer("isaac-2016", 0, kind.array.columns).cycle * 1e-12

    return {
        "isaac/tile-power": lambda: tile("full_power_w") * 1e3,
        "isaac/tile-area": lambda: tile("area_m2") * 1e6,
        "isaac/chip-power": lambda: chip("full_power_w"),
        "isaac/chip-area": lambda: chip("area_m2") * 1e6,
        "isaac/rate": rate,
    }


def hermes() -> Simulated:
    """Find speed, efficiency and density of the HERMES core."""
    operations = 2 * 256 * 256

    def timed() -> Timed:
        return one_layer("hermes-2021", 0, 256)

    def area() -> float:
        return sum(part.area_m2 for part in _bill("hermes-2021").tiles[0].values())

    return {
        "hermes/throughput": lambda: operations / timed().cycle * 1e-12,
        "hermes/efficiency": lambda: operations * 50 / timed().joules * 1e-12,
        "hermes/multiplication": lambda: timed().joules / 50 * 1e9,
        "hermes/density": lambda: operations / timed().cycle / area() * 1e-18,
    }


def haensch() -> Simulated:
    """Find power and speed of the arrays of three sizes in Haensch et al."""

    def converters(kind: int, lines: int) -> float:
        adc = _bill("haensch-2018").tiles[kind]["ADC"]
        return adc.full_power_w * (lines / 16) / adc.busy_units

    def array(kind: int) -> float:
        part = _bill("haensch-2018").tiles[kind]["array"]
        read = part.actions["read"]
        return part.units * read.energy_zj / ZEPTOJOULES_PER_JOULE / (read.latency_ps / PICOSECONDS_PER_SECOND)

    def throughput(kind: int, lines: int) -> float:
        return 2 * lines**2 / one_layer("haensch-2018", kind, lines).cycle * 1e-12

    found: Simulated = {}
    for kind, lines in enumerate((500, 1000, 4000)):
        found[f"haensch/adc-{lines}"] = partial(converters, kind, lines)
        found[f"haensch/array-{lines}"] = partial(array, kind)
        found[f"haensch/throughput-{lines}"] = partial(throughput, kind, lines)
    return found


def neurram_area() -> Simulated:
    """Find the area of the parts of a NeuRRAM core that its authors print."""

    def core() -> float:
        parts = _bill("neurram-2022").tiles[0]
        return sum(parts[name].area_m2 for name in ("ADC", "input drivers", "array")) * 1e6

    return {"neurram-area/core": core}

"""Published figures of chips, rolled up from the cost cards of ours."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial

from rpusim.arch.chips.bill_of_parts import BillOfParts, bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.workloads.studies.published.case import Case
from rpusim.workloads.studies.published.timed import Timed, one_layer

ISAAC = "Shafiee et al., ISCA 2016, Table I"
HAENSCH = "Haensch, Gokmen & Puri 2018, Proc. IEEE 107:108"
HERMES = "Khaddam-Aljameh et al. 2022, IEEE J. Solid-State Circuits 57:1027"


@cache
def _bill(preset: str) -> BillOfParts:
    """Return the parts of a chip that ships, with their costs."""
    return bill_of_parts(Chip.load(preset))


def isaac() -> Iterator[Case]:
    """List power and area of ISAAC."""

    def tile(figure: str) -> float:
        """Add up a tile with its share of the routers, as the table counts."""
        bill = _bill("isaac-2016")
        own = sum(float(getattr(part, figure)) for part in bill.tiles[0].values())
        return own + float(getattr(bill.chip_wide["links"], figure)) / bill.chip.tile_count

    def chip(figure: str) -> float:
        return sum(_bill("isaac-2016").total(figure).values())

    what = "component costs", ISAAC, "secondary"
    yield Case("ISAAC: tile power", *what, 330.0, "mW", lambda: tile("full_power_w") * 1e3, 0.005)
    yield Case("ISAAC: tile area", *what, 0.372, "mm2", lambda: tile("area_m2") * 1e6, 0.005)
    yield Case("ISAAC: chip power", *what, 65.8, "W", lambda: chip("full_power_w"), 0.005)
    yield Case("ISAAC: chip area", *what, 85.4, "mm2", lambda: chip("area_m2") * 1e6, 0.005)


def hermes() -> Iterator[Case]:
    """List speed, efficiency and density of the HERMES core."""
    operations = 2 * 256 * 256

    def timed() -> Timed:
        return one_layer("hermes-2021", 0, 256)

    def area() -> float:
        return sum(part.area_m2 for part in _bill("hermes-2021").tiles[0].values())

    what = "component costs", HERMES, "secondary"
    note = "the split among parts is ours, the sums are the paper's"
    yield Case("HERMES: throughput", *what, 1.008, "TOPS", lambda: operations / timed().cycle * 1e-12, 0.005, note)
    yield Case(
        "HERMES: efficiency", *what, 10.5, "TOPS/W", lambda: operations * 50 / timed().joules * 1e-12, 0.02, note
    )
    yield Case("HERMES: energy per multiplication", *what, 12.5, "nJ", lambda: timed().joules / 50 * 1e9, 0.02, note)
    yield Case(
        "HERMES: density", *what, 1.59, "TOPS/mm2", lambda: operations / timed().cycle / area() * 1e-18, 0.01, note
    )


def haensch() -> Iterator[Case]:
    """List power and speed of the arrays of three sizes in Haensch et al."""

    def converters(kind: int, lines: int) -> float:
        adc = _bill("haensch-2018").tiles[kind]["ADC"]
        return adc.full_power_w * (lines / 16) / adc.busy_units

    def array(kind: int) -> float:
        part = _bill("haensch-2018").tiles[kind]["array"]
        read = part.actions["read"]
        return part.units * read.energy_zj / ZEPTOJOULES_PER_JOULE / (read.latency_ps / PICOSECONDS_PER_SECOND)

    def throughput(kind: int, lines: int) -> float:
        return 2 * lines**2 / one_layer("haensch-2018", kind, lines).cycle * 1e-12

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

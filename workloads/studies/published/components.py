"""Costs of single parts on our cards, for comparison with what independent estimators give for the same part."""

from __future__ import annotations

from collections.abc import Callable

from rpusim.arch.chips.library import library
from rpusim.arch.parts.adc_survey import area_of_converter, energy_per_conversion
from rpusim.arch.parts.part import Card
from rpusim.workloads.studies.published.case import Simulated


def components() -> Simulated:
    """Read energies, areas and leakages of cards, each in the unit of its row."""

    def of(card: str, figure: Callable[[Card], float], unit: float) -> Callable[[], float]:
        return lambda: figure(library()[card]) / unit

    def conversion(card: Card) -> float:
        """Joules of one conversion; where the card has a power, over one period of its rate."""
        if card.power is None:
            return card.energy["convert"]
        assert card.rated_rate is not None, "a converter's card has a rate"
        return card.power / card.rated_rate

    def bit(card: Card) -> float:
        """Joules of one bit read; where the card has a power, at its full bandwidth."""
        if card.power is None:
            return card.energy["read"]
        assert card.rated_bandwidth is not None, "a memory's card has a bandwidth"
        return card.power / card.rated_bandwidth

    def operation(card: Card) -> float:
        """Joules of the cheapest arithmetic operation: an addition, where operations have classes."""
        return card.energy["add" if "add" in card.energy else "operation"]

    pico, femto, square_micron = 1e-12, 1e-15, 1e-12
    return {
        "adc/haensch": of("haensch-2018/adc", conversion, pico),
        "adc/isaac": of("isaac-2016/adc", conversion, pico),
        "adc/isaac-area": of("isaac-2016/adc", lambda card: card.area, square_micron),
        "adc/murmann": lambda: energy_per_conversion(8, 1e9, 14e-9) / pico,
        "adc/murmann-area": lambda: area_of_converter(8, 1e9, 14e-9) / square_micron,
        "adc/zigzag": of("murmann-survey/adc-8b-1gs-14nm", conversion, pico),
        "adc/ramp": of("gates-28nm/ramp-adc-8b", conversion, pico),
        "adc/ramp-area": of("gates-28nm/ramp-adc-8b", lambda card: card.area, square_micron),
        "adc/flash": of("neurosim-2021/flash-adc-6b", conversion, femto),
        "adc/flash-area": of("neurosim-2021/flash-adc-6b", lambda card: card.area, square_micron),
        "digital/dac": of("gates-28nm/dac-8b", lambda card: card.energy["drive"], pico),
        "digital/alu": of("puma-2019/alu", operation, pico),
        "digital/leakage": of("puma-2019/alu", lambda card: card.leakage / card.area, 1e3),  # mW/mm2 in W/m2
        "digital/hop": of("puma-2019/router", lambda card: card.energy["bit"], pico),
        "memories/read-64kb": of("puma-2019/edram", bit, femto),
        "memories/write-64kb": of("puma-2019/edram", lambda card: card.energy["write"], femto),
        "memories/isaac-64kb": of("isaac-2016/edram", bit, femto),
        "memories/area-64kb": of("puma-2019/edram", lambda card: card.area, 1e-6),
        "memories/leakage-64kb": of("puma-2019/edram", lambda card: card.leakage, 1e-6),
        "memories/read-registers": of("gates-28nm/registers-4kb", bit, femto),
        "memories/write-registers": of("gates-28nm/registers-4kb", lambda card: card.energy["write"], femto),
        "memories/hbm2": of("dram/hbm2", bit, pico),
    }

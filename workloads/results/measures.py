"""The figures by which runs are compared: where a result has them, in which unit, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rpusim.arch.contract.quantity import AREA, ENERGY, POWER, TIME, Dimension


@dataclass(frozen=True)
class Measure:
    """A figure of a result.

    label:      for people.
    unit:       in which it is kept.
    path:       where the result's document has it, by keys; the last entry of a list by -1, the one of a test error
                that was reached by that.
    better:     "lower" or "higher".
    dimension:  reads quantities with units; None: plain numbers.
    above:      where the document has what is taken off; empty: nothing is.
    beside:     where the document has what is added, if it has it; empty: nothing is.
    """

    label: str
    unit: str
    path: tuple[str | int | float, ...]
    better: str = "lower"
    dimension: Dimension | None = None
    above: tuple[str | int, ...] = ()
    beside: tuple[str | int, ...] = ()

    def of(self, document: Mapping[str, Any]) -> float | None:
        """Return the figure; None if the document has none."""
        found = _at(document, self.path)
        base = _at(document, self.above) if self.above else 0.0
        more = _at(document, self.beside) if self.beside else None
        return None if found is None or base is None else found - base + (more or 0.0)

    def parse(self, given: object) -> float:
        """Read a limit as a user gives it: "50 mm2", or a plain number where the figure has no unit.

        Raises ValueError for anything else.
        """
        if self.dimension is not None:
            return self.dimension.parse(given)
        if isinstance(given, bool) or not isinstance(given, int | float):
            raise ValueError(f"got {given!r}, but {self.label} needs a number")
        return float(given)


def _at(document: Mapping[str, Any], path: tuple[str | int | float, ...]) -> float | None:
    """Follow keys into a document; None if there is no number."""
    found: Any = document
    for step in path:
        if isinstance(step, float):
            found = next((each for each in found or () if each["test_error"] == step), None)
            continue
        named = isinstance(found, Mapping) and step in found
        if not named and not (isinstance(found, list) and found and isinstance(step, int)):
            return None
        found = found[step]
    return float(found) if isinstance(found, int | float) else None


_ERROR, _THERE = ("accuracy", "test_error"), ("accuracy", "test_error_floating_point")
_DISTURBED, _MOST = ("accuracy", "robustness"), (-1, "test_error")
_SUMS, _TEN = ("calibration", "total"), ("accuracy", "reached", 0.1)
MEASURES: dict[str, Measure] = {
    "error": Measure("test error", "1", _ERROR),
    "error_floating_point": Measure("test error in floating point", "1", _THERE),
    "penalty": Measure("test error above floating point", "1", _ERROR, above=_THERE),
    "time": Measure("time per sample", "s", ("time", "per_sample_s"), dimension=TIME),
    "energy": Measure("energy per sample", "J", ("energy", "per_sample_J"), dimension=ENERGY),
    "area": Measure("area", "m2", ("area", "total_m2"), dimension=AREA),
    "power": Measure("average power", "W", ("power", "average_W"), dimension=POWER),
    "training_time": Measure("training time", "s", ("accuracy", "curve", -1, "seconds"), dimension=TIME),
    "training_energy": Measure("training energy", "J", ("accuracy", "curve", -1, "joules"), dimension=ENERGY),
    "pulses": Measure("pulses per cell", "1", ("accuracy", "curve", -1, "pulses_per_cell")),
    "calibration_time": Measure("time of calibration", "s", ("calibration", "seconds"), dimension=TIME),
    "calibration_energy": Measure("energy of calibration", "J", ("calibration", "joules"), dimension=ENERGY),
    "calibrated_time": Measure("training time with calibration", "s", (*_SUMS, "seconds_with"), dimension=TIME),
    "calibrated_energy": Measure("training energy with calibration", "J", (*_SUMS, "joules_with"), dimension=ENERGY),
    "calibrated_pulses": Measure("pulses per cell with calibration", "1", (*_SUMS, "pulses_per_cell_with")),
    "time_to_10": Measure("time to a test error of 10 %", "s", (*_TEN, "seconds"), dimension=TIME),
    "energy_to_10": Measure("energy to a test error of 10 %", "J", (*_TEN, "joules"), dimension=ENERGY),
    "pulses_to_10": Measure("pulses per cell to a test error of 10 %", "1", (*_TEN, "pulses_per_cell")),
    **{
        f"calibrated_{name}_to_10": Measure(
            f"{label} to a test error of 10 %, calibration included",
            unit,
            (*_TEN, key),
            "lower",
            dimension,
            beside=("calibration", key),
        )
        for name, label, unit, key, dimension in (
            ("time", "time", "s", "seconds", TIME),
            ("energy", "energy", "J", "joules", ENERGY),
            ("pulses", "pulses per cell", "1", "pulses_per_cell", None),
        )
    },
    "similarity": Measure("similarity of replicas", "1", ("accuracy", "curve", -1, "similarity"), "higher"),
    "error_with_noise": Measure("test error with the most noise in samples", "1", (*_DISTURBED, "noise", *_MOST)),
    "error_adversarial": Measure("test error of adversarial samples", "1", (*_DISTURBED, "adversarial", *_MOST)),
    "throughput": Measure("operations per second", "op/s", ("throughput", "ops_per_s"), "higher"),
    "efficiency": Measure("operations per joule", "op/J", ("throughput", "ops_per_J"), "higher"),
    "utilisation": Measure("utilisation of arrays", "1", ("tiles", "utilisation"), "higher"),
    "arrays": Measure("arrays used", "1", ("tiles", "arrays")),
}
"""By the name that a study file uses."""


def figures(document: Mapping[str, Any]) -> dict[str, float]:
    """Return every figure that a result's document has, by name."""
    found: dict[str, float | None] = {name: measure.of(document) for name, measure in MEASURES.items()}
    return {name: value for name, value in found.items() if value is not None}

"""One run as it is compared: what it was set to, the numbers that went in, and its figures."""

from __future__ import annotations

import math
import shlex
from dataclasses import dataclass, field
from typing import Any

from rpusim.workloads.results.measures import MEASURES

_COMPARED = ("error", "error_floating_point", "time", "energy", "area", "power")
METRICS = (*_COMPARED, "peak_power")
"""Names of the figures that are compared; of runs that train, the cost of that comes to these."""
_TRAINING = ("training_time", "training_energy")
_CURVE = ("epoch", "test_error", "seconds", "joules")
_SOURCES = ("source", "sources")
_NO_SETTINGS = ("--chip", "--out", "--json", "--what-if")


@dataclass(frozen=True)
class Run:
    """One run, of a run folder or of a point in a study.

    name:            what it is called: its folder, or the study and the beginning of the point's name.
    settings:        path to value of everything it was set to, but for the seed.
    numbers:         field to (value, unit) of what went in besides; empty for a point without a run folder.
    seed:            of weights, devices and order of samples; None if nothing was computed.
    metrics:         name to value, SI.
    energy_by_part:  of a sample (J).
    curve:           rows of epoch, test error, seconds, joules; empty if nothing was learned.
    test_samples:    how many samples the test error was counted on; 0 if not known.
    folder:          of the run, as it was found; a point of a study need not have one.
    is_point:        whether it is a point of a study, whose folder is named by a number.
    """

    name: str
    settings: dict[str, Any]
    numbers: dict[str, tuple[Any, str]]
    seed: int | None
    metrics: dict[str, float]
    energy_by_part: dict[str, float]
    curve: list[list[float]] = field(default_factory=list)
    test_samples: int = 0
    folder: str = ""
    is_point: bool = False


def of_result(document: dict[str, Any], name: str, folder: str) -> Run:
    """Read what is compared of a result.

    document: what result.json holds. name: what to call the run. folder: where it lies.

    Raises LookupError, TypeError or ValueError for a document that is not whole.
    """
    curve = document.get("accuracy", {}).get("curve", [])
    there: dict[str, Any] = {name: MEASURES[name].of(document) for name in (*_COMPARED, *_TRAINING)}
    there["peak_power"] = document.get("power", {}).get("peak_W")
    metrics = {name: float(there[name]) for name in (*METRICS, *_TRAINING) if is_number(there[name])}
    samples = document["energy"]["total_J"] / document["energy"]["per_sample_J"]
    return Run(
        name,
        settings(document),
        {
            row["field"]: (row["value"], row["unit"])
            for row in document["provenance"]
            if not row["field"].startswith("experiment.")
        },
        document.get("seed"),
        metrics,
        {part: joules / samples for part, joules in document["energy"]["by_part"].items()},
        [[float(point[key]) for key in _CURVE] for point in curve],
        document.get("accuracy", {}).get("test_samples", 0),
        folder,
    )


def of_point(point: dict[str, Any], study: dict[str, Any], folder: str) -> Run:
    """Read what is compared of a study's point from what the study says of it.

    point:   one of the study's ``points`` that is done.
    study:   what study.json holds.
    folder:  where the point's run folder lies, if it has one.
    """
    return Run(
        point["id"],
        {"study": study["base"], "version": study["version"], **point["settings"]},
        {},
        point["seed"],
        {metric: float(value) for metric, value in point["metrics"].items() if is_number(value)},
        dict(point.get("energy_by_part") or {}),
        [list(row) for row in point.get("curve") or []],
        point.get("test_samples", 0),
        folder,
        is_point=True,
    )


def settings(document: dict[str, Any]) -> dict[str, Any]:
    """Find what a run was set to: network, chip, version, and what the experiment or the command says.

    Returns dotted path to value. The seed and the sources of numbers are left out.
    """
    found = {name: document[name] for name in ("network", "chip", "version")}
    if "training" in document:
        return found | dict(_flat(document["training"], ""))
    words = shlex.split(document.get("command", ""))[3:]  # rpusim time NETWORK ...
    given: dict[str, Any] = {"schedule": document["activity"]["schedule"]}
    while words:
        option = words.pop(0)
        value: object = True
        if words and not words[0].startswith("--"):
            value = words.pop(0)
        if option in ("--training", "--inference"):
            given["pass"] = option[2:]
        elif option not in _NO_SETTINGS:
            given[option.lstrip("-").replace("-", "_")] = value
    return found | given


def _flat(value: dict[str, Any], before: str) -> list[tuple[str, Any]]:
    """List the settings in nested mappings with dotted paths; a device with its parameters is one setting."""
    found: list[tuple[str, Any]] = []
    for key, each in value.items():
        if key in _SOURCES:
            continue
        if isinstance(each, dict) and key != "device":
            found += _flat(each, f"{before}{key}.")
        else:
            found.append((f"{before}{key}", each))
    return found


def is_number(value: object) -> bool:
    """Tell whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""What a study or a comparison says, as labels and texts; its tables and its page get their words from here alone.

A document of a study (docs/compare.md) has settings that vary, metrics, points (one run each) and groups: points that
differ in the seed alone. A metric of a group is a mean with an interval, and is written with it.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

from rpusim.reports.words.readable import age, area, percent, si, significant, tera

Document = dict[str, Any]
Group = dict[str, Any]

METRICS: dict[str, tuple[str, str]] = {
    "error": ("test error", "1"),
    "error_floating_point": ("error in floating point", "1"),
    "time": ("time per sample", "s"),
    "energy": ("energy per sample", "J"),
    "area": ("area", "m2"),
    "power": ("average power", "W"),
    "peak_power": ("peak power", "W"),
    "training_time": ("time of the training", "s"),
    "training_energy": ("energy of the training", "J"),
    "throughput": ("throughput", "1/s"),
    "efficiency": ("efficiency", "1/J"),
    "utilisation": ("utilisation", "1"),
}
"""Label and unit of metrics about which the document itself says nothing."""


@dataclass(frozen=True)
class Metric:
    """One metric of a study: its name in the document, how a person calls it, its unit, and which way is better.

    better: "lower" or "higher"; empty if the study does not aim at it.
    """

    name: str
    label: str
    unit: str
    better: str = ""

    def text(self, value: float) -> str:
        """Write a value of the metric with its unit."""
        if self.unit == "1":
            return percent(value) if _is_share(self.name) else significant(value)
        if self.unit in _RATES:
            return tera(value, _RATES[self.unit])
        return area(value) if self.unit == "m2" else si(value, self.unit)

    def among(self, value: dict[str, Any] | None) -> str:
        """Write a mean with its interval; "–" if there is none.

        >>> Metric("error", "test error", "1").among({"mean": 0.02, "low": 0.015, "high": 0.027, "n": 3})
        '2.0% (1.5% to 2.7%)'
        """
        if (mean := number(value and value.get("mean"))) is None:
            return "–"
        span = self.span(value)
        return f"{self.text(mean)} ({span})" if span else self.text(mean)

    def span(self, value: dict[str, Any] | None) -> str:
        """Write an interval alone; empty if it is too narrow to be seen in the digits, or not known."""
        low, high = (number(value and value.get(end)) for end in ("low", "high"))
        if low is None or high is None:
            return ""
        ends = self.text(low), self.text(high)
        return "" if ends[0] == ends[1] else " to ".join(ends)


_RATES = {"1/s": "OPS", "1/J": "OPS/W"}
"""Operations per second and per joule, as accelerators are compared."""


def _is_share(name: str) -> bool:
    """Tell whether a pure number is a share of one, which is written in percent."""
    return any(word in name for word in ("error", "utilisation", "accuracy", "share"))


def number(value: object) -> float | None:
    """Return a finite number as a float; None for anything else, such as the word "inf"."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def metrics(document: Document) -> list[Metric]:
    """List the metrics that the groups of a study have: its goals first, then the others, as it names them."""
    goals = [Metric(g["name"], g["label"], g["unit"], g["better"]) for g in document["goals"]]
    named = {goal.name for goal in goals}
    said = {m["name"]: (m["label"], m["unit"]) for m in document.get("measures", [])}
    there = {name: None for group in document["groups"] for name in group["metrics"]}
    unknown = {name: (name.replace("_", " "), "") for name in there}
    others = [Metric(name, *(unknown | METRICS | said)[name]) for name in there if name not in named]
    order = list(METRICS)
    return goals + sorted(others, key=lambda m: (order.index(m.name) if m.name in order else len(order), m.name))


def short_names(paths: list[str]) -> dict[str, str]:
    """Shorten dotted paths to their last words, as long as they stay apart; an index keeps the word before it.

    >>> short_names(["tiles.0.adc.bits", "device", "tiles.0.array.cell_bits", "tiles.0.dac.bits"])
    {'tiles.0.adc.bits': 'adc.bits', 'device': 'device', 'tiles.0.array.cell_bits': 'cell_bits', \
'tiles.0.dac.bits': 'dac.bits'}
    """
    words = {path: path.split(".") for path in paths}
    long = {path: 1 for path in paths}
    while True:
        names = {path: ".".join(words[path][-long[path] :]) for path in paths}
        alike = Counter(names.values())
        grown = False
        for path, name in names.items():
            if (alike[name] > 1 or name.split(".")[0].isdecimal()) and long[path] < len(words[path]):
                long[path] += 1
                grown = True
        if not grown:
            return names


def setting(value: object) -> str:
    """Write the value of a setting: "–" where it has none, a mapping as JSON, a device by its model.

    >>> setting(6), setting(None), setting(True), setting({"model": "ecram", "dw_min": 0.01}), setting("80 ns")
    ('6', '–', 'yes', 'ecram (dw_min 0.01)', '80 ns')
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict) and isinstance(value.get("model"), str):
        rest = ", ".join(f"{key} {setting(each)}" for key, each in value.items() if key != "model")
        return f"{value['model']} ({rest})" if rest else value["model"]
    return str(value) if isinstance(value, int | str) else json.dumps(value, ensure_ascii=False)


def settings_text(document: Document, settings: dict[str, Any]) -> str:
    """Name a point by its settings: "bits 6, ecram"; for a study in which nothing varies "as given".

    A word that only one setting can have stands alone, other values follow the setting's name.
    """
    names = short_names([each["path"] for each in document["settings"]])
    alone = Counter(value for each in document["settings"] for value in each["values"] if isinstance(value, str))
    words = [
        setting(value) if isinstance(value, str) and alone[value] == 1 else f"{names[path]} {setting(value)}"
        for path, value in settings.items()
        if path in names and value is not None
    ]
    return ", ".join(words) or "as given"


def name(document: Document, group: Group) -> str:
    """Name a group: as the document does, else by its settings."""
    return str(group.get("name") or settings_text(document, group["settings"]))


def by_id(document: Document) -> dict[str, dict[str, Any]]:
    """Name the points of a study by their ids."""
    return {point["id"]: point for point in document["points"]}


def question(document: Document) -> str:
    """Say what was asked, where that is not what the title says."""
    return "" if document["question"] in (document.get("title"), document["name"]) else str(document["question"])


def subtitle(document: Document) -> str:
    """Say what was varied on what, in one line."""
    kind = "trained" if document["kind"] == "run" else "timed, not trained"
    groups, points = len(document["groups"]), len(document["points"])
    seeds = max((group.get("seeds", 1) for group in document["groups"]), default=1)
    parts = [document["base"], kind, f"{groups:,} combinations" if groups != 1 else "1 combination"]
    if seeds > 1:
        parts.append(f"{seeds} seeds")
    parts += [f"{points:,} points" if points != 1 else "1 point", f"rpusim {document['version']}"]
    return " · ".join(parts)


def varied(document: Document) -> list[tuple[str, str]]:
    """Say what varied: each setting's path with its values."""
    return [(each["path"], _values(each["values"])) for each in document["settings"]]


def _values(values: list[Any]) -> str:
    """Write the values of a setting; of more than twelve numbers, their range and how many they are."""
    if len(values) > 12:
        numbers = [each for value in values if (each := number(value)) is not None]
        if len(numbers) == len(values):
            return f"{len(values)} values from {setting(min(numbers))} to {setting(max(numbers))}"
        return ", ".join(setting(value) for value in values[:12]) + f" and {len(values) - 12} more"
    return ", ".join(setting(value) for value in values)


def constraints(document: Document) -> list[str]:
    """Say what points had to keep, such as "area at most 50.0 mm²"."""
    known = {metric.name: metric for metric in metrics(document)}
    found = []
    for each in document.get("constraints", []):
        metric = known.get(each["metric"]) or Metric(each["metric"], *METRICS.get(each["metric"], (each["metric"], "")))
        for bound, words in (("most", "at most"), ("least", "at least")):
            if bound in each:
                found.append(f"{metric.label} {words} {metric.text(each[bound])}")
    return found


def ordered(document: Document) -> list[int]:
    """Number the groups as tables list them: the front, then what keeps the constraints, each by the first goal."""
    goal = document["goals"][0] if document["goals"] else None

    def key(index: int) -> tuple[bool, bool, float, int]:
        group = document["groups"][index]
        value = number(group["metrics"].get(goal["name"], {}).get("mean")) if goal else 0.0
        worst = math.inf if value is None else -value if goal and goal["better"] == "higher" else value
        return (not group.get("front"), not group.get("feasible", True), worst, index)

    return sorted(range(len(document["groups"])), key=key)


def states(document: Document, group: Group) -> str:
    """Say in words how a group stands: on the front, without all its seeds, beyond a constraint, or nothing."""
    if group.get("front"):
        return "front"
    if group.get("feasible", True):
        return ""
    if not group["metrics"]:
        return "no result"
    return "seeds are lacking" if group.get("seeds", 1) < len(group["points"]) else "beyond a constraint"


def intervals(document: Document) -> str:
    """Say what the intervals beside figures and the bands in drawings are; that there are none of mere estimates."""
    if not any("error" in group["metrics"] for group in document["groups"]):
        return "Nothing was trained: figures follow from the settings, and have no intervals."
    seeds = max((group.get("seeds", 1) for group in document["groups"]), default=1)
    if seeds > 1:
        return (
            "Means over the seeds; in brackets and as bands their 95% intervals (Student's t; of the test error of "
            "a single seed, binomial in the test samples)."
        )
    return (
        "In brackets and as bands the 95% interval of the test error, binomial in the test samples; other seeds may "
        "differ by more."
    )


def failures(document: Document) -> list[tuple[str, str, str]]:
    """List points without a result: their settings with the seed, failed or stopped, and the sentence why."""
    return [
        (f"{settings_text(document, point['settings'])}, seed {point['seed']}", point["state"], point.get("why") or "")
        for point in document["points"]
        if point["state"] != "done"
    ]


def work(document: Document) -> str:
    """Say how much was done and how long it took."""
    counted = Counter(point["state"] for point in document["points"])
    said = [f"{counted['done']:,} points done"]
    said += [f"{counted[state]:,} {state}" for state in ("failed", "stopped") if counted[state]]
    sentence = ", ".join(said)
    wall = document.get("wall") or {}
    if seconds := number(wall.get("seconds")):
        sentence += f", in {age(seconds)}"
        points = number(wall.get("points"))
        if rate := number(wall.get("points_per_s")) or (points and points / seconds):
            sentence += (
                f" ({significant(rate)} points/s)" if rate >= 1 else f" ({significant(60 * rate)} points a minute)"
            )
    return f"{sentence}."

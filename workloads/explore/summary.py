"""What a study comes to: seeds together, the front, what matters, and the answer in one sentence.

Points that differ in their seed alone are a group. A figure of a group is a mean with an interval that holds the true
mean in 95 % of all cases: over seeds Student's t; of a test error at one seed, which is a count, Wilson's interval; any
other figure at one seed is what it is, without an interval.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from rpusim.workloads.explore.points import Point
from rpusim.workloads.explore.study import Study
from rpusim.workloads.results.groups import figure, unbeaten
from rpusim.workloads.results.measures import MEASURES

_PREFIXES = (
    ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("u", 1e-6), ("n", 1e-9), ("p", 1e-12)
)  # fmt: skip


WORTH_SAYING = 0.01
"""A saving below this share is no answer."""


def groups(study: Study, points: Sequence[Point], records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Put points together that differ in their seed alone.

    points, records: what was tried and what is known of it, in the same order.

    Returns for each group its settings, the names of its points, how many of them are done, its figures with their
    intervals, whether it is within the limits, and whether it is on the front.
    """
    found: dict[str, dict[str, Any]] = {}
    done: dict[str, list[dict[str, Any]]] = {}
    for point, record in zip(points, records, strict=True):
        key = json.dumps(point.settings, sort_keys=True, default=str)
        group = found.setdefault(key, {"settings": point.settings, "points": []})
        group["points"].append(point.name)
        if record["state"] == "done":
            done.setdefault(key, []).append(record)
    for key, group in found.items():
        of = done.get(key, [])
        group["seeds"] = len(of)
        names = dict.fromkeys(name for record in of for name in record["metrics"])
        group["metrics"] = {name: _figure(name, of) for name in names}
        group["feasible"] = bool(of) and len(of) == len(group["points"]) and _within(study, group)
    front = _front(study, [group for group in found.values() if group["feasible"]])
    for group in found.values():
        group["front"] = any(group is one for one in front)
    return list(found.values())


def _figure(name: str, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a figure's mean over seeds, and its interval."""
    values = [record["metrics"][name] for record in records if name in record["metrics"]]
    return figure(name, values, records[0].get("test_samples", 0) if name == "error" else 0)


def _within(study: Study, group: dict[str, Any]) -> bool:
    """Whether a group keeps all limits."""
    figures = group["metrics"]
    return all(name in figures and low <= figures[name]["mean"] <= high for name, low, high in study.limits())


def _signed(name: str, group: dict[str, Any]) -> float:
    """Return the mean of a figure of a group, so that lower is better."""
    mean: float = group["metrics"][name]["mean"]
    return mean if MEASURES[name].better == "lower" else -mean


def _front(study: Study, candidates: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the groups that no other one beats: as good in every goal, and better in one."""
    usable = [group for group in candidates if all(goal in group["metrics"] for goal in study.wanted)]
    kept = unbeaten([[_signed(goal, group) for goal in study.wanted] for group in usable])
    return [group for group, on_front in zip(usable, kept, strict=True) if on_front]


def importance(study: Study, of: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Say how much of the spread of each goal each setting explains.

    of: groups, of which those that are done count.

    Returns rows of goal, path and share: the variance of the means over the values of a setting, over the variance of
    all groups (eta squared). Settings that interact, or that were not varied in a grid, explain more or less than 1
    together.
    """
    done, rows = [group for group in of if group["seeds"]], []
    paths = list(dict.fromkeys(path for group in done for path in group["settings"]))
    for goal in study.wanted:
        usable = [group for group in done if goal in group["metrics"]]
        values = [group["metrics"][goal]["mean"] for group in usable]
        if len(values) < 2:
            continue
        mean = math.fsum(values) / len(values)
        total = math.fsum((v - mean) ** 2 for v in values)
        for path in paths:
            by: dict[str, list[float]] = {}
            for group, value in zip(usable, values, strict=True):
                by.setdefault(json.dumps(group["settings"].get(path), default=str), []).append(value)
            between = math.fsum(len(v) * (math.fsum(v) / len(v) - mean) ** 2 for v in by.values())
            rows.append({"goal": goal, "path": path, "share": between / total if total else 0.0})
    return rows


def answer(study: Study, of: Sequence[dict[str, Any]]) -> str:
    """Answer the question in one sentence, from groups.

    Of groups whose mean is within the interval of the best one in the first goal: that which is cheapest in the first
    of the other goals in which one is cheaper by more than `WORTH_SAYING`. If none is, the best of the first two goals.
    """
    usable = [g for g in of if g["feasible"] and all(goal in g["metrics"] for goal in study.wanted)]
    if not usable:
        return "No configuration is within the limits." if any(g["seeds"] for g in of) else "Nothing is done yet."
    first, *others = study.wanted
    best = min(usable, key=lambda g: _signed(first, g))
    said = f"{_words(best)} has the best {MEASURES[first].label}, {_value(first, best)}"
    if not others:
        return f"{said}."
    alike = [g for g in usable if _within_interval(first, g, best)]
    for other in others:
        cheapest = min(alike, key=lambda g: (_signed(other, g), _signed(first, g)))
        if _signed(other, best) - _signed(other, cheapest) > WORTH_SAYING * abs(_signed(other, best)):
            ratio = cheapest["metrics"][other]["mean"] / best["metrics"][other]["mean"]
            return (
                f"{_words(cheapest)} suffices: its {MEASURES[first].label}, {_value(first, cheapest)}, is within the "
                f"interval of the best, {_value(first, best)} ({_words(best)}), and its {MEASURES[other].label} is "
                f"{ratio:.3g} of that one's."
            )
    second = others[0]
    least = min(usable, key=lambda g: _signed(second, g))
    if least is best:
        return f"{said}, and the best {MEASURES[second].label}, {_value(second, best)}."
    if _signed(second, best) - _signed(second, least) <= WORTH_SAYING * abs(_signed(second, best)):
        return f"{said}; no {MEASURES[second].label} is better than its {_value(second, best)} by more than 1 %."
    return f"{said}; {_words(least)} has the best {MEASURES[second].label}, {_value(second, least)}."


def _within_interval(name: str, group: dict[str, Any], best: dict[str, Any]) -> bool:
    """Whether the mean of a figure of a group is no worse than the end of the interval of the best one."""
    mean, figure = group["metrics"][name]["mean"], best["metrics"][name]
    return bool(mean <= figure["high"] if MEASURES[name].better == "lower" else mean >= figure["low"])


def _words(group: dict[str, Any]) -> str:
    """Name a configuration: "bits 6, lines_per_adc 8"; of fields of one name also what they are of."""
    paths = list(group["settings"])
    short = {path: path.rpartition(".")[2] for path in paths}
    alike = {name for name in short.values() if list(short.values()).count(name) > 1}
    return ", ".join(f"{path if short[path] in alike else short[path]} {group['settings'][path]}" for path in paths)


def _value(name: str, group: dict[str, Any]) -> str:
    """Write a figure with its unit and its interval."""
    found, unit = group["metrics"][name], MEASURES[name].unit
    if name.startswith("error"):
        text = f"{100 * found['mean']:.2f} %"
        return (
            text if found["low"] == found["high"] else f"{text} ({100 * found['low']:.2f} to {100 * found['high']:.2f})"
        )
    return f"{found['mean']:.3g}" if unit == "1" else _scaled(found["mean"], unit)


def _scaled(value: float, unit: str) -> str:
    """Write a quantity with a prefix that leaves up to three digits before the point: 110 us, 166 mm2."""
    power = 2 if unit == "m2" else 1
    for prefix, factor in _PREFIXES:
        if abs(value) >= 0.9995 * factor**power:
            return f"{value / factor**power:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"

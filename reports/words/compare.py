"""What a comparison of runs says: rows of labels and texts, a column for each group of runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rpusim.reports.words import study
from rpusim.reports.words.readable import percent, quantity, si
from rpusim.reports.words.study import Document, Metric, metrics, number, setting, short_names


@dataclass(frozen=True)
class Row:
    """One line of a comparison: what it is, its full name, and a text for each group."""

    label: str
    full: str
    cells: list[str]


def title(document: Document) -> str:
    """Name a comparison by its runs, if they are few."""
    names = [study.name(document, group) for group in document["groups"]]
    if len(names) <= 3:
        return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
    return f"{len(document['points'])} runs side by side"


def subtitle(document: Document) -> str:
    """Say how many runs are compared, and what they have in common."""
    runs, groups = len(document["points"]), len(document["groups"])
    parts = [f"{runs} runs"]
    if groups < runs:
        parts.append(f"{groups} that differ in more than the seed")
    parts += [f"{name} {document['same'][name]}" for name in ("network", "chip") if name in document["same"]]
    return " · ".join([*parts, f"rpusim {document['version']}"])


def answer(document: Document) -> str:
    """Say in a sentence in what runs differ, and which is best in what."""
    names = short_names([each["path"] for each in document["settings"]])
    differ = list(names.values())
    if len(differ) > 5:
        differ = [*differ[:4], f"{len(differ) - 4} more settings"]
    if differ:
        said = f"The runs differ in {_listed(differ)}"
    elif document["numbers"]:
        said = f"The runs differ in {len(document['numbers'])} numbers that went in, and in no setting"
    elif any(group["seeds"] > 1 for group in document["groups"]):
        said = "The runs differ in the seed alone"
    else:
        said = "Nothing differs in what the runs were set to"
    best = _best(document)
    return f"{said}; {_listed(best)}." if best else f"{said}."


def _best(document: Document) -> list[str]:
    """Say for each group in which goals it is the best one, and by what figure."""
    found: dict[int, list[str]] = {}
    if len(document["groups"]) < 2:
        return []
    for metric in metrics(document)[: len(document["goals"])]:
        values = [group["metrics"][metric.name] for group in document["groups"]]
        order = sorted(range(len(values)), key=lambda index: (values[index]["mean"], index))
        best, second = order[0], order[1]
        if metric.text(values[best]["mean"]) == metric.text(values[order[-1]]["mean"]):
            continue
        words = f"{metric.label} ({metric.text(values[best]['mean'])})"
        if values[best]["high"] >= values[second]["low"] and values[best]["low"] != values[best]["high"]:
            words = f"{metric.label} ({metric.text(values[best]['mean'])}; not told apart from the next one)"
        found.setdefault(best, []).append(words)
    return [
        f"{study.name(document, document['groups'][index])} has the least {_listed(words)}"
        for index, words in found.items()
    ]


def _listed(words: list[str]) -> str:
    """Join words as a sentence does."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def settings(document: Document) -> list[Row]:
    """Tabulate the settings that differ."""
    names = short_names([each["path"] for each in document["settings"]])
    return [
        Row(label, path, [setting(group["settings"].get(path)) for group in document["groups"]])
        for path, label in names.items()
    ]


def seeds(document: Document) -> Row:
    """Tell the seeds of each group; "–" where nothing was computed."""
    known = {point["id"]: point["seed"] for point in document["points"]}
    cells = [", ".join(setting(known[name]) for name in group["points"]) for group in document["groups"]]
    return Row("seed", "seed", cells)


def numbers(document: Document) -> list[Row]:
    """Tabulate the numbers that went in and differ, with their units."""
    return [
        Row(
            each["field"],
            each["field"],
            ["–" if value is None else quantity(value, each["unit"]) for value in each["values"]],
        )
        for each in document["numbers"]
    ]


def figures(document: Document) -> list[Row]:
    """Tabulate the headline figures with their intervals."""
    return [
        Row(
            metric.label, metric.name, [metric.among(group["metrics"].get(metric.name)) for group in document["groups"]]
        )
        for metric in metrics(document)
    ]


def ratios(document: Document) -> list[Row]:
    """Tabulate the goals as multiples of the first group's: "1.40 ×"."""
    found = []
    for metric in metrics(document)[: len(document["goals"])]:
        means = [number(group["metrics"][metric.name]["mean"]) for group in document["groups"]]
        first = means[0]
        if first:
            cells = ["–" if mean is None else f"{mean / first:.3g} ×" for mean in means]
            found.append(Row(metric.label, metric.name, cells))
    return found


def energy(document: Document) -> list[Row]:
    """Tabulate the energy of a sample by part, the part that takes most anywhere first."""
    points = {point["id"]: point for point in document["points"]}
    shares = []
    for group in document["groups"]:
        there = [points[name]["energy_by_part"] for name in group["points"]]
        parts = dict.fromkeys(part for share in there for part in share)
        shares.append({part: sum(share.get(part, 0.0) for share in there) / len(there) for part in parts})
    parts = dict.fromkeys(part for share in shares for part in share)
    order = sorted(parts, key=lambda part: -max(share.get(part, 0.0) for share in shares))
    return [Row(part, part, [si(share[part], "J") if part in share else "–" for share in shares]) for part in order]


def curves(document: Document, most: int = 10) -> list[Row]:
    """Tabulate the test error after some epochs, at most so many; the range over seeds in brackets."""
    points = {point["id"]: point for point in document["points"]}
    by_group: list[dict[float, list[float]]] = []
    for group in document["groups"]:
        errors: dict[float, list[float]] = {}
        for name in group["points"]:
            for epoch, error, *_ in points[name]["curve"]:
                errors.setdefault(epoch, []).append(error)
        by_group.append(errors)
    epochs = sorted({epoch for errors in by_group for epoch in errors})
    if len(epochs) > most:
        epochs = [epochs[round(number * (len(epochs) - 1) / (most - 1))] for number in range(most)]
    return [Row(f"{epoch:g}", f"{epoch:g}", [_error(errors.get(epoch)) for errors in by_group]) for epoch in epochs]


def _error(errors: list[float] | None) -> str:
    """Write the mean of errors after an epoch, and their range."""
    if not errors:
        return "–"
    mean = Metric("error", "test error", "1").text(sum(errors) / len(errors))
    return mean if min(errors) == max(errors) else f"{mean} ({percent(min(errors))} to {percent(max(errors))})"


def intervals(document: Document) -> str:
    """Say what the intervals are; where nothing was learned, that figures have none."""
    if not any("error" in group["metrics"] for group in document["groups"]):
        return "Nothing was learned here: the figures follow from what was set, and have no intervals."
    said = "Intervals are 95%: of the test error of one run after Wilson, from the number of test samples"
    if any(group["seeds"] > 1 for group in document["groups"]):
        return f"{said}; of several seeds after Student, over the seeds."
    return f"{said}; other seeds may differ by more."


def runs(document: Document) -> list[dict[str, Any]]:
    """List the runs with their group's number and seed: where each lies."""
    group_of = {name: index for index, group in enumerate(document["groups"]) for name in group["points"]}
    return [point | {"group": group_of[point["id"]]} for point in document["points"]]

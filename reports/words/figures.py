"""What a result document says, as labels and texts; tables and pages get their words from here alone.

Nothing here is simulated: a document's figures are divided into shares, formatted, and put beside what they belong to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rpusim.reports.words.readable import age, area, count, percent, power_of_ten, quantity, si, significant, tera

Document = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One figure with what has to be known to read it: label, value as text, and a remark."""

    label: str
    text: str
    note: str = ""


@dataclass(frozen=True)
class Share:
    """One line of a breakdown: its text, and which fraction of the whole it is."""

    name: str
    text: str
    fraction: float

    @property
    def percent(self) -> str:
        """The fraction as text."""
        return percent(self.fraction)


def title(document: Document) -> str:
    """Name the result: the experiment's title, or network and chip."""
    return document.get("title") or f"{document['network']} on {document['chip']}"


def subtitle(document: Document) -> str:
    """Name network, chip, device, epochs, seed and version in one line."""
    training = document.get("training")
    parts = [f"network {document['network']}", f"chip {document['chip']}"]
    if training:
        device = training["device"]
        parts.append(f"device {device if isinstance(device, str) else device.get('model', device.get('like'))}")
        epochs = training["recipe"]["epochs"]
        parts += [f"{epochs} epoch{'s' if epochs > 1 else ''}", f"seed {document['seed']}"]
    parts.append(f"rpusim {document['version']}")
    return " · ".join(parts)


def headlines(document: Document) -> list[Figure]:
    """Answer the four questions (does it learn, how fast, how much energy, how much area), with what follows."""
    time, energy, power = document["time"], document["energy"], document["power"]
    throughput, tiles = document["throughput"], document["tiles"]
    figures = []
    if document.get("accuracy"):
        figures.append(_test_error(document["accuracy"]))
    rate = f"{si(time['samples_per_s'], '')} samples/s"
    if "per_epoch_s" in time:
        rate = f"{si(time['per_epoch_s'], 's')} per epoch, {rate}"
    operations = count(throughput["operations_per_sample"])
    arrays = tiles["arrays"]
    return [
        *figures,
        Figure("Time per sample", si(time["per_sample_s"], "s"), rate),
        Figure(
            "Energy per sample",
            si(energy["per_sample_J"], "J"),
            f"{si(energy['total_J'], 'J')} in all",
        ),
        Figure("Area", area(document["area"]["total_m2"]), f"the whole chip of {tiles['of']} tiles"),
        Figure("Throughput", tera(throughput["ops_per_s"], "OPS"), f"{operations} operations per sample"),
        Figure("Efficiency", tera(throughput["ops_per_J"], "OPS/W"), "1 multiply-accumulate = 2 operations"),
        Figure("Average power", si(power["average_W"], "W"), f"peak {si(power['peak_W'], 'W')}"),
        Figure(
            "Utilisation",
            percent(tiles["utilisation"]),
            f"of {arrays} array{'s' if arrays > 1 else ''} on {tiles['count']} of {tiles['of']} tiles",
        ),
    ]


def _test_error(accuracy: Document) -> Figure:
    """Say how many samples are told wrong, when after programming, and how far that may be off."""
    aged = accuracy.get("aging")
    label = f"Test error after {age(aged[-1]['seconds_since_programming'])}" if aged else "Test error"
    own, there = _interval(accuracy, "test_error"), _interval(accuracy, "test_error_floating_point")
    there = f"{percent(accuracy['test_error_floating_point'])}{there and f' ({there})'}"
    return Figure(
        label, percent(accuracy["test_error"]), f"{own and f'95%: {own}; '}floating point, same recipe: {there}"
    )


def _interval(accuracy: Document, name: str) -> str:
    """Write the 95 % interval of a share, binomial in the test samples; documents of before have none."""
    found = accuracy.get(f"{name}_interval")
    return f"{percent(found[0])} to {percent(found[1])}" if found else ""


def reached(document: Document) -> list[list[str]]:
    """Tell what it took to get the test error down to round numbers.

    Returns a row of texts for each error that was reached: error, epoch, time, energy, pulses per cell.
    """
    return [
        [
            percent_of(row["test_error"]),
            str(row["epoch"]),
            si(row["seconds"], "s"),
            si(row["joules"], "J"),
            significant(row["pulses_per_cell"]),
        ]
        for row in document.get("accuracy", {}).get("reached", [])
    ]


def reached_sentence(document: Document) -> str:
    """Tell the lowest round error that was reached and what it took; empty if none was reached."""
    rows = reached(document)
    if not rows:
        return ""
    error, epoch, seconds, joules, pulses = rows[-1]
    return (
        f"A test error of {error} is reached in epoch {epoch}, after {seconds}, {joules} and {pulses} pulses per cell."
    )


def percent_of(error: float) -> str:
    """Write a round share without more digits than it has: 50%, 0.5%."""
    return f"{100 * error:g}%"


def wear(document: Document) -> str:
    """Tell how many pulses cells took and how long they last; empty if nothing was learned."""
    found = document.get("endurance")
    if not found:
        return ""
    sentence = (
        f"Cells took {significant(found['mean'])} pulses on average, the most-pulsed one {count(found['largest'])}"
    )
    if "pulses_to_failure" not in found:
        return f"{sentence}; {found['source']}."
    if "lifetime" not in found:
        return f"{sentence}."
    life = found["lifetime"]
    return (
        f"{sentence}: if a cell lasts {power_of_ten(found['pulses_to_failure'])} pulses, it is worn "
        f"out after {age(life['seconds'])} of training like this, or {power_of_ten(life['samples'])} samples."
    )


def energy_per_sample(document: Document, by: str) -> list[Share]:
    """Break the energy of a sample down.

    by: "by_part", "by_phase" or "by_layer", a key of ``document["energy"]``.
    """
    energy = document["energy"]
    return [
        Share(name, si(joules / energy["total_J"] * energy["per_sample_J"], "J"), joules / energy["total_J"])
        for name, joules in energy[by].items()
    ]


def standby(document: Document) -> list[str]:
    """Explain in a sentence what parts draw that do nothing, then at which corner they leak, with a warning if need be.

    Documents of earlier versions say nothing.
    """
    energy = document["energy"]
    if "standby" not in energy:
        return []
    says, total = energy["standby"], energy["total_J"]
    idle, leakage = (_most_of(energy["states"], f"{state}_J") for state in ("idle", "leakage"))
    share = percent((idle[0] + leakage[0]) / total)
    stated = [
        f"{percent(joules / total)} {what}{most}"
        for joules, what, most in (
            (idle[0], "by parts that are on and wait or wake", idle[1]),
            (leakage[0], "leakage", leakage[1]),
        )
        if joules
    ]
    sentence = f"Standby is {share} of the energy" + (f": {' and '.join(stated)}" if stated else "")
    if says["gating"] == "none":
        sentence += "; nothing is gated."
    else:
        ungated = si(says["ungated_J"] / total * energy["per_sample_J"], "J")
        sentence += f"; parts stop while they are idle (gating: {says['gating']}), else a sample would take {ungated}"
        sentence += " in the same time."
    return [sentence, " ".join(text for text in (says["corner"], says.get("warning")) if text)]


def _most_of(rows: list[dict[str, Any]], key: str) -> tuple[float, str]:
    """Sum the energy of all parts in a state, and name the part that draws most; empty if there is but one."""
    joules = sum(row[key] for row in rows)
    most = max(rows, key=lambda row: row[key])
    several = sum(row[key] > 0 for row in rows) > 1
    return joules, f" (most of it {most['part']})" if several else f" ({most['part']})" if joules else ""


STATES = ("at work", "idle", "leakage")
"""In which states parts draw energy."""


def energy_by_state(document: Document) -> tuple[list[Share], list[tuple[str, list[str]]]]:
    """Break the energy of a sample down by state, and by part and state.

    Returns a share of each state, and rows of a part's name and a text for each state; nothing from documents of
    earlier versions.
    """
    energy = document["energy"]
    rows, scale = energy.get("states", []), energy["per_sample_J"] / energy["total_J"]
    keys = [f"{state.replace(' ', '_')}_J" for state in STATES]
    shares = []
    for state, key in zip(STATES, keys, strict=True):
        joules = sum(row[key] for row in rows)
        shares.append(Share(state, si(joules * scale, "J"), joules / energy["total_J"]))
    table = [(row["part"], [si(row[key] * scale, "J") if row[key] else "" for key in keys]) for row in rows]
    shown = sorted((share for share in shares if share.fraction), key=lambda share: -share.fraction)
    return (shown, table) if rows else ([], [])


@dataclass(frozen=True)
class Swing:
    """What one assumption does to the energy of a sample: its field, what was tried, and the energies then (J)."""

    field: str
    taken: str
    low: str
    high: str
    low_joules: float
    high_joules: float
    source: str

    @property
    def texts(self) -> list[str]:
        """A row of a table: taken, tried below, energy then, tried above, energy then."""
        return [self.taken, self.low, si(self.low_joules, "J"), self.high, si(self.high_joules, "J")]


def swings(document: Document) -> list[Swing]:
    """List the assumptions that change the energy of a sample most; none from documents that do not say."""
    rows = document.get("sensitivity", {}).get("largest", [])
    scale = document["energy"]["per_sample_J"] / document["energy"]["total_J"]
    return [
        Swing(
            row["field"],
            quantity(row["value"], row["unit"]),
            quantity(row["low"], row["unit"]),
            quantity(row["high"], row["unit"]),
            row["low_J"] * scale,
            row["high_J"] * scale,
            row["source"],
        )
        for row in rows
    ]


def area_by_part(document: Document) -> list[Share]:
    """Break the area of the chip down by part."""
    total = document["area"]["total_m2"]
    return [Share(name, area(value), value / total) for name, value in document["area"]["by_part"].items()]


def _timing(activity: dict[str, Any]) -> str:
    """Tell which mini-batches were timed, and how far the others may be from them."""
    errors = activity.get("sampling_error_95", {})
    known = [f"{name} +-{percent(error)}" for name, error in errors.items() if error is not None]
    return f"timing: {activity['timing']}" + (
        f"; {', '.join(known)} with 95 % confidence" if known else "; error unknown"
    )


def what_was_timed(document: Document) -> str:
    """Tell what stands behind time and energy: how many samples were timed, how, and what is assumed."""
    activity = document["activity"]
    samples, timed = activity["samples"], activity["timed_samples"]
    schedule = f"Schedule: {activity['schedule']}."
    if timed == samples:
        counted = f"All {count(samples)} samples were" if samples > 1 else "The one sample was"
        sentence = f"{counted} timed and priced event by event. {schedule}"
    elif "timing" not in activity:
        sentence = (
            f"{count(timed)} of {count(samples)} samples were timed and priced event by event; after them the chip "
            f"does the same again and again, so the account is exactly that of all. {schedule}"
        )
    else:
        share = percent(timed / samples)
        sentence = (
            f"{count(timed)} of {count(samples)} samples ({share}) were timed and priced event by event; the "
            f"others are taken to have cost the same on average ({_timing(activity)}). {schedule}"
        )
    if "idle_s" in activity:
        sentence += f" For {si(activity['idle_s'], 's')} of the time the chip stood still."
    if stale := activity.get("staleness"):
        sentence += (
            f" When a layer learns from a sample, {significant(stale['mean'])} other samples on average (at most "
            f"{stale['largest']}) have changed its weights since that sample went through."
        )
    storage = document.get("storage", {})
    if any(value for key, value in storage.items() if key.endswith("_b")):
        sentence += f" {storage['sentence']}"
    if "pulses" in document:
        sentence += f" {document['pulses']['sentence']}"
    if "assumption" in document:
        sentence += f" Nothing was learned here: what the arrays did is {document['assumption']}."
    return sentence


def activity(document: Document) -> list[Figure]:
    """List what the kernel (or the assumption in its place) did, summed over all samples."""
    counts = document["activity"]
    vectors, passes, skipped = counts["vectors"], counts["passes"], counts["skipped"]
    updates, slots, coincidences = counts["updates"], counts["slots"], counts["coincidences"]
    figures = [
        Figure("Vectors multiplied", count(vectors), "forward and backward, once per array"),
        Figure(
            "Analog passes",
            count(passes),
            f"{count(passes - vectors + skipped)} of them retries of bound management",
        ),
        Figure("Skipped vectors", count(skipped), "all zero, so nothing was driven"),
    ]
    if updates:
        figures += [
            Figure("Pulsed updates", count(updates), "of one vector pair on one array"),
            Figure("Pulse slots", count(slots), f"{significant(slots / updates)} per update"),
            Figure(
                "Coincidences",
                count(coincidences),
                f"{significant(coincidences / updates)} per update",
            ),
        ]
    for phase in ("transfer", "maintenance"):
        figures += _between(phase, counts.get(phase))
    return figures


def _between(phase: str, counts: dict[str, int] | None) -> list[Figure]:
    """List what unit cells did between updates, in one phase.

    phase:   "transfer" or "maintenance".
    counts:  of the phase, or None where nothing was done; then the list is empty.
    """
    if counts is None:
        return []
    pulses = f"{count(counts['slots'])} pulse slots, {count(counts['coincidences'])} coincidences"
    return [
        Figure(f"Slices read, {phase}", count(counts["slices_read"]), "a row or column of an array, or all of it"),
        Figure(f"Slices written, {phase}", count(counts["slices_written"]), pulses),
        Figure(f"Cells changed, {phase}", count(counts["cells_changed"]), "by those pulses, or by a reset"),
    ]


@dataclass(frozen=True)
class Source:
    """One number of the provenance: field, value as text, source, and whether it is assumed."""

    field: str
    text: str
    source: str
    assumed: bool


def provenance(document: Document) -> dict[str, list[Source]]:
    """Group every number with its source by what it belongs to: experiment, device, chip, or a cost card."""
    groups: dict[str, list[Source]] = {}
    for row in document["provenance"]:
        first, _, rest = row["field"].partition(".")
        group, field = first, rest or first
        if first == "cards":
            card, _, field = rest.partition(".")
            group = f"cost card {card}"
        assumed = "assum" in row["source"].lower() or row["source"].startswith("our choice")
        groups.setdefault(group, []).append(Source(field, quantity(row["value"], row["unit"]), row["source"], assumed))
    return groups


def array_cells(document: Document, kind: str) -> tuple[int, int, int]:
    """Find the size of the arrays of a kind of tile in the provenance.

    kind: name of the kind of tile.

    Returns rows and columns of cells of one array, and cells per weight.
    """
    start = f"chip.tiles.{kind}.array."
    stated = {
        row["field"].removeprefix(start): row["value"]
        for row in document["provenance"]
        if row["field"].startswith(start)
    }
    return int(stated["rows"]), int(stated["columns"]), int(stated.get("cells_per_weight", 1))


def layer_utilisation(document: Document, layer: dict[str, Any]) -> float:
    """Find the share of the cells of a layer's arrays that hold its weights.

    layer: one of ``document["layers"]``.
    """
    held = there = 0
    for block in layer["tiles"]:
        rows, columns, cells = array_cells(document, block["kind"])
        held += (block["rows"][1] - block["rows"][0]) * (block["columns"][1] - block["columns"][0]) * cells
        there += rows * columns
    return held / there


def places(layer: dict[str, Any]) -> str:
    """Say where a layer lies: "tile 3" or "tiles 3 to 7 (8 arrays)"."""
    tiles = sorted({tile["tile"] for tile in layer["tiles"]})
    arrays = len(layer["tiles"])
    if len(tiles) == 1:
        where = f"tile {tiles[0]}"
    elif tiles == list(range(tiles[0], tiles[-1] + 1)):
        where = f"tiles {tiles[0]} to {tiles[-1]}"
    else:
        where = f"{len(tiles)} tiles from {tiles[0]} to {tiles[-1]}"
    return where if arrays == len(tiles) else f"{where} ({arrays} arrays)"


def layer_rows(document: Document) -> Iterator[dict[str, str]]:
    """Give one row of texts for each weight layer, for a table of the placement, by the names of its columns."""
    energy = {share.name: share for share in energy_per_sample(document, "by_layer")} if "energy" in document else {}
    for layer in document["layers"]:
        yield {
            "name": layer["name"],
            "kind": layer["kind"],
            "matrix": f"{count(layer['rows'])} × {count(layer['columns'])}",
            "vectors": count(layer["vectors"]),
            "weights": count(layer["weights"]),
            "macs": count(layer["macs"]),
            "place": places(layer),
            "energy": energy[layer["name"]].text if layer["name"] in energy else "",
        }

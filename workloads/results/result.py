"""The result of a run: one document, from which every table, page and file is only a view.

Its keys are fixed (see `document`); quantities are SI floats. `save` writes the run folder, whole or not at all.
"""

from __future__ import annotations

import io
import json
import math
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rpusim.arch.account.ledger import Ledger
from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.contract.configuration import shown
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND, ZEPTOJOULES_PER_JOULE
from rpusim.arch.engine.events import Events, Op
from rpusim.arch.mapping.placement import Placement
from rpusim.arch.network.network import INPUT, Network
from rpusim.arch.schedule.plan import Plan
from rpusim.errors import InputError
from rpusim.workloads.results import files

SCHEMA = "rpusim-result-1"
MARK = "result.json"
RUN_FILES = (MARK, "config.resolved.yaml", "events.npz", "report.html", "trace.json", "trace.pftrace")
"""All that a run folder holds. A folder with anything else in it is somebody's, and is never replaced."""


VIEWS: dict[str, Callable[[dict[str, Any]], str]] = {}
"""How a document is shown, by kind of text; filled by `rpusim.reports`, as nothing here knows what things look like."""


@dataclass(frozen=True, repr=False)
class Result:
    """``document`` is what result.json holds; ``trace`` the first events of the run, ``stations`` their units.

    details: of every event of the trace, see `Analysis.details`.
    """

    document: dict[str, Any]
    trace: Events | None
    stations: tuple[str, ...]
    details: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "document", _finite(self.document))

    def __getitem__(self, key: str) -> Any:
        return self.document[key]

    def __repr__(self) -> str:
        return f"<Result: {self.document.get('network')} on {self.document.get('chip')}>"

    def _repr_html_(self) -> str | None:
        """What a notebook shows."""
        view = VIEWS.get("text/html")
        return view(self.document) if view else None


def _finite(value: Any) -> Any:
    """The same with infinities and NaN (a device may be ideal) as the words "inf", "-inf", "nan": JSON has none."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def cost(plan: Plan, ledger: Ledger, samples: int, operations_per_sample: float) -> dict[str, Any]:
    """The part of a document that is about time, energy and area."""
    chip = plan.placement.chip
    total_s, total_j = ledger.time_ps / PICOSECONDS_PER_SECOND, ledger.total_zj / ZEPTOJOULES_PER_JOULE
    area = bill_of_parts(chip).total("area_m2")

    def joules(column: int) -> dict[str, float]:
        return {name: zj / ZEPTOJOULES_PER_JOULE for name, zj in ledger.by(column).items()}

    return {
        "time": {
            "per_sample_s": total_s / samples,
            "total_s": total_s,
            "samples_per_s": samples / total_s,
        },
        "energy": {
            "per_sample_J": total_j / samples,
            "total_J": total_j,
            "by_part": joules(0),
            "by_phase": joules(1),
            "by_layer": joules(2),
            "matrix": _matrix(ledger),
        },
        "power": {"average_W": total_j / total_s, "peak_W": ledger.peak_w},
        "throughput": {
            "ops_per_s": operations_per_sample * samples / total_s,
            "ops_per_J": operations_per_sample * samples / total_j,
            "operations_per_sample": round(operations_per_sample),
        },
        "area": {"total_m2": sum(area.values()), "by_part": dict(sorted(area.items(), key=lambda item: -item[1]))},
        "tiles": {
            "count": plan.placement.tiles_used,
            "of": chip.tile_count,
            "arrays": plan.placement.arrays_used,
            "utilisation": plan.placement.utilisation,
        },
        "layers": placed_layers(plan.placement),
        "bottleneck": bottleneck(plan, ledger),
    }


def _matrix(ledger: Ledger) -> list[dict[str, Any]]:
    """Energy by part, phase and layer at once, largest first."""
    ordered = sorted(ledger.energy.items(), key=lambda item: -item[1])
    names = ("part", "phase", "layer", "J")
    return [dict(zip(names, (*key, zj / ZEPTOJOULES_PER_JOULE), strict=True)) for key, zj in ordered if zj]


def operations_per_sample(network: Network, training: bool) -> int:
    """Operations of one sample: 2 per multiply-accumulate; forward, backward and update each count once.

    A layer that reads only the network's input has no backward pass, and the first step of a recurrent one neither.
    """
    macs = network.macs
    if training:
        inner = (any(p != INPUT for p in network.predecessors(i)) for i in range(len(network.layers)))
        back = (layer.weights * (layer.vectors - layer.unread) for layer in network.layers)
        macs += network.macs + sum(number for number, has in zip(back, inner, strict=True) if has)
    return 2 * macs


def operations(network: Network, activity: Activity) -> int:
    """Operations of what the arrays really did: 2 per multiply-accumulate of every vector, whichever its phase."""
    of_layer = np.array([2 * layer.macs // layer.vectors for layer in network.layers], np.int64)
    counted = (activity.tile == 0) & (activity.phase <= Phase.UPDATE)
    return int((of_layer[activity.layer] * activity.count)[counted].sum())


def placed_layers(placement: Placement) -> list[dict[str, Any]]:
    """Every weight layer with the blocks it lies on; rows and columns are those of W in y = W x, bias included."""
    layers = []
    for placed in placement.layers:
        layer = placed.layer
        tiles = [
            {
                "tile": tile,
                "array": array,
                "kind": placement.chip.tiles[b.kind].name,
                "rows": [b.row_start, b.row_stop],
                "columns": [b.column_start, b.column_stop],
            }
            for b in placed.blocks
            for tile, array in b.slots
        ]
        layers.append(
            {
                "name": layer.name,
                "kind": layer.kind,
                "rows": layer.rows,
                "columns": sum(placed.column_splits),
                "vectors": layer.vectors,
                "macs": layer.macs,
                "weights": layer.weights,
                "replicas": placed.replicas,
                "tiles": tiles,
            }
        )
    return layers


def bottleneck(plan: Plan, ledger: Ledger) -> dict[str, Any]:
    """The kind of unit that is in use for the largest share of the time, and the busiest one among them."""
    part = max(ledger.occupied_ps, key=lambda unit: ledger.occupied_ps[unit])
    share = ledger.occupied_ps[part] / ledger.time_ps
    of_kind = {
        station: ledger.busy_ps[station] / capacity
        for station, unit, capacity in zip(plan.stations, plan.station_parts, plan.station_capacity, strict=True)
        if unit == part
    }
    busiest = max(of_kind, key=lambda station: of_kind[station])
    busy = of_kind[busiest] / ledger.time_ps
    plural = {"ADC": "ADCs", "row drivers": "row drivers", "column drivers": "column drivers"}.get(part, f"{part}s")
    sentence = (
        f"The {plural} set the pace: one of them is at work {share:.0%} of the time; the busiest, {busiest}"
        f"{_layer_of(plan, busiest)}, {busy:.0%}."
    )
    return {"part": part, "busy_fraction": busy, "occupied_fraction": share, "unit": busiest, "sentence": sentence}


def _layer_of(plan: Plan, station: str) -> str:
    """The layer whose array, drivers or converters this station is; nothing for what layers share."""
    number = plan.stations.index(station)
    for layer in plan.layers:
        for block in layer.blocks:
            if any(number in vars(array).values() for array in block.arrays):
                return f" (layer {layer.placed.layer.name!r})"
    return ""


def check_writable(given: Path) -> None:
    """Refuse, before any work is done, a folder that cannot take a run."""
    _writable(given)


def _writable(given: Path) -> Path:
    """The folder's whole path, if it is new, empty, or holds an earlier run and nothing besides; else InputError."""
    try:
        folder = given.resolve()
        if folder == Path.cwd() or folder in Path.cwd().parents:
            raise InputError(f"--out: got {str(given)!r}, which is the current folder or around it; give one inside it")
        foreign = _foreign(folder)
        parent = next(p for p in folder.parents if p.exists())
        files.fresh_folder(parent).rmdir()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"--out: {shown(str(given))} cannot be written ({reason}); a writable folder is needed"
        ) from None
    if foreign:
        raise InputError(
            f"--out: {given} exists and is not a run folder ({foreign}); a new or empty folder, or an earlier run to "
            "replace, is needed"
        )
    return folder


def _foreign(folder: Path) -> str:
    """Why what is there is not an earlier run of ours; empty if nothing is there, or such a run."""
    if not folder.exists():
        return ""
    if not folder.is_dir():
        return "it is a file"
    there = sorted(folder.iterdir())
    for path in there:
        if path.name not in RUN_FILES or path.is_symlink() or not path.is_file():
            return f"it holds {path.name}"
    if not there:
        return ""
    try:
        read(folder)
    except InputError:
        return f"its {MARK} is not one of ours"
    return ""


def save(result: Result, folder: Path, page: Callable[[dict[str, Any]], str] | None = None) -> None:
    """Write result.json, config.resolved.yaml, events.npz and (with ``page``) report.html: all, or nothing."""
    folder = _writable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = files.fresh_folder(folder.parent)
    try:
        fresh.chmod(0o755)
        document = result.document
        (fresh / MARK).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        configuration = ("network", "chip", "training", "assumption", "seed", "version", "provenance")
        resolved = {key: document[key] for key in configuration if key in document}
        settled = yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True)
        (fresh / "config.resolved.yaml").write_text(settled, encoding="utf-8")
        if result.trace is not None:
            names = {"stations": np.array(result.stations), "ops": np.array([op.name for op in Op])}
            _save_arrays(fresh / "events.npz", result.trace.columns() | result.details | names)
        if page is not None:
            (fresh / "report.html").write_text(page(document), encoding="utf-8")
        if folder.exists():
            old = files.fresh_folder(folder.parent)
            folder.replace(old / "run")
            fresh.replace(folder)
            for name in RUN_FILES:  # by name: a file that was put there meanwhile is not ours to delete
                (old / "run" / name).unlink(missing_ok=True)
            (old / "run").rmdir()
            old.rmdir()
        else:
            fresh.replace(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """As numpy's savez_compressed, but without the time of day inside: the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, values, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.getvalue())


def read(folder: Path) -> dict[str, Any]:
    """The document in a run folder; InputError if there is none, or it is not one of this version."""
    try:
        document = json.loads((folder / MARK).read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError):  # ValueError: not UTF-8, not JSON, NaN, a NUL in the path
        raise InputError(
            f"{shown(str(folder))}: is not a run folder (no readable {MARK}); give a folder that `rpusim run` wrote"
        ) from None
    if not isinstance(document, dict):
        raise InputError(
            f"{folder / MARK}: holds {_json_kind(document)}, but an object with schema {SCHEMA!r} is needed"
        )
    if document.get("schema") != SCHEMA:
        raise InputError(f"{folder / MARK}: schema is {document.get('schema')!r}, but {SCHEMA!r} is needed")
    return document


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _json_kind(value: object) -> str:
    return {type(None): "null", list: "a list", str: "a string", bool: "true or false"}.get(type(value), "a number")


def package_version() -> str:
    return version("rpusim")

"""The main flow of a study: choose points, evaluate those that are not known, sum up."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpusim.arch.chips.chip import load_chip
from rpusim.errors import InputError
from rpusim.workloads.explore import claims, evaluate, summary
from rpusim.workloads.explore.points import Point, points
from rpusim.workloads.explore.records import Records, write
from rpusim.workloads.explore.rungs import Judge
from rpusim.workloads.explore.search import Search
from rpusim.workloads.explore.study import Study, Timed
from rpusim.workloads.explore.workers import SHARED, Cluster, Died, Here, Processes, Task, Workers, check_parent
from rpusim.workloads.results import files
from rpusim.workloads.results.document import package_version
from rpusim.workloads.results.measures import MEASURES
from rpusim.workloads.results.result import text
from rpusim.workloads.results.study_folder import DOCUMENT, POINTS, SCHEMA
from rpusim.workloads.runs.settings import Experiment, named

MOST_PAGES = 50
"""So many estimates on the front get pages of their own."""
CHUNK = 16
"""Estimates that a worker makes at a time; a run is always alone."""


@dataclass
class State:
    """How far a study is, for who watches.

    known:   points that are known to be there by now. done, failed, stopped: how many of them ended so.
    began:   when this process began with it, in seconds of `time.perf_counter`; ``fresh``: points evaluated since.
    groups:  what there is to sum up so far; made when it is asked for.
    """

    known: int = 0
    done: int = 0
    failed: int = 0
    stopped: int = 0
    fresh: int = 0
    began: float = field(default_factory=time.perf_counter)
    groups: Callable[[], list[dict[str, Any]]] = list

    def count(self, state: str) -> None:
        """Count a point that ended so."""
        setattr(self, state, getattr(self, state) + 1)

    @property
    def ended(self) -> int:
        """How many points ended."""
        return self.done + self.failed + self.stopped

    @property
    def left_s(self) -> float | None:
        """Seconds until all points that are known are done, as fast as so far; None before the first."""
        if not self.fresh:
            return None
        return (time.perf_counter() - self.began) / self.fresh * (self.known - self.ended)


Watch = Callable[[State], None]


def explore(
    study: Study,
    folder: Path,
    save: evaluate.Save,
    workers: int = 2,
    scheduler: str | None = None,
    watch: Watch = lambda state: None,
    command: str = "",
) -> dict[str, Any]:
    """Evaluate the points of a study that are not known, and sum up all of them.

    study:      what to find out.
    folder:     where records are kept; what is there is used, so the same call goes on where it was killed.
    save:       writes a result's run folder, with its page.
    workers:    processes of this machine; 0: this process itself.
    scheduler:  workers of a Dask cluster instead (see `rpusim.workloads.explore.workers.Cluster`).
    watch:      told after every point how far the study is.
    command:    makes it again; kept in the document.

    Returns the study's document, which has also been written to ``folder``. A point that fails is recorded with its
    sentence and stops nothing. Raises InputError on what cannot be used at all.
    """
    began, records, state = time.perf_counter(), Records(folder), State()
    search, tried, captured = Search(study), list[Point](), _Captured()
    state.groups = lambda: _groups(study, tried, records)
    hired = _Hired(workers, scheduler, captured)

    def told(name: str) -> None:
        if records.ended(name):
            state.count(records.state(name))
            state.fresh += 1
        watch(state)

    try:
        for batch in search.batches():
            new = [points(study, chosen) for chosen in batch]
            tried += [point for of in new for point in of]
            flat = list({point.name: point for of in new for point in of}.values())
            state.known += len(flat)
            for point in flat:
                if records.ended(point.name):
                    state.count(records.state(point.name))
            watch(state)
            _evaluate(study, flat, records, save, hired, captured, told)
            search.tell([_means(study, of, records) for of in new])
    finally:
        hired.close()
    _show_front(study, tried, records, save)
    document = _document(study, tried, records, command)
    document["wall"] = {"seconds": time.perf_counter() - began, "points": state.fresh}
    files.replace(folder / DOCUMENT, json.dumps(document, indent=1, allow_nan=False) + "\n")
    return document


def _evaluate(
    study: Study,
    chosen: Sequence[Point],
    records: Records,
    save: evaluate.Save,
    hired: _Hired,
    captured: _Captured,
    told: Callable[[str], None],
) -> None:
    """Evaluate those of some points that have not ended, rung by rung if hopeless ones are stopped early."""
    for point in chosen:
        if point.task is None and not records.ended(point.name):
            records.put(point.name, {"state": "failed", "why": point.why})
            told(point.name)
    usable = [point for point in chosen if point.task is not None]
    if study.stop is not None and usable:
        _climb(study, usable, records, save, hired, told)
    left = [point for point in usable if not records.ended(point.name)]
    if study.time is not None:
        groups = [left[i : i + CHUNK] for i in range(0, len(left), CHUNK)]
        captured.capture(left)
        for i, found in hired.results(captured.tasks(groups)):
            kept = [_failed(found)] * len(groups[i]) if isinstance(found, Died) else found
            for point, record in zip(groups[i], kept, strict=True):
                records.put(point.name, record)
                told(point.name)
        return
    for i, found in hired.results([_run(records.folder, save, point) for point in left]):
        records.put(left[i].name, _failed(found) if isinstance(found, Died) else found)
        told(left[i].name)


def _climb(
    study: Study,
    chosen: Sequence[Point],
    records: Records,
    save: evaluate.Save,
    hired: _Hired,
    told: Callable[[str], None],
) -> None:
    """Train points to one rung after the other, and stop those that are hopeless there."""
    assert study.stop is not None
    first = chosen[0].task
    assert isinstance(first, Experiment)
    if any(isinstance(p.task, Experiment) and p.task.inference is not None for p in chosen):
        raise InputError("stop: the experiment programs a trained network, which has no epochs to stop after")
    epochs = {p.task.recipe.epochs for p in chosen if isinstance(p.task, Experiment)}
    if len(epochs) > 1:
        raise InputError(f"stop: points have {min(epochs)} to {max(epochs)} epochs, but all need the same number")
    judge = Judge(study.stop, epochs.pop(), len(chosen))
    alive = list(range(len(chosen)))
    for rung in judge.epochs:
        due = [i for i in alive if _errors(records, chosen[i], rung) is None and not records.ended(chosen[i].name)]
        for j, found in hired.results([_run(records.folder, save, chosen[i], rung) for i in due]):
            records.put(chosen[due[j]].name, _failed(found) if isinstance(found, Died) else found)
            told(chosen[due[j]].name)
        errors = {i: found for i in alive if (found := _errors(records, chosen[i], rung)) is not None}
        for i in judge.stops(rung, errors):
            error, name = errors[i][str(rung)], chosen[i].name
            if not records.ended(name):
                why = f"stopped after {rung} epochs at a test error of {100 * error:.2f} %, as others were better"
                records.put(name, {"state": "stopped", "why": why, "errors": errors[i]})
                files.remove(_kept(records, name))
                told(name)
            alive.remove(i)
        alive = [i for i in alive if i in errors]


def _errors(records: Records, point: Point, rung: int) -> dict[str, float] | None:
    """Return the test errors of a point up to a rung, by epoch; None if it has not come so far."""
    found = records.get(point.name)
    if found is None or found["state"] == "failed":
        return None
    errors: dict[str, float] = found.get("errors") or {str(row[0]): row[1] for row in found.get("curve", [])}
    return errors if str(rung) in errors else None


def _kept(records: Records, name: str) -> Path:
    from rpusim.workloads.runs import checkpoint  # which brings torch

    return checkpoint.beside(records.run_folder(name))


def _failed(died: Died) -> dict[str, Any]:
    return {"state": "failed", "why": died.why}


def _run(folder: Path, save: evaluate.Save, point: Point, until: int | None = None) -> Task:
    """Make the task of running a point."""
    assert isinstance(point.task, Experiment)
    return run_point, (point.task.model_dump(), str(folder.resolve()), point.name, save, until)


def run_point(task: dict[str, Any], folder: str, name: str, save: evaluate.Save, until: int | None) -> dict[str, Any]:
    """Run a point and write its record; done by a worker, so that it counts even if the study was killed meanwhile."""
    record = evaluate.run(task, Path(folder) / POINTS / name, save, until)
    write(Path(folder), name, record)
    return record


def time_points(given: Iterable[tuple[Timed, str, str]], extra: dict[str, Any]) -> list[dict[str, Any]]:
    """Estimate some points.

    given:  what is timed, and the names of its network and of its cells in `SHARED`.
    extra:  what was not sent there at the beginning.
    """
    SHARED.update(extra)
    found = []
    for task, network, cells in given:
        check_parent()
        found.append(evaluate.estimated(task, SHARED[network], SHARED[cells]))
    return found


class _Captured:
    """What estimates share: each network that is timed, captured once, and what is to be known of each device."""

    def __init__(self) -> None:
        self.shared: dict[str, Any] = {}
        self.sent: set[str] = set()
        """What workers got at the beginning."""

    def tasks(self, groups: Sequence[Sequence[Point]]) -> list[Task]:
        """Make one task of each group of points."""
        tasks: list[Task] = []
        for group in groups:
            given = [(point.task, *self._keys(point.task)) for point in group if isinstance(point.task, Timed)]
            needed = {key for _, *keys in given for key in keys}
            tasks.append((time_points, (given, {key: self.shared[key] for key in sorted(needed - self.sent)})))
        return tasks

    def capture(self, chosen: Iterable[Point]) -> None:
        """Capture what these points need."""
        for point in chosen:
            if isinstance(point.task, Timed):
                self._keys(point.task)

    def _keys(self, task: Timed) -> tuple[str, str]:
        """Return the names of a task's network and cells, which are captured if they are not there yet."""
        network = f"network {task.network} {task.training}"
        cells = "no cells" if task.device is None else f"cells {task.device!r} {task.chip!r}"
        if network not in self.shared:
            from rpusim.workloads.runs.given_network import load_network

            self.shared[network] = load_network(task.network, task.training)
        if cells not in self.shared:
            self.shared[cells] = evaluate.PLAIN_CELLS if task.device is None else _cells(task)
        return network, cells


def _cells(task: Timed) -> evaluate.Cells:
    """Find out what an estimate has to know of a device's unit cells."""
    from rpusim.workloads.cells.assumed_transfers import all_alike, assumed
    from rpusim.workloads.runs.inputs import load_cells

    assert task.device is not None
    cells = load_cells(task.device, load_chip(task.chip))
    if not cells.learns:
        if task.training:
            raise InputError(f"device: got {task.device!r}, whose cells only infer; set training: false")
        return evaluate.Cells(cells.layout)
    return evaluate.Cells(cells.layout, assumed(cells), all_alike(cells))


class _Hired:
    """Workers, which are hired when there is something to do."""

    def __init__(self, number: int, scheduler: str | None, captured: _Captured) -> None:
        self._number, self._scheduler, self._captured = number, scheduler, captured
        self._workers: Workers | None = None

    def results(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield the number of each task and what it returned, as they are ready."""
        if not tasks:
            return
        if self._workers is None:
            shared = dict(self._captured.shared)
            self._captured.sent = set(shared)
            if self._scheduler is not None:
                self._workers = Cluster(self._scheduler, self._number, shared)
            else:
                self._workers = Processes(self._number, shared) if self._number else Here(shared)
        yield from self._workers.results(tasks)

    def close(self) -> None:
        """Let the workers go, if there are any."""
        if self._workers is not None:
            self._workers.close()


# --- what is known ----------------------------------------------------------------------------------------------------


def _ended(tried: Sequence[Point], records: Records) -> list[Point]:
    return [point for point in tried if records.ended(point.name)]


def _record(records: Records, point: Point) -> dict[str, Any]:
    found = records.get(point.name)
    assert found is not None, "only of points that have ended"
    return found


def _show_front(study: Study, tried: Sequence[Point], records: Records, save: evaluate.Save) -> None:
    """Give estimates on the front, of which there is no run folder yet, a page of their own."""
    front = {name for group in _groups(study, tried, records) if group["front"] for name in group["points"]}
    for point in [point for point in tried if point.name in front and isinstance(point.task, Timed)][:MOST_PAGES]:
        if not records.run_folder(point.name).exists():
            assert isinstance(point.task, Timed)
            evaluate.show(point.task, records.run_folder(point.name), save)


def _groups(study: Study, tried: Sequence[Point], records: Records) -> list[dict[str, Any]]:
    ended = _ended(tried, records)
    return summary.groups(study, ended, [_record(records, point) for point in ended])


def _means(study: Study, of: Sequence[Point], records: Records) -> dict[str, float] | None:
    """Return the means of the goals over the seeds of a configuration; None if a seed failed."""
    found = [records.get(point.name) or {"state": "failed"} for point in of]
    if any(record["state"] != "done" for record in found):
        return None
    group = summary.groups(study, of, found)[0]
    return {name: figure["mean"] for name, figure in group["metrics"].items()} if group["feasible"] else None


def _document(study: Study, tried: Sequence[Point], records: Records, command: str) -> dict[str, Any]:
    """Sum up all points; but for the wall time the same, byte for byte, however often the study was killed."""
    ended = _ended(tried, records)
    known = [_record(records, point) for point in ended]
    groups = summary.groups(study, ended, known)
    base = study.run or (f"{study.time.network} on {named(study.time.chip)}" if study.time else "")
    paths = list(dict.fromkeys(path for point in tried for path in point.settings))
    rows = [_row(point, record, records) for point, record in zip(ended, known, strict=True)]
    return {
        "schema": SCHEMA,
        "name": study.name,
        "title": study.title,
        "question": study.question or study.title,
        "answer": summary.answer(study, groups),
        "kind": study.kind,
        "base": base,
        "version": package_version(),
        "command": text(command),
        "settings": [_setting(path, tried) for path in paths],
        "goals": [_goal(name) for name in study.wanted],
        "measures": [_goal(name) for name in MEASURES if any(name in r.get("metrics", {}) for r in known)],
        "constraints": [_limit(*limit) for limit in study.limits()],
        "points": rows,
        "groups": groups,
        "importance": summary.importance(study, groups),
        "failures": sum(record["state"] == "failed" for record in known),
        "stopped": sum(record["state"] == "stopped" for record in known),
        **({"paper": study.paper.model_dump()} if study.paper else {}),
        **({"claims": claims.graded(study.claims, rows, _own_data(tried))} if study.claims else {}),
    }


def _own_data(tried: Sequence[Point]) -> bool:
    """Tell whether all points learn from files of the user."""
    return all(isinstance(point.task, Experiment) and Path(point.task.data).expanduser().exists() for point in tried)


def _row(point: Point, record: dict[str, Any], records: Records) -> dict[str, Any]:
    page = f"{POINTS}/{point.name}/report.html"
    row = {"id": point.name, "settings": point.settings, "seed": point.seed, **record}
    return row | {"page": page if (records.folder / page).is_file() else None}


def _setting(path: str, tried: Sequence[Point]) -> dict[str, Any]:
    """Say which values a setting takes, in the order in which they came, and whether they are numbers."""
    values: list[Any] = []
    for point in tried:
        if path in point.settings and point.settings[path] not in values:
            values.append(point.settings[path])
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return {"path": path, "values": values, "kind": "number" if numbers else "word"}


def _goal(name: str) -> dict[str, Any]:
    measure = MEASURES[name]
    return {"name": name, "label": measure.label, "unit": measure.unit, "better": measure.better}


def _limit(name: str, least: float, most: float) -> dict[str, Any]:
    ends = {"least": least, "most": most}
    return {"metric": name} | {end: value for end, value in ends.items() if math.isfinite(value)}

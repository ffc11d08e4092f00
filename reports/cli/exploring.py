"""What `rpusim study` shares with sweeps of other commands: run a study, show how far it is, and what it found."""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rpusim.reports.cli.console import aside
from rpusim.reports.cli.interruption import HEED
from rpusim.reports.cli.output import emit, say_where

if TYPE_CHECKING:
    from rpusim.workloads.explore.explore import State, Watch
    from rpusim.workloads.explore.study import Study

EVERY = 30.0
"""Seconds between two lines where stderr is no terminal."""
REDRAWN = 2.0
"""Seconds between two looks at the front so far, on a terminal."""
LONGEST = 100
"""Characters of the longest name of a folder."""


def several(settings: tuple[str, ...]) -> dict[str, list[Any]]:
    """Read the values of `--set`, of which each field may have several: tiles.0.adc.bits=5,6,7."""
    from rpusim.arch.contract import dotted
    from rpusim.errors import InputError

    found: dict[str, list[Any]] = {}
    for setting in settings:
        path, given = dotted.cut(setting)
        if path in found:
            raise InputError(f"--set {path}: was given twice; give its values as {path}=A,B")
        found[path] = [dotted.value_of(path, value) for value in dotted.alternatives(given)]
    return found


def varied(values: dict[str, list[Any]]) -> dict[str, Any]:
    """Return the fields of a study that these values of `--set` stand for: what varies, and what all points change."""
    return {
        "vary": {path: given for path, given in values.items() if len(given) > 1},
        "set": {path: given[0] for path, given in values.items() if len(given) == 1},
    }


def swept(base: str, values: dict[str, list[Any]], seeds: int | None, **fields: Any) -> Study:
    """Make the study that a sweep on a command line stands for.

    base:    what the command is about: an experiment, or a network and a chip.
    values:  by field, those that `--set` gave.
    seeds:   how often each point is run; None: once.
    fields:  of the study: ``run`` or ``time``.
    """
    from rpusim.workloads.explore.study import made

    given = varied(values)
    if not given["vary"]:  # seeds alone vary
        given = {"points": [given["set"]]} if given["set"] else {"points": [{}]}
    words = [base, *(f"{path}={','.join(map(str, of))}" for path, of in values.items())]
    title = f"{base}: {', '.join(given.get('vary', {})) or 'seeds'}"
    return made({"name": name_of(words), "title": title, "seeds": seeds or 1, **given, **fields})


def of_many(experiment: str, values: dict[str, list[Any]], seeds: int | None) -> Study | None:
    """Make the study that `rpusim run` stands for: of a paper, or of a sweep; None if it is one run.

    experiment:  the name of an experiment or of a study of a paper, or a file.
    values:      by field, those that were given for it.
    seeds:       how often each point is run; None: nothing was said.
    """
    from rpusim.workloads.explore import study
    from rpusim.workloads.runs import settings

    if experiment in study.presets() and experiment not in settings.presets():
        return with_more(study.load(experiment), values, seeds)
    if seeds is not None or any(len(of) > 1 for of in values.values()):
        return swept(experiment, values, seeds, run=experiment)
    return None


def with_more(study: Study, values: dict[str, list[Any]], seeds: int | None) -> Study:
    """Return a study that varies, or sets, more fields.

    values: by field, those that `--set` gave. seeds: how often each point is run; None: as the study says.
    """
    from rpusim.errors import InputError
    from rpusim.workloads.explore.study import made

    if not values and seeds is None:
        return study
    fields, given = study.model_dump(), varied(values)
    if given["vary"] and study.points:
        raise InputError("--set: got several values for a study that lists its points; give one value")
    fields["vary"] = {p: v for p, v in fields["vary"].items() if p not in given["set"]} | given["vary"]
    fields["set"] = {p: v for p, v in fields["set"].items() if p not in given["vary"]} | given["set"]
    fields["seeds"] = fields["seeds"] if seeds is None else seeds
    return made(fields)


def name_of(words: list[str]) -> str:
    """Make a plain name for a folder of what distinguishes it; one that would be too long ends with a digest."""
    whole = ",".join(re.sub(r"[^\w.+=,-]+", "-", word).strip("-") for word in words).lstrip("._-+=,") or "study"
    if len(whole) <= LONGEST:
        return whole
    return f"{whole[: LONGEST - 10]},{sha256(whole.encode()).hexdigest()[:8]}"


def explore_and_show(
    study: Study,
    out: Path | None,
    workers: int,
    scheduler: str | None,
    json_wanted: bool,
    quiet: bool,
    command: str,
) -> None:
    """Run a study, and print its document, or its front, its answer and where its page is."""
    from rpusim.reports.study_page.run import REPORT, explored, folder_of

    folder = folder_of(study, out)
    HEED.checkpoint = folder
    with watched(quiet) as watch, aside():
        document = explored(study, folder, workers, scheduler, watch, command)
    from rpusim.reports.words import study_tables

    show(document, folder / REPORT, json_wanted, study_tables.front)


def announcing(quiet: bool) -> Callable[[str], None]:
    """Return what tells on stderr, before it begins, what there is to do; quiet: it tells nothing."""

    def told(words: str) -> None:
        if not quiet:
            click.echo(f"rpusim: {words} (where it is stopped, the same command goes on)", err=True)

    return told


def show(document: dict[str, Any], page: Path, json_wanted: bool, shown: Callable[[dict[str, Any]], Any]) -> None:
    """Print a document as JSON, or as the terminal shows it and where its page is.

    page: of the document, in the folder where everything was written. shown: makes what the terminal shows.
    """
    HEED.written = str(page.parent)
    if json_wanted:
        emit(document)
        return
    from rpusim.reports.words import tables

    tables.console().print(shown(document))
    say_where(page, json_wanted)


@contextmanager
def watched(quiet: bool) -> Iterator[Watch]:
    """Show how far a study is: a display on a terminal, elsewhere a line every half minute, or nothing."""
    if quiet:
        yield lambda state: HEED.check()
    elif sys.stderr.isatty():
        with _display() as watch:
            yield watch
    else:
        with _lines() as watch:
            yield watch


@contextmanager
def _lines() -> Iterator[Watch]:
    """Print a line every half minute on stderr, from a thread, as a point may take longer."""
    last: list[State] = []
    done = threading.Event()

    def speak() -> None:
        while not done.wait(EVERY):
            if last:
                click.echo(f"rpusim: {sentence(last[0])}", err=True)

    def watch(state: State) -> None:
        HEED.check()
        last[:] = [state]

    threading.Thread(target=speak, daemon=True, name="rpusim-study").start()
    try:
        yield watch
    finally:
        done.set()


@contextmanager
def _display() -> Iterator[Watch]:
    """Show a bar, the estimate, failures and the front so far on a terminal, gone when done."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    drawn = [float("-inf")]
    with Live(console=Console(stderr=True), transient=True, auto_refresh=False) as live:

        def watch(state: State) -> None:
            HEED.check()
            if time.monotonic() - drawn[0] < REDRAWN and state.ended < state.known:
                return
            drawn[0] = time.monotonic()
            bar = ProgressBar(total=max(state.known, 1), completed=state.ended, width=40)
            live.update(Group(bar, Text(sentence(state)), *(Text(line) for line in front_lines(state))), refresh=True)

        yield watch


def sentence(state: State) -> str:
    """Say how far a study is: "37 of 180 points (2 failed), about 12 min left"."""
    from rpusim.reports.words.readable import duration

    others = [f"{number} {name}" for name, number in (("failed", state.failed), ("stopped", state.stopped)) if number]
    said = f"{state.ended} of {state.known} points" + (f" ({', '.join(others)})" if others else "")
    return said if state.left_s is None else f"{said}, about {duration(state.left_s)} left"


def front_lines(state: State, most: int = 8) -> list[str]:
    """List the front so far, a line for each configuration."""
    from rpusim.workloads.results.measures import MEASURES

    lines = []
    for group in [group for group in state.groups() if group["front"]][:most]:
        words = ", ".join(f"{path} {value}" for path, value in group["settings"].items())
        figures = (f"{MEASURES[n].label} {f['mean']:.3g}" for n, f in list(group["metrics"].items())[:4])
        lines.append(f"  {words}: {', '.join(figures)}")
    return lines

"""`rpusim trace`: a timeline for ui.perfetto.dev, of a run folder or of a network that is timed for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from rpusim.errors import InputError
from rpusim.reports.cli.options import as_json, changes, how_it_is_timed, optional_chip, settings, with_changes
from rpusim.reports.cli.output import emit
from rpusim.reports.cli.timing import is_training, timed

TYPED_AS = {"training": "--training/--inference"}
"""How a parameter is typed, where that is not --NAME."""

OF_PULSES = ("samples", "network", "chip", "device", "fit")
"""Options that --pulses takes from those that time a network."""


@click.command("trace")
@click.argument("folder", type=click.Path(path_type=Path), metavar="[DIR]", required=False)
@click.option("--network", help="In place of DIR: a network to time, with the options of `rpusim time`.")
@optional_chip
@how_it_is_timed
@settings
@click.option("--window", metavar="FROM:TO", help="Only what goes on between these times, such as 1us:3us.")
@click.option(
    "--stretch", is_flag=True, help="Show a picosecond as a nanosecond: Perfetto's clock has no shorter time."
)
@click.option("--pulses", is_flag=True, help="In place of events every pulse of every cell, of an experiment.")
@click.option("--only", metavar="LAYER[/TILE[/ARRAY[/ROW,COLUMN]]]", help="Only pulses of this layer, array or cell.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A .json or (smaller) .pftrace file; of pulses .csv or .parquet.",
)
@as_json
def write_trace(
    folder: Path | None,
    network: str | None,
    chip: str | None,
    window: str | None,
    stretch: bool,
    pulses: bool,
    only: str | None,
    out: Path | None,
    settings: tuple[str, ...],
    json_wanted: bool,
    **options: Any,
) -> None:
    """Write a trace to look at in ui.perfetto.dev.

    Of the first events of the run in DIR, or of every event of a network that is timed for it: a lane for each unit,
    and power, converters in use and bits in buffers over time. Without --out it goes to DIR/trace. A name without
    .json or .pftrace gets the first, or of many events the second.

    With --pulses, DIR is an experiment, as for `rpusim run`: it is run for --samples (one mini-batch without that), and
    every pulse that a cell takes is written with its time, to pulses.csv without --out. --network, --chip, --device and
    --set change the experiment.
    """
    from rpusim.arch.chips.chip import load_chip
    from rpusim.reports.trace import file
    from rpusim.reports.trace.recorded import Trace
    from rpusim.workloads.results import run_folder

    context = click.get_current_context()
    timing = [name for name in options if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if pulses:
        named = {"network": network, "chip": chip, **{name: options[name] for name in timing}}
        refused = {"window": window, "stretch": stretch} | {k: v for k, v in named.items() if k not in OF_PULSES}
        if unused := next((name for name, value in refused.items() if value), None):
            raise InputError(
                f"trace: got --{unused} with --pulses; accepted beside it: {', '.join(map(_typed, OF_PULSES))}"
            )
        _write_pulses(str(folder or "fcn-digits"), named, changes(settings), only, out, json_wanted)
        return
    if only is not None:
        raise InputError("trace: got --only without --pulses, which it chooses from; accepted: both")
    if folder is not None and timing and not (network or chip):
        raise InputError(
            f"trace: got {TYPED_AS.get(timing[0], f'--{timing[0]}')} for {folder}, which was timed already; it goes "
            "with --network and --chip"
        )
    file.check_suffix(out)
    shown_part = file.window_of(window)
    if (folder is None and not (network and chip and out)) or (folder is not None and (network or chip)):
        raise InputError("trace: give a run folder, or --network, --chip and --out; see `rpusim trace --help`")
    if folder is not None:
        document, events = run_folder.read(folder), Trace.read(folder)
    else:
        assert network and chip
        on, options["device"] = with_changes(chip, options["device"], settings)
        loaded = load_chip(on)
        options["training"] = is_training(loaded, options["training"], options["schedule"], options["device"])
        found = timed(network, loaded, whole=True, **options)
        document, events = found.document, Trace.of(found)
    lanes = file.lanes_of(events, document, shown_part, stretch)
    written = file.summary(lanes, file.write(lanes, out or Path(folder or "", "trace")))
    if json_wanted:
        emit(written)
    else:
        click.echo(file.sentence(written))


def _typed(name: str) -> str:
    return f"--{name}"


def _write_pulses(
    experiment: str, named: dict[str, Any], changes: dict[str, Any], only: str | None, out: Path | None, as_json: bool
) -> None:
    """Run an experiment for some samples, and write its pulses.

    named: options by name, those of `OF_PULSES`. changes: as given by --set. The others: as for `write_trace`.
    """
    from rpusim.reports.trace import pulses
    from rpusim.workloads.runs.pulse_trace import trace_pulses
    from rpusim.workloads.runs.settings import changed, load

    path = out or Path("pulses.csv")
    pulses.check(path)
    samples = named.pop("samples", None)
    if samples is not None and samples < 1:
        raise InputError(f"--samples: got {samples}, but at least 1 is needed")
    given = {"mapping.fit" if name == "fit" else name: value for name, value in named.items() if value is not None}
    found = trace_pulses(changed(load(experiment), given | changes), samples)
    kept = pulses.chosen(found.columns, found.layers, only)
    columns = {name: column[kept] for name, column in found.columns.items()}
    pulses.write(pulses.table(columns, found.layers), path)
    written = pulses.summary(columns, found.samples, found.time_ps, path)
    if as_json:
        emit(written)
    else:
        click.echo(pulses.sentence(written))

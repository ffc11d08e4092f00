"""The command line: `rpusim run`, `map`, `time`, `trace`, `report`, `presets`, `devices`, `validate`, `bench` and
`schema`.

Each command reads its input, calls one function of `rpusim.workloads`, and shows the document that comes back; with
``--json`` that document is all there is on stdout. Heavy imports are inside the commands, so that `--help` is quick.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from rpusim.errors import InputError
from rpusim.reports.cli.console import Commands, aside, interruptible, progress
from rpusim.workloads.results import files

if TYPE_CHECKING:
    from rpusim.workloads.results.result import Result
    from rpusim.workloads.runs.settings import Experiment

GIVEN = "given on the command line"
THE_OPTIONS = {"training": "--training/--inference"}
"""What the command line calls a parameter, where that is not its name."""

as_json = click.option(
    "--json", "json_wanted", is_flag=True, help="Print one JSON document on stdout and nothing else."
)
out_folder = click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The run folder to write.")
the_chip = "A preset (see `rpusim presets`) or a YAML file."
the_device = (
    "A way to train, such as ecram or ttv2-reram-sb, or to infer, such as inference-pcm (see `rpusim presets`)."
)
device = click.option("--device", help=the_device)
replicas = click.option(
    "--replicas", metavar="LAYER=N,...", help="Copies of layers, which share the layer's vectors: conv1=16,conv2=4."
)


def how_it_is_timed(command: Any) -> Any:
    """The options of everything that times a network."""
    schedules = click.Choice(["sequential", "layer-pipelined", "minibatch-pipelined", "asynchronous"])
    options = [
        click.option("--samples", type=int, default=1, show_default=True, help="How many samples to send through."),
        click.option(
            "--training/--inference",
            default=None,
            help="By default training, where chip, device and schedule allow it.",
        ),
        click.option("--batch", type=int, default=1, show_default=True, help="Samples of a mini-batch, in training."),
        click.option("--schedule", type=schedules, default="sequential", show_default=True),
        click.option("--bias", type=click.Choice(["column", "digital"]), default="column", show_default=True),
        device,
        replicas,
        click.option("--program", is_flag=True, help="Calibrate and write the arrays first, as scheduled work."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


@click.group(cls=Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rpusim", message="%(version)s")
@click.pass_context
def main(context: click.Context) -> None:
    """A simulator for deep-learning accelerators made of resistive cross-point arrays.

    One run answers: does it still learn, how long does it take, how much energy does it cost, how much area does it
    need.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@main.command()
@click.argument("experiment", default="fcn-digits")
@click.option("--seed", type=int, help="Seed of weights, devices and order of samples.")
@click.option("--epochs", type=int, help="How many times to go through the training data.")
@click.option("--chip", help=the_chip)
@device
@click.option("--data", help="'digits' (8 x 8), 'digits-28' (enlarged), or a folder with the four MNIST IDX files.")
@out_folder
@as_json
@click.option("--quiet", is_flag=True, help="No progress bar.")
def run(experiment: str, out: Path | None, json_wanted: bool, quiet: bool, **options: Any) -> None:
    """Train a network on a chip, and price it.

    EXPERIMENT is one that ships (see `rpusim presets`) or a YAML file; without it, fcn-digits. Options replace what it
    says. Results go to runs/EXPERIMENT, or to --out. A run that was stopped or killed goes on when the same command is
    given again: until it is done, its state is in runs/EXPERIMENT.checkpoint.
    """
    from rpusim.workloads.results import result
    from rpusim.workloads.runs import checkpoint, settings

    given = {name: value for name, value in options.items() if value is not None}
    chosen = overridden(settings.load(experiment), given)
    folder = Path("runs") / chosen.name if out is None else out
    result.check_writable(folder)
    kept = checkpoint.beside(folder)
    with progress(not quiet) as watch, aside(), interruptible(kept):
        from rpusim.workloads.runs import training_run as flow

        found = flow.run(chosen, watch, kept)
    command = ["run", experiment, *(word for name, value in given.items() for word in (f"--{name}", str(value)))]
    keep(found, folder, command)
    kept.unlink(missing_ok=True)
    show(found.document, json_wanted)
    if not json_wanted:
        click.echo(f"\n{folder / 'report.html'}")


@main.command(name="map")
@click.argument("network")
@click.option("--chip", required=True, help=the_chip)
@click.option("--bias", type=click.Choice(["column", "digital"]), default="column", show_default=True)
@device
@replicas
@as_json
def map_(network: str, chip: str, bias: Any, device: str | None, replicas: str | None, json_wanted: bool) -> None:
    """Show where a network lies on a chip.

    Tiles, arrays, utilisation and area of NETWORK (see `rpusim presets`); no weight is allocated.
    """
    from rpusim.workloads.runs import estimate

    with aside():
        document = estimate.map_network(network, chip, bias, device, copies(replicas))
    if json_wanted:
        emit(document)
    else:
        from rpusim.reports.words import tables

        tables.console().print(tables.placement(document))


@main.command()
@click.argument("network")
@click.option("--chip", required=True, help=the_chip)
@how_it_is_timed
@click.option("--what-if", is_flag=True, help="Time it on changed chips, too: twice the ADCs, lanes, bandwidth.")
@out_folder
@as_json
def time(network: str, chip: str, training: bool | None, out: Path | None, json_wanted: bool, **options: Any) -> None:
    """Time and price a network, without learning.

    The event engine runs samples of NETWORK; what the arrays do with them is assumed, not computed, and the result
    says so.
    """
    from rpusim.workloads.results import result

    if out is not None:
        result.check_writable(out)
    training = learns(chip, training, options["schedule"], options["device"])
    found = timed(network, chip, training, **options)
    words = ["time", network, "--chip", chip, "--training" if training else "--inference"]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        words += [] if value is None or value is False else [option] if value is True else [option, str(value)]
    if out is not None:
        keep(found, out, words)
    show(found.document, json_wanted)
    if out is not None and not json_wanted:
        click.echo(f"\n{out / 'report.html'}")


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="[DIR]", required=False)
@click.option("--network", help="In place of DIR: a network to time, with the options of `rpusim time`.")
@click.option("--chip", help=the_chip)
@how_it_is_timed
@click.option("--window", metavar="FROM:TO", help="Only what goes on between these times, such as 1us:3us.")
@click.option(
    "--stretch", is_flag=True, help="Show a picosecond as a nanosecond: Perfetto's clock has no shorter time."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="A .json or (smaller) .pftrace file.")
@as_json
def trace(
    folder: Path | None,
    network: str | None,
    chip: str | None,
    window: str | None,
    stretch: bool,
    out: Path | None,
    json_wanted: bool,
    **options: Any,
) -> None:
    """Write a trace to look at in ui.perfetto.dev.

    Of the first events of the run in DIR, or of every event of a network that is timed for it: a lane for each unit,
    and power, converters in use and bits in buffers over time. Without --out it goes to DIR/trace. A name without
    .json or .pftrace gets the first, or of many events the second.
    """
    from rpusim.reports.trace import file
    from rpusim.reports.trace.recorded import Trace
    from rpusim.workloads.results import result

    context = click.get_current_context()
    timing = [name for name in options if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
    if folder is not None and timing and not (network or chip):
        raise InputError(
            f"trace: got {THE_OPTIONS.get(timing[0], f'--{timing[0]}')} for {folder}, which was timed already; it goes "
            "with --network and --chip"
        )
    file.check_suffix(out)
    shown_part = file.window_of(window)
    if (folder is None and not (network and chip and out)) or (folder is not None and (network or chip)):
        raise InputError("trace: give a run folder, or --network, --chip and --out; see `rpusim trace --help`")
    if folder is not None:
        document, events = result.read(folder), Trace.read(folder)
    else:
        assert network and chip
        options["training"] = learns(chip, options["training"], options["schedule"], options["device"])
        found = timed(network, chip, whole=True, **options)
        document, events = found.document, Trace.of(found)
    lanes = file.lanes_of(events, document, shown_part, stretch)
    written = file.summary(lanes, file.write(lanes, out or Path(folder or "", "trace")))
    if json_wanted:
        emit(written)
    else:
        click.echo(file.sentence(written))


@main.command()
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@as_json
def report(folder: Path, json_wanted: bool) -> None:
    """Show the result in a run folder again.

    Reads result.json (and events.npz) in DIR, prints the tables and writes report.html anew.
    """
    from rpusim.reports.cli.schema import problem, schema_of
    from rpusim.reports.page.page import page
    from rpusim.reports.trace.recorded import Trace
    from rpusim.workloads.results import result

    document = result.read(folder)
    wrong = problem(document, schema_of("result"))
    try:
        written = "" if wrong else page(document, Trace.read(folder))
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, StopIteration) as error:
        wrong = f"{type(error).__name__}: {error}"  # figures of the right kind that do not belong together
    if wrong:
        raise InputError(
            f"{folder / result.MARK}: is not a whole result ({wrong}); give a folder that `rpusim run` wrote"
        ) from None
    files.replace(folder / "report.html", written)
    show(document, json_wanted)
    if not json_wanted:
        click.echo(f"\n{folder / 'report.html'}")


@main.command()
@as_json
def presets(json_wanted: bool) -> None:
    """List what ships with rpusim.

    Experiments, networks, chips, devices and ways to infer, each with its title and source.
    """
    from rpusim.reports.cli.catalogue import catalogue

    lists = catalogue()
    if json_wanted:
        emit(lists)
    else:
        from rpusim.reports.words import tables

        tables.console().print(tables.catalogue(lists))


@main.command()
@click.argument("name", required=False)
@click.option("--pulses", type=int, help="How many pulses up, and then down.  [default: as many as there are states]")
@click.option("--cells", type=int, default=5, show_default=True, help="How many sampled cells to draw.")
@click.option("--svg", "drawing", type=click.Path(path_type=Path), metavar="FILE", help="Write the drawing, too.")
@as_json
def devices(name: str | None, pulses: int | None, cells: int, drawing: Path | None, json_wanted: bool) -> None:
    """Draw how a device responds to pulses.

    NAME is a preset, or a model such as soft-bounds; without it, a table of the presets.
    """
    from rpusim.reports.curves import devices as shown
    from rpusim.reports.words import tables

    if name is None and (pulses is not None or drawing is not None):
        raise InputError("--pulses and --svg draw one device; give its NAME as well (see `rpusim devices`)")
    document: Any = shown.overview() if name is None else shown.describe(name, pulses, cells)
    if drawing is not None:
        files.replace(drawing, shown.svg(document))
    if json_wanted:
        emit(document)
        return
    console = tables.console()
    console.print(shown.table(document) if name is None else shown.response(document, console.width))
    if drawing is not None:
        click.echo(f"\n{drawing}")


@main.command()
@as_json
def validate(json_wanted: bool) -> None:
    """Set published figures beside simulated ones.

    Every row has its source and how well its figure is known; rows without a tolerance are for comparison. Exits 1 if
    a row with one does not hold.
    """
    from rpusim.reports.words import tables
    from rpusim.workloads.studies.validate import cases

    with aside():
        rows = [case.row() for case in cases()]
    if json_wanted:
        emit({"rows": rows})
    else:
        tables.console().print(tables.validation(rows))
    if any(row["ok"] is False for row in rows):
        raise SystemExit(1)


@main.command()
@click.option("--network", "networks", multiple=True, default=("fcn", "lenet-2017"), show_default=True)
@click.option("--preset", "names", multiple=True, default=("gokmen-vlasov", "ecram", "reram-sb"), show_default=True)
@click.option("--batch", "batches", type=int, multiple=True, default=(1, 10, 100), show_default=True)
@click.option("--threads", type=int, multiple=True, default=(1,), show_default=True)
@click.option("--peer-python", metavar="PATH", help="A Python interpreter that has aihwkit, to compare with.")
@click.option("--repeats", type=int, default=5, show_default=True, help="The median of so many counts.")
@click.option("--engine", is_flag=True, help="The event engines instead; other options do not matter.")
@as_json
def bench(
    networks: Any, names: Any, batches: Any, threads: Any, engine: bool, json_wanted: bool, **options: Any
) -> None:
    """Measure how fast training is on this machine.

    Whole training steps, pulses one by one ("exact") and merged, beside plain floating-point torch and AIHWKit where
    there is one. Options may be given several times.
    """
    from rpusim.reports.cli.bench import line
    from rpusim.workloads.benchmarks import engine
    from rpusim.workloads.benchmarks import training as measured

    show_row = (lambda row: None) if json_wanted else (lambda row: click.echo(line(row)))
    if engine:
        rows = engine.run(watch=show_row)
    else:
        rows = measured.run(networks, names, batches, threads, watch=show_row, **options)
    if json_wanted:
        emit(rows)


@main.command()
@click.argument("kind", type=click.Choice(["chip", "experiment", "result"]), default="chip")
@as_json
def schema(kind: str, json_wanted: bool) -> None:
    """Print a JSON schema, for editors.

    Of a chip file, an experiment file, or result.json.
    """
    from rpusim.reports.cli.schema import schema_of

    emit(schema_of(kind))


def overridden(experiment: Experiment, given: dict[str, Any]) -> Experiment:
    """The experiment with what was given on the command line in place of its own, and that said as the source."""
    from rpusim.workloads.runs import settings

    if not given:
        return experiment
    changes: dict[str, Any] = {name: value for name, value in given.items() if name != "epochs"}
    changes["sources"] = experiment.sources | dict.fromkeys(changes, GIVEN)
    if "epochs" in given:
        recipe = experiment.recipe.model_dump()
        sources = recipe["sources"] | {"epochs": GIVEN}
        changes["recipe"] = recipe | {"epochs": given["epochs"], "sources": sources}
    if {"chip", "device", "data"} & set(given):
        chip, data = (given.get(name, getattr(experiment, name)) for name in ("chip", "data"))
        changes["title"] = f"{experiment.network} learns {data} on {chip}"
    return settings.changed(experiment, changes)


def copies(given: str | None) -> dict[str, int]:
    """Numbers by layer from "conv1=16,conv2=4"."""
    found: dict[str, int] = {}
    for part in given.split(",") if given else []:
        layer, _, number = (word.strip() for word in part.partition("="))
        if not number.isdecimal():
            raise InputError(f"--replicas: got {part!r}, but LAYER=N is needed, such as conv1=16,conv2=4")
        if layer in found:
            raise InputError(f"--replicas: got {layer!r} twice, but a number for each layer is needed")
        found[layer] = int(number)
    return found


def learns(chip: str, training: bool | None, schedule: str, device: str | None) -> bool:
    """Whether a timing is of training; if nothing was said, where the chip, its cells and the schedule allow it."""
    from rpusim.arch.chips.chip import Chip
    from rpusim.workloads.cells import inference_cells

    if training is not None:
        return training
    return schedule != "layer-pipelined" and inference_cells.cells(device) is None and Chip.load(chip).trains


def timed(network: str, chip: str, training: bool, replicas: str | None, **options: Any) -> Result:
    """What `estimate.time_network` finds."""
    from rpusim.workloads.runs import estimate

    with aside():
        return estimate.time_network(network, chip, training=training, replicas=copies(replicas), **options)


def keep(found: Result, folder: Path, words: list[str]) -> None:
    """Write the run folder, with the command that makes it again."""
    from rpusim.reports import save

    found.document["command"] = shlex.join(["rpusim", *words])
    save(found, folder)


def show(document: dict[str, Any], json_wanted: bool) -> None:
    """The document itself, or the table of it."""
    if json_wanted:
        emit(document)
        return
    from rpusim.reports.words import tables

    tables.console().print(tables.result(document))


def emit(document: Any) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(document, indent=1, allow_nan=False))


if __name__ == "__main__":
    main()

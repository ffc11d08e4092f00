"""`rpusim run`: train a network on a chip, or program a trained one, and write its run folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from rpusim.errors import InputError
from rpusim.reports.cli.console import aside, interruptible, progress
from rpusim.reports.cli.exploring import explore_and_show, name_of, of_many, several
from rpusim.reports.cli.options import as_json, device, optional_chip, sweep, workers
from rpusim.reports.cli.output import keep, say_where, show

GIVEN = "given on the command line"
DRAWS = 5
"""Of `--waterfall`."""


@click.command("run")
@click.argument("experiment", default="fcn-digits")
@click.option("--seed", type=int, help="Seed of weights, devices and order of samples.")
@click.option("--epochs", type=int, help="How many times to go through the training data.")
@click.option("--network", help="A name of the zoo, or file.py:function that returns (module, shape of a sample).")
@optional_chip
@device
@click.option(
    "--data", help="A name (digits, mnist-5k, text:difflib), a file or folder (docs/data.md), or file.py:function."
)
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The run folder to write.")
@click.option(
    "--execution",
    type=click.Choice(["merged", "exact"]),
    help="Pulses merged where that is the same in distribution, or all one by one.",
)
@click.option(
    "--fit", metavar="WAY[,LAYER=WAY...]", help="How blocks find arrays: as-is, pack, grow or (with inference) reload."
)
@click.option(
    "--placing", type=click.Choice(["in-order", "near"]), help="Layers one after the other, or near their readers."
)
@click.option(
    "--waterfall",
    is_flag=True,
    default=None,
    help="Divide the error of a network that is programmed by causes, with 5 draws (--set waterfall=N: N of them).",
)
@sweep
@click.option("--seeds", type=int, help="Run it with so many seeds, from 0, as a study.")
@workers
@as_json
@click.option(
    "--device-type",
    type=click.Choice(["cpu", "cuda"]),
    default="cpu",
    help="Where arrays that learn are computed (docs/gpu.md); the numbers are the same to rounding.",
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
def run_experiment(
    experiment: str,
    out: Path | None,
    settings: tuple[str, ...],
    seeds: int | None,
    waterfall: bool | None,
    number: int,
    json_wanted: bool,
    device_type: str,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a network on a chip, and price it.

    EXPERIMENT is one that ships (see `rpusim presets`) or a YAML file; without it, fcn-digits. Options replace what it
    says. Results go to --out, or to a folder in runs/ that is named after the experiment and what was changed in it. A
    run that was stopped or killed goes on when the same command is given again: until it is done, its state is beside
    that folder, in a file of the same name with .checkpoint. Several values of a field, or --seeds, make a study (see
    `rpusim study`), whose results go to studies/. One that is of a paper, such as rpu-2016, is a study, too: its runs,
    and the paper's figures beside ours.
    """
    from rpusim.workloads.results import files, run_folder
    from rpusim.workloads.runs import checkpoint
    from rpusim.workloads.runs.settings import changed, load

    fields = {"fit": "mapping.fit", "placing": "mapping.placing"}
    given = {fields.get(name, name): value for name, value in options.items() if value is not None}
    values = several(settings)
    named = {name: value for name, value in options.items() if value is not None}
    typed = [*named.items(), *(("set", setting) for setting in settings)]
    command = ["run", experiment, *(word for name, value in typed for word in (f"--{name}", str(value)))]
    if waterfall and "waterfall" not in values:
        given["waterfall"] = DRAWS
        command.append("--waterfall")
    study = of_many(experiment, {name: [value] for name, value in given.items()} | values, seeds)
    if study is not None:
        if device_type != "cpu":
            raise InputError(
                f"--device-type: {device_type} was given for a study, whose runs are computed on the CPU; accepted is "
                "cpu, or a single run"
            )
        words = ["rpusim", *command, *(() if seeds is None else ("--seeds", str(seeds)))]
        explore_and_show(study, out, number, None, json_wanted, quiet, shlex.join(words))
        return
    changes = given | {path: of[0] for path, of in values.items()}
    chosen = changed(load(experiment), changes, GIVEN)
    folder = out
    if folder is None:
        words = [chosen.name, *(f"{name}={value}" for name, value in changes.items())]
        folder = run_folder.of_configuration(Path("runs") / name_of(words), chosen.digest)
    run_folder.check_writable(folder)
    kept = checkpoint.beside(folder)
    with progress(not quiet) as watch, aside(), interruptible(kept):
        from rpusim.workloads.runs import simulate

        found = simulate.run(chosen, watch, kept, device_type=device_type)
    try:
        keep(found, folder, command)
    except InputError as error:
        if kept.exists():
            raise InputError(f"{error}; what was learned is in {kept}: the same command goes on from there") from None
        raise
    files.remove(kept)
    show(found.document, json_wanted)
    say_where(folder / "report.html", json_wanted)

"""`rpusim learn`: which training algorithms learn on a device."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from rpusim.reports.cli.exploring import announcing, name_of, show, watched
from rpusim.reports.cli.interruption import HEED
from rpusim.reports.cli.options import as_json, changes, workers


@click.command("learn")
@click.option("--device", required=True, help="A preset, FILE.yaml (as `rpusim fit` writes it), or FILE.py:CLASS.")
@click.option("--experiment", default="fcn-digits", show_default=True, help="What is learned: a preset or a YAML file.")
@click.option("--algorithms", metavar="A,B,...", help="Some of them: sgd, tiki-taka, agad, ...  [default: all]")
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True, help="How often the best is run.")
@click.option("--epochs", type=click.IntRange(1, 10_000), default=6, show_default=True, help="Of the final runs.")
@click.option("--quick", is_flag=True, help="Half the epochs, and fewer settings.")
@click.option("--set", "settings", metavar="PATH=VALUE", multiple=True, help="Change a field of the experiment.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the results go.  [learn/DEVICE]")
@workers
@as_json
@click.option("--quiet", is_flag=True, help="No progress.")
def learn_on_device(
    device: str,
    experiment: str,
    algorithms: str | None,
    seeds: int,
    epochs: int,
    quick: bool,
    settings: tuple[str, ...],
    out: Path | None,
    number: int,
    json_wanted: bool,
    quiet: bool,
) -> None:
    """Find out which training algorithms learn on a device.

    Each algorithm gets a small search of settings, then runs with several seeds; the answer is a ranked table with
    error, pulses, time and energy, calibration included. What was run is not run again, so the same command goes on
    where it was stopped.
    """
    from rpusim.reports.learn_page.saving import learned
    from rpusim.reports.words import learn_tables

    folder = out or Path("learn") / name_of([device])
    typed = ["--device", device, *(("--experiment", experiment) if experiment != "fcn-digits" else ())]
    typed += [*(("--algorithms", algorithms) if algorithms else ()), "--seeds", str(seeds), "--epochs", str(epochs)]
    typed += [*(("--quick",) if quick else ()), *(w for s in settings for w in ("--set", s))]
    HEED.checkpoint = folder

    with watched(quiet) as watch:
        document = learned(
            device,
            folder,
            experiment=experiment,
            algorithms=algorithms,
            seeds=seeds,
            epochs=epochs,
            quick=quick,
            changes=changes(settings),
            workers=number,
            watch=watch,
            told=announcing(quiet),
            command=shlex.join(["rpusim", "learn", *typed]),
        )
    show(document, folder / "learn.html", json_wanted, learn_tables.ranking)

"""`rpusim arena`: every training algorithm on devices of few and many states, with calibration on the same clock."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from rpusim.reports.cli.exploring import announcing, show, watched
from rpusim.reports.cli.interruption import HEED
from rpusim.reports.cli.options import as_json, changes, workers


@click.command("arena")
@click.option("--experiment", default="fcn-digits", show_default=True, help="What is learned: a preset or a YAML file.")
@click.option("--algorithms", metavar="A,B,...", help="Some of them: sgd, tiki-taka, e-rider, ...  [default: all]")
@click.option("--states", metavar="N,...", default="4,10,20,100,1200", show_default=True, help="Of the devices.")
@click.option("--references", metavar="A;B;...", help="Some of: on 0; spread 0.1; mean 0.4, spread 0.05; spread 1.")
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True, help="How often each is run.")
@click.option("--epochs", type=click.IntRange(1, 10_000), default=6, show_default=True, help="Of the runs.")
@click.option("--quick", is_flag=True, help="Search learning rates alone.")
@click.option("--set", "settings", metavar="PATH=VALUE", multiple=True, help="Change a field of the experiment.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", default="arena", show_default=True)
@workers
@as_json
@click.option("--quiet", is_flag=True, help="No progress.")
def meet(
    experiment: str,
    algorithms: str | None,
    states: str,
    references: str | None,
    seeds: int,
    epochs: int,
    quick: bool,
    settings: tuple[str, ...],
    out: Path,
    number: int,
    json_wanted: bool,
    quiet: bool,
) -> None:
    """Let every training algorithm learn on devices of few and many states whose references are off.

    Each algorithm is tuned by a small search for each number of states, then runs on every device with several seeds;
    what counts on symmetry points runs with the pulses that find them, and without. The answer is a league by test
    error, and by energy, time and pulses with and without calibration. What was run is not run again, so the same
    command goes on where it was stopped.
    """
    from rpusim.reports.learn_page.saving import met
    from rpusim.reports.words import learn_tables
    from rpusim.workloads.learn.arena import REFERENCES, numbers

    chosen = tuple(REFERENCES) if references is None else tuple(each.strip() for each in references.split(";"))
    typed = [*(("--experiment", experiment) if experiment != "fcn-digits" else ()), "--states", states]
    typed += [
        *(("--algorithms", algorithms) if algorithms else ()),
        *(("--references", references) if references else ()),
    ]
    typed += ["--seeds", str(seeds), "--epochs", str(epochs)]
    typed += [*(("--quick",) if quick else ()), *(w for s in settings for w in ("--set", s))]
    HEED.checkpoint = out

    with watched(quiet) as watch:
        document = met(
            out,
            experiment=experiment,
            algorithms=algorithms,
            states=numbers(states),
            references=chosen,
            seeds=seeds,
            epochs=epochs,
            quick=quick,
            changes=changes(settings),
            workers=number,
            watch=watch,
            told=announcing(quiet),
            command=shlex.join(["rpusim", "arena", *typed]),
        )
    show(document, out / "arena.html", json_wanted, learn_tables.league)

"""`rpusim study`: many runs or estimates for one question, with a front and an answer."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from rpusim.errors import InputError
from rpusim.reports.cli.exploring import explore_and_show, several, with_more
from rpusim.reports.cli.options import as_json, workers


@click.command("study")
@click.argument("study")
@click.option("--set", "settings", metavar="PATH=VALUES", multiple=True, help="Vary a field, or set it: PATH=A,B.")
@click.option("--seeds", type=int, help="How often each point is run.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The study's folder.  [studies/NAME]")
@workers
@click.option("--scheduler", metavar="tcp://HOST:PORT", help="Workers of a running Dask cluster instead.")
@click.option("--slurm", "where", flag_value="slurm", help="Workers that dask-jobqueue starts, as it is configured.")
@click.option("--kubernetes", "where", flag_value="kubernetes", help="Workers that dask-kubernetes starts.")
@as_json
@click.option("--quiet", is_flag=True, help="No progress.")
def run_study(
    study: str,
    settings: tuple[str, ...],
    seeds: int | None,
    out: Path | None,
    number: int,
    scheduler: str | None,
    where: str | None,
    json_wanted: bool,
    quiet: bool,
) -> None:
    """Run a study: many points, one answer.

    STUDY is one that ships (see `rpusim presets`) or a YAML file. Results go to studies/NAME, or to --out. Points that
    are there are not run again, so the same command goes on after it was stopped or killed, and a changed study runs
    only what is new.
    """
    from rpusim.workloads.explore.study import load

    if scheduler and where:
        raise InputError(f"--scheduler: got {scheduler!r} beside --{where}; give one of the two")
    chosen = with_more(load(study), several(settings), seeds)
    typed = [*(w for s in settings for w in ("--set", s)), *(() if seeds is None else ("--seeds", str(seeds)))]
    command = shlex.join(["rpusim", "study", study, *typed])
    explore_and_show(chosen, out, number, scheduler or where, json_wanted, quiet, command)

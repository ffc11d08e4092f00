"""`rpusim fit`: a device from measured pulse curves."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any

import click

from rpusim.errors import InputError
from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit, say_where


@click.command("fit")
@click.argument("measured", type=click.Path(path_type=Path))
@click.option("--unit", metavar="UNIT", help="Of the conductances, such as uS, where no column's name says it.")
@click.option(
    "--pattern",
    multiple=True,
    metavar="[DEVICE=]up:N,down:N,...",
    help="Which pulses of a train go up: parts up, down, skip and alternate, where the file does not say it.",
)
@click.option(
    "--reference",
    default="middle",
    show_default=True,
    metavar="G",
    help="The conductance of weight 0: middle (of the mean range), symmetry-point, or a value such as '25 uS'.",
)
@click.option("--per-weight", metavar="G", help="What a weight of 1 is more.  [default: to the end of the range]")
@click.option("--model", help="Take this model, not the one that is justified.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where the results go.  [fits/NAME]")
@as_json
@click.option("--quiet", is_flag=True, help="No progress.")
def fit_device(
    measured: Path,
    unit: str | None,
    pattern: tuple[str, ...],
    reference: str,
    per_weight: str | None,
    model: str | None,
    out: Path | None,
    json_wanted: bool,
    quiet: bool,
) -> None:
    """Fit a device to measured conductances.

    MEASURED is a CSV file: pulse number and conductances up and down, of any number of devices and cycles, in columns
    or in rows. Written are device.yaml, which every --device takes, fit.json, and report.html.
    """
    try:
        from rpusim.workloads.fit.fit import fit
    except ModuleNotFoundError as error:
        if error.name != "scipy":
            raise
        raise InputError("fit: scipy is not installed; run pip install 'rpusim[fit]'") from None
    from rpusim.reports.fit_page.saving import DEVICE, REPORT, save
    from rpusim.reports.words import fit_tables, tables

    def watch(what: str, done: int, whole: int) -> None:
        if not quiet and sys.stderr.isatty():
            click.echo(
                f"\r{f'fitting {what}, {done} of {whole} models':60}" if what else f"\r{'':60}\r", nl=False, err=True
            )

    options: dict[str, Any] = {
        "unit": unit,
        "pattern": pattern,
        "reference": reference,
        "per_weight": per_weight,
        "model": model,
    }
    document = fit(measured, **options, watch=watch)
    typed = [word for one in pattern for word in ("--pattern", one)]
    for name in ("unit", "reference", "per_weight", "model"):
        if options[name] not in (None, "middle"):
            typed += [f"--{name.replace('_', '-')}", str(options[name])]
    document["command"] = shlex.join(["rpusim", "fit", str(measured), *typed])
    folder = out or Path("fits") / document["name"]
    save(document, folder)
    if json_wanted:
        emit(document)
        return
    tables.console().print(fit_tables.fitted(document))
    say_where(folder / DEVICE, json_wanted)
    click.echo(folder / REPORT)

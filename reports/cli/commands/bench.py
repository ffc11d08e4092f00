"""`rpusim bench`: how fast training and the event engines are on this machine."""

from __future__ import annotations

from typing import Any

import click

from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import emit


@click.command("bench")
@click.option("--network", "networks", multiple=True, default=("fcn", "lenet-2017", "lstm2-64"), show_default=True)
@click.option("--preset", "names", multiple=True, default=("gokmen-vlasov", "ecram", "reram-sb"), show_default=True)
@click.option(
    "--regime",
    "regimes",
    multiple=True,
    default=("sparse", "digits", "2016-bl10", "2016-bl31"),
    show_default=True,
    help="What is learned: few pulses, or as many as learning takes.",
)
@click.option(
    "--execution",
    "executions",
    multiple=True,
    default=("exact", "merged"),
    show_default=True,
    help="How pulses are computed.",
)
@click.option("--batch", "batches", type=int, multiple=True, default=(1, 10, 100), show_default=True)
@click.option("--threads", type=int, multiple=True, default=(1,), show_default=True)
@click.option("--peer-python", metavar="PATH", help="A Python interpreter that has aihwkit, to compare with.")
@click.option("--repeats", type=int, default=5, show_default=True, help="The median of so many counts.")
@click.option("--engine", "of_engines", is_flag=True, help="The event engines instead; other options do not matter.")
@as_json
def measure_speed(
    networks: Any, names: Any, batches: Any, threads: Any, of_engines: bool, json_wanted: bool, **options: Any
) -> None:
    """Measure how fast training is on this machine.

    Whole training steps, pulses one by one ("exact") and merged, beside plain floating-point torch and AIHWKit where
    there is one, with few pulses and with as many as learning takes. Options may be given several times.
    """
    from rpusim.workloads.benchmarks import engine, training

    show_row = (lambda row: None) if json_wanted else (lambda row: click.echo(line(row)))
    if of_engines:
        rows = engine.run(watch=show_row)
    else:
        rows = training.run(networks, names, batches, threads, watch=show_row, **options)
    if json_wanted:
        emit(rows)


def line(row: dict[str, Any]) -> str:
    """Write one measurement in one line, with the ratio to what it is compared with.

    row: a row of `rpusim.workloads.benchmarks.training.run` or of `rpusim.workloads.benchmarks.engine.run`.

    >>> line({"name": "train x", "value": 1234.5, "unit": "samples/s", "peer": "y", "peer_value": 100.0, "ratio": 12.3})
    'train x                                                             1.23e+03 samples/s   12.3 x y (100)'
    """
    compared = f"{row['ratio']:6.3g} x {row['peer']} ({row['peer_value']:.3g})"
    return f"{row['name']:66s} {row['value']:9.3g} {row['unit']} {compared}"

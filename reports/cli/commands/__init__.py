"""The command line `rpusim`: one file for each command, gathered here.

Each command reads its input, calls one function of `rpusim.workloads`, and shows the document that comes back; with
``--json`` that document is all there is on stdout. Heavy imports are inside the commands, so that `--help` is quick: to
list the commands, nothing but click and these small files is loaded.
"""

from __future__ import annotations

import click

from rpusim.reports.cli.commands.arena import meet
from rpusim.reports.cli.commands.bench import measure_speed
from rpusim.reports.cli.commands.compare import compare_runs
from rpusim.reports.cli.commands.devices import show_devices
from rpusim.reports.cli.commands.doctor import examine
from rpusim.reports.cli.commands.explain import explain_field
from rpusim.reports.cli.commands.fit import fit_device
from rpusim.reports.cli.commands.learn import learn_on_device
from rpusim.reports.cli.commands.map import map_network
from rpusim.reports.cli.commands.new import new_file
from rpusim.reports.cli.commands.presets import list_presets
from rpusim.reports.cli.commands.report import show_report
from rpusim.reports.cli.commands.run import run_experiment
from rpusim.reports.cli.commands.schema import print_schema
from rpusim.reports.cli.commands.study import run_study
from rpusim.reports.cli.commands.time import time_network
from rpusim.reports.cli.commands.trace import write_trace
from rpusim.reports.cli.commands.validate import compare_with_published
from rpusim.reports.cli.console import Commands

__all__ = ["main"]


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


for command in (
    run_experiment,
    map_network,
    time_network,
    run_study,
    write_trace,
    show_report,
    compare_runs,
    list_presets,
    new_file,
    explain_field,
    show_devices,
    fit_device,
    learn_on_device,
    meet,
    compare_with_published,
    measure_speed,
    print_schema,
    examine,
):
    main.add_command(command)


if __name__ == "__main__":
    main()

"""`rpusim report`: the tables and the page of a run folder, again."""

from __future__ import annotations

from pathlib import Path

import click

from rpusim.errors import InputError
from rpusim.reports.cli.options import as_json
from rpusim.reports.cli.output import say_where, show


@click.command("report")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@as_json
def show_report(folder: Path, json_wanted: bool) -> None:
    """Show the result in a run folder again.

    Reads result.json (and events.npz) in DIR, prints the tables and writes report.html anew.
    """
    from rpusim.reports.cli.schema import problem, schema_of
    from rpusim.reports.page.page import page
    from rpusim.reports.trace.recorded import Trace
    from rpusim.workloads.results import files, run_folder

    document = run_folder.read(folder)
    wrong = problem(document, schema_of("result"))
    try:
        written = "" if wrong else page(document, Trace.read(folder))
    except InputError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, StopIteration) as error:
        wrong = f"{type(error).__name__}: {error}"  # figures of the right kind that do not belong together
    if wrong:
        raise InputError(
            f"{folder / run_folder.DOCUMENT}: is not a whole result ({wrong}); give a folder that `rpusim run` wrote"
        ) from None
    files.replace(folder / "report.html", written)
    show(document, json_wanted)
    say_where(folder / "report.html", json_wanted)

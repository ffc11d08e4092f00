"""How the command line behaves: errors as one sentence, interruption without a trace, progress while one waits.

Exit status: 0 done; 2 the input cannot be used (one sentence on stderr, nothing written); 130 interrupted by Ctrl-C,
143 by SIGTERM.
"""

from __future__ import annotations

import errno
import gc
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, NoReturn, TextIO

import click

from rpusim.arch.contract.waiting import awaited
from rpusim.errors import InputError, Notice, nearest
from rpusim.reports.cli.interruption import HEED, Interrupted, heeded

Watch = Callable[[str, float], None]

BAD_INPUT = 2
BROKEN_PIPE = 141
STDOUT = 1
STDOUT_REFUSES = (errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF)

SELDOM = 1_000_000
"""New objects between two searches for cycles that nobody refers to: at Python's own 700, a command's start spends a
seventh of its time on them."""

STAGES = {
    "digital": "floating point, to compare",
    "analog": "on the chip",
    "aging": "at the times after programming",
    "waterfall": "where accuracy is lost",
}


class Commands(click.Group):
    """A group of commands in which everything that the user can get wrong ends in one sentence."""

    def main(self, args: Any = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]
        if not extra.pop("standalone_mode", True):
            return super().main(args, prog_name, standalone_mode=False, **extra)
        gc.set_threshold(SELDOM)
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal that has no µ shows a question mark
        try:
            with heeded(), warnings.catch_warnings():
                if not sys.warnoptions:
                    warnings.simplefilter("ignore")  # warnings of torch do not belong beside one sentence
                warnings.simplefilter("always", Notice)
                warnings.showwarning = _show_warning
                status = super().main(args, prog_name, standalone_mode=False, **extra) or 0
                sys.stdout.flush()
            sys.exit(status)
        except OSError as error:
            if error.filename is not None or error.errno not in STDOUT_REFUSES:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), STDOUT)  # what is still in the buffer has nowhere to go
            if error.errno == errno.EPIPE:  # the reader has seen enough, as in `rpusim presets | head`
                sys.exit(BROKEN_PIPE)
            _leave(f"standard output cannot be written ({error.strerror})", BAD_INPUT)
        except InputError as error:
            _leave(str(error), BAD_INPUT)
        except click.ClickException as error:
            _leave(error.format_message(), error.exit_code if error.exit_code != 1 else BAD_INPUT)
        except (click.Abort, KeyboardInterrupt, Interrupted) as interruption:
            if isinstance(interruption.__cause__, EOFError):  # click takes it for Ctrl-C, whoever raised it
                raise interruption.__cause__ from None
            _leave(HEED.sentence(), HEED.status)

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if arguments and not arguments[0].startswith("-") and arguments[0] not in self.commands:
            raise InputError(f"no command is named {arguments[0]!r}{nearest(arguments[0], self.commands)}")
        return super().resolve_command(context, arguments)


def _leave(sentence: str, status: int) -> NoReturn:
    """Print one sentence on stderr and exit with a status."""
    click.echo(f"rpusim: {' '.join(sentence.split())}", err=True)
    sys.exit(status)


def _show_warning(message: Warning | str, category: type[Warning], filename: str, *where: Any, **more: Any) -> None:
    """Print a notice as one sentence on stderr; other warnings as Python does."""
    text = f"rpusim: {' '.join(str(message).split())}\n"
    if not issubclass(category, Notice):
        text = warnings.formatwarning(message, category, filename, where[0] if where else more.get("lineno", 0))
    click.echo(text, err=True, nl=False)


def aside() -> redirect_stdout[TextIO]:
    """Send what is printed to stderr while a user's own code may run, as stdout belongs to the document."""
    return redirect_stdout(sys.stderr)


@contextmanager
def progress(wanted: bool = True) -> Iterator[Watch]:
    """Show bars on stderr, one for each stage, gone when done; where stderr is no terminal, a line every half minute.

    At every sign of progress it is asked whether there was a Ctrl-C.
    """
    with _bars(wanted) as show:

        def watch(stage: str, fraction: float) -> None:
            HEED.check()
            show(stage, fraction)

        yield watch


@contextmanager
def interruptible(checkpoint: Path) -> Iterator[None]:
    """Say how a run that is interrupted after its first checkpoint goes on."""
    HEED.checkpoint = checkpoint
    yield


@contextmanager
def _bars(wanted: bool) -> Iterator[Watch]:
    """Show the bars of `progress`, without its care for Ctrl-C."""
    if not wanted:
        yield lambda stage, fraction: None
        return
    if not sys.stderr.isatty():
        at = ["getting ready (loops are compiled the first time)"]

        def note(stage: str, fraction: float) -> None:
            at[0] = f"{STAGES.get(stage, stage)}, {fraction:.0%} done"

        with awaited(lambda: at[0]):
            yield note
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        tasks = {"": bars.add_task("getting ready", total=None)}

        def watch(stage: str, fraction: float) -> None:
            if "" in tasks:
                bars.remove_task(tasks.pop(""))
            if stage not in tasks:
                tasks[stage] = bars.add_task(STAGES.get(stage, stage), total=1.0)
            bars.update(tasks[stage], completed=fraction)

        yield watch

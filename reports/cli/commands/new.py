"""`rpusim new`: a commented file to begin with."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from rpusim.errors import InputError, nearest
from rpusim.reports.cli.output import say_where


@click.command("new")
@click.argument("kind")
@click.option("--like", metavar="NAME", help="The preset, or the file, that it begins with.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="The file to write.  [default: KIND.yaml]")
@click.option(
    "--ask/--no-ask", default=None, help="Ask for what matters most.  [default: on a terminal, without --like]"
)
def new_file(kind: str, like: str | None, out: Path | None, ask: bool | None) -> None:
    """Write a commented file to begin with.

    KIND is chip, device, experiment or study. The file says what a preset says (of a device, a preset or a model), with
    the meaning, the accepted values and the default of each field above it; fields that it does not have are there as
    comments. On a terminal a few questions are asked; an empty answer keeps what stands in brackets.
    """
    from rpusim.reports.guide import new

    if kind not in new.KINDS:
        raise InputError(f"KIND: got {kind!r}{nearest(kind, new.KINDS)}")
    path = out or Path(f"{kind}.yaml")
    if path.exists():
        raise InputError(f"{path}: is there already; give another name with --out")
    asked = ask if ask is not None else like is None and sys.stdin.isatty()
    if asked and like is None:
        like = click.prompt(f"Begin with which {kind}? (`rpusim presets` lists them)", new.DEFAULTS[kind], err=True)
    document = new.beginning(kind, like)
    if kind != "device":
        document["name"] = path.stem
    if asked:
        asked_for = (each for each in new.QUESTIONS[kind] if new.at(document, each[0]) is not None or kind != "device")
        for field, words in asked_for:
            answer = click.prompt(words, str(new.at(document, field)), err=True)
            new.answered(document, field, answer)
    new.write(path, new.commented(document, kind, like or new.DEFAULTS[kind]))
    say_where(path, False)

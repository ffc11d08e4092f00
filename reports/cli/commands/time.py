"""`rpusim time`: time and energy of a network whose weights are not computed."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from rpusim.errors import InputError
from rpusim.reports.cli.exploring import explore_and_show, several, swept
from rpusim.reports.cli.options import (
    as_json,
    copies_by_layer,
    how_it_is_timed,
    required_chip,
    sweep,
    with_changes,
    workers,
)
from rpusim.reports.cli.output import keep, say_where, show
from rpusim.reports.cli.timing import is_training, timed


@click.command("time")
@click.argument("network")
@required_chip
@how_it_is_timed
@sweep
@workers
@click.option("--prompt", type=int, metavar="TOKENS", help="Of a language model: tokens that are read at once.")
@click.option("--generate", type=int, metavar="TOKENS", help="Steps after the prompt that write one token each.")
@click.option("--cache", type=click.Choice(["buffer", "global buffer", "DRAM"]), help="Where keys and values wait.")
@click.option("--routing", metavar="SHARE,...", help="Of a mixture of experts: shares of tokens; else all alike.")
@click.option("--what-if", is_flag=True, help="Time it on changed chips, too: twice the ADCs, lanes, bandwidth.")
@click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="The run folder to write.")
@as_json
def time_network(
    network: str,
    chip: str,
    training: bool | None,
    out: Path | None,
    settings: tuple[str, ...],
    number: int,
    json_wanted: bool,
    **options: Any,
) -> None:
    """Time and price a network, without learning.

    The event engine runs samples of NETWORK; what the arrays do with them is assumed, not computed, and the result
    says so. A network of your own is given as FILE.py:FUNCTION; the file is run, with all your rights.

    A language model of the zoo (gpt2, llama-7b, moe-small) reads a --prompt and then writes: tokens per second and
    joules per token of both.
    """
    from rpusim.arch.chips.chip import load_chip
    from rpusim.workloads.results import run_folder

    values, writes = several(settings), {name: options.pop(name) for name in ("prompt", "generate", "cache", "routing")}
    if any(given is not None for given in writes.values()):
        return _written(network, chip, training, out, settings, json_wanted, options, writes)
    if any(len(given) > 1 for given in values.values()):
        _sweep(network, chip, training, out, values, number, json_wanted, options)
        return
    if out is not None:
        run_folder.check_writable(out)
    on, device = with_changes(chip, options["device"], settings)
    loaded = load_chip(on)
    training = is_training(loaded, training, options["schedule"], device)
    found = timed(network, loaded, training, **options | {"device": device})
    if out is not None:
        changed = [word for setting in settings for word in ("--set", setting)]
        how = ["--training" if training else "--inference", *as_typed(options), *changed]
        keep(found, out, ["time", network, "--chip", chip, *how])
    show(found.document, json_wanted)
    if out is not None:
        say_where(out / "report.html", json_wanted)


def _written(
    network: str,
    chip: str,
    training: bool | None,
    out: Path | None,
    settings: tuple[str, ...],
    json_wanted: bool,
    options: dict[str, Any],
    writes: dict[str, Any],
) -> None:
    """Time a language model that reads a prompt and writes."""
    from rpusim.reports.cli.console import aside
    from rpusim.workloads.results import run_folder
    from rpusim.workloads.runs.language import time_language_model

    if writes["prompt"] is None:
        raise InputError("--prompt: a number of tokens is needed, as --generate, --cache or --routing was given")
    plain: dict[str, Any] = {"samples": 1, "batch": 1, "replicas": None, "program": False, "what_if": False}
    plain |= {"tiles": None, "placing": "in-order"}
    for name, value in ({"training": training} | {key: options.pop(key) for key in plain}).items():
        if value not in (None, plain.get(name, False)):
            raise InputError(f"--{name.replace('_', '-')}: does not go with --prompt; leave it out")
    if out is not None:
        run_folder.check_writable(out)
    on, device = with_changes(chip, options.pop("device"), settings)
    given = {name: value for name, value in writes.items() if value is not None}
    if "routing" in given:
        given["routing"] = _shares(given["routing"])
    with aside():
        found = time_language_model(network, on, device=device, **options, **given)
    if out is not None:
        changed = [word for setting in settings for word in ("--set", setting)]
        how = as_typed({**options, "device": device, **writes})
        keep(found, out, ["time", network, "--chip", chip, *how, *changed])
    show(found.document, json_wanted)
    if out is not None:
        say_where(out / "report.html", json_wanted)


def _shares(given: str) -> list[float]:
    """Read the value of `--routing`."""
    try:
        return [float(part) for part in given.split(",")]
    except ValueError:
        raise InputError(f"--routing: got {given!r}, accepted: numbers with commas, one for each expert") from None


def _sweep(
    network: str,
    chip: str,
    training: bool | None,
    out: Path | None,
    values: dict[str, list[Any]],
    number: int,
    json_wanted: bool,
    options: dict[str, Any],
) -> None:
    """Time a network for each combination of values, as a study."""
    from rpusim.arch.chips.chip import load_chip

    for name in ("what_if", "program"):
        if options.pop(name):
            raise InputError(f"--{name.replace('_', '-')}: is of a single network, not of a study; leave it out")
    device, schedule = options["device"], options["schedule"]
    training = is_training(load_chip(chip), training, schedule, device)
    copies = copies_by_layer(options["replicas"])
    if isinstance(copies, str) or options.pop("tiles") is not None or options.pop("placing") != "in-order":
        raise InputError("--set: got several values, with which --replicas LAYER=N goes, but no --tiles or --placing")
    timed = options | {"replicas": copies}
    base = {"network": network, "chip": chip, "training": training, **timed}
    study = swept(f"{network}-on-{chip}", values, None, time=base)
    command = ["rpusim", "time", network, "--chip", chip, *as_typed(options)]
    typed = [word for path, given in values.items() for word in ("--set", f"{path}={','.join(map(str, given))}")]
    explore_and_show(study, out, number, None, json_wanted, False, shlex.join([*command, *typed]))


def as_typed(options: dict[str, Any]) -> list[str]:
    """Write options as words of a command line; those that were not used (None, or a flag that is off) are left out.

    >>> as_typed({"batch": 2, "device": None, "what_if": True, "program": False})
    ['--batch', '2', '--what-if']
    """
    words: list[str] = []
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        words += [] if value is None or value is False else [option] if value is True else [option, str(value)]
    return words

"""Options that several commands share, and what their values mean."""

from __future__ import annotations

from typing import Any

import click

from rpusim.errors import InputError

the_chip = "A preset (see `rpusim presets`) or a YAML file."
"""The help of every `--chip`."""

as_json = click.option(
    "--json", "json_wanted", is_flag=True, help="Print one JSON document on stdout and nothing else."
)
bias = click.option("--bias", type=click.Choice(["column", "digital"]), default="column", show_default=True)
device = click.option(
    "--device",
    help="A way to train or infer, such as ecram or inference-pcm (see `rpusim presets`), or FILE.yaml, FILE.py:CLASS.",
)
required_chip = click.option("--chip", required=True, help=the_chip)
optional_chip = click.option("--chip", help=the_chip)
replicas = click.option(
    "--replicas",
    metavar="LAYER=N,...",
    help="Copies of layers, which share the layer's vectors: conv1=16,conv2=4; balance: those that make the slowest "
    "stage as fast as the tiles allow; max: one for every vector.",
)
tiles = click.option(
    "--tiles", type=int, metavar="N", help="How many tiles --replicas balance may use; by default those of the chip."
)
placing = click.option(
    "--placing",
    type=click.Choice(["in-order", "near"]),
    default="in-order",
    show_default=True,
    help="Where tiles are put: one after the other, or near those with which they exchange bits.",
)


fit = click.option(
    "--fit",
    metavar="WAY[,LAYER=WAY...]",
    default="as-is",
    show_default=True,
    help="How blocks find arrays: each has its own (as-is), they share them (pack), or the chip gets more (grow).",
)


settings = click.option(
    "--set",
    "settings",
    metavar="PATH=VALUE",
    multiple=True,
    help="Change a field, such as tiles.0.adc.bits=6 or device.dw_min=0.002 (may be repeated).",
)
sweep = click.option(
    "--set",
    "settings",
    metavar="PATH=VALUE",
    multiple=True,
    help="Change a field, such as tiles.0.adc.bits=6 (may be repeated); several values, PATH=A,B, make a study.",
)
workers = click.option(
    "--workers", "number", type=click.IntRange(0, 1000), default=2, show_default=True, help="Processes of a study."
)


def how_it_is_timed(command: Any) -> Any:
    """Give a command the options of everything that times a network."""
    schedules = click.Choice(["sequential", "layer-pipelined", "minibatch-pipelined", "asynchronous"])
    options = [
        click.option("--samples", type=int, default=1, show_default=True, help="How many samples to send through."),
        click.option(
            "--training/--inference",
            default=None,
            help="By default training, where chip, device and schedule allow it.",
        ),
        click.option("--batch", type=int, default=1, show_default=True, help="Samples of a mini-batch, in training."),
        click.option("--schedule", type=schedules, default="sequential", show_default=True),
        bias,
        device,
        replicas,
        tiles,
        placing,
        fit,
        click.option("--program", is_flag=True, help="Calibrate and write the arrays first, as scheduled work."),
    ]
    for option in reversed(options):  # click lists first what decorates last
        command = option(command)
    return command


def copies_by_layer(given: str | None) -> dict[str, int] | str:
    """Read the value of `--replicas`; a single word, such as balance, is returned as it is.

    >>> copies_by_layer("conv1=16,conv2=4")
    {'conv1': 16, 'conv2': 4}

    given: what was typed, or None if the option was not used.

    Returns the number of copies of each layer that is named. Raises `InputError` where a part is not LAYER=N, or where
    a layer is named twice.
    """
    found: dict[str, int] = {}
    if given and given.strip().isalpha():
        return given.strip()
    for part in given.split(",") if given else []:
        layer, _, number = (word.strip() for word in part.partition("="))
        if not number.isdecimal():
            raise InputError(f"--replicas: got {part!r}, but LAYER=N is needed, such as conv1=16,conv2=4")
        if layer in found:
            raise InputError(f"--replicas: got {layer!r} twice, but a number for each layer is needed")
        found[layer] = int(number)
    return found


def changes(settings: tuple[str, ...]) -> dict[str, Any]:
    """Read the values of `--set`: what is changed, by dotted path. Raises `InputError` for a path that comes twice."""
    from rpusim.arch.contract import dotted

    found: dict[str, Any] = {}
    for setting in settings:
        path, value = dotted.read(setting)
        if path in found:
            raise InputError(f"--set {path}: got two values, but one is needed")
        found[path] = value
    return found


def with_changes(chip: str, device: str | None, settings: tuple[str, ...]) -> tuple[Any, Any]:
    """Apply `--set` to what a network is mapped to or timed on.

    chip, device: as they were named; None: no device.

    Returns both as `rpusim.workloads.runs.inputs` takes them. Raises `InputError` for a path that is of neither.
    """
    if not settings:
        return chip, device
    from rpusim.workloads.runs.settings import changed_inside  # all fields of experiments: a while

    fields: dict[str, Any] = {"chip": chip, "device": device}
    for path, value in changes(settings).items():
        if not changed_inside(fields, path, value):
            reason = "there is no --device" if path.partition(".")[0] == "device" else "it is no field of a chip"
            raise InputError(f"--set {path}: {reason}; accepted here are fields of the chip, and of the --device")
    return fields["chip"], fields["device"]

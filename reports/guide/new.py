"""Commented files to begin with: what a preset says, with the meaning of each field above it, and what else there is.

text = commented(beginning("chip", "rpu-2016"), "chip")
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from rpusim.arch.contract.configuration import read_yaml
from rpusim.errors import InputError, nearest, shown
from rpusim.reports.guide.fields import ROOTS, Field, fields

if TYPE_CHECKING:
    from rpusim.kernels import PulsedDevice

KINDS = ("chip", "experiment", "study", "device")
DEFAULTS = {"chip": "reram-512", "experiment": "fcn-digits", "study": "adc-of-lenet", "device": "reram-sb"}
"""What a file is made from unless something else is named."""
QUESTIONS = {
    "chip": (
        ("tiles.0.count", "How many tiles?"),
        ("tiles.0.array.rows", "Rows of an array (outputs)?"),
        ("tiles.0.array.columns", "Columns of an array (inputs)?"),
        ("tiles.0.inputs.bits", "Bits of an input?"),
        ("tiles.0.adc.bits", "Bits of a converter?"),
        ("tiles.0.adc.lines_per_adc", "Lines that share a converter?"),
    ),
    "experiment": (
        ("network", "Which network (a name of the zoo, or file.py:function)?"),
        ("data", "Which data (a name, a file, a folder, or file.py:function)?"),
        ("chip", "Which chip (a preset, or a YAML file)?"),
        ("device", "Which device (a preset, or a YAML file)?"),
        ("recipe.epochs", "How many epochs?"),
        ("recipe.learning_rate", "At which learning rate?"),
    ),
    "study": (
        ("run", "Which experiment?"),
        ("question", "Which question shall it answer?"),
    ),
    "device": (
        ("dw_min", "Mean step of a pulse at weight 0 (of a weight)?"),
        ("dw_min_std", "Noise of a pulse, of its step?"),
        ("w_max", "Upper bound of the mean cell?"),
        ("w_min", "Lower bound of the mean cell?"),
        ("source", "Where do the numbers come from?"),
    ),
}
"""What is asked on a terminal, by kind: the path of a field, and the words."""
_WIDTH = 100


def beginning(kind: str, like: str | None = None) -> dict[str, Any]:
    """Read what a file begins with: the fields of a preset, or of a file of the user's.

    kind: one of `KINDS`. like: its name; None: that of `DEFAULTS`. Raises InputError if there is no such preset.
    """
    if kind == "device":
        return _device(like or DEFAULTS[kind])
    from rpusim.arch.chips import chip
    from rpusim.arch.contract.configuration import find_yaml
    from rpusim.workloads.explore import study
    from rpusim.workloads.runs import settings

    name = like or DEFAULTS[kind]
    folder = {"chip": chip.FOLDER, "experiment": settings.FOLDER, "study": study.FOLDER}[kind]
    return dict(read_yaml(find_yaml(name, folder, kind)))


def _device(name: str) -> dict[str, Any]:
    """Read a device: all parameters of a preset, those that a model needs, or what a file of the user's says."""
    from rpusim.kernels.devices import PULSED
    from rpusim.kernels.devices.presets import DEVICES
    from rpusim.workloads.cells import own_devices

    if own_devices.is_file(name):
        return dict(read_yaml(Path(name)))
    if name in DEVICES:
        preset = DEVICES[name]
        about = {"title": preset.title, "source": preset.source}
        return {"model": preset.device.kind, **about, **_parameters(preset.device)}
    if name in PULSED:
        about = {"title": f"{name}, a device of my own", "source": "assumption: the model's defaults"}
        return {"model": name, **about, **_parameters(PULSED[name]())}
    raise InputError(f"device: got {shown(repr(name))}{nearest(name, (*DEVICES, *PULSED))}")


def _parameters(device: PulsedDevice) -> dict[str, Any]:
    """List the parameters of a device that differ from its model's, after those that are always asked for."""
    from rpusim.workloads.cells import own_devices

    own = {field.name for field in dataclasses.fields(device) if field.init}
    asked = [field for field, _ in QUESTIONS["device"] if field in own]
    given = own_devices.described(device)
    assert isinstance(given, dict)
    return {**{field: getattr(device, field) for field in asked}, **{k: v for k, v in given.items() if k != "model"}}


def answered(document: dict[str, Any], path: str, answer: str) -> None:
    """Put an answer into a document; one that looks like a number or a list is read as YAML."""
    *blocks, last = path.split(".")
    place: Any = document
    for block in blocks:
        place = place[int(block)] if block.isdigit() else place[block]
    place[last] = yaml.safe_load(answer)


def at(document: dict[str, Any], path: str) -> Any:
    """Find what a document has at a path; None if there is nothing."""
    place: Any = document
    for block in path.split("."):
        try:
            place = place[int(block)] if block.isdigit() else place[block]
        except (KeyError, IndexError, TypeError):
            return None
    return place


def commented(document: Mapping[str, Any], kind: str, name: str = "") -> str:
    """Write a document as YAML, with the meaning of each field above it, and fields that it does not have behind.

    name: of the preset that it was made from, for its first line.
    """
    if kind not in ROOTS:
        raise InputError(f"KIND: got {kind!r}{nearest(kind, ROOTS)}")
    model = document.get("model") if kind == "device" else None
    by_path: dict[str, Field] = {field.path: field for field in fields() if field.of in ("", model)}
    units = "Weights have no unit, times are seconds" if kind == "device" else "Numbers have units"
    first = f"# A {kind} of your own{f', begun from {name}' if name else ''}. {units}, and a source says whence"
    head = [f"{first} they are.", "# `rpusim explain FIELD` says more of each field.", ""]
    return "\n".join([*head, *_block(document, kind, by_path, 0)]).rstrip() + "\n"


def _block(given: Mapping[str, Any], path: str, by_path: Mapping[str, Field], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, value in given.items():
        field = by_path.get(f"{path}.{name}")
        if field is not None and name not in ("source", "sources"):
            yield from _comment(field, indent)
        yield from _entry(name, value, f"{path}.{name}", by_path, depth)
    others = [
        field
        for field in by_path.values()
        if field.path.rpartition(".")[0] == path
        and field.name not in given
        and field.default
        and field.name != "sources"
    ]
    for field in others:
        yield from _comment(field, indent)
        yield f"{indent}# {field.name}: {field.default}"


def _entry(name: str, value: Any, path: str, by_path: Mapping[str, Field], depth: int) -> Iterator[str]:
    """Write a field: a block of fields that are known, a list of such blocks, or whatever else it holds."""
    indent = "  " * depth
    if _is_block(value, path, by_path):
        yield f"{indent}{name}:"
        yield from _block(value, path, by_path, depth + 1)
    elif isinstance(value, list) and value and all(_is_block(each, path, by_path) for each in value):
        yield f"{indent}{name}:"
        for each in value:
            lines = list(_block(each, path, by_path, depth + 2))
            first = next(i for i, line in enumerate(lines) if not line.lstrip().startswith("#"))
            lines[first] = f"{indent}  - {lines[first].lstrip()}"
            yield from lines
    elif isinstance(value, list | dict):
        whole = yaml.safe_dump(
            {name: value}, sort_keys=False, allow_unicode=True, width=10_000, default_flow_style=None
        )
        yield from textwrap.indent(whole.rstrip(), indent).splitlines()
    else:
        listed = yaml.safe_dump([value], allow_unicode=True, width=10_000, default_flow_style=True).strip()
        yield f"{indent}{name}: {listed[1:-1]}"


def _is_block(value: Any, path: str, by_path: Mapping[str, Field]) -> bool:
    return isinstance(value, Mapping) and any(f"{path}.{name}" in by_path for name in value)


def _comment(field: Field, indent: str) -> Iterator[str]:
    accepted = field.accepted if not field.accepted.startswith("a block") else ""
    default = f"default {field.default}" if field.default else ""
    more = "; ".join(each for each in (accepted, default) if each)
    words = f"{field.meaning.rstrip('.')}{f' ({more})' if more else ''}"
    yield from textwrap.wrap(words, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# ")


def write(path: Path, text: str) -> None:
    """Write a new file; InputError if there is one of that name, or it cannot be written."""
    from rpusim.workloads.results import files

    if path.exists():
        raise InputError(f"{path}: is there already; give another name with --out")
    files.replace(path, text)

"""What a user says of how a network is to find its place: `mapping.fit` of an experiment, `--fit` of a command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rpusim.errors import InputError, nearest, shown, written

WAYS = ("as-is", "pack", "grow", "reload")
"""Ways for a whole network."""
WAYS_OF_A_LAYER = ("as-is", "pack")
"""Ways for a single layer, besides."""


@dataclass(frozen=True)
class Fit:
    """How a network finds its place on a chip.

    way:     for all layers, one of `WAYS`.
    layers:  for single layers, by name, one of `WAYS_OF_A_LAYER`.
    chips:   how many of the chip, joined in a row.
    kinds:   for single layers, by name, the kind of tile that they lie on.
    cuts:    for single layers, by name, the most rows (outputs) and columns (inputs) of a block.
    """

    way: str = "as-is"
    layers: Mapping[str, str] = field(default_factory=dict)
    chips: int = 1
    kinds: Mapping[str, str] = field(default_factory=dict)
    cuts: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def of_layer(self, name: str) -> str:
        """Return "as-is", "pack" or "reload": whether a layer, by its name, has arrays of its own, or how it shares."""
        return self.layers.get(name, "as-is" if self.way == "grow" else self.way)

    def check_names(self, names: list[str], network: str) -> None:
        """Raise `InputError` if a layer is named that the network (by its name) does not have."""
        for name in (*self.layers, *self.kinds, *self.cuts):
            if name not in names:
                raise InputError(f"mapping.fit: {name!r} is not a layer of {network}{nearest(name, names)}")

    def __str__(self) -> str:
        """Write it as `--fit` takes it."""
        parts = [self.way, *([f"chips {self.chips}"] if self.chips > 1 else [])]
        parts += (f"{name}={way}" for name, way in self.layers.items())
        parts += (f"{name} on {kind}" for name, kind in self.kinds.items())
        parts += (f"{name} cut {rows}x{columns}" for name, (rows, columns) in self.cuts.items())
        return ",".join(parts)


AS_IS = Fit()
"""Every block has an array of its own."""

GivenFit = str | Fit | Mapping[str, Any]
"""How a user says it: "pack", "pack,fc=as-is", "reload,chips 16", "as-is,fc on small,conv cut 256x128" (blocks of at
most 256 outputs and 128 inputs), or a mapping of ``way``, ``layers``, ``chips``, ``kinds`` and ``cuts``."""


def wanted(given: GivenFit) -> Fit:
    """Read what a user says, see `GivenFit`.

    >>> wanted("pack, conv1=as-is")
    Fit(way='pack', layers={'conv1': 'as-is'})

    Raises `InputError` on what is no way to fit.
    """
    if isinstance(given, Fit):
        return given
    if isinstance(given, str):
        return _of_text(given)
    if not isinstance(given, Mapping) or not set(given) <= {"way", "layers", "chips", "kinds", "cuts"}:
        raise InputError(
            f"mapping.fit: got {shown(written(given))}; accepted: {', '.join(WAYS)}, alone or as way, with layers, "
            "kinds and cuts by name and a number of chips"
        )
    way = _way(given.get("way", "as-is"), WAYS, "mapping.fit.way")
    layers, kinds, cuts = (_by_name(given, name, what) for name, what in _BY_NAME.items())
    found = {name: _way(way, WAYS_OF_A_LAYER, f"mapping.fit.layers.{name}") for name, way in layers.items()}
    on = {name: _kind(kind, name) for name, kind in kinds.items()}
    return _checked(
        Fit(way, found, _number(given.get("chips", 1)), on, {name: _cut(cut, name) for name, cut in cuts.items()})
    )


_BY_NAME = {"layers": "a way", "kinds": "a kind of tile", "cuts": "rows and columns"}
"""Fields that say something of single layers, and what."""


def _by_name(given: Mapping[str, Any], field: str, what: str) -> dict[str, Any]:
    """Return what a mapping says of single layers. Raises `InputError` if that is no mapping."""
    found = given.get(field, {})
    if not isinstance(found, Mapping):
        raise InputError(
            f"mapping.fit.{field}: got {shown(written(found))}, but {what} for each layer's name is needed"
        )
    return {str(name): value for name, value in found.items()}


def _kind(given: Any, layer: str) -> str:
    """Read the kind of tile of a layer; whether a chip has it is found out when it is placed."""
    if not isinstance(given, str) or not given or "," in given:
        raise InputError(f"mapping.fit.kinds.{layer}: got {shown(written(given))}, but the name of a kind is needed")
    return given


def _cut(given: Any, layer: str) -> tuple[int, int]:
    """Read the most rows and columns of a block of a layer: "256x128", or two numbers."""
    if isinstance(given, str) and (sizes := re.fullmatch(r"(\d{1,9})\s*x\s*(\d{1,9})", given)):
        given = [int(sizes[1]), int(sizes[2])]
    whole = isinstance(given, list | tuple) and [type(each) for each in given] == [int, int]
    if not whole or min(given) < 1:
        raise InputError(
            f"mapping.fit.cuts.{layer}: got {shown(written(given))}, but the most rows and columns of a block are "
            "needed, such as 256x128"
        )
    return given[0], given[1]


def _of_text(given: str) -> Fit:
    """Read WAY, LAYER=WAY, LAYER on KIND, ... with commas between."""
    way, layers, chips = "as-is", dict[str, str](), 1
    kinds, cuts = dict[str, str](), dict[str, tuple[int, int]]()
    for number, part in enumerate(word.strip() for word in given.split(",")):
        if many := re.fullmatch(r"chips[ =]+(.*)", part):
            chips = _number(int(many[1]) if many[1].isdecimal() else many[1])
            continue
        name, equals, value = (word.strip() for word in part.rpartition("="))
        if said := re.fullmatch(r"(\S+)\s+(on|cut)\s+(.*)", part):
            name, what, value = said.groups()
            if name in (kinds if what == "on" else cuts):
                raise InputError(f"mapping.fit: got {part!r} after another for {name!r}, but one is needed")
            if what == "on":
                kinds[name] = _kind(value, name)
            else:
                cuts[name] = _cut(value, name)
        elif equals:
            if name in layers:
                raise InputError(f"mapping.fit: got {name!r} twice, but one way for each layer is needed")
            layers[name] = _way(value, WAYS_OF_A_LAYER, f"mapping.fit of layer {name!r}")
        elif number:
            raise InputError(
                f"mapping.fit: got {shown(repr(part))} after a comma; accepted there: LAYER=WAY, LAYER on KIND, LAYER "
                "cut ROWSxCOLUMNS, chips N"
            )
        else:
            way = _way(part, WAYS, "mapping.fit")
    return _checked(Fit(way, layers, chips, kinds, cuts))


MOST_CHIPS = 1024
"""The most chips that are joined."""


def _number(given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 1 <= given <= MOST_CHIPS:
        raise InputError(
            f"mapping.fit: got {shown(written(given))} chips, but a whole number from 1 to {MOST_CHIPS} is needed"
        )
    return given


def _checked(fit: Fit) -> Fit:
    """Refuse layers that are packed beside others that are reloaded."""
    if fit.way == "grow" and fit.chips > 1:
        raise InputError("mapping.fit: got grow and several chips; accepted: either of them")
    if fit.way == "reload" and "pack" in fit.layers.values():
        raise InputError(
            "mapping.fit: got pack for a layer beside reload for others; accepted there: as-is, for layers that stay"
        )
    return fit


def _way(given: Any, accepted: tuple[str, ...], where: str) -> str:
    if given not in accepted:
        raise InputError(f"{where}: got {shown(written(given))}{nearest(given, accepted)}")
    return str(given)

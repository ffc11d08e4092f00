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
    """

    way: str = "as-is"
    layers: Mapping[str, str] = field(default_factory=dict)
    chips: int = 1

    def of_layer(self, name: str) -> str:
        """Return "as-is", "pack" or "reload": whether a layer, by its name, has arrays of its own, or how it shares."""
        return self.layers.get(name, "as-is" if self.way == "grow" else self.way)

    def check_names(self, names: list[str], network: str) -> None:
        """Raise `InputError` if a layer is named that the network (by its name) does not have."""
        for name in self.layers:
            if name not in names:
                raise InputError(f"mapping.fit: {name!r} is not a layer of {network}{nearest(name, names)}")

    def __str__(self) -> str:
        """Write it as `--fit` takes it."""
        layers = (f"{name}={way}" for name, way in self.layers.items())
        return ",".join([self.way, *([f"chips {self.chips}"] if self.chips > 1 else []), *layers])


AS_IS = Fit()
"""Every block has an array of its own."""

GivenFit = str | Fit | Mapping[str, Any]
"""How a user says it: "pack", "pack,fc=as-is", "reload,chips 16", or a mapping of ``way``, ``layers``, ``chips``."""


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
    if not isinstance(given, Mapping) or not set(given) <= {"way", "layers", "chips"}:
        raise InputError(
            f"mapping.fit: got {shown(written(given))}; accepted: {', '.join(WAYS)}, alone or as way, with layers by "
            "name and a number of chips"
        )
    way, layers = _way(given.get("way", "as-is"), WAYS, "mapping.fit.way"), given.get("layers", {})
    if not isinstance(layers, Mapping):
        raise InputError(f"mapping.fit.layers: got {shown(written(layers))}, but a way for each layer's name is needed")
    found = {str(name): _way(way, WAYS_OF_A_LAYER, f"mapping.fit.layers.{name}") for name, way in layers.items()}
    return _checked(Fit(way, found, _number(given.get("chips", 1))))


def _of_text(given: str) -> Fit:
    """Read WAY, LAYER=WAY, ... with commas between."""
    way, layers, chips = "as-is", dict[str, str](), 1
    for number, part in enumerate(word.strip() for word in given.split(",")):
        if many := re.fullmatch(r"chips[ =]+(.*)", part):
            chips = _number(int(many[1]) if many[1].isdecimal() else many[1])
            continue
        name, equals, value = (word.strip() for word in part.rpartition("="))
        if equals:
            if name in layers:
                raise InputError(f"mapping.fit: got {name!r} twice, but one way for each layer is needed")
            layers[name] = _way(value, WAYS_OF_A_LAYER, f"mapping.fit of layer {name!r}")
        elif number:
            raise InputError(f"mapping.fit: got {shown(repr(part))} after a comma; accepted there: LAYER=WAY, chips N")
        else:
            way = _way(part, WAYS, "mapping.fit")
    return _checked(Fit(way, layers, chips))


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

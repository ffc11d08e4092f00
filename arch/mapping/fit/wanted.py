"""What a user says of how a network is to find its place: `mapping.fit` of an experiment, `--fit` of a command."""

from __future__ import annotations

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
    """

    way: str = "as-is"
    layers: Mapping[str, str] = field(default_factory=dict)

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
        return ",".join([self.way, *(f"{name}={way}" for name, way in self.layers.items())])


AS_IS = Fit()
"""Every block has an array of its own."""

GivenFit = str | Fit | Mapping[str, Any]
"""How a user says it: "pack", "pack,fc=as-is", or a mapping of ``way`` and ``layers``."""


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
    if not isinstance(given, Mapping) or not set(given) <= {"way", "layers"}:
        raise InputError(
            f"mapping.fit: got {shown(written(given))}; accepted: {', '.join(WAYS)}, alone or as way, with layers by "
            "name"
        )
    way, layers = _way(given.get("way", "as-is"), WAYS, "mapping.fit.way"), given.get("layers", {})
    if not isinstance(layers, Mapping):
        raise InputError(f"mapping.fit.layers: got {shown(written(layers))}, but a way for each layer's name is needed")
    found = {str(name): _way(way, WAYS_OF_A_LAYER, f"mapping.fit.layers.{name}") for name, way in layers.items()}
    return _checked(Fit(way, found))


def _of_text(given: str) -> Fit:
    """Read WAY, LAYER=WAY, ... with commas between."""
    way, layers = "as-is", dict[str, str]()
    for number, part in enumerate(word.strip() for word in given.split(",")):
        name, equals, value = (word.strip() for word in part.rpartition("="))
        if equals:
            if name in layers:
                raise InputError(f"mapping.fit: got {name!r} twice, but one way for each layer is needed")
            layers[name] = _way(value, WAYS_OF_A_LAYER, f"mapping.fit of layer {name!r}")
        elif number:
            raise InputError(f"mapping.fit: got {shown(repr(part))} after a comma; accepted there: LAYER=WAY")
        else:
            way = _way(part, WAYS, "mapping.fit")
    return _checked(Fit(way, layers))


def _checked(fit: Fit) -> Fit:
    """Refuse layers that are packed beside others that are reloaded."""
    if fit.way == "reload" and "pack" in fit.layers.values():
        raise InputError(
            "mapping.fit: got pack for a layer beside reload for others; accepted there: as-is, for layers that stay"
        )
    return fit


def _way(given: Any, accepted: tuple[str, ...], where: str) -> str:
    if given not in accepted:
        near = nearest(given, accepted) if isinstance(given, str) else ""
        raise InputError(f"{where}: got {shown(written(given))}{near}; accepted: {', '.join(accepted)}")
    return str(given)

"""The library of cost cards: YAML files beside this module, one per source, and a chip file's own cards.

A card is named ``file/card``, such as ``isaac-2016/adc``. Every figure keeps its unit, node and source.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rpusim.arch.contract.configuration import parse, read_yaml
from rpusim.arch.parts.part import Card
from rpusim.errors import InputError, nearest

FOLDER = Path(__file__).parent / "cards"


@cache
def library() -> dict[str, Card]:
    """Read every card that ships with rpusim, by name."""
    cards = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        document = read_yaml(path)
        for name, fields in document.items():
            cards[f"{path.stem}/{name}"] = parse(
                Card, {"name": f"{path.stem}/{name}", **fields}, f"{path.name}: {name}"
            )
    return cards


def find(name: str, own: dict[str, Card], where: str) -> Card:
    """Find a card among a chip's own, then in the library.

    name: of the card.
    own: cards of the chip's file, by name.
    where: the field that names it, for the error.
    Raises `InputError` if there is none of that name.
    """
    if name in own:
        return own[name]
    if name in library():
        return library()[name]
    raise InputError(
        f"{where}: no cost card is named {name!r}{nearest(name, [*own, *library()])}; own ones stand under cards"
    )

"""The field ``mapping`` of an experiment: how its network finds its place on the chip."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import field_validator

from rpusim.arch.contract.sourced import Count, Sourced
from rpusim.arch.mapping.fit.wanted import wanted
from rpusim.errors import InputError


class NetworkMapping(Sourced):
    """How the network finds its place on the chip.

    fit:  as-is, pack, grow or (with inference) reload, alone or with ways for single layers ("pack,fc=as-is"; see
          `rpusim.arch.mapping.fit.wanted`).
    placing:  in-order: layers on tiles one after the other; near: tiles near those with which they exchange bits.
    replicas: balance: copies of layers that make the slowest stage as fast as tiles allow; max: one for every vector.
    tiles:    how many balance may use; null: those of the chip.
    """

    fit: str | dict[str, Any] = "as-is"
    placing: Literal["in-order", "near"] = "in-order"
    replicas: Literal["balance", "max"] | None = None
    tiles: Count | None = None
    source: str = "default"

    @property
    def is_default(self) -> bool:
        """Whether nothing of it was set."""
        return self.model_copy(update={"source": "default", "sources": {}}) == NetworkMapping()

    @field_validator("fit")
    @classmethod
    def _is_a_way(cls, given: str | dict[str, Any]) -> str:
        try:
            return str(wanted(given))
        except InputError as error:
            raise ValueError(str(error).removeprefix("mapping.fit: ")) from None

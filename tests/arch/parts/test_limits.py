"""The outermost numbers that fields of a tile take, and those beyond."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rpusim.arch.chips.chip import Chip
from rpusim.arch.parts.crossbar import Crossbar
from rpusim.arch.parts.host import Host
from rpusim.arch.parts.link import Mesh
from rpusim.arch.parts.memory import Memory

LIMITS: list[tuple[str, str, list[Any], list[Any]]] = [
    ("array", "rows", [1, 65_536], [0, 65_537]),
    ("array", "columns", [1, 65_536], [0, 65_537]),
    ("array", "arrays", [1], [0]),
    ("array", "cells_per_weight", [1], [0]),
    ("adc", "bits", [2, 24], [1, 25]),
    ("adc", "bound", [1e-3, 1e6], [0, 1.1e6]),
    ("adc", "noise", [0, 1e6], [-0.1, 1.1e6]),
    ("adc", "slice_bound", [1e-3, 1e6], [0, 1.1e6]),
    ("adc", "lines_per_adc", [1], [0]),
    ("inputs", "bits", [2, 32], [0, 33]),
    ("pulses", "polarity_phases", [1, 4], [0, 5]),
    ("programming", "iterations", [1, 1e6], [0.9, 1.1e6]),
    ("digital", "word_bits", [1, 64], [0, 65]),
]


@pytest.mark.parametrize(("block", "field", "taken", "refused"), LIMITS, ids=[f"{b}.{f}" for b, f, *_ in LIMITS])
def test_the_outermost_are_taken_and_those_beyond_refused(
    block: str, field: str, taken: list[Any], refused: list[Any]
) -> None:
    part = getattr(Chip.load("rpu-2016").tiles[0], block)
    check = type(part).__pydantic_validator__.validate_assignment
    for value in taken:
        check(part.model_copy(), field, value)
    for value in refused:
        with pytest.raises(ValidationError):
            check(part.model_copy(), field, value)


@pytest.mark.parametrize(("cells", "bits"), [(1, None), (2, 2), (16, 2), (17, 1), (32, 1)])
def test_cells_of_a_weight_hold_two_bits_each_as_far_as_thirty_two_go(cells: int, bits: int | None) -> None:
    fields = {"rows": 64, "columns": 4, "cell": "any", "integration": "1 ns", "source": "made up"}
    array = Crossbar.model_validate({**fields, "cells_per_weight": cells})
    assert array.cell_bits == bits and ("cell_bits" in array.sources) == (bits is not None)
    with pytest.raises(ValidationError, match="got 33 cells of 1 bits, but a weight has at most 32 bits"):
        Crossbar.model_validate({**fields, "cells_per_weight": 33})


def test_as_much_is_under_way_as_drams_queue_where_nothing_is_said() -> None:
    """Of HBM2 eight channels of 16 transactions; of links and hosts as much, which is called an assumption."""
    for kind in (Memory, Mesh, Host):
        assert kind.model_fields["in_flight"].default == 8 * 16
        assert "assumption: 128 " in kind.assumed["in_flight"]

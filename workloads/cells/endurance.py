"""How worn cells are, and how long they last.

Counted is every pulse at full voltage, cell by cell: where pulses of a row and a column meet in an update or a
transfer, and resets. Half-selected cells, the writing of the first weights and their calibration are not. A cell that
has taken as many pulses as its `Endurance` says is worn out; so the most-pulsed cell lasts endurance / taken times as
long as the training in which it took them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from rpusim.arch.mapping.placement import Placement
from rpusim.kernels.arrays.array import DeviceArray
from rpusim.kernels.layers.shared import layer_of

COUNTED = "pulses at full voltage: coincidences of updates and transfers, and resets"


@dataclass(frozen=True)
class Endurance:
    """Say how long cells last.

    pulses:  that a cell takes before it is worn out; infinite where nothing wears.
    source:  where the number comes from.
    """

    pulses: float
    source: str


RESISTIVE = Endurance(
    1e11,
    "Zhao et al., IEDM 2018, doi 10.1109/IEDM.2018.8614664: incremental switching of an analog resistive memory by "
    "weak pulses; assumption: this device lasts as long",
)
CHARGE = Endurance(math.inf, "charge on a capacitor wears nothing out")
PHASE_CHANGE = Endurance(1e9, "assumption: of the order that is usual for phase-change cells")
ELECTROCHEMICAL = Endurance(1e9, "assumption: of the order of the longest tests of electrochemical cells")
ASSUMED = Endurance(RESISTIVE.pulses, "assumption: as long as analog resistive memory (Zhao et al., IEDM 2018)")

OF_DEVICES = {
    "reram-es": RESISTIVE,
    "reram-sb": RESISTIVE,
    "reram-array-om": RESISTIVE,
    "reram-array-hfo2": RESISTIVE,
    "capacitor": CHARGE,
    "cmos-rpu-2017": CHARGE,
    "ecram": ELECTROCHEMICAL,
    "ecram-mo": ELECTROCHEMICAL,
    "pcm": PHASE_CHANGE,
}
"""How long cells of named devices last; those of all others: `ASSUMED`."""


def count(model: nn.Module) -> None:
    """Count the pulses of every cell of a model on arrays, from now on."""
    for array in _arrays(model):
        array.count_wear()


def pulses_per_cell(model: nn.Module) -> float:
    """Average the pulses that the cells of a model have taken so far, over all cells whose pulses are counted."""
    taken = [array.taken for array in _arrays(model) if array.taken is not None]
    return sum(int(each.sum()) for each in taken) / max(sum(each.numel() for each in taken), 1)


def document(
    model: nn.Module, placement: Placement, endurance: Endurance, seconds: float, samples: int
) -> dict[str, Any]:
    """Write what result.json says of wear: pulses per cell, their histogram, lifetime if all training is like this one.

    model:      on arrays whose pulses were counted. placement: where its layers lie.
    endurance:  how many pulses a cell takes.
    seconds, samples:  how long the training was in which the pulses came.
    """
    arrays = list(_of_layers(model, placement))
    everything = np.concatenate([taken for _, _, taken in arrays])
    largest = int(everything.max())
    edges = [0, *(2**k for k in range(largest.bit_length() + 1))]  # 0, 1, 2 to 3, 4 to 7, ...
    cells = np.bincount(np.frexp(everything.astype(np.float64))[1], minlength=len(edges) - 1).tolist()
    found = {
        "counted": COUNTED,
        **_summary(everything),
        "arrays": [{"layer": layer, "array": number, **_summary(taken)} for layer, number, taken in arrays],
        "histogram": [
            {"from": low, "below": high, "cells": number}
            for low, high, number in zip(edges[:-1], edges[1:], cells, strict=True)
        ],
        "source": endurance.source,
    }
    if math.isfinite(endurance.pulses):
        found["pulses_to_failure"] = endurance.pulses
        if largest:
            lasts = endurance.pulses / largest
            found["lifetime"] = {"seconds": lasts * seconds, "samples": lasts * samples}
    return found


def _summary(taken: NDArray[np.int32]) -> dict[str, Any]:
    return {
        "cells": len(taken),
        "mean": float(taken.mean()),
        "median": float(np.median(taken)),
        "largest": int(taken.max()),
    }


def _arrays(model: nn.Module) -> Iterator[DeviceArray]:
    return (part for part in model.modules() if isinstance(part, DeviceArray))


def _of_layers(model: nn.Module, placement: Placement) -> Iterator[tuple[str, int, NDArray[np.int32]]]:
    """Go through all arrays: name of the layer, number of the array in its unit cells, pulses of all cells (cells,)."""
    for placed in placement.holders:
        found: dict[int, list[NDArray[np.int32]]] = {}
        for tile in layer_of(model, placed.layer.parameter).tiles:
            for number, array in enumerate(_arrays(tile)):
                assert array.taken is not None, "nobody counts the pulses of this array"
                found.setdefault(number, []).append(array.taken.cpu().numpy().ravel())
        yield from ((placed.layer.name, number, np.concatenate(taken)) for number, taken in found.items())

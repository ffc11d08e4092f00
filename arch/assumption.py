"""Activity without a numeric kernel: what a network is assumed to do when only its shape is known.

Used by `rpusim time`. Stated assumptions: every vector takes one pass (no retries, nothing skipped); every line is
active; an update uses the chip's full pulse train; in each slot every line fires with probability
`FIRING_PROBABILITY`, lines independently, and half of the coincidences raise a weight.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rpusim.arch.activity import Activity, Phase
from rpusim.arch.mapping import Placement

FIRING_PROBABILITY = 0.25
"""Of a line in a pulse slot. A guess: half the lines active, half the slots of an active line."""

STATEMENT = (
    "assumed, not computed: one pass per vector, all lines active, full pulse trains, lines firing with probability "
    f"{FIRING_PROBABILITY}"
)


def assumed_activity(placement: Placement, samples: int, training: bool) -> Activity:
    """Rows for ``samples`` samples, each a mini-batch of its own if ``training``, else one batch of inference."""
    parts = []
    for block in placement.blocks():
        layer = placement.layers[block.layer].layer
        pulses = placement.chip.tiles[block.kind].pulses
        vectors = layer.vectors
        steps, per_step = (samples, vectors) if training else (1, samples * vectors)
        common: dict[str, ArrayLike] = {
            "step": np.repeat(np.arange(steps), per_step),
            "layer": block.layer,
            "tile": block.tile,
            "vector": np.tile(np.arange(per_step), steps),
            "active_rows": block.rows,
            "active_columns": block.columns,
        }
        parts.append(Activity.rows(**common, phase=Phase.FORWARD, passes=1))
        if training and pulses is not None:
            slots = pulses.bl
            fired = FIRING_PROBABILITY * slots
            met = round(slots * FIRING_PROBABILITY**2 * block.rows * block.columns)
            if any(producer >= 0 for producer in placement.network.predecessors(block.layer)):
                parts.append(Activity.rows(**common, phase=Phase.BACKWARD, passes=1))
            parts.append(
                Activity.rows(
                    **common,
                    phase=Phase.UPDATE,
                    slots=slots,
                    coincidences_up=met // 2,
                    coincidences_down=met - met // 2,
                    row_pulses=round(fired * block.rows),
                    column_pulses=round(fired * block.columns),
                )
            )
    return Activity.concatenate(parts)

"""Where inputs, errors and operands of digital work wait until they are needed, for a document.

See `rpusim.arch.schedule.storage`.
"""

from __future__ import annotations

from typing import Any

from rpusim.arch.schedule.plan import Plan
from rpusim.arch.schedule.storage import lacking, settle


def document(plan: Plan, samples: int, training: bool) -> dict[str, Any]:
    """Make the document's ``storage``: where the numbers of a mini-batch wait.

    plan:      the network as scheduled work on its chip.
    samples:   of the mini-batch; 0 where samples stream through and nothing waits.
    training:  whether errors and operands wait as well.

    Returns ``samples``, the bits (every number counted once) in the global buffer and in DRAM, the bits for which there
    is no place, and a sentence.
    """
    elsewhere = dict.fromkeys(("global buffer", "DRAM"), 0)
    for kept in settle(plan, samples, training):
        if kept.overflow:
            elsewhere[kept.overflow] += (samples - kept.samples) * (kept.bits + kept.waiting_bits)
    missing = lacking(plan, samples, training)
    return {
        "samples": samples,
        "global_buffer_b": elsewhere["global buffer"],
        "DRAM_b": elsewhere["DRAM"],
        "lacking_b": missing,
        "sentence": " ".join(_sentences(elsewhere, missing, samples, training)),
    }


def _sentences(elsewhere: dict[str, int], missing: int, samples: int, training: bool) -> list[str]:
    if not samples:
        return ["Nothing is kept: room is reserved for what is on its way from layer to layer."]
    what = "inputs, errors and operands" if training else "inputs"
    whose = f"a mini-batch of {samples:,}" if training and samples > 1 else "a sample"
    waiting = " and ".join(f"{bits:,} bits in the {part}" for part, bits in elsewhere.items() if bits)
    said = []
    if waiting:
        said.append(f"Of the {what} of {whose}, {waiting} wait outside the tiles' buffers.".replace("the DRAM", "DRAM"))
    if missing:
        said.append(
            f"The chip lacks {missing:,} bits of storage for {whose}: they fit neither into the tiles' buffers nor "
            "elsewhere, and are taken to find room."
        )
    return said or [f"All {what} of {whose} stay in the tiles' buffers."]

"""Published figures beside ours: chips rolled up from their cost cards, times and energies from the engine's events.

Every row says what kind of agreement it is (see `rpusim.workloads.studies.published.case`). The figures, with source
and tolerance, are in ``published/figures``; what finds ours, a file per kind of work, is in ``published``.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpusim.workloads.studies.published import (
    algorithms,
    chips,
    components,
    data,
    language,
    learning,
    networks,
    neurosim,
    systems,
)
from rpusim.workloads.studies.published.case import Case, Simulated


def simulations() -> Simulated:
    """Gather what finds ours, by the name of the row; nothing is simulated until it is called."""
    found: Simulated = {}
    for one in (
        networks.mapping,
        networks.resistive_processing_unit,
        chips.isaac,
        chips.hermes,
        chips.haensch,
        chips.neurram_area,
        networks.replicas_of_layers,
        components.components,
        systems.systems,
        language.language,
        algorithms.algorithms,
        neurosim.neurosim,
        learning.learning,
    ):
        found |= one()
    return found


def cases(slow: bool = True) -> Iterator[Case]:
    """List all published figures, quick ones first; what is simulated for one is found when it is asked for.

    slow: whether to list those that take longer than some seconds as well.
    """
    figures, misses = data.figures(), data.known_misses()
    for name, simulated in simulations().items():
        if slow or not figures[name].slow:
            yield Case(name, figures[name], simulated, misses.get(name))

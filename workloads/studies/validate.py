"""Published figures beside ours: chips rolled up from their cost cards, times and energies from the engine's events.

A row with a tolerance must hold; a row without one is shown for comparison, and its note says where a difference comes
from. The figures are in ``published/``, a file per kind of work.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpusim.workloads.studies.published import chips, networks, neurosim
from rpusim.workloads.studies.published.case import Case


def cases() -> Iterator[Case]:
    """List all published figures, quick ones first; what is simulated for one is found when it is asked for."""
    yield from networks.mapping()
    yield from networks.resistive_processing_unit()
    yield from chips.isaac()
    yield from chips.hermes()
    yield from chips.haensch()
    yield from networks.replicas_of_layers()
    yield from neurosim.neurosim()

"""Explain a deadlock: name the cycle of work that waits for itself, in one sentence."""

from __future__ import annotations

from itertools import pairwise

import networkx as nx

from rpusim.arch.contract.activity import Phase
from rpusim.arch.engine.operands import operand
from rpusim.arch.engine.program import Do, Program
from rpusim.arch.schedule.plan import Plan


def explain(program: Program, plan: Plan, stuck: dict[int, int]) -> str:
    """Describe the first cycle found among processes that never finished.

    Args:
        program: that was run.
        plan: of the chip and network, for names.
        stuck: processes that wait, and the instruction at which each does, as the engines say.

    Returns:
        A sentence for an error message, with at most four steps of the cycle.
    """
    waits_for: nx.DiGraph[int] = nx.DiGraph()
    gives: dict[tuple[bool, int], list[int]] = {}
    wants: dict[int, tuple[bool, int]] = {}
    for process, at in stuck.items():
        stop = int(program.tasks[program.task_of(process), 1])
        do, number = _instruction(program, process, at)
        wants[process] = (do in (Do.TAKE, Do.USE), number)
        for later in range(at + 1, stop):
            do, number = _instruction(program, process, later)
            if do in (Do.GIVE, Do.RAISE):
                gives.setdefault((do == Do.GIVE, number), []).append(process)
    for process, wanted in wants.items():
        waits_for.add_edges_from((process, other) for other in gives.get(wanted, ()) if other != process)
    cycle = [edge[0] for edge in nx.find_cycle(waits_for)]
    told: list[str] = []
    itself = ""  # where all steps are of one vector
    for process, holder in pairwise([*cycle, cycle[0]]):
        of_station, number = wants[process]
        thing = f"{program.stations[number]}, which waits for " if of_station else ""
        if of_station and not itself:
            itself = f"{_work(program, plan, process)} waits for {program.stations[number]}, which it fills itself"
        sentence = f"{_work(program, plan, process)} waits for {thing}{_work(program, plan, holder)}"
        if _work(program, plan, process) != _work(program, plan, holder):
            told.append(sentence)
    more = f", and so on over {len(told)} in all" if len(told) > 4 else ""
    steps = "; ".join(told[:4] or [itself])
    return f"schedule: the work of this chip waits for itself: {steps}{more}; larger buffers are needed"


def _instruction(program: Program, process: int, at: int) -> tuple[int, int]:
    """Return what an instruction of a process does, and its gate or station."""
    do, a, column = (int(v) for v in program.code[at, :3])
    return do, operand(program.data, a, column, process - int(program.tasks[program.task_of(process), 2]))


def _work(program: Program, plan: Plan, process: int) -> str:
    """Name the phase, vector and layer of a process."""
    layer, phase, vector = (program.of(process, name) for name in ("layer", "phase", "vector"))
    return f"{Phase(phase).name.lower()} of vector {vector} of layer {plan.layers[layer].placed.layer.name!r}"

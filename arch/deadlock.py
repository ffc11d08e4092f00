"""Why nothing goes on: the cycle of work that waits for each other, in one sentence."""

from __future__ import annotations

import networkx as nx

from rpusim.arch.activity import Phase
from rpusim.arch.plan import Plan
from rpusim.arch.program import Do, Program


def explain(program: Program, plan: Plan, stuck: dict[int, int]) -> str:
    """``stuck``: processes that wait, and the instruction at which each does. The shortest cycle found is named."""
    waits_for = nx.DiGraph()
    gives: dict[tuple[bool, int], list[int]] = {}
    wants: dict[int, tuple[bool, int]] = {}
    for process, at in stuck.items():
        task = int(program.task[process])
        stop = int(program.tasks[task, 1])
        do, operand = _operand(program, process, at)
        wants[process] = (do == Do.TAKE, operand)
        for later in range(at + 1, stop):
            do, operand = _operand(program, process, later)
            if do in (Do.GIVE, Do.RAISE):
                gives.setdefault((do == Do.GIVE, operand), []).append(process)
    for process, wanted in wants.items():
        waits_for.add_edges_from((process, other) for other in gives.get(wanted, ()) if other != process)
    try:
        cycle = [edge[0] for edge in nx.find_cycle(waits_for)]
    except nx.NetworkXNoCycle:
        cycle = [next(iter(stuck))]
    told = [f"{_work(program, plan, p)} waits for {_what(plan, wants[p])}" for p in cycle[:6]]
    more = f", and so on over {len(cycle)} in all" if len(cycle) > 6 else ""
    return f"schedule: the work of this chip waits for itself: {'; '.join(told)}{more}; larger buffers are needed"


def _operand(program: Program, process: int, at: int) -> tuple[int, int]:
    do, a, column = (int(v) for v in program.code[at, :3])
    first = int(program.tasks[program.task[process], 2])
    return do, a + (int(program.data[column + process - first]) if column >= 0 else 0)


def _work(program: Program, plan: Plan, process: int) -> str:
    layer = plan.layers[int(program.layer[process])].placed.layer.name
    phase = Phase(int(program.phase[process])).name.lower()
    return f"{phase} of vector {int(program.vector[process])} of layer {layer!r}"


def _what(plan: Plan, wanted: tuple[bool, int]) -> str:
    of_station, number = wanted
    return plan.stations[number] if of_station and number < len(plan.stations) else "work before it"



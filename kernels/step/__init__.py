"""A whole training step in one compiled call: forward, loss, backward and update of many mini-batches.

A network that was captured is known completely, so that nothing of torch is needed between two samples. `Program` says
in a table what is computed (`program`), `loop` runs it with the kernels' own loops, and `CompiledStep` keeps the books:
counters, activity rows, weights in the tensors that everybody else sees.
"""

from __future__ import annotations

from rpusim.kernels.step.compiled_step import CompiledStep, NotFinite
from rpusim.kernels.step.program import Graph, Unsuitable

__all__ = ["CompiledStep", "Graph", "NotFinite", "Unsuitable"]

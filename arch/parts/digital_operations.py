"""How many element operations the digital unit needs for one output of each kind of layer between the arrays.

Counts follow from the arithmetic; guesses are marked as such, and a chip's provenance lists both with their sources.
A guess may be off by some factor: it stands for whatever look-up or polynomial a real unit uses.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OpsPerElement:
    """Digital operations for one output element.

    operations:  how many.
    source:      how well that is known: a count, or a guess and what it stands for.
    """

    operations: int
    source: str


_GUESS = "guess: a piecewise or table approximation (look-up, multiply, add, round); replace it by your unit's figure"

OPS_PER_ELEMENT: dict[str, OpsPerElement] = {
    "relu": OpsPerElement(1, "count: one comparison"),
    "activation": OpsPerElement(4, _GUESS),
    "softmax": OpsPerElement(5, "guess: maximum, subtract, exponential as one operation, sum, divide or logarithm"),
    "batch_norm": OpsPerElement(2, "count: one multiply and one add with folded statistics"),
    "add": OpsPerElement(1, "count: one add per pair of values"),
    "multiply": OpsPerElement(1, "count: one multiply per pair of values"),
    "pool": OpsPerElement(1, "count: one compare or add for each value in the window, padding included"),
    "none": OpsPerElement(0, "count: nothing is computed (flatten only renames, dropout is taken as free)"),
}
"""By the kind of operation, or the name of an activation that has a line of its own; "recurrent" and the rule for a
step of a recurrent layer. For a pool per value in the window."""

_STEP = {"tanh": 5, "relu": 2, "lstm": 28, "gru": 19}
"""Operations of one step of a recurrent layer per element of its state, by rule."""

OPS_PER_ELEMENT |= {
    f"recurrent {rule}": OpsPerElement(
        operations, "count: adds and multiplies of one step, with activations as above (one comparison for relu)"
    )
    for rule, operations in _STEP.items()
}

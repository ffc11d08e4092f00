"""What one element of every function takes, counted by hand from its formula.

d is the gradient of a result y, x what it is computed from; c comparisons, a additions, m multiplications, q divisions,
e exponentials (or logarithms), t look-ups, s square roots, r random numbers.
"""

from __future__ import annotations

import pytest

from rpusim.arch.contract.digital_work import Work
from rpusim.arch.parts.digital_operations import FUNCTIONS

LETTERS = {
    "c": "compare", "a": "add", "m": "multiply", "q": "divide", "e": "exponential", "t": "look_up", "s": "square_root",
    "r": "random",
}  # fmt: skip
WAYS = ("forward", "backward", "training", "behind", "batch")
LINE = "c t m a"
"""A straight line out of a table: is x within, its slope and offset, slope x + offset."""

COUNTS: dict[str, tuple[str, ...]] = {
    # One comparison for each place where pieces meet; backward which piece it is, and its slope if it has one.
    **dict.fromkeys(("relu", "clamp_min", "clamp_max", "threshold"), ("c", "c")),
    **dict.fromkeys(("relu6", "hardtanh", "clamp"), ("2c", "c")),
    "leaky_relu": ("c m", "c m"),
    "hardsigmoid": ("2c m a", "c m"),  # x / 6 + 1/2 between -3 and 3
    "hardswish": ("2c 2m a", "c 2m a"),  # x (x / 6 + 1/2); d (x / 3 + 1/2)
    "abs": ("c", "c"),
    "neg": ("a", "a"),
    "prelu": ("c m", "c 2m a"),  # slope d and x d, of which the second is summed up for the slope
    "exp": ("e", "m"),  # y d
    **dict.fromkeys(("sigmoid", "tanh"), (LINE, "2m a")),  # y (1 - y) d; (1 - y y) d
    **dict.fromkeys(("softplus", "log_sigmoid"), (LINE, f"{LINE} m")),  # a table of the derivative, times d
    **dict.fromkeys(("gelu", "silu", "mish"), (f"{LINE} m", f"{LINE} m")),  # x times a table
    "elu": ("c e a m", "c a m"),  # alpha (exp(x) - 1); (y + alpha) d
    **dict.fromkeys(("celu", "selu"), ("c e a 2m", "c a 2m")),  # another factor both ways
    "softmax": ("c 2a e m", "2m 2a"),  # largest, x - largest, exp, sum, times 1 / sum; y (d - sum of y d)
    "softmax divisor": ("q",),
    "log_softmax": ("c 3a e", "e m 2a"),  # less the logarithm instead; d - exp(y) sum of d
    "log_softmax logarithm": ("e",),
    "batch_norm": ("m a", "4m 5a", "m 2a", "2m 2a"),  # in training sums of x and x x; behind: a (d - m1 - x hat m2)
    "batch_norm channel": ("", "", "", "", "10m 8a q s"),
    "dropout": ("", "m", "r c m"),
    "random number": ("r",),
    "normal number": ("r t m a",),  # a line out of the table of the inverse distribution
    "add": ("a",),
    "subtract": ("a", "a"),
    "multiply": ("m", "2m"),  # a d and b d
    "divide": ("q", "q m a"),  # d / b, and - y d / b
    "square": ("m", "2m"),  # 2 x d
    "double": ("a", "a"),
    "scale": ("m", "m"),
    "quotient": ("q", "q"),
    "offset": ("a",),
    "of a sum": ("a",),
    "mean": ("m", "m"),
    "of a maximum": ("c",),
    "maximum": ("",),
    "to the maximum": ("", "c"),
    "overlap": ("", "a"),
    "parameter": ("", "a"),
    "parameter that learns": ("", "", "", "", "m a"),  # less rate times gradient
    "loss": ("", "a m"),  # (y - target) / samples
    "loss of a sample": ("", "e a"),
    **dict.fromkeys(("tanh step", "relu step"), ("a",)),
    "lstm step": ("5a 3m", "8m 2a"),  # four sums, f c + i g, o tanh(c)
    "gru step": ("5a 2m", "5m 2a"),  # three sums, r (W h), n + z (h - n)
    "product": ("m a", "2m 2a"),  # a b added; d b and d a added
    "operand": ("",),
    "normalise": ("3a 2m", "4a 3m"),  # sums of x and x x, (x - m) r; sums of d and d y, (d - m1 - y m2) r
    "normalise by root": ("a 2m", "2a 3m"),  # sum of x x, x r; sum of d y, (d - y m2) r
    "statistics": ("3m 2a s q", "2m"),  # both means, m2 - m m, + eps, 1 / root; both means of d and d y
    "scale by a parameter": ("m", "2m"),  # w y; w d, and y d, which is summed up for w
    "table": ("", "m a"),  # less rate times gradient
    "row": ("",),
    **dict.fromkeys(("of the cache", "to the cache"), ("",)),  # moved, not computed
    "look up": ("t", "a"),  # the gradient is added where the value was
    **dict.fromkeys(("maximum of two", "selection"), ("c", "c")),
    "comparison": ("c",),
    "rounding": ("a",),
    "root": ("s", "q m"),  # d / y, times 1/2
    "inverse root": ("s q", "4m"),  # y y y d / -2
    "inverse": ("q", "3m"),  # -1 y y d
    "logarithm": ("e", "q"),  # d / x
    "power": ("2e m", "q 2m"),  # exp(p log(x)); p y d / x
    "of a logarithm of a sum": ("c 2a e", "m"),  # largest, x - largest, exp, sum; d softmax
    "of a variance": ("2a m", "a m"),  # sums of x and x x; (x - m) times 2 d / n
    "of a product of all": ("m", "m q"),  # y d / x
    "of a running sum": ("a", "a"),
    "interpolation": ("2a m", "3a 2m"),  # a + w (b - a); d - w d to a, w d to b, added up there
    **dict.fromkeys(("pointwise", "without a rule"), (LINE, f"{LINE} m")),
}
KEPT = {
    **dict.fromkeys(("relu", "clamp_min", "clamp_max", "threshold", "relu6", "hardtanh", "clamp"), (0, 1)),
    **dict.fromkeys(("leaky_relu", "hardsigmoid", "abs", "dropout", "maximum"), (0, 1)),
    **dict.fromkeys(("multiply", "divide", "lstm step", "gru step"), (2, 0)),
    **dict.fromkeys(("prelu", "hardswish", "exp", "sigmoid", "tanh", "softplus", "log_sigmoid", "gelu"), (1, 0)),
    **dict.fromkeys(("silu", "mish", "elu", "celu", "selu", "softmax", "log_softmax"), (1, 0)),
    **dict.fromkeys(("batch_norm", "square", "loss"), (1, 0)),
    **dict.fromkeys(("operand", "normalise", "normalise by root", "statistics", "root", "inverse root"), (1, 0)),
    **dict.fromkeys(("inverse", "logarithm", "of a logarithm of a sum", "of a variance"), (1, 0)),
    **dict.fromkeys(("of a product of all", "pointwise", "without a rule"), (1, 0)),
    **dict.fromkeys(("maximum of two", "selection"), (0, 1)),
    "power": (2, 0),
}
"""Words, and bits, that wait for the way back: what is read there again, or which piece it was."""


def counted(text: str) -> Work:
    """Such as "2c m" for two comparisons and a multiplication."""
    return sum((int(term[:-1] or 1) * Work(**{LETTERS[term[-1]]: 1}) for term in text.split()), Work())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_operation_of_a_formula_is_one(name: str) -> None:
    function, texts = FUNCTIONS[name], (*COUNTS[name], *[""] * len(WAYS))
    assert {way: getattr(function, way) for way in WAYS} == {
        way: counted(text) for way, text in zip(WAYS, texts, strict=False)
    }


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_the_way_back_reads_again_waits_for_it(name: str) -> None:
    function = FUNCTIONS[name]
    assert (function.words, function.bits) == KEPT.get(name, (0, 0))
    assert function.read == (name in ("parameter", "table", "row"))

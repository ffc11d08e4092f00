"""What a function of the digital unit takes, by class of operation: forward, backward, and what it keeps in between.

This is the one table of it. Every operation between the arrays (see `rpusim.arch.network.operations`) is a number of
elements of such functions; a chip whose unit computes one of them in another way says so (`Digital.functions`). Counts
follow from the arithmetic; guesses are marked as such, and a chip's provenance lists both with their sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rpusim.arch.contract.digital_work import NOTHING, Work


@dataclass(frozen=True)
class Function:
    """Say what one element of a function takes.

    forward:   operations of the forward pass.
    backward:  operations that turn the gradient of its result into that of what it reads.
    training:  operations that the forward pass of a training takes besides.
    behind:    the part of ``backward`` that needs sums over all samples of a mini-batch.
    batch:     operations once per mini-batch of a training, after its statistics or gradients are summed up.
    read:      digital words read from the buffer in each pass: values, and sums of gradients, of parameters.
    words:     digital words that wait from the forward pass for the backward pass.
    bits:      bits that wait, besides the words.
    source:    how well that is known: a count, or a guess and what it stands for.
    """

    forward: Work = NOTHING
    backward: Work = NOTHING
    training: Work = NOTHING
    behind: Work = NOTHING
    batch: Work = NOTHING
    read: int = 0
    words: int = 0
    bits: int = 0
    source: str = "count"


_TABLE = Work(compare=1, look_up=1, multiply=1, add=1)
"""A value within its range, slope and offset out of a table, a straight line between."""
_GUESS = "guess: a straight line out of a table (compare, look up, multiply, add); a chip can give its unit's figure"


def _smooth(backward: Work, forward: Work = _TABLE) -> Function:
    return Function(forward, backward, words=1, source=f"{_GUESS}; backward counted")


def _steps(compare: int, multiply: int = 0, add: int = 0) -> Function:
    """Make a function of straight pieces: which of them holds waits as a bit."""
    backward = Work(compare=1, multiply=multiply)
    what = "count: comparisons, a multiplication where the slope is neither 0 nor 1; which piece holds waits as a bit"
    return Function(Work(compare=compare, multiply=multiply, add=add), backward, bits=1, source=what)


_OF_Y = Work(add=1, multiply=2)
"""A derivative that follows from the result, y (1 - y) or 1 - y y, times the gradient."""
_OF_X = _TABLE + Work(multiply=1)
"""A derivative out of a table of its own, times the gradient."""

FUNCTIONS: Mapping[str, Function] = {
    "relu": _steps(1),
    "clamp_min": _steps(1),
    "clamp_max": _steps(1),
    "threshold": _steps(1),
    "relu6": _steps(2),
    "hardtanh": _steps(2),
    "clamp": _steps(2),
    "abs": Function(Work(compare=1), Work(compare=1), bits=1, source="count: the sign decides, and waits as a bit"),
    "leaky_relu": _steps(1, 1),
    "hardsigmoid": _steps(2, 1, 1),
    "neg": Function(Work(add=1), Work(add=1), source="count: a subtraction from zero"),
    "prelu": Function(
        Work(compare=1, multiply=1), Work(compare=1, multiply=2, add=1), words=1, source="count: and its slope learns"
    ),
    "hardswish": Function(
        Work(compare=2, multiply=2, add=1), Work(compare=1, multiply=2, add=1), words=1, source="count: x relu6(x+3)/6"
    ),
    "exp": Function(Work(exponential=1), Work(multiply=1), words=1, source="count: its result is its derivative"),
    "sigmoid": _smooth(_OF_Y),
    "tanh": _smooth(_OF_Y),
    "softplus": _smooth(_OF_X),
    "log_sigmoid": _smooth(_OF_X),
    "gelu": _smooth(_OF_X, _TABLE + Work(multiply=1)),
    "silu": _smooth(_OF_X, _TABLE + Work(multiply=1)),
    "mish": _smooth(_OF_X, _TABLE + Work(multiply=1)),
    "elu": _smooth(Work(compare=1, add=1, multiply=1), Work(compare=1, exponential=1, add=1, multiply=1)),
    "celu": _smooth(Work(compare=1, add=1, multiply=2), Work(compare=1, exponential=1, add=1, multiply=2)),
    "selu": _smooth(Work(compare=1, add=1, multiply=2), Work(compare=1, exponential=1, add=1, multiply=2)),
    "softmax": Function(
        Work(compare=1, add=2, exponential=1, multiply=1),
        Work(multiply=2, add=2),
        words=1,
        source="count: largest, difference, exponential, sum, times one over the sum; backward y (d - sum of y d)",
    ),
    "softmax divisor": Function(Work(divide=1), source="count: one over the sum, once for every sum"),
    "log_softmax": Function(
        Work(compare=1, add=3, exponential=1),
        Work(exponential=1, multiply=1, add=2),
        words=1,
        source="count: largest, difference, exponential, sum, less the logarithm; backward d - softmax x sum of d",
    ),
    "log_softmax logarithm": Function(Work(exponential=1), source="count: the logarithm, once for every sum"),
    "batch_norm": Function(
        forward=Work(multiply=1, add=1),
        training=Work(multiply=1, add=2),
        backward=Work(multiply=4, add=5),
        behind=Work(multiply=2, add=2),
        words=1,
        source="count: times a factor, plus an offset; in training the sums of x and x x before that; backward x hat "
        "anew, the sums of d and d x hat, and from these the gradient",
    ),
    "batch_norm channel": Function(
        batch=Work(multiply=10, add=8, divide=1, square_root=1),
        source="count: of each channel, per mini-batch: mean, variance, one over its root, factor and offset "
        "(multiply 4, add 4), both running means (multiply 4, add 2), two parameters that learn (multiply 2, add 2)",
    ),
    "dropout": Function(
        training=Work(random=1, compare=1, multiply=1),
        backward=Work(multiply=1),
        bits=1,
        source="count: a random number against the probability, and the scale of what stays; nothing in inference",
    ),
    "add": Function(Work(add=1), source="count: backward the gradient is that of both"),
    "subtract": Function(Work(add=1), Work(add=1), source="count: backward one of both changes its sign"),
    "multiply": Function(
        Work(multiply=1), Work(multiply=2), words=2, source="count: backward each factor times the gradient"
    ),
    "divide": Function(
        Work(divide=1), Work(divide=1, multiply=1, add=1), words=2, source="count: backward d / b and - y d / b"
    ),
    "square": Function(Work(multiply=1), Work(multiply=2), words=1, source="count: backward 2 x d"),
    "double": Function(Work(add=1), Work(add=1), source="count: backward 2 d"),
    "scale": Function(Work(multiply=1), Work(multiply=1), source="count: by a number that does not depend on samples"),
    "quotient": Function(Work(divide=1), Work(divide=1), source="count: by a number that does not depend on samples"),
    "offset": Function(Work(add=1), source="count: by a number that does not depend on samples"),
    "random number": Function(Work(random=1), source="count: of the noise that a network adds or multiplies by"),
    "normal number": Function(
        Work(random=1, look_up=1, multiply=1, add=1),
        source="assumption: a random number through a table of the inverse distribution, straight between entries",
    ),
    "of a sum": Function(Work(add=1), source="count: one of a pool's additions"),
    "mean": Function(Work(multiply=1), Work(multiply=1), source="count: one over the values of a pool"),
    "of a maximum": Function(Work(compare=1), source="count: one of a pool's comparisons"),
    "maximum": Function(bits=1, source="count: a bit of the place of a pool's largest value"),
    "to the maximum": Function(
        backward=Work(compare=1), source="count: whether a value of the pool is at the place that gets the gradient"
    ),
    "overlap": Function(backward=Work(add=1), source="count: gradients of a value that several windows of a pool read"),
    "parameter": Function(
        backward=Work(add=1), read=1, source="count: its value read, its gradient collected for each element"
    ),
    "parameter that learns": Function(
        batch=Work(multiply=1, add=1), source="count: less the rate times its gradient, once per mini-batch"
    ),
    "loss": Function(
        backward=Work(add=1, multiply=1),
        words=1,
        source="assumption: the error of an output is its difference from the target over the mini-batch's samples",
    ),
    "loss of a sample": Function(
        backward=Work(exponential=1, add=1), source="assumption: a logarithm and a sum, as of cross entropy"
    ),
    "product": Function(
        Work(multiply=1, add=1),
        Work(multiply=2, add=2),
        source="count: a multiply-accumulate of two activations; backward one for the gradient of each",
    ),
    "operand": Function(words=1, source="count: a number of an operand of a product, which its backward pass needs"),
    "normalise": Function(
        Work(add=3, multiply=2),
        Work(add=4, multiply=3),
        words=1,
        source="count: sums of x and x x, less the mean, times one over the root; backward sums of d and d x hat, d "
        "less both means, times one over the root",
    ),
    "normalise by root": Function(
        Work(add=1, multiply=2),
        Work(add=2, multiply=3),
        words=1,
        source="count: sum of x x, times one over the root; backward sum of d x hat, d less x hat times its mean, "
        "times one over the root",
    ),
    "statistics": Function(
        Work(multiply=3, add=2, square_root=1, divide=1),
        Work(multiply=2),
        words=1,
        source="count: once for each norm: mean, mean of squares, variance, one over its root; backward two means",
    ),
    "scale by a parameter": Function(
        Work(multiply=1), Work(multiply=2), source="count: times a parameter; backward its gradient and that of x hat"
    ),
    "of the cache": Function(source="count: a key or value of a token before, read where the chip has its cache"),
    "to the cache": Function(source="count: a key or value of a new token, written where the chip has its cache"),
    "table": Function(
        backward=Work(multiply=1, add=1),
        read=1,
        source="count: a number of a row that is read; backward it learns, less the rate times its gradient",
    ),
    "row": Function(read=1, source="count: a number of a row that is read, of a table that does not learn"),
    "look up": Function(Work(look_up=1), Work(add=1), source="count: a value found by a number that data decide"),
    "maximum of two": Function(
        Work(compare=1), Work(compare=1), bits=1, source="count: the larger or smaller; which waits as a bit"
    ),
    "selection": Function(
        Work(compare=1), Work(compare=1), bits=1, source="count: one of two values by a mask; the mask waits as a bit"
    ),
    "comparison": Function(Work(compare=1), source="count: a truth value, which has no gradient"),
    "rounding": Function(Work(add=1), source="count: a shift or rounding, whose gradient passes or is 0"),
    "root": Function(Work(square_root=1), Work(divide=1, multiply=1), words=1, source="count: backward d / (2 y)"),
    "inverse root": Function(
        Work(square_root=1, divide=1), Work(multiply=4), words=1, source="count: backward -d y y y / 2"
    ),
    "inverse": Function(Work(divide=1), Work(multiply=3), words=1, source="count: backward - d y y"),
    "logarithm": Function(Work(exponential=1), Work(divide=1), words=1, source="count: backward d / x"),
    "power": Function(
        Work(exponential=2, multiply=1),
        Work(divide=1, multiply=2),
        words=2,
        source="count: e to the logarithm times the power; backward d p y / x",
    ),
    "of a logarithm of a sum": Function(
        Work(compare=1, add=2, exponential=1),
        Work(multiply=1),
        words=1,
        source="count: as softmax without its division",
    ),
    "of a variance": Function(
        Work(add=2, multiply=1),
        Work(add=1, multiply=1),
        words=1,
        source="count: sums of x and x x; backward 2 (x - m) d",
    ),
    "of a product of all": Function(
        Work(multiply=1), Work(multiply=1, divide=1), words=1, source="count: backward d y / x"
    ),
    "of a running sum": Function(Work(add=1), Work(add=1), source="count: backward a running sum from the other end"),
    "interpolation": Function(
        Work(add=2, multiply=1), Work(add=3, multiply=2), source="count: a + w (b - a), between two neighbours"
    ),
    "pointwise": Function(_TABLE, _OF_X, words=1, source=_GUESS),
    "without a rule": Function(
        _TABLE, _OF_X, words=1, source="guess: a straight line out of a table for each number read or written, if more"
    ),
    "tanh step": Function(Work(add=1), source="count: what the input gives is added; tanh counts for itself"),
    "relu step": Function(Work(add=1), source="count: what the input gives is added; relu counts for itself"),
    "lstm step": Function(
        Work(add=5, multiply=3),
        Work(multiply=8, add=2),
        words=2,
        source="count: four sums with what the input gives, c = f c + i g, h = o tanh(c); its five activations count "
        "for themselves; the old c and the product wait",
    ),
    "gru step": Function(
        Work(add=5, multiply=2),
        Work(multiply=5, add=2),
        words=2,
        source="count: three sums with what the input gives, r (W h), h = n + z (h - n); its three activations count "
        "for themselves; W h and h - n wait",
    ),
}
"""By the name of the function: that of an activation is torch's."""

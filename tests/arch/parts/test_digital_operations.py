"""Functions of the digital unit, counted by class: forward, backward, and what waits in between."""

from __future__ import annotations

import pytest

from rpusim.arch.contract.digital_work import CLASSES, Work
from rpusim.arch.network.computed import step
from rpusim.arch.parts.digital_operations import FUNCTIONS

TABLE = Work(compare=1, look_up=1, multiply=1, add=1)


def of_step(rule: str, way: str) -> Work:
    """Add up what an element of the state takes in one step of a recurrent layer."""
    return sum((number * getattr(FUNCTIONS[name], way) for name, number in step(rule, 1)), Work())


def test_what_is_one_comparison_addition_or_multiplication_takes_one() -> None:
    assert FUNCTIONS["relu"].forward == FUNCTIONS["of a maximum"].forward == Work(compare=1)
    assert FUNCTIONS["add"].forward == FUNCTIONS["of a sum"].forward == FUNCTIONS["offset"].forward == Work(add=1)
    assert FUNCTIONS["multiply"].forward == FUNCTIONS["square"].forward == FUNCTIONS["mean"].forward == Work(multiply=1)
    assert FUNCTIONS["divide"].forward == Work(divide=1)


def test_a_smooth_activation_is_a_straight_line_out_of_a_table() -> None:
    assert FUNCTIONS["sigmoid"].forward == FUNCTIONS["tanh"].forward == TABLE
    assert FUNCTIONS["gelu"].forward == TABLE + Work(multiply=1)


@pytest.mark.parametrize(
    ("name", "backward", "words", "bits"),
    [
        ("relu", Work(compare=1), 0, 1),  # by its sign
        ("sigmoid", Work(add=1, multiply=2), 1, 0),  # y (1 - y) d
        ("tanh", Work(add=1, multiply=2), 1, 0),  # (1 - y y) d
        ("square", Work(multiply=2), 1, 0),  # 2 h d
        ("multiply", Work(multiply=2), 2, 0),  # a d and b d
        ("divide", Work(divide=1, multiply=1, add=1), 2, 0),  # d / b and - y d / b
        ("softmax", Work(multiply=2, add=2), 1, 0),  # y (d - sum of y d)
        ("dropout", Work(multiply=1), 0, 1),
        ("add", Work(), 0, 0),  # the gradient is that of both
        ("offset", Work(), 0, 0),
        ("parameter", Work(add=1), 0, 0),  # its gradient is summed up
    ],
)
def test_backward_costs_what_it_computes_and_keeps_what_it_reads(
    name: str, backward: Work, words: int, bits: int
) -> None:
    function = FUNCTIONS[name]
    assert (function.backward, function.words, function.bits) == (backward, words, bits)


def test_batch_statistics_are_summed_before_what_needs_them() -> None:
    norm = FUNCTIONS["batch_norm"]
    assert norm.forward == Work(multiply=1, add=1)  # times a factor, plus an offset
    assert norm.training == Work(multiply=1, add=2)  # the sums of x and x x
    assert norm.backward.total > norm.behind.total == 4  # a (d - m1 - x hat m2)


def test_a_recurrent_step_sums_input_and_state_and_combines_its_gates() -> None:
    assert of_step("tanh", "forward") == Work(add=1) + TABLE
    assert of_step("relu", "forward") == Work(add=1, compare=1)
    assert of_step("lstm", "forward") == 5 * TABLE + Work(add=4 + 1, multiply=3)  # four sums; f c + i g; o tanh(c)
    assert of_step("gru", "forward") == 3 * TABLE + Work(add=3 + 2, multiply=2)  # three sums; r (W h); n + z (h - n)


def test_every_count_says_where_it_comes_from() -> None:
    starts = ("count: ", "guess: ", "assumption: ")
    assert all(function.source.startswith(starts) for function in FUNCTIONS.values())


def test_work_adds_up_class_by_class() -> None:
    work = 3 * Work(add=2, divide=1) + Work(divide=4)
    assert work.by_class == {"add": 6, "divide": 7} and work.total == 13 and len(work.counts) == len(CLASSES)

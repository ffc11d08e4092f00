"""Digital operations for one element, counted."""

from __future__ import annotations

from rpusim.arch.parts.digital_operations import OPS_PER_ELEMENT

OPS = {name: count.operations for name, count in OPS_PER_ELEMENT.items()}


def test_one_for_what_is_one_comparison_addition_or_multiplication() -> None:
    assert OPS["relu"] == OPS["add"] == OPS["multiply"] == OPS["pool"] == 1
    assert OPS["batch_norm"] == 2  # one multiplication and one addition
    assert OPS["none"] == 0


def test_an_activation_is_a_look_up_a_multiplication_an_addition_and_a_rounding() -> None:
    assert OPS["activation"] == 4
    assert OPS["softmax"] == 5  # maximum, subtraction, exponential, sum, division


def test_a_recurrent_step_sums_input_and_state_and_combines_its_gates() -> None:
    activation = OPS["activation"]
    assert OPS["recurrent tanh"] == 1 + activation
    assert OPS["recurrent relu"] == 1 + OPS["relu"]
    assert OPS["recurrent lstm"] == 4 + 5 * activation + 4  # four sums; f c + i g, and o times tanh(c)
    assert OPS["recurrent gru"] == 2 + 2 + 3 * activation + 3  # two sums; r times a state, added; n + z (h - n)


def test_every_count_says_where_it_comes_from() -> None:
    assert all(count.source.startswith(("count: ", "guess: ")) for count in OPS_PER_ELEMENT.values())

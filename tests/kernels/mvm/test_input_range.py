"""The gradient of a learned input range R, in closed form: R = 2, two of four inputs beyond it and one below -R."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from rpusim.errors import InputError
from rpusim.kernels.mvm.input_range import InputRange, LearnedRange, calibrate

X, ERRORS = [3.0, -4.0, 0.5, 2.5], [-1.0, 2.0, 5.0, 7.0]
WANTED = -0.5 - 1.0
"""Errors over R of the inputs that would profit from a wider range: of the first and the second."""


def gradients(clipped: list[list[int]] | None = None, **rule: Any) -> tuple[float, list[float]]:
    """Of R, and of the inputs. clipped: which outputs were at the converters' bound, of every tile."""
    quiet = {"decay": 0.0, "gradient_scale": 0.7, "output_min_percentage": 0.0}
    learned = LearnedRange(InputRange(init_value=2.0, init_from_data=0, **{**quiet, **rule}))
    x = torch.tensor(X, requires_grad=True)
    y, limit = learned(x, [torch.tensor(each, dtype=torch.bool) for each in clipped or []])
    assert y.tolist() == [1.0, -1.0, 0.25, 1.0] and float(limit) == 2.0
    y.backward(torch.tensor(ERRORS))
    assert learned.limit.grad is not None and x.grad is not None
    return float(learned.limit.grad), x.grad.tolist()


def test_clipped_inputs_want_a_wider_range_relative_to_it() -> None:
    assert gradients()[0] == pytest.approx(WANTED * 0.7 * 2)
    assert gradients(gradient_relative=False)[0] == pytest.approx(WANTED)


def test_errors_pass_as_if_nothing_were_clipped() -> None:
    assert gradients()[1] == [-0.5, 1.0, 2.5, 3.5]


@pytest.mark.parametrize(("decay", "enough", "shrinks"), [(0.1, 0.2, 0.1 * 2), (0.1, 0.25, 0.0), (0.0, 0.2, 0.0)])
def test_the_range_shrinks_if_more_than_enough_inputs_are_within(decay: float, enough: float, shrinks: float) -> None:
    """One of four is."""
    assert gradients(decay=decay, input_min_percentage=enough)[0] == pytest.approx(WANTED * 1.4 + shrinks)


@pytest.mark.parametrize(("enough", "widens"), [(0.7, 0.375 * 2), (0.625, 0.0)])
def test_the_range_widens_if_fewer_than_enough_outputs_are_within(enough: float, widens: float) -> None:
    """Of two tiles a quarter and a half of the outputs were clipped: 0.375 in the mean."""
    found = gradients([[1, 0, 0, 0], [1, 1, 0, 0]], output_min_percentage=enough)[0]
    assert found == pytest.approx(WANTED * 1.4 - widens)


def test_a_range_that_is_not_learned_has_no_gradient() -> None:
    learned = LearnedRange(InputRange(init_value=2.0, init_from_data=0, learn=False))
    x = torch.tensor(X, requires_grad=True)
    learned(x, [])[0].sum().backward()
    assert learned.limit.grad is None and x.grad is not None and x.grad.tolist() == [0.5] * 4


def test_it_begins_as_so_many_deviations_of_the_first_mini_batches() -> None:
    learned = LearnedRange(InputRange(init_value=5.0, init_from_data=2, init_std_alpha=3.0))
    limits = []
    for scale in (1.0, 2.0, 100.0):
        learned(scale * torch.tensor([-1.0, 1.0, -1.0, 1.0]), [])
        limits.append(float(learned.limit.detach()))
    deviation = (4 / 3) ** 0.5
    assert limits == pytest.approx([3 * deviation, 4.5 * deviation, 4.5 * deviation])


def test_a_range_never_falls_below_a_millionth() -> None:
    """Wherever learning or a calibration would lead it: inputs are divided by it."""
    learned = LearnedRange(InputRange(init_value=5.0, init_from_data=0))
    with torch.no_grad():
        learned.limit.fill_(-1.0)
    y, limit = learned(torch.tensor([2.5e-7, 3.0]), [])
    assert float(limit) == pytest.approx(1e-6) and y.tolist() == pytest.approx([0.25, 1.0])
    model = Ranged()
    calibrate(model, [torch.tensor([1e-9, -2e-9])], "largest")
    assert model.limit == pytest.approx(1e-6)


class Ranged(torch.nn.Module):
    """Nothing but a range."""

    def __init__(self, **rule: Any) -> None:
        super().__init__()
        self.range = LearnedRange(InputRange(init_value=5.0, **rule))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        clipped: torch.Tensor = self.range(x, [])[0]
        return clipped

    @property
    def limit(self) -> float:
        return float(self.range.limit.detach())


SEEN = [torch.tensor([1.0, -3.0, 2.0, 0.0]), torch.zeros(4), torch.tensor([-1.0, 1.0, -1.0, 1.0])]
"""Three mini-batches, of which the second says nothing."""


@pytest.mark.parametrize(
    ("how", "expected"),
    [("largest", 3.0), ("deviation", 2.0 * ((14 / 3) ** 0.5 + (4 / 3) ** 0.5) / 2), ("quantile", (2.0 + 1.0) / 2)],
)
def test_a_calibration_takes_the_largest_or_the_mean_over_mini_batches(how: str, expected: float) -> None:
    """Deviations are of a mean of 0 in both; three of four magnitudes are within the quantile 0.7."""
    model = Ranged(init_std_alpha=2.0)
    calibrate(model, SEEN, how, quantile=0.7)
    assert model.limit == pytest.approx(expected)


def test_after_a_calibration_training_does_not_begin_anew_and_modes_are_as_before() -> None:
    model = Ranged(init_from_data=3)
    model.range.eval()
    calibrate(model, SEEN, "largest")
    assert model.training and not model.range.training
    model.train()
    model(100.0 * SEEN[0])
    assert model.limit == 3.0 and int(model.range.batches) == 3


def test_a_later_calibration_forgets_the_earlier_one() -> None:
    model = Ranged()
    calibrate(model, SEEN, "largest")
    calibrate(model, (each for each in SEEN[2:]), "largest")
    assert model.limit == 1.0


@pytest.mark.parametrize(
    ("model", "batches", "sentence"),
    [
        (torch.nn.Linear(2, 2), SEEN, "model: no layer has an input range"),
        (Ranged(), [], "batches: none were given"),
        (Ranged(), [[1.0]], "batches: a list was given"),
    ],
)
def test_what_cannot_be_calibrated_is_refused(model: torch.nn.Module, batches: list[Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        calibrate(model, batches)

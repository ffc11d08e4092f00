"""Effects of the analog array, equations 1 to 6 of the specification written out in double precision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.kernels import IOParameters
from rpusim.kernels.mvm.multiply import multiply
from rpusim.kernels.mvm.periphery import Lines

STREAM = (3, 1, 4)


def written_out(weights: np.ndarray, x: np.ndarray, io: IOParameters, lines: Lines) -> np.ndarray:
    """Outputs of one vector without noise, converters or bounds."""
    n = len(x)
    u = np.where(x < 0, x * (1 - io.inp_asymmetry), x)
    y = weights @ u
    if io.ir_drop:
        a = n / io.ir_drop_g_ratio * (np.abs(weights) @ np.abs(u))
        c = a * (a * (0.05 * a - 0.2) + 0.5)
        y = y - io.ir_drop * c * (weights @ (u * (1 - (1 - np.arange(n) / n) ** 2)))
    v = np.zeros(len(y)) if lines.offset is None else lines.offset.double().numpy()
    reference = -io.v_offset_w_min * u.sum()
    if v.any() or io.r_series:
        raised = y + reference
        y = (1 - v) * raised / (1 + io.r_series * np.abs(raised))
        y = y - (1 + v) * reference / (1 + io.r_series * abs(reference))
    nu = np.zeros(len(y)) if lines.curvature is None else lines.curvature.double().numpy()
    if nu.any() or io.r_series:
        f = 1 + (nu.mean() + io.r_series) * io.slope_calibration * io.out_bound
        y = f**2 * y / (1 + np.abs(nu * y))
    return np.where(y < 0, y * (1 - io.out_asymmetry), y)


EFFECTS = st.fixed_dictionaries(
    {
        "ir_drop": st.sampled_from([0.0, 0.3]),
        "ir_drop_g_ratio": st.sampled_from([20.0, 571.4]),
        "v_offset_std": st.sampled_from([0.0, 0.05]),
        "v_offset_w_min": st.sampled_from([0.0, -1.0, -0.5]),
        "r_series": st.sampled_from([0.0, 0.02]),
        "out_nonlinearity": st.sampled_from([0.0, 0.4]),
        "out_nonlinearity_std": st.sampled_from([0.0, 0.2]),
        "slope_calibration": st.sampled_from([0.0, 0.3]),
        "inp_asymmetry": st.sampled_from([0.0, 0.1]),
        "out_asymmetry": st.sampled_from([0.0, 0.2]),
        "mv_type": st.sampled_from(["one_pass", "pos_neg_separate"]),
    }
)
PLAIN: dict[str, Any] = {
    "inp_res": 0.0, "out_res": 0.0, "out_noise": 0.0, "noise_management": "none", "bound_management": "none",
    "out_bound": 50.0,
}  # fmt: skip


@given(effects=EFFECTS, seed=st.integers(0, 999), inputs=st.integers(1, 7))
@settings(max_examples=80, deadline=None)
def test_outputs_are_the_equations_written_out(effects: dict[str, Any], seed: int, inputs: int) -> None:
    """In two passes positive and negative inputs meet the array one after the other."""
    rng = np.random.default_rng(seed)
    weights, x = rng.uniform(-0.6, 0.6, (4, inputs)), rng.uniform(-1, 1, (3, inputs))
    io = IOParameters(**PLAIN, **effects)
    lines = Lines.sample(io, 4, inputs, STREAM)
    tensors = [torch.tensor(each, dtype=torch.float32) for each in (weights, x)]
    found = multiply(*tensors, io, lines, STREAM, 0, None, "torch").y.double().numpy()
    for number, vector in enumerate(x):
        if effects["mv_type"] == "one_pass":
            expected = written_out(weights, vector, io, lines)
        else:
            both = Lines(lines.noise, lines.offset, None, None)
            analog = IOParameters(
                **PLAIN, **{**effects, "out_nonlinearity": 0.0, "slope_calibration": 0.0, "out_asymmetry": 0.0}
            )
            positive, negative = (
                written_out(weights, part, analog, both) for part in (vector.clip(0), vector.clip(max=0))
            )
            expected = positive + negative
            nu = np.zeros(4) if lines.curvature is None else lines.curvature.double().numpy()
            if nu.any() or io.r_series:
                f = 1 + (nu.mean() + io.r_series) * io.slope_calibration * io.out_bound
                expected = f**2 * expected / (1 + np.abs(nu * expected))
            expected = np.where(expected < 0, expected * (1 - io.out_asymmetry), expected)
        assert found[number] == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_lines_are_drawn_each_for_itself_with_the_spread_that_is_asked_for() -> None:
    """4000 lines: means and deviations within 4 standard errors, and no two of them go together."""
    io = IOParameters(
        out_noise=0.1, out_noise_std=0.2, v_offset_std=0.3, out_nonlinearity=0.5, out_nonlinearity_std=0.1,
        out_bound=2.0, w_read_asymmetry_dtod=0.05, mv_type="pos_neg_separate",
    )  # fmt: skip
    lines = Lines.sample(io, 4000, 3, STREAM)
    assert lines.noise is not None and lines.offset is not None
    assert lines.curvature is not None and lines.negative_weights is not None
    assert lines.negative_weights.shape == (4000, 3)
    drawn = {
        "noise": (lines.noise, 0.1, 0.02), "curvature": (lines.curvature, 0.25, 0.025),
        "negative": (lines.negative_weights[:, 0], 1.0, 0.05), "other": (lines.negative_weights[:, 2], 1.0, 0.05),
        "offset": (lines.offset, 0.3 / (2 * np.pi) ** 0.5, 0.3 * (0.5 - 0.5 / np.pi) ** 0.5),
    }  # fmt: skip
    for name, (values, mean, deviation) in drawn.items():
        assert float(values.mean()) == pytest.approx(mean, abs=4 * deviation / 4000**0.5), name
        assert float(values.std()) == pytest.approx(deviation, rel=0.06), name
    together = np.corrcoef(torch.stack([values for values, _, _ in drawn.values()]).numpy())
    assert np.abs(together - np.eye(len(drawn))).max() < 4 / 4000**0.5

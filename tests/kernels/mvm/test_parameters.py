"""Which values the settings of a periphery, an input range and an update take: the outermost ones, and those beyond."""

from __future__ import annotations

from typing import Any

import pytest

from rpusim.errors import InputError
from rpusim.kernels import InputRange, IOParameters, UpdateParameters
from rpusim.kernels.mvm.slices import Slices

TAKEN: list[tuple[type, str, list[Any], list[Any]]] = [
    *(
        (IOParameters, field, [0, 0.3, 1e3], [-0.1, float("nan")])
        for field in (
            "inp_noise", "out_noise", "out_noise_std", "w_noise", "w_read_asymmetry_dtod", "ir_drop", "r_series",
            "out_nonlinearity", "out_nonlinearity_std", "slope_calibration", "v_offset_std", "max_bm_res",
            "nm_assumed_wmax",
        )
    ),
    *((IOParameters, field, [-1, 0, 1], [-1.1, 1.1]) for field in ("inp_asymmetry", "out_asymmetry")),
    *((IOParameters, field, [-1, 0, 0.5, 126], ["fine"]) for field in ("inp_res", "out_res", "out_bound", "nm_thres")),
    (IOParameters, "ir_drop_g_ratio", [0.5], [0, -1]),
    (IOParameters, "nm_decay", [0, 1], [-0.1, 1.1]),
    (IOParameters, "split_mode_bit_shift", [1, 9], [0, 1.5]),
    (IOParameters, "max_bm_factor", [0, 1], [-1, 0.5]),
    (InputRange, "init_value", [0.5], [0, -1]),
    (InputRange, "init_std_alpha", [0.5], [0, -1]),
    (InputRange, "decay", [0, 0.5], [-0.1]),
    (InputRange, "gradient_scale", [0, 0.5], [-0.1]),
    (InputRange, "init_from_data", [0, 1], [-1, 0.5]),
    (InputRange, "input_min_percentage", [0, 1], [-0.1, 1.1]),
    (InputRange, "output_min_percentage", [0, 1], [-0.1, 1.1]),
    (UpdateParameters, "desired_bl", [1, 1000], [0, 1.5]),
    (UpdateParameters, "um_grad_scale", [0.5, 2], [0, -1]),
    *((UpdateParameters, field, [-1, 0, 0.5, 7], ["fine"]) for field in ("res", "x_res_implicit", "d_res_implicit")),
    *(
        (IOParameters, field, [False, True], [1, "yes"])
        for field in ("is_perfect", "inp_sto_round", "out_sto_round", "bm_test_negative_bound", "full_scale_parts")
    ),
    *((InputRange, field, [False, True], [1]) for field in ("learn", "gradient_relative", "manage_output_clipping")),
    *(
        (UpdateParameters, field, [False, True], [1])
        for field in ("update_management", "update_bl_management", "fixed_bl", "sto_round")
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "field", "taken", "refused"), TAKEN, ids=[f"{k.__name__}.{f}" for k, f, *_ in TAKEN])
def test_the_outermost_values_are_taken_and_those_beyond_refused(
    kind: type, field: str, taken: list[Any], refused: list[Any]
) -> None:
    for value in taken:
        assert getattr(kind(**{field: value}), field) == value
    for value in refused:
        with pytest.raises(InputError, match=rf"{field}: .* was given"):
            kind(**{field: value})


PAIRS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"inp_bound": 2.0}, {"noise_management": "none"}, "inp_bound"),
    ({"inp_bound": 2.0}, {"is_perfect": True}, "inp_bound"),
    ({"mv_type": "bit_wise", "inp_res": 0.0}, {"is_perfect": True}, "mv_type"),
    ({"mv_type": "split_mode", "inp_res": 0.0}, {"inp_res": 1 / 126}, "mv_type"),
    ({"mv_type": "bit_wise", "inp_bound": 0.0, "noise_management": "none"}, {"inp_bound": 1.0}, "mv_type"),
    ({"out_nonlinearity": 0.1, "out_bound": 0.0}, {"out_bound": 0.5}, "out_bound"),
    ({"out_nonlinearity": 0.1, "out_bound": 0.0}, {"out_nonlinearity": 0.0}, "out_bound"),
]


@pytest.mark.parametrize(("given", "mended", "field"), PAIRS)
def test_what_does_not_go_together_is_refused(given: dict[str, Any], mended: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=rf"{field}: .* was given"):
        IOParameters(**given)
    IOParameters(**{**given, **mended})


def test_the_parts_of_an_input_cover_its_bits() -> None:
    """Levels 0 to 63 take six bits, 0 to 49 as well, of which the last part goes no further than 49 >> 3 = 6."""
    for levels, shift, expected in (
        (63, 3, [(0, 7), (3, 7)]),
        (49, 3, [(0, 7), (3, 6)]),
        (49, 6, [(0, 49)]),
        (49, 9, [(0, 49)]),
    ):
        io = IOParameters(inp_res=1 / (2 * levels), mv_type="split_mode", split_mode_bit_shift=shift)
        assert io.inp_levels == levels
        assert io.parts == expected
    bits = IOParameters(inp_res=1 / 98, mv_type="bit_wise").parts
    assert bits == [(bit, 1) for bit in range(6)]


def test_what_nothing_is_said_of_is_as_in_aihwkit() -> None:
    """Its defaults: 7 bits in, 9 bits out; lines 0.35 Ohm from cell to cell beside cells of 5 uS."""
    io = IOParameters()
    assert (io.inp_bound, io.inp_res, io.out_bound, io.out_res) == (1.0, 1 / (2**7 - 2), 12.0, 1 / (2**9 - 2))
    assert (io.out_noise, io.nm_assumed_wmax, io.nm_decay) == (0.06, 0.6, 1e-3)
    assert (io.max_bm_factor, io.max_bm_res, io.v_offset_w_min, io.split_mode_bit_shift) == (1000, 0.25, -1.0, 3)
    assert io.ir_drop_g_ratio == pytest.approx(571_428.57)
    zero = (
        "inp_noise",
        "out_noise_std",
        "w_noise",
        "ir_drop",
        "out_nonlinearity",
        "v_offset_std",
        "r_series",
        "nm_thres",
    )
    assert not any(getattr(io, name) for name in zero)
    assert (Slices(), Slices().top) == (Slices(number=8, bits=2, encoding="signed"), 3)  # 16 bits, as on ISAAC
    learned = InputRange()
    assert (learned.init_value, learned.init_from_data, learned.init_std_alpha) == (3.0, 100, 3.0)
    assert (learned.decay, learned.input_min_percentage, learned.output_min_percentage) == (0.001, 0.95, 0.95)
    assert learned.learn and learned.gradient_relative and not learned.manage_output_clipping
    assert learned.gradient_scale == 1.0
    update = UpdateParameters()
    assert update.update_management and update.update_bl_management and update.fixed_bl and not update.sto_round
    assert (update.desired_bl, update.um_grad_scale, update.res) == (31, 1.0, 0.0)

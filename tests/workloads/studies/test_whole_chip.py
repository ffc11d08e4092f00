"""The chip of Gokmen & Vlasov keeps up with its arrays, activation included."""

from __future__ import annotations

import pytest

from rpusim.workloads.studies.published.whole_chip import full_layers


@pytest.mark.parametrize("activation", ["", "relu", "sigmoid", "tanh"])
def test_fifty_full_layers_take_a_vector_every_80_ns_with_any_activation_of_one_stage(activation: str) -> None:
    rate = full_layers("rpu-2016", activation)
    assert rate.cycle == pytest.approx(80e-9, rel=1e-9)
    assert rate.per_second == pytest.approx(50 * 2 * 4095 * 4096 / 80e-9)  # 20,966 TOPS; "21 PetaOps" printed


def test_an_activation_costs_energy_though_no_time() -> None:
    """A comparison for each of 50 x 4095 outputs: 0.265 pJ, and of 9-bit words two read (3 fJ/b), one written (3.9)."""
    plain, squashed = full_layers("rpu-2016", ""), full_layers("rpu-2016", "relu")
    assert squashed.joules - plain.joules == pytest.approx(50 * 4095 * (265 + 9 * (2 * 3 + 3.9)) * 1e-15, rel=1e-4)

"""The table of what unit cells cost, from real activity."""

from __future__ import annotations

import pytest

from rpusim.workloads.studies import cell_costs


def test_rows_compare_ways_to_train_on_one_chip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_costs, "WAYS", {"plain SGD": "{}", "Tiki-Taka": "tiki-taka-{}"})
    sgd, tiki_taka = cell_costs.rows(["fcn"], samples=5)
    assert (sgd["arrays"], tiki_taka["arrays"]) == (4, 8)
    assert sgd["slices_per_vector"] == sgd["transfer_share"] == 0.0
    assert tiki_taka["slices_per_vector"] == 1.0  # mini-batches of one vector, a transfer after each
    assert 0.2 < tiki_taka["transfer_share"] < 0.6
    assert tiki_taka["time_s"] > sgd["time_s"] and sgd["energy_J"] > sgd["active_J"] > 0
    assert cell_costs.line(sgd).startswith("| fcn | plain SGD | 4 | 0.4")

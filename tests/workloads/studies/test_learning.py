"""Learning on an asymmetric device: who fails, who recovers, and that equal runs are equal."""

import json
from dataclasses import replace
from statistics import fmean

import pytest
from torch import nn

from rpusim.errors import InputError
from rpusim.workloads.studies.algorithms import ALGORITHMS, DEVICE, SHIFTED
from rpusim.workloads.studies.learning import main, run


def test_sgd_fails_where_tiki_taka_recovers():
    """Guessing errs by 90 %. After five epochs, the mean of the last two."""
    sgd, tiki_taka, digital = (
        fmean(run(name, 100, epochs=5).errors[-2:]) for name in ("sgd", "tiki-taka", "floating-point")
    )
    assert sgd > 0.8
    assert tiki_taka < 0.2 < digital < 0.7  # the forgetting array is normalised: faster than floating point at first


def test_random_pulses_pull_the_device_to_a_third_of_its_range_and_the_shifted_one_to_zero():
    """Up steps twice as large as down steps, bounds b: (2 - 1) / (2 / b + 1 / b) = b / 3; spreads take some of it."""

    def points(device):
        return device.symmetry_point(device.sample(60, 60, (1,)))

    alike = replace(DEVICE, dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)
    assert points(alike).unique().tolist() == pytest.approx([2 / 3])
    assert float(points(DEVICE).median()) == pytest.approx(0.6, abs=0.02)
    assert float(points(SHIFTED).median()) == pytest.approx(0.0, abs=0.002)
    assert float(points(SHIFTED).std()) == pytest.approx(SHIFTED.reference_std, rel=0.1)


def small():
    return nn.Sequential(nn.Linear(64, 12), nn.Sigmoid(), nn.Linear(12, 10), nn.LogSoftmax(1))


def test_equal_runs_are_equal_and_a_longer_run_begins_with_the_shorter_one():
    one, again, longer = (run("agad", 3, epochs=epochs, network=small) for epochs in (1, 1, 2))
    assert one == again
    assert longer.errors[:1] == one.errors
    assert run("agad", 4, epochs=1, network=small).gradient_pulses != one.gradient_pulses


def test_pulses_are_counted_per_weight():
    """Plain SGD transfers nothing; mixed precision writes by transfers only, and less; floating point has no pulses."""
    sgd, mixed, digital = (
        run(name, 0, epochs=1, network=small) for name in ("sgd", "mixed-precision", "floating-point")
    )
    assert sgd.gradient_pulses > 10.0 and sgd.transfer_pulses == 0.0
    assert mixed.gradient_pulses == 0.0 and 0.1 < mixed.transfer_pulses < sgd.gradient_pulses
    assert digital.gradient_pulses == digital.transfer_pulses == 0.0


def test_the_command_prints_a_line_per_algorithm_or_json(capsys):
    main(["--seeds", "2", "--epochs", "1", "--only", "floating-point"])
    header, line = capsys.readouterr().out.splitlines()
    assert header.startswith("algorithm") and line.startswith("floating-point")
    main(["--seeds", "2", "--epochs", "1", "--only", "floating-point", "--json"])
    outcomes = json.loads(capsys.readouterr().out)
    assert [(o["algorithm"], o["seed"], len(o["errors"])) for o in outcomes] == [
        ("floating-point", 0, 1),
        ("floating-point", 1, 1),
    ]


def test_an_unknown_algorithm_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="algorithm: 'tikitaka' is unknown; did you mean 'tiki-taka'"):
        run("tikitaka", 0)


@pytest.mark.slow
def test_the_order_of_the_algorithms_is_that_of_theory():
    """Of one seed, with wide margins to the table in the module."""
    error = {name: run(name, 0).error for name in ALGORITHMS}
    assert error["floating-point"] < 0.05 and error["symmetric"] < 0.06
    assert error["hamiltonian"] < 0.1
    recovered = ("tiki-taka", "ttv2", "c-ttv2", "agad", "mixed-precision")
    assert max(error[name] for name in recovered) < 0.07
    assert 1.5 * max(error[name] for name in recovered) < error["zero-shift"] < 0.5
    assert error["sgd"] > 0.7

"""What a fit says is true: parameters of known devices lie within the stated intervals as often as stated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from measured import ECRAM, SOFT, curves, write_long
from scipy.stats import binom

from rpusim.kernels.devices import PulsedDevice
from rpusim.workloads.fit.devices import made
from rpusim.workloads.fit.fit import fit, put_together
from rpusim.workloads.fit.laws import LAWS
from rpusim.workloads.fit.population import Figure
from rpusim.workloads.fit.readings import load
from rpusim.workloads.fit.scoring import score

SEEDS = 16
ONE_DEVICE = replace(SOFT, dw_min_dtod=0.0, up_down_dtod=0.0, w_max_dtod=0.0, w_min_dtod=0.0)


def figures(device: PulsedDevice, pulses: int, seed: int, folder: Path, devices: int) -> dict[str, Figure]:
    """Fit one law to curves of a device with the mapping that they were made with."""
    measured = load(write_long(folder / f"{seed}.csv", curves(device, devices, 2, pulses, seed)))
    laid, scale = put_together(measured)
    scored = score(LAWS[device.kind], laid, len(measured.devices))
    scale = replace(scale, reference=25e-6, unit=20e-6)
    return made(scored, scale, scored.readings(laid)).figures


@pytest.mark.parametrize(
    ("device", "pulses", "devices", "seeds"),
    [(SOFT, 60, 10, 24), (ECRAM, 160, 5, 12), (ONE_DEVICE, 60, 1, 24)],
    ids=["soft", "ecram", "one"],
)
def test_the_truth_lies_within_the_stated_intervals_as_often_as_stated(
    device: PulsedDevice, pulses: int, devices: int, seeds: int, tmp_path: Path
) -> None:
    every = [figures(device, pulses, seed, tmp_path, devices) for seed in range(100, 100 + seeds)]
    fewest = int(binom.ppf(0.001, seeds, 0.95))  # a right interval holds it in fewer of the seeds once in a thousand
    known = [name for name in every[0] if getattr(device, name) != 0.0 or not name.endswith(("_dtod", "_std"))]
    assert len(known) > 5
    tally = {name: sum(of[name].low <= getattr(device, name) <= of[name].high for of in every) for name in known}
    assert min(tally.values()) >= fewest, tally
    # Parameters of one fit hang together, so that all of them together are worth about as many trials as seeds.
    assert 0.85 < sum(tally.values()) / (seeds * len(known)) < 0.995, tally


@pytest.mark.parametrize("name", ["dw_min_std", "write_noise_std", "w_max_dtod", "dw_min_dtod"])
def test_noise_and_spread_are_right_on_average(name: str, tmp_path: Path) -> None:
    found = [figures(SOFT, 60, seed, tmp_path, 10)[name] for seed in range(200, 200 + SEEDS)]
    mean = sum(figure.value for figure in found) / SEEDS
    spread = (sum((figure.value - mean) ** 2 for figure in found) / (SEEDS - 1)) ** 0.5
    assert abs(mean - getattr(SOFT, name)) < 3.5 * spread / SEEDS**0.5


def test_the_model_that_made_the_curves_is_the_one_that_is_justified(tmp_path: Path) -> None:
    for device, pulses in ((SOFT, 60), (ECRAM, 160)):
        document = fit(write_long(tmp_path / f"{device.kind}.csv", curves(device, 6, 2, pulses, 5)))
        assert document["justified"] == device.kind
        assert document["models"][0]["correlation"] == pytest.approx(0.0, abs=0.06)

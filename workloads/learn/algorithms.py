"""Every way to train on a device, and the few settings that are tried of each: for `rpusim learn` and `rpusim arena`.

All are on the same footing: one learning rate and one setting of the algorithm's own, on the values below, nothing
else. They lie around those of the comparison in `rpusim.workloads.studies.algorithms`, which was tuned by hand for soft
bounds with 500 states; rates are for mini-batches of one sample, a tenth of those there for ten. They are the choice of
rpusim (an assumption): another value may do better.

    sgd               pulses of the gradient on one device: Gokmen & Vlasov 2016
    zero-shift        the same, read against a reference at the symmetry points: Kim et al. 2019
    two-devices       two devices share a weight, one of them pulsed at a time: Gokmen, Onen & Haensch 2017
    tiki-taka         Gokmen & Haensch 2020
    ttv2              Gokmen 2021
    c-ttv2, agad      Rasch et al. 2024
    hamiltonian       Stochastic Hamiltonian Descent: Onen et al. 2022
    mixed-precision   gradients are summed up digitally: Nandakumar et al. 2020
    one-sided         devices that only go up, refreshed when they are full: Rasch et al. 2021
    rl, rlv2          residual learning: Wu et al. 2025. gamma 0.1 is of the size of its settings
    multi-tile        arrays of few states, each for what the coarser ones leave: Li et al. 2025
    rider, e-rider    the symmetry point is tracked: Xiao et al. 2026. gamma 0.1 and a chopper that flips once in 20
                      cycles are theirs; short runs need one that flips more often
    eapu              only large updates are written: Liu et al. 2025

Those that count on symmetry points at weight 0 (zero-shift, tiki-taka, ttv2, c-ttv2, hamiltonian, rl, rlv2) find them
first with pairs of pulses, see `calibration`. The residual array of residual learning gets ten times the rate, as
array A of Tiki-Taka, whose code it stands on. Sources stand in the files of `rpusim.kernels.cells`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rpusim.errors import InputError, nearest

RATES = (0.1, 0.3, 0.9)
"""Learning rates that are tried of each algorithm."""


@dataclass(frozen=True)
class Algorithm:
    """A way to train.

    name:    for users. title: in words.
    shifted: whether symmetry points are found first.
    own:     the setting of its own that is tried, and its values; empty: none.
    cell:    fields of its unit cell, from the value of that setting, the pairs of pulses, and the device's mean step.
    """

    name: str
    title: str
    shifted: bool
    own: tuple[str, tuple[float, ...]]
    cell: Callable[[float, int, float], dict[str, Any]]


def _fast(pairs: int) -> dict[str, Any]:
    return {"fast_lr": 10.0, "units_in_mbatch": False, "zero_shift_pairs": pairs}


def _scaled(granularity: float) -> dict[str, Any]:
    return {"auto_scale": True, "fast_lr": 0.5, "auto_granularity": granularity}


NONE: tuple[str, tuple[float, ...]] = ("", (0.0,))
ALGORITHMS: dict[str, Algorithm] = {
    each.name: each
    for each in (
        Algorithm("sgd", "SGD", False, NONE, lambda own, pairs, step: {"kind": "single"}),
        Algorithm(
            "zero-shift",
            "SGD, zero-shifted",
            True,
            NONE,
            lambda own, pairs, step: {"kind": "reference", "zero_shift_pairs": pairs},
        ),
        Algorithm(
            "two-devices",
            "SGD, two devices a weight",
            False,
            NONE,
            lambda own, pairs, step: {"kind": "vector", "number": 2, "policy": "single_random"},
        ),
        Algorithm(
            "one-sided",
            "SGD, one-sided pair",
            False,
            ("refresh_every", (1000.0, 200.0)),
            lambda own, pairs, step: {"kind": "one-sided", "refresh_every": int(own)},
        ),
        Algorithm(
            "tiki-taka",
            "Tiki-Taka",
            True,
            ("transfer_lr", (0.05, 0.2)),
            lambda own, pairs, step: {"kind": "transfer", **_fast(pairs), "transfer_every": 2, "transfer_lr": own},
        ),
        Algorithm(
            "ttv2",
            "Tiki-Taka 2",
            True,
            ("thres_scale", (2.0, 8.0)),
            lambda own, pairs, step: {"kind": "buffered-transfer", **_fast(pairs), "thres_scale": own},
        ),
        Algorithm(
            "c-ttv2",
            "chopped Tiki-Taka 2",
            True,
            ("auto_granularity", (100.0, 300.0)),
            lambda own, pairs, step: {
                "kind": "chopped-transfer",
                **_scaled(own),
                "in_chop_prob": 0.02,
                "zero_shift_pairs": pairs,
            },
        ),
        Algorithm(
            "agad",
            "AGAD",
            False,
            ("auto_granularity", (100.0, 300.0)),
            lambda own, pairs, step: {"kind": "dynamic-transfer", **_scaled(own), "in_chop_prob": 0.1},
        ),
        Algorithm(
            "hamiltonian",
            "Hamiltonian descent",
            True,
            ("transfer_lr", (0.0005, 0.005)),
            lambda own, pairs, step: {
                "kind": "hamiltonian",
                "fast_lr": 10.0,
                "transfer_lr": own,
                "zero_shift_pairs": pairs,
            },
        ),
        Algorithm(
            "mixed-precision",
            "mixed precision",
            False,
            ("pulses a write", (4.0, 1.0)),
            lambda own, pairs, step: {"kind": "mixed-precision", "granularity": own * step},
        ),
        Algorithm(
            "rl",
            "residual learning",
            True,
            ("transfer_lr", (0.02, 0.1)),
            lambda own, pairs, step: {
                "kind": "residual-learning",
                **_fast(pairs),
                "gamma": 0.1,
                "transfer_every": 2,
                "transfer_lr": own,
            },
        ),
        Algorithm(
            "rlv2",
            "residual learning 2",
            True,
            ("transfer_lr", (4.0, 1.0)),
            lambda own, pairs, step: {"kind": "filtered-residual", **_fast(pairs), "gamma": 0.1, "transfer_lr": own},
        ),
        Algorithm(
            "multi-tile",
            "multi-tile residuals",
            False,
            ("gamma", (0.5, 0.25)),
            lambda own, pairs, step: {"kind": "multi-tile", "number": 3, "gamma": own},
        ),
        Algorithm(
            "rider",
            "RIDER",
            False,
            ("mean_share", (0.05, 0.005)),
            lambda own, pairs, step: {"kind": "rider", **_scaled(300.0), "gamma": 0.1, "mean_share": own},
        ),
        Algorithm(
            "e-rider",
            "E-RIDER",
            False,
            ("in_chop_prob", (0.05, 0.5)),
            lambda own, pairs, step: {"kind": "e-rider", **_scaled(100.0), "gamma": 0.1, "in_chop_prob": own},
        ),
        Algorithm(
            "eapu",
            "selective updating",
            False,
            ("threshold", (2.0, 4.0)),
            lambda own, pairs, step: {"kind": "selective", "granularity": step, "threshold": int(own)},
        ),
    )
}


@dataclass(frozen=True)
class Candidate:
    """A setting that is tried: the algorithm, its label, and the fields of an experiment that it sets.

    own, rate: the value of the algorithm's own setting, and the learning rate.
    """

    algorithm: str
    label: str
    fields: Mapping[str, Any]
    own: float
    rate: float


def chosen(names: str | None) -> list[Algorithm]:
    """Return the algorithms of a list with commas; None: all. InputError: there is none of that name."""
    if names is None:
        return list(ALGORITHMS.values())
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in ALGORITHMS:
            raise InputError(f"--algorithms: {name!r} is unknown{nearest(name, ALGORITHMS)}")
    return [ALGORITHMS[name] for name in dict.fromkeys(wanted)]


def candidates(algorithm: Algorithm, device: Any, pairs: int, step: float, quick: bool) -> list[Candidate]:
    """List what is tried of an algorithm.

    device: as a user names it. pairs: of pulses that find symmetry points. step: the device's mean step. quick: only
    the last value of the setting of its own.
    """
    name, values = algorithm.own
    found = []
    for own in values[-1:] if quick else values:
        for rate in RATES:
            words = [f"rate {rate:g}", *([f"{name} {own:g}"] if name else [])]
            label = f"{algorithm.name}, {', '.join(words)}"
            found.append(Candidate(algorithm.name, label, fields(algorithm, device, own, rate, pairs, step), own, rate))
    return found


def fields(algorithm: Algorithm, device: Any, own: float, rate: float, pairs: int, step: float) -> dict[str, Any]:
    """Return what an algorithm sets in an experiment: the device with its unit cell, and the learning rate.

    own: the value of its own setting. pairs: of pulses that find symmetry points; 0: they are not looked for. For the
    rest see `candidates`.
    """
    named = dict(device) if isinstance(device, dict) else {"model": device}
    cell = algorithm.cell(own, pairs if algorithm.shifted else 0, step)
    return {"device": {**named, "cell": cell}, "recipe.learning_rate": rate}

"""The two ways in for a Python user: `simulate` an experiment, or `place` a torch module and train it yourself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from rpusim.arch.activity import ActivityLog
from rpusim.arch.chip import Chip
from rpusim.arch.mapping import Bias
from rpusim.arch.mapping import place as place_network
from rpusim.arch.plan import make_plan
from rpusim.workloads import experiment as flow
from rpusim.workloads import periphery, settings
from rpusim.workloads.capture import capture
from rpusim.workloads.meter import Meter
from rpusim.workloads.result import SCHEMA, Result, cost, operations_per_sample, package_version
from rpusim.workloads.settings import Experiment, Management

MANAGED = Management(
    stochastic_rounding=False,
    noise="abs_max",
    bound="iterative",
    update=True,
    update_bl=True,
    bl=31,
    source="default of place",
)
"""Noise, bound and update management as in Gokmen, Onen & Haensch 2017 and Rasch et al. 2021."""


def simulate(experiment: str | Path | Experiment = "fcn-digits", **changes: Any) -> Result:
    """Train an experiment's network on its chip: accuracy, time, energy and area in one `Result`.

    ``experiment`` is the name of one that ships, a YAML file, or an `Experiment`; ``changes`` replace its fields, such
    as ``chip="reram-512"`` or ``seed=1``, and those of its recipe, such as ``epochs=5``. InputError on what cannot be
    used.
    """
    chosen = experiment if isinstance(experiment, Experiment) else settings.load(experiment)
    return flow.run(settings.changed(chosen, changes))


class ChipMeter:
    """The chip under a placed module: what it has cost so far."""

    def __init__(self, meter: Meter, log: ActivityLog, training: bool) -> None:
        self._meter, self._log, self._training = meter, log, training

    def report(self) -> Result:
        """Time, energy and area of everything the module did since it was placed (every vector is timed)."""
        self._meter.add(self._log.take())
        plan = self._meter.plan
        network = plan.placement.network
        document = {
            "schema": SCHEMA,
            "network": network.name,
            "chip": plan.placement.chip.name,
            "version": package_version(),
            **cost(plan, self._meter.ledger(), self._meter.samples, operations_per_sample(network, self._training)),
            "activity": self._meter.activity(),
            "provenance": list(plan.placement.chip.provenance()),
        }
        return Result(document, self._meter.trace, plan.stations)


def place(
    module: nn.Module,
    chip: str | Path | Chip,
    input_shape: Sequence[int],
    device: str | dict[str, Any] = "rpu-baseline-2016",
    management: Management = MANAGED,
    bias: Bias = "column",
    seed: int = 0,
) -> nn.Module:
    """A copy of ``module`` on the arrays of ``chip``, to be trained in the user's own loop with `AnalogSGD`.

    ``input_shape`` is that of one sample. The copy has an attribute ``chip`` (`ChipMeter`): ``chip.report()`` says what
    the training (forward, backward and update of every mini-batch) has cost.
    """
    layout = place_network(
        capture(module, tuple(input_shape)), chip if isinstance(chip, Chip) else Chip.load(chip), bias
    )
    log = ActivityLog()
    analog = flow.analog_twin(module, layout, management, periphery.build_device(device), seed, log)
    analog.chip = ChipMeter(Meter(make_plan(layout), "sequential"), log, layout.chip.trains)  # type: ignore[assignment]
    return analog

"""The two ways in for a Python user: `simulate` an experiment, or `place` a torch module and train it yourself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from torch import nn

from rpusim.arch.contract.activity import Activity
from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.placement import Bias
from rpusim.arch.mapping.placement import place as place_network
from rpusim.arch.schedule.plan import make_plan
from rpusim.errors import InputError
from rpusim.kernels.inference import INFERENCE, InferenceConfig
from rpusim.workloads.cells import endurance, inference_cells, training_cells
from rpusim.workloads.runs import settings
from rpusim.workloads.runs import training_run as flow
from rpusim.workloads.clock import sampling as sampling
from rpusim.workloads.capture.capture import capture, check_convertible
from rpusim.workloads.runs.checkpoint import digest
from rpusim.workloads.clock.coupling import Coupling
from rpusim.workloads.cells.endurance import Endurance
from rpusim.workloads.cells.inference_cells import EXACT, InferenceCells
from rpusim.workloads.clock.loop_log import LoopLog, in_order
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.results.result import SCHEMA, Result, cost, operations, package_version, placed_layers
from rpusim.workloads.runs.settings import Experiment
from rpusim.workloads.cells.management import Management
from rpusim.workloads.cells.training_cells import UnitCells

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

DEVICE = "rpu-baseline-2016"
"""The device of `place` on chips that train."""


def simulate(
    experiment: str | Path | Experiment = "fcn-digits", *, checkpoint: str | Path | None = None, **changes: Any
) -> Result:
    """Train an experiment's network on its chip: accuracy, time, energy and area in one `Result`.

    ``experiment`` is the name of one that ships, a YAML file, or an `Experiment`; ``changes`` replace its fields, such
    as ``chip="reram-512"`` or ``seed=1``, and those of its recipe, such as ``epochs=5``. ``checkpoint``: a file that
    keeps the state meanwhile; the same call goes on from it after the process was killed. InputError on what cannot be
    used.
    """
    chosen = experiment if isinstance(experiment, Experiment) else settings.load(experiment)
    kept = Path(checkpoint) if checkpoint is not None else None
    found = flow.run(settings.changed(chosen, changes), kept=kept)
    if kept is not None:
        kept.unlink(missing_ok=True)
    return found


class ChipMeter:
    """The chip under a placed module: what it has cost so far, and its clock, by which its weights leak and drift."""

    def __init__(self, module: nn.Module, meter: Meter, log: LoopLog, lasts: Endurance | None) -> None:
        self._module, self._meter, self._log, self._lasts = module, meter, log, lasts
        self._steps = self._operations = 0
        self._coupling = Coupling(module, meter, self._take)
        log.when_over = self._coupling.stepped

    def _take(self) -> Activity:
        """What was done since this was last asked, in order."""
        rows, network = self._log.take(), self._meter.plan.placement.network
        if len(rows):
            rows = in_order(rows, [layer.vectors for layer in network.layers], self._steps)
            self._steps = int(rows.step.max()) + 1
            self._operations += operations(network, rows)
        return rows

    def idle(self, seconds: float) -> None:
        """Let the chip stand still, as while data are loaded: weights leak and drift, standby is drawn.

        Of cells that were programmed this is `drift` to so many seconds more than they are old by now.
        """
        self._coupling.idle(seconds)

    def _repr_html_(self) -> str | None:
        """What a notebook shows: the report in a small table."""
        self._coupling.settle()
        return self.report()._repr_html_() if self._meter.samples else None

    def report(self) -> Result:
        """Time, energy and area of everything the module did since it was placed (all of it is timed, or
        what ``timing`` says).

        Training and inference count together; ``activity.inference_samples`` says how many samples were only inferred,
        and ``throughput.operations_per_sample`` is the mean of what was done. InputError before the module has run.
        """
        self._coupling.settle()
        if not self._meter.samples:
            raise InputError("chip.report: the module has done nothing yet; run it first, model(x)")
        plan = self._meter.plan
        first = plan.placement.layers[0]
        inferred = self._log.inference_rows // first.layer.vectors
        document: dict[str, Any] = {
            "schema": SCHEMA,
            "network": plan.placement.network.name,
            "chip": plan.placement.chip.name,
            "version": package_version(),
            **cost(plan, self._meter.ledger(), self._meter.samples, self._operations / self._meter.samples),
            "activity": self._meter.activity() | {"inference_samples": inferred},
            "storage": self._meter.storage(),
            "analysis": self._meter.analysis(),
            "provenance": list(plan.placement.chip.provenance()),
        }
        if self._lasts is not None:
            seconds, samples = document["time"]["total_s"], self._meter.samples
            document["endurance"] = endurance.document(self._module, plan.placement, self._lasts, seconds, samples)
        return Result(document, self._meter.trace, plan.stations, self._meter.details)

    def state_dict(self) -> dict[str, Any]:
        """The account so far, for ``torch.save`` beside the module's and the optimizer's."""
        self._coupling.settle()
        return {
            "of": self._placed(),
            "coupling": self._coupling.state_dict(),
            "steps": self._steps,
            "operations": self._operations,
            "inference_rows": self._log.inference_rows,
            "waiting": list(self._log.waiting),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from an account that `state_dict` gave. InputError if it is of another network or chip."""
        if not isinstance(state, dict) or state.get("of") != self._placed():
            raise InputError(
                "chip.load_state_dict: the state is of another network, chip or placement; accepted is what "
                "model.chip.state_dict() gave of a module placed in the same way"
            )
        self._log.take()
        self._coupling.load_state_dict(state["coupling"])
        self._steps, self._operations = state["steps"], state["operations"]
        self._log.inference_rows, self._log.waiting = state["inference_rows"], list(state["waiting"])

    def _placed(self) -> str:
        """A short name for what was placed, and how."""
        placement = self._meter.plan.placement
        return digest(placement.chip.model_dump_json(), json.dumps(placed_layers(placement)))


def place(
    module: nn.Module,
    chip: str | Path | Chip,
    input_shape: Sequence[int],
    device: str | dict[str, Any] | InferenceConfig | None = None,
    management: Management = MANAGED,
    bias: Bias = "column",
    seed: int = 0,
    timing: Any = "every",
) -> nn.Module:
    """A copy of ``module`` on the arrays of ``chip``, to be trained in the user's own loop with `AnalogSGD`.

    ``input_shape`` is that of one sample. The copy has an attribute ``chip`` (`ChipMeter`): ``chip.report()`` says what
    everything it did has cost. What lies between two steps of the optimizer is one mini-batch, however often it went
    forward and backward; calls in ``model.eval()`` or under ``torch.no_grad()`` are inference (see `loop`). ``timing``:
    "every", "steady", or such as {"sampled": 10}: which mini-batches the engine times (see `timing`).

    ``device`` names a way to train (by default `DEVICE`) or to infer, such as inference-pcm, or is an
    `InferenceConfig`; on a chip that only infers, such as isaac-2016, cells are exact by default. A copy that infers is
    in evaluation mode; ``program`` and ``drift`` it, and what they write and read is in the account. Training it is
    hardware-aware training in software, which costs the chip nothing.
    """
    _check("chip", chip, str | Path | Chip, "the name of a preset, a YAML file or a Chip")
    if device is not None:
        accepted = "the name of a preset, a mapping with 'model' and its parameters, or an InferenceConfig"
        _check("device", device, str | dict | InferenceConfig, accepted)
    _check("management", management, Management, "a Management")
    _check("seed", seed, int, "a whole number")
    if bias not in get_args(Bias):
        raise InputError(f"bias: got {bias!r}; accepted: {', '.join(get_args(Bias))}")
    if isinstance(seed, bool) or not 0 <= seed <= settings.MOST_SEED:
        raise InputError(f"seed: got {str(seed)[:40]}, but a whole number from 0 to {settings.MOST_SEED} is needed")
    network = capture(module, input_shape)
    check_convertible(network, module)
    chip = chip if isinstance(chip, Chip) else Chip.load(chip)
    cells = _cells(device, chip)
    layout = place_network(network, chip, bias, cells.layout)
    log = LoopLog(layout)
    analog = flow.analog_twin(module, layout, management, cells, seed, log)
    log.follow(analog)
    meter = Meter(make_plan(layout), "sequential", sampling.parse(timing), management)
    lasts = cells.endurance if isinstance(cells, UnitCells) else None
    analog.chip = ChipMeter(analog, meter, log, lasts)  # type: ignore[assignment]
    return analog.eval() if isinstance(cells, InferenceCells) else analog


def _check(name: str, given: object, accepted: Any, words: str) -> None:
    if not isinstance(given, accepted):
        raise InputError(f"{name}: got {type(given).__name__} {str(given)[:60]!r}; accepted: {words}")


def _cells(device: str | dict[str, Any] | InferenceConfig | None, chip: Chip) -> UnitCells | InferenceCells:
    """What stands at the cross-points: cells that learn, or that are programmed and read."""
    if device is None:
        return training_cells.build(DEVICE, chip) if chip.trains else InferenceCells(EXACT, "without any error")
    if found := inference_cells.cells(device):
        return found
    assert not isinstance(device, InferenceConfig)
    learning = training_cells.build(device, chip)
    if not chip.trains:
        raise InputError(
            f"device: got {str(device)[:60]!r}, but {chip.name} has tiles without pulses and only infers; accepted: "
            f"{', '.join(INFERENCE)}, or an InferenceConfig"
        )
    return learning

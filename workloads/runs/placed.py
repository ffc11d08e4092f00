"""The way in for a torch module of one's own: `place` puts it on a chip, to be trained in the user's own loop."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

from torch import nn

from rpusim.arch.chips.chip import Chip, GivenChip, load_chip
from rpusim.arch.choice.balance import chosen_replicas
from rpusim.arch.choice.choose import checked_placing
from rpusim.arch.choice.near import nearer
from rpusim.arch.contract import checks
from rpusim.arch.contract.quantity import PICOSECONDS_PER_SECOND
from rpusim.arch.contract.waiting import awaited
from rpusim.arch.mapping import placement
from rpusim.arch.mapping.fit.wanted import AS_IS, GivenFit
from rpusim.arch.mapping.placement import Bias
from rpusim.arch.network.network import Network
from rpusim.errors import InputError
from rpusim.kernels.inference import INFERENCE, InferenceConfig
from rpusim.kernels.layers.convert import Key
from rpusim.kernels.layers.replicated import Replication
from rpusim.kernels.pulses.trains import Execution
from rpusim.workloads.capture.capture import capture, capture_modes, check_convertible
from rpusim.workloads.capture.samples import GivenInputs, Samples
from rpusim.workloads.cells import conductance, endurance, own_devices, pulses, training_cells
from rpusim.workloads.cells.endurance import Endurance
from rpusim.workloads.cells.inference_cells import EXACT, InferenceCells
from rpusim.workloads.cells.management import Management
from rpusim.workloads.cells.replicas import rows_of_replicas, similarity
from rpusim.workloads.cells.training_cells import UnitCells
from rpusim.workloads.clock import loads, sampling
from rpusim.workloads.clock.coupling import Coupling
from rpusim.workloads.clock.loop_activity import LoopActivity
from rpusim.workloads.clock.loop_log import LoopLog, in_order
from rpusim.workloads.clock.meter import Meter
from rpusim.workloads.clock.modes import Modes
from rpusim.workloads.results import document, reloading
from rpusim.workloads.results.result import Result
from rpusim.workloads.runs.analog_twin import analog_twin
from rpusim.workloads.runs.checkpoint import digest
from rpusim.workloads.runs.inputs import Cells, GivenDevice, check_turns, load_cells
from rpusim.workloads.runs.settings import MOST_SEED

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


@awaited("placing a module")
def place(
    module: nn.Module,
    chip: GivenChip,
    input_shape: GivenInputs,
    device: GivenDevice | None = None,
    management: Management = MANAGED,
    bias: Bias = "column",
    seed: int = 0,
    timing: Any = "every",
    weight_scaling_omega: float | None = None,
    execution: Literal["merged", "exact"] = "merged",
    exclude: Sequence[Key] = (),
    replicas: Mapping[str, int | Replication] | str | None = None,
    fit: GivenFit = AS_IS,
    tiles: int | None = None,
    placing: str = "in-order",
) -> nn.Module:
    """Copy a module onto the arrays of a chip, to be trained in the user's own loop with `AnalogSGD`.

    module:       not changed; what `rpusim.capture` accepts.
    chip:         a preset, a YAML file, or a `Chip`.
    input_shape:  of one sample; for several inputs, whole numbers and names see `rpusim.capture`.
    device:       a way to train (by default `DEVICE`), a device of your own (a YAML file, ``mine.py:Device``, a class
                  or an object), or a way to infer, such as inference-pcm, or an `InferenceConfig`. On a chip that only
                  infers, such as isaac-2016, cells are exact by default.
    management:   what the digital side does to fit numbers to the analog range.
    bias:         where biases are: a column of the array, or digital.
    seed:         of devices and of every noise, from 0 on.
    timing:       which mini-batches the engine times: "every", "first", or such as {"sampled": 10} (see
                  `rpusim.workloads.clock.sampling`).

    weight_scaling_omega:  what the largest weight of a layer becomes on its arrays, such as 0.6 times the device's
                  bound; outputs are multiplied digitally by the inverse. None: as the cells' configuration says (those
                  that learn hold weights as they are; those that are programmed use the whole range).
    execution:    how pulses are computed: merged where that is the same in distribution, or all one by one (exact).
    exclude:      weights that stay digital: modules by name, pattern or class, or parameters by name. Their products
                  are priced as those of a matrix unit, and they learn by arithmetic.
    replicas:     by layer, how many matrices share its vectors and learn each for itself; a `Replication` says how (a
                  number: at random, in training and in evaluation). "balance" and "max" let the mapper choose, as for
                  `rpusim.map_network`.
    fit:          how blocks find arrays: as-is, pack or grow, for all layers or by layer; or, of cells that infer,
                  reload, where blocks that take turns are programmed anew for every sample.

    tiles:        how many "balance" may use; None: as many as the chip has.
    placing:      "in-order", or "near": tiles near those with which they exchange bits.

    The copy has an attribute ``chip`` (a `ChipMeter`): ``chip.report()`` says what everything it did has cost.
    What lies between two steps of the optimizer is one mini-batch, however often it went forward and backward; calls in
    ``model.eval()`` or under ``torch.no_grad()`` are inference (see `rpusim.workloads.clock.loop_log`).

    A copy that infers is in evaluation mode; ``program`` and ``drift`` it, and what they write and read is in the
    account. Training it is hardware-aware training in software, which costs the chip nothing.

    Raises InputError on what cannot be used.
    """
    _check("chip", chip, str | Path | Chip, "the name of a preset, a YAML file or a Chip")
    if device is not None:
        accepted = (
            "the name of a preset, a file, a mapping with 'model' and its parameters, a pulsed device or its class, or "
            "an InferenceConfig"
        )
        if not own_devices.is_object(device):
            _check("device", device, str | dict | InferenceConfig, accepted)
    _check("management", management, Management, "a Management")
    _check("seed", seed, int, "a whole number")
    if bias not in get_args(Bias):
        raise InputError(f"bias: got {bias!r}; accepted: {', '.join(get_args(Bias))}")
    if weight_scaling_omega is not None:
        checks.number("weight_scaling_omega", weight_scaling_omega, low=0.0)
    if isinstance(seed, bool) or not 0 <= seed <= MOST_SEED:
        raise InputError(f"seed: got {str(seed)[:40]}, but a whole number from 0 to {MOST_SEED} is needed")
    on = load_chip(chip)
    cells = _cells(device, on)
    of_pulses = checks.choose(Execution, "execution", execution)
    if isinstance(cells, UnitCells):
        cells = replace(cells, execution=of_pulses)
        network, evaluation = capture_modes(module, input_shape, exclude=exclude)
    else:  # training is done in software
        network = evaluation = capture(module, input_shape, exclude=exclude)
    check_convertible(network, module)
    if not isinstance(replicas, str) and tiles is not None:
        _check("replicas", replicas, str, "balance, where tiles are given")
    if isinstance(replicas, str):
        replicas = dict(chosen_replicas(network, on, replicas, tiles, bias, cells.layout, fit))
    copies = _copies(replicas or {}, network, cells, timing)
    numbers = {name: each.number for name, each in copies.items()}
    placed = placement.place(network, on, bias, cells.layout, numbers, drawn=True, fit=fit)
    if checked_placing(placing) == "near":
        placed = nearer(placed, training=cells.learns)
    check_turns(placed, cells)
    modes = Modes.of(placed, evaluation)
    log = LoopLog(placed, modes.layers, Samples.of(input_shape).all[0].axis)
    analog = analog_twin(module, placed, management, cells, seed, log, weight_scaling_omega, exclude, copies)
    log.follow(analog)
    meter = Meter(modes.training, "sequential", sampling.parse(timing), management, modes=modes)
    lasts = cells.endurance if isinstance(cells, UnitCells) else None
    analog.chip = ChipMeter(analog, meter, modes, log, lasts)  # type: ignore[assignment]
    return analog.eval() if isinstance(cells, InferenceCells) else analog


class ChipMeter:
    """The chip under a placed module: what it has cost so far, and its clock, by which its weights leak and drift.

    module:  on the chip.
    meter:   keeps the account.
    modes:   what the module does in training and in evaluation.
    log:     where the module writes what it does.
    lasts:   how many pulses a cell takes; None where cells are not pulsed.
    """

    def __init__(self, module: nn.Module, meter: Meter, modes: Modes, log: LoopLog, lasts: Endurance | None) -> None:
        self._module, self._meter, self._modes, self._log, self._lasts = module, meter, modes, log, lasts
        self._steps = self._operations = 0
        self._alike = similarity(module)
        self._coupling = Coupling(module, meter, self._take)
        log.when_over = self._coupling.stepped

    def _take(self) -> LoopActivity:
        """Return what was done since this was last asked, in order."""
        rows, placed = self._log.take(), self._meter.plan.placement
        found, evaluated = rows, self._log.evaluated(rows)
        if len(rows):
            found = in_order(
                rows,
                [layer.vectors for layer in placed.network.layers],
                self._steps,
                [layer.parts for layer in placed.layers],
            )
            self._steps = int(found.step.max()) + 1
            self._operations += document.operations(placed, found)
        return LoopActivity(found, rows.step, evaluated)

    def idle(self, seconds: float) -> None:
        """Let the chip stand still, as while data are loaded: weights leak and drift, standby is drawn.

        seconds: at least 0. Cells that were programmed then are older by so many seconds, as after `drift`.
        """
        self._coupling.idle(seconds)

    def __str__(self) -> str:
        self._coupling.settle()
        return str(self.report()) if self._meter.samples else "the chip under a placed module, which has not run yet"

    def _repr_html_(self) -> str | None:
        """Return what a notebook shows: the report in a small table."""
        self._coupling.settle()
        return self.report()._repr_html_() if self._meter.samples else None

    @awaited("accounting for what the module did")
    def report(self) -> Result:
        """Account for everything the module did since it was placed: time, energy and area.

        All of it is timed, or what ``timing`` says. Training and inference count together:
        ``activity.inference_samples`` says how many samples were only inferred, and
        ``throughput.operations_per_sample`` is the mean of what was done. Raises InputError before the module has run.
        """
        self._coupling.settle()
        if not self._meter.samples:
            raise InputError("chip.report: the module has done nothing yet; run it first, model(x)")
        measured = self._meter.measured()
        placed, samples = measured.plan.placement, measured.samples
        measured.activity["mini_batches"] = self._log.mini_batches
        counted = placed.layers[self._modes.counted].layer.vectors
        measured.activity["inference_samples"] = self._log.inference_rows // counted
        last: dict[str, Any] = {}
        if self._lasts is not None:
            seconds = measured.ledger.time_ps / PICOSECONDS_PER_SECOND
            last["endurance"] = endurance.document(self._module, placed, self._lasts, seconds, samples)
        if placed.reloads:
            last["reload"] = reloading.written(placed) | loads.document(self._module, placed)
        last["conductance"] = conductance.document(self._module, placed)
        if rows := rows_of_replicas(self._module, self._alike):
            last["replicas"] = rows
        return document.result(
            measured,
            operations_per_sample=self._operations / samples,
            provenance=list(placed.chip.provenance()),
            pulses=pulses.document(self._module),
            last=last,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the account so far, for ``torch.save`` beside the module's and the optimizer's."""
        self._coupling.settle()
        return {
            "of": self._placed(),
            "coupling": self._coupling.state_dict(),
            "steps": self._steps,
            "operations": self._operations,
            "log": self._log.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from an account that `state_dict` gave. Raises InputError if it is of another network or chip."""
        if not isinstance(state, dict) or state.get("of") != self._placed():
            raise InputError(
                "chip.load_state_dict: the state is of another network, chip or placement; accepted is what "
                "model.chip.state_dict() gave of a module placed in the same way"
            )
        self._log.load_state_dict(state["log"])
        self._coupling.load_state_dict(state["coupling"])
        self._steps, self._operations = state["steps"], state["operations"]

    def _placed(self) -> str:
        """Return a short name for what was placed, and how."""
        placed = self._meter.plan.placement
        return digest(placed.chip.model_dump_json(), json.dumps(document.placed_layers(placed)))


def _copies(
    given: Mapping[str, int | Replication], network: Network, cells: Cells, timing: Any
) -> dict[str, Replication]:
    """Say how layers are replicated, by name; those with a single matrix are left out."""
    _check("replicas", given, Mapping, "a mapping of numbers, or of Replication, by layer")
    numbers = {name: each.number if isinstance(each, Replication) else each for name, each in given.items()}
    placement.replicas_of(network, numbers)
    if max(numbers.values(), default=1) > 1 and isinstance(cells, InferenceCells):
        raise InputError("replicas: were given for cells that only infer; accepted: cells that learn by pulses")
    found = {name: each if isinstance(each, Replication) else Replication(each) for name, each in given.items()}
    if timing != "every" and (name := next((n for n, each in found.items() if each.average_every), None)):
        raise InputError(
            f"replicas.{name}: average_every was given where not all mini-batches are timed; it needs timing: every"
        )
    return {name: each for name, each in found.items() if each.number > 1}


def _check(name: str, given: object, accepted: Any, words: str) -> None:
    if not isinstance(given, accepted):
        raise InputError(f"{name}: got {type(given).__name__} {str(given)[:60]!r}; accepted: {words}")


def _cells(device: GivenDevice | None, chip: Chip) -> Cells:
    """Return what stands at the cross-points: cells that learn, or that are programmed and read."""
    if device is None:
        return training_cells.build(DEVICE, chip) if chip.trains else InferenceCells(EXACT, "without any error")
    cells = load_cells(device, chip)
    if isinstance(cells, UnitCells) and not chip.trains:
        raise InputError(
            f"device: got {str(device)[:60]!r}, but {chip.name} has tiles without pulses and only infers; accepted: "
            f"{', '.join(INFERENCE)}, or an InferenceConfig"
        )
    return cells

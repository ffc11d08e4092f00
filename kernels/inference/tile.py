"""Arrays that only infer, and `InferenceConfig`, everything that makes a layer of them.

`InferenceTile`: cells that are programmed once, drift, and are read; trained in software before.

Its life, with the times at which random numbers are drawn:

    training     a mini-batch sees modified weights, torch's optimizer moves the clean ones; then clip, remap, modify
    `program`    weights to conductances, with the noise of programming; the answer to known inputs is measured
    `drift`      what the conductances are so many seconds after programming; measured again, the outputs are scaled
    evaluation   multiplies with what was programmed, and with clean weights as long as nothing is

The weights that are converted at a later time are those that programming left, fitted to the conductance range anew;
so the devices of a pair that should hold nothing weigh as part of the pair. Each call of `drift` starts from
programming. What is trained is W, and what the array holds W / scale; ``scale``, a factor for each row, is that of
remapping.

Where blocks take turns on arrays (`loads`), evaluation programs a tile anew for every sample, and reads it at the age
that the clock says; `drift` then is no affair of that tile, nor is drift compensated there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from rpusim.arch.contract import checks
from rpusim.arch.contract.activity import Phase
from rpusim.errors import InputError
from rpusim.kernels.base.rng import Purpose
from rpusim.kernels.inference.clipping import Clip
from rpusim.kernels.inference.compensation import Compensation, GlobalCompensation
from rpusim.kernels.inference.converters import Converter, SinglePair
from rpusim.kernels.inference.draw import CellDraw
from rpusim.kernels.inference.loads import Loads
from rpusim.kernels.inference.modifiers import Modifier
from rpusim.kernels.inference.noise import PCM, NoiseModel
from rpusim.kernels.inference.remapping import Remap
from rpusim.kernels.inference.sliced import Draw, SlicedDevices
from rpusim.kernels.mvm.multiply import IOParameters, Product, SlicedCells, multiply
from rpusim.kernels.tiles.tile import ALONE, LayerConfig, Step, Tile

Tensor = torch.Tensor
# Stands where others have the number of the tile: cells draw by their place in the layer.
_WHOLE_LAYER = -1


@dataclass(frozen=True)
class InferenceConfig(LayerConfig):
    """Configure the arrays of a layer that is trained in software, and then programmed.

    noise:          what becomes of programmed conductances; None: nothing.
    converter:      which conductances stand for a weight.
    compensation:   how drift is measured and made up for; None: not at all.
    verifications:  how often, in the mean, programming reads each cell to verify it; for the activity log.
    modifiers:      what disturbs the weights of every mini-batch of hardware-aware training: one, or several in order.
    modify_in_evaluation:  disturb them in evaluation, too, as long as nothing is programmed.
    clip, remap:    what is done to weights and their scales after every step of the optimizer; None: nothing.
    forward, backward, analog_bias and others: as for `LayerConfig`; backward is exact by default, as it is computed in
    software.

    InputError: a field is out of its range, or the converter asks for conductances that the noise model does not cover.
    """

    noise: NoiseModel | None = field(default_factory=PCM)
    converter: Converter = field(default_factory=SinglePair)
    compensation: Compensation | None = field(default_factory=GlobalCompensation)
    verifications: float = 0.0
    modifiers: tuple[Modifier, ...] = ()
    modify_in_evaluation: bool = False
    clip: Clip | None = None
    remap: Remap | None = None
    backward: IOParameters = field(default_factory=lambda: IOParameters(is_perfect=True), kw_only=True)
    weight_scaling_omega: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        given = self.modifiers
        object.__setattr__(self, "modifiers", tuple(given) if isinstance(given, list | tuple) else (given,))
        checks.instance("converter", self.converter, Converter)
        for name, kind in (("noise", NoiseModel), ("compensation", Compensation), ("clip", Clip), ("remap", Remap)):
            if getattr(self, name) is not None:
                checks.instance(name, getattr(self, name), kind)
        for modifier in self.modifiers:
            checks.instance("modifiers", modifier, Modifier)
        checks.number("verifications", self.verifications, low=0.0)
        checks.flag("modify_in_evaluation", self.modify_in_evaluation)
        if self.noise is not None:
            (low, high), (least, most) = self.converter.conductance_range, self.noise.conductance_range
            if low < least * (1.0 - 1e-9) or high > most * (1.0 + 1e-9):
                raise InputError(
                    f"converter: {self.converter.kind} asks for conductances from {low * 1e6:g} to {high * 1e6:g} uS; "
                    f"accepted with the noise model {self.noise.kind} are {least * 1e6:g} to {most * 1e6:g} uS"
                )

    def tile(self, rows: int, columns: int, **options: Any) -> InferenceTile:
        return InferenceTile(rows, columns, self, **options)


class InferenceTile(Tile):
    """Multiply by cells that are programmed and read; arguments as for `Tile`.

    Attributes:
    config:      what it was made by.
    weight:      the parameter that is trained (rows, columns).
    mapping:     the layer's mapping scale for every row (rows,); the array holds weight / mapping / scale.
    scale:       factor of remapping for every row (rows,).
    programmed:  whether the cells hold anything.
    factor:      factor of drift compensation for every row (rows,).
    age:         seconds since programming.
    sliced:      the devices of weights that are cut over cells, if these have errors; None otherwise.
    loads:       when it is programmed anew, if it takes turns on an array; None: it stays.
    """

    weight: torch.nn.Parameter
    mapping: Tensor
    scale: Tensor
    modified: Tensor | None
    reference: Tensor
    left: Tensor
    held: Tensor
    sliced: SlicedDevices | None
    frozen: Tensor
    baseline: Tensor
    factor: Tensor

    def __init__(self, rows: int, columns: int, config: InferenceConfig, **options: Any) -> None:
        super().__init__(rows, columns, config, **options)
        self.config = config
        self.programmed = self._learned = False
        self._counters |= {"modifications": 0, "programmings": 0, "drifts": 0, "reads": 0}
        self._fit: tuple[float, ...] = ()
        self.loads: Loads | None = None
        self._held_load: tuple[int, int] | None = None
        """Number of the load, and of the use, that the cells hold; None: what `program` or `drift` left."""
        self.age = 0.0
        devices = config.converter.devices
        self.weight = torch.nn.Parameter(torch.zeros(rows, columns))
        self.register_buffer("mapping", torch.ones(rows))
        self.register_buffer("scale", torch.ones(rows))
        self.register_buffer("modified", torch.zeros(rows, columns) if config.modifiers else None)
        self.register_buffer("left", torch.zeros(rows, columns))  # by programming
        self.register_buffer("held", torch.zeros(rows, columns))  # now
        self.register_buffer("frozen", torch.zeros(devices, rows, columns))
        self.register_buffer("baseline", torch.ones(rows))
        self.register_buffer("factor", torch.ones(rows))
        io, self.sliced = config.forward, None
        if io.slices is not None and not io.is_perfect and config.noise is not None:
            self.sliced = SlicedDevices(rows, columns, io.slices, config.converter, config.noise)
        self._seen = self._changes()

    # --- weights ------------------------------------------------------------------------------------------------------

    @property
    def stored(self) -> Tensor:
        """The clean weights in units of the array (rows, columns)."""
        return self._mapped if self.config.remap is None else self._mapped / self.scale[:, None]

    @property
    def sliced_cells(self) -> SlicedCells | None:
        return self.sliced.cells if self.sliced is not None and self.programmed and not self.training else None

    @property
    def _mapped(self) -> Tensor:
        """The trained weights without the layer's mapping scale (rows, columns)."""
        scaled = self.config.weight_scaling_omega > 0.0
        return self.weight.detach() / self.mapping[:, None] if scaled else self.weight.detach()

    @property
    def weights(self) -> Tensor:
        if self.programmed and not self.training:
            return self.held
        if self.modified is not None and (self.training or self.config.modify_in_evaluation):
            return self.modified
        return self.stored

    def set_mapping(self, scale: Tensor) -> None:
        self.mapping.copy_(scale)

    def _set_weights(self, weights: Tensor) -> None:
        with torch.no_grad():
            self.weight.copy_(weights)
        self.scale.fill_(1.0)
        self.programmed = self._learned = False
        self._seen = self._changes()
        self._modify()

    def get_weights(self) -> Tensor:
        """A copy of the trained weights (rows, columns), without what programming did to them."""
        self.end_mini_batch()
        return self.weight.detach().clone()

    # --- training -----------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor, step: Step = ALONE, phase: Phase = Phase.FORWARD) -> Tensor:
        """Multiply vectors: x (vectors, columns) -> y (vectors, rows), as the mode of training or evaluation asks."""
        self.end_mini_batch()
        if self.loads is not None and not self.training and phase == Phase.FORWARD:
            return self._scaled(self._load_and_multiply(self.loads, x, step))
        return self._scaled(super().forward(x, step, phase))

    def backward(self, d: Tensor, step: Step = ALONE, phase: Phase = Phase.BACKWARD) -> Tensor:
        """Multiply errors by the transposed array: d (vectors, rows) -> (vectors, columns)."""
        return super().backward(self._scaled(d), step, phase)

    def gradient(self, x: Tensor, d: Tensor) -> Tensor:
        if self.training:  # else it is asked for, but not learned from
            self._learned, self.programmed = True, False
        return super().gradient(x, d)

    def _scaled(self, y: Tensor) -> Tensor:
        """Multiply by the digital factors of the rows: the scale of remapping, and that of drift compensation."""
        if self.config.remap is not None:
            y = y * self.scale
        return y * self.factor if self.programmed and not self.training else y

    def end_mini_batch(self) -> None:
        """Clip, remap and modify, if the weights may have learned since the last time."""
        if not self._may_have_learned():
            return
        self._learned = False
        with torch.no_grad():
            if self.config.clip is not None:
                bound = self.config.clip.bound(self.stored) * (self.scale * self.mapping)[:, None]
                self.weight.copy_(torch.minimum(torch.maximum(self.weight, -bound), bound))
            if self.config.remap is not None:
                self.scale.copy_(self.config.remap.scales(self._mapped))
        self._seen = self._changes()
        self._modify()

    def _may_have_learned(self) -> bool:
        """Tell whether an error came back, or an optimizer made a step, since the last end of a mini-batch."""
        return self._learned or self._changes() != self._seen

    def _changes(self) -> int:
        """Torch's count of changes to the weights."""
        return 0 if self.weight.is_inference() else self.weight._version

    def _modify(self) -> None:
        """Draw the modified copy for the next mini-batch."""
        if self.modified is None:
            return
        clean = weights = self.stored
        number = self._next("modifications")
        for position, modifier in enumerate(self.config.modifiers):
            draw = self._draw(Purpose.MODIFIER, (number,), position)
            weights = modifier.modified(weights, modifier.largest(clean), draw)
        self.modified.copy_(weights)

    @property
    def samples(self) -> int:
        """How many samples it was programmed for, where it takes turns."""
        return self._counters.get("samples", 0)

    # --- programming and drift ----------------------------------------------------------------------------------------

    @torch.no_grad()
    def program(self) -> None:
        """Write the weights into the cells, as well as programming can, and measure their answer to known inputs.

        Of a tile that takes turns this is the load before the first sample, which is counted if that sample reads it.
        """
        self.end_mini_batch()
        if self.loads is None or not self.loads.written[0]:
            self._log(**self._writing)
        weights = self.stored
        self._fit = self.config.converter.fit(weights)
        self._write_cells(weights, (self._next("programmings"),))
        self.held.copy_(self.left)
        self.factor.fill_(1.0)
        self.programmed, self.age, self._held_load = True, 0.0, None
        compensation = self.config.compensation
        if compensation is not None and self.loads is None:
            exact = compensation.exact_reference
            self.baseline.copy_(compensation.average(weights.t() if exact else self._answers()))

    @property
    def _writing(self) -> dict[str, int]:
        """What the activity log says of one programming."""
        return {"writes": self.rows * self.columns, "passes": math.ceil(self.columns * self.config.verifications)}

    def _write_cells(self, weights: Tensor, number: tuple[int, ...]) -> None:
        """Draw what programming leaves of weights (rows, columns); ``number`` names the event."""
        noise, converter = self.config.noise, self.config.converter
        if self.sliced is not None:
            programming, frozen = (self._draws(p, number) for p in (Purpose.PROGRAMMING, Purpose.FROZEN))
            self.sliced.program(weights, self._forward_io.out_bound, programming, frozen)
            self.left.copy_(self.sliced.weights)
        elif noise is None:
            self.left.copy_(weights)
        else:
            left = []
            for device, target in enumerate(converter.conductances(weights, self._fit)):
                left.append(noise.programmed(target, self._draw(Purpose.PROGRAMMING, number, device)))
                self.frozen[device] = noise.frozen(target, self._draw(Purpose.FROZEN, number, device))
            self.left.copy_(converter.weights(left, self._fit))

    @torch.no_grad()
    def drift(self, seconds: float) -> None:
        """Let the cells be as they are ``seconds`` after programming; programs them first if nothing is programmed.

        InputError: the noise model does not cover that time.
        """
        if self.config.noise is not None:
            self.config.noise.check_time(seconds)
        if not self.programmed:
            self.program()
        if self.loads is not None:
            return
        self.age = seconds
        self._age_cells(seconds, (self._next("drifts"),))
        compensation = self.config.compensation
        if compensation is not None:
            self.factor.copy_(self.baseline / compensation.average(self._answers()))

    def _age_cells(self, seconds: float, number: tuple[int, ...]) -> None:
        """Draw what the cells hold ``seconds`` after programming; ``number`` names the event."""
        noise, converter = self.config.noise, self.config.converter
        if self.sliced is not None:
            self.sliced.drift(seconds, self._draws(Purpose.AGEING, number))
            self.held.copy_(self.sliced.weights)
        elif noise is not None:
            fit = self._fit if noise.around_target else converter.fit(self.left)
            now = [
                noise.after(conductance, self.frozen[device], seconds, self._draw(Purpose.AGEING, number, device))
                for device, conductance in enumerate(converter.conductances(self.left, fit))
            ]
            self.held.copy_(converter.weights(now, fit))

    @torch.no_grad()
    def _load_and_multiply(self, loads: Loads, x: Tensor, step: Step) -> Tensor:
        """Multiply the vectors of every sample, x (vectors, columns), by cells that were programmed for it."""
        use, before = loads.use, self.samples
        samples = loads.samples(len(x), use, step.steps)
        if loads.written[use] and step.number == 0:
            self._log(samples, vector=np.arange(samples) * loads.vectors[use], **self._writing)
        if use == len(loads.vectors) - 1 and step.number == step.steps - 1:
            self._counters["samples"] = before + samples
        if self.config.noise is None or not self.programmed:  # all loads are alike
            return super().forward(x, step)
        x, first = self._vectors("x", x, self.columns), self._counters["forward"]
        done = []
        for run, sample in loads.runs(len(x), use, step.steps):
            self._hold(loads, before + sample, use)
            of_side = self._forward_io, self.forward_lines, self._forward_stream, first + run.start, self.average
            done.append(multiply(self.held, x[run], *of_side, self.path_now, cells=self.sliced_cells))
        self._counters["forward"] += len(x)
        whole = Product.joined(done)
        self._write(Phase.FORWARD, whole, step, active_columns=whole.active, active_rows=self.rows)
        if self._manages_clipping:
            self.clipped = self._at_bound(whole.y)
        return whole.y

    def _hold(self, loads: Loads, sample: int, use: int) -> None:
        """Let the cells hold what the load that a use of a sample reads has become by then."""
        load = loads.number(sample, use)
        if self._held_load == (load, use):
            return
        self._write_cells(self.stored, (load, 0))
        age = loads.ages[use]
        if age is None:
            self.held.copy_(self.left)
        else:
            self._age_cells(age, (load, 1 + use))
        self.age, self._held_load = age or 0.0, (load, use)

    def _answers(self) -> Tensor:
        """Measure what the array answers to each input line alone, through its periphery: (columns, rows)."""
        done = multiply(
            self.held,
            torch.eye(self.columns, device=self.held.device),
            self._forward_io,
            self.forward_lines,
            (*self._stream, int(Phase.MAINTENANCE)),
            self._counters["reads"],
            self.average.clone(),
            self.path_now,
            cells=None if self.sliced is None else self.sliced.cells,
        )
        self._counters["reads"] += self.columns
        self._log(passes=int(done.passes.sum()), adds=self.rows * self.columns)
        return done.y

    # --- random numbers, activity, state ------------------------------------------------------------------------------

    def _next(self, counter: str) -> int:
        self._counters[counter] += 1
        return self._counters[counter] - 1

    def _draw(self, purpose: Purpose, number: tuple[int, ...], device: int) -> CellDraw:
        """Give the random numbers of one device; ``number`` names the event: its number, or a load and what of it."""
        seed, layer, _ = self._stream
        name = (seed, layer, _WHOLE_LAYER, int(purpose), number[0], device, *number[1:])
        return CellDraw(self.rows, self.columns, name, self.place, self.weight.device)

    def _draws(self, purpose: Purpose, number: tuple[int, ...]) -> Draw:
        """Give the random numbers of each device of sliced weights, or of the unit line, which every tile has."""
        seed, layer, tile = self._stream

        def draw(device: int, of_unit_line: bool) -> CellDraw:
            if not of_unit_line:
                return self._draw(purpose, number, device)
            name = (seed, layer, tile, int(purpose), number[0], device, *number[1:])
            return CellDraw(1, self.columns, name, self.place, self.weight.device)

        return draw

    def _log(self, rows: int = 1, vector: ArrayLike = -1, **columns: int) -> None:
        """Write rows of maintenance to the log; vector: of a load, the first one that reads it, else -1."""
        if self.log is not None:
            where = {"layer": self.layer, "tile": self.tile, "phase": Phase.MAINTENANCE, "vector": vector}
            self.log.append(rows, **where, active_rows=self.rows, active_columns=self.columns, **columns)

    def _write(self, phase: Phase, done: Product, step: Step, **active: Any) -> None:
        """Training happens in software, and errors go back there, which costs the chip nothing."""
        if not self.training and phase == Phase.FORWARD:
            super()._write(phase, done, step, **active)

    def get_extra_state(self) -> dict[str, Any]:
        state = {"programmed": self.programmed, "learned": self._may_have_learned(), "fit": self._fit, "age": self.age}
        return {**super().get_extra_state(), **state}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        if "programmed" not in state:
            raise InputError(
                f"layer {self.layer}: a state of arrays that learn by pulses was given; accepted is one of inference"
            )
        super().set_extra_state(state)
        self.programmed, self._learned, self._fit = state["programmed"], state["learned"], tuple(state["fit"])
        self.age, self._seen, self._held_load = state["age"], self._changes(), None

    def __getstate__(self) -> dict[str, Any]:
        """A copy has new tensors, of which torch counts changes anew."""
        return self.__dict__ | {"_learned": self._may_have_learned()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        restore: Callable[[dict[str, Any]], None] = super().__setstate__
        restore(state)
        self._seen = self._changes()

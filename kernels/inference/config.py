"""InferenceConfig: everything that turns a layer into analog hardware that only infers, in one frozen value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.inference.clipping import Clip
from rpusim.kernels.inference.compensation import Compensation, GlobalCompensation
from rpusim.kernels.inference.converters import Converter, SinglePair
from rpusim.kernels.inference.modifiers import Modifier
from rpusim.kernels.inference.noise import PCM, NoiseModel
from rpusim.kernels.inference.remapping import Remap
from rpusim.kernels.inference.tile import InferenceTile
from rpusim.kernels.mvm.multiply import IOParameters
from rpusim.kernels.tiles.config import LayerConfig


@dataclass(frozen=True)
class InferenceConfig(LayerConfig):
    """The arrays of a layer that is trained in software, and then programmed.

    noise:        what becomes of programmed conductances; None: nothing.
    converter:    which conductances stand for a weight.
    compensation: how drift is measured and made up for; None: not at all.
    verifications: how often, in the mean, programming reads each cell to verify it; for the activity log.
    modifiers:    what disturbs the weights of every mini-batch of hardware-aware training: one, or several in order.
    modify_in_evaluation: disturb them in evaluation, too, as long as nothing is programmed.
    clip, remap:  what is done to weights and their scales after every step of the optimizer; None: nothing.
    forward, backward, analog_bias and others: as for `LayerConfig`; backward is exact by default, as it is computed in
    software.
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

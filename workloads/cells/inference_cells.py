"""Inference between the two halves of a chip: cells by name or as a value, behind the chip's own converters.

A name is one of `rpusim.kernels.inference.INFERENCE`, such as inference-pcm; on a chip without pulses, which only
infers, nothing has to be named, and cells hold exactly what they are given. One cross-point of the chip holds one
weight, whatever pairs of devices it is converted to; or one slice of a weight, where the chip cuts weights over cells.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar, Literal

from rpusim.arch.chips.description import TileKind
from rpusim.arch.contract.cell_layout import SINGLE, CellLayout
from rpusim.arch.mapping.placement import Bias
from rpusim.kernels import IOParameters
from rpusim.kernels.inference import INFERENCE, InferenceConfig

_SAID = "mv_type", "wires", "slices", "inp_res", "inp_sto_round", "out_res", "out_bound", "out_noise"
"""What a chip's circuits say of its converters."""

EXACT = InferenceConfig(None, compensation=None, weight_scaling_omega=1.0)
"""Cells without any error; weights use the whole range of the array."""


@dataclass(frozen=True)
class InferenceCells:
    """Say what stands at the cross-points of arrays that are programmed and read.

    config:  everything that makes a layer of them.
    source:  where the numbers come from.
    """

    config: InferenceConfig
    source: str
    learns: ClassVar[Literal[False]] = False
    calibration_pairs: ClassVar[int] = 0

    @property
    def measures_drift(self) -> bool:
        """Whether drift is compensated by what is read after programming."""
        compensation = self.config.compensation
        return compensation is not None and not compensation.exact_reference

    @property
    def layout(self) -> CellLayout:
        """One array for every weight, whatever pairs of devices it is converted to."""
        return SINGLE

    def provenance(self) -> Iterator[dict[str, object]]:
        """List every number of converter, noise and compensation with its unit and source, for the provenance."""
        for part in ("converter", "noise", "compensation"):
            for field, value in _numbers(f"inference.{part}", getattr(self.config, part)):
                yield {"field": field, "value": value, "unit": _unit(field), "source": self.source}


def _numbers(where: str, part: Any) -> Iterator[tuple[str, object]]:
    if is_dataclass(part):
        for field in fields(part):
            if isinstance(value := getattr(part, field.name), int | float):
                yield f"{where}.{field.name}", value


def _unit(field: str) -> str:
    name = field.rpartition(".")[2]
    if name in ("g_max", "g_min", "program_reference", "program_std", "read_std"):
        return "S"
    return "s" if name in ("t_0", "t_read") else "1"


def cells(given: object) -> InferenceCells | None:
    """Make the cells of a preset's name or of an `InferenceConfig`; None if ``given`` is neither."""
    if isinstance(given, InferenceConfig):
        return InferenceCells(given, "given by the user, or the model's default")
    if isinstance(given, str) and given in INFERENCE:
        return InferenceCells(INFERENCE[given].config, INFERENCE[given].source)
    return None


def configuration(of: InferenceCells, kind: TileKind, forward: IOParameters, bias: Bias) -> InferenceConfig:
    """Fit the kernel's parameters to one kind of tile.

    of:       the cells.
    kind:     the kind of tile, which says how cells are written and verified.
    forward:  its converters and their management, as parameters of the kernel.
    bias:     where the bias is kept.

    What the circuits do not say stays as it is: noise of reads, and how inputs are scaled if their range is learned.
    The voltage drop that AIHWKit's presets have stays only where nothing is known of the chip's wires.
    """
    own, said = of.config.forward, [*_SAID]
    if of.config.input_range is None:
        said += ["noise_management", "bound_management"]
    circuit: dict[str, Any] = {name: getattr(forward, name) for name in said}
    if kind.array.wires is not None:
        circuit["ir_drop"] = 0.0
    writing = kind.programming
    return replace(
        of.config,
        forward=own if own.is_perfect else replace(own, **circuit),
        analog_bias=bias == "column",
        verifications=float(writing.iterations) if writing and writing.verify else 0.0,
    )

"""An experiment as data: which network learns what, on which chip, with which device and recipe.

The experiments that ship are YAML files in ``experiments/``; a user's own has the same fields. `load` reads and
checks one.
"""

from __future__ import annotations

from rpusim.workloads.cells.management import Management
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_serializer, model_validator

from rpusim.arch.contract.configuration import find_yaml, parse, read_yaml, shipped
from rpusim.arch.contract.sourced import Sourced
from rpusim.arch.contract.quantity import Age, Seconds, SecondsOrZero
from rpusim.errors import InputError, nearest
from rpusim.workloads import zoo
from rpusim.workloads.clock.sampling import Timing

MOST_SEED = 2**63 - 1
FOLDER = zoo.FOLDER / "experiments"


def _with_fresh_weights(schedule: object) -> object:
    if schedule == "asynchronous":
        raise ValueError(
            "got 'asynchronous', but a run computes every mini-batch with the weights that the one before it left; "
            "accepted: sequential, minibatch-pipelined (asynchronous training is timed by `rpusim time`)"
        )
    return schedule


class Recipe(Sourced):
    """Stochastic gradient descent with a learning rate that is halved every ``halve_every`` epochs."""

    epochs: Annotated[int, Field(ge=1)]
    batch: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    halve_every: Annotated[int, Field(ge=1)]




class Pause(Sourced):
    """The chip stands still for ``time`` after an epoch, with its weights in the arrays."""

    after_epoch: Annotated[int, Field(ge=1)]
    time: Seconds

    @field_serializer("time")
    def _with_unit(self, time: float) -> str:
        return f"{time!r} s"


class Idle(Sourced):
    """Time in which nothing is computed: ``per_mini_batch`` before each one (its data are loaded), and ``pauses``."""

    per_mini_batch: SecondsOrZero
    pauses: tuple[Pause, ...] = ()

    @field_serializer("per_mini_batch")
    def _with_unit(self, time: float) -> str:
        return f"{time!r} s"


class Retraining(Sourced):
    """Hardware-aware training: more ``epochs`` with noise of ``noise`` times the largest weight, and weights clipped at
    ``clip`` standard deviations (0: not at all)."""

    epochs: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    noise: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    clip: Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Use(Sourced):
    """The network is trained in software, programmed, and tested at each of ``times`` after that, in this order.

    ``retraining``: for the cells that it is programmed into; without it, it is programmed as it is.
    """

    times: Annotated[tuple[Age, ...], Field(min_length=1)]
    retraining: Retraining | None = None

    @field_serializer("times")
    def _with_unit(self, times: tuple[float, ...]) -> list[str]:
        return [f"{time!r} s" for time in times]


class Refresh(Sourced):
    """What capacitors have lost is written back every so often, see `coupling`."""

    every: Seconds

    @field_serializer("every")
    def _with_unit(self, time: float) -> str:
        return f"{time!r} s"


def _file_name(name: str) -> str:
    if not re.fullmatch(r"[^\W_][\w .+=,-]{0,99}", name) or name != name.strip():
        raise ValueError(
            f"got {name[:120]!r}, but a plain name is needed, which the run folder gets: letters, digits, spaces and "
            ". + = , _ -, a letter or digit first, at most 100 characters"
        )
    return name


class Experiment(Sourced):
    """Everything that a run needs; the same experiment gives the same result, byte for byte.

    ``device`` is a configuration's name, or a mapping with ``model``, that model's parameters and a ``cell`` (see
    `training_cells`). ``schedule``: sequential or minibatch-pipelined, see `rpusim.arch.schedule.schedules`.
    ``timing``: every, sampled or steady, see `timing`. ``elapse``: what leaks and drifts does so after every
    mini-batch, or before every vector of an update; ``idle``: time in which the chip waits; ``refresh``: how often
    capacitors are refreshed, see `coupling`.
    """

    name: Annotated[str, AfterValidator(_file_name)]
    title: str
    network: str
    data: str
    chip: str
    device: str | dict[str, Any]
    bias: Literal["column", "digital"]
    recipe: Recipe
    management: Management
    schedule: Annotated[Literal["sequential", "minibatch-pipelined"], BeforeValidator(_with_fresh_weights)] = (
        "sequential"
    )
    timing: Timing = "every"
    elapse: Literal["mini-batch", "vector"] = "mini-batch"
    idle: Idle | None = None
    refresh: Refresh | None = None
    inference: Use | None = None
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)]

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Experiment:
        if self.inference is not None:
            for name in ("schedule", "timing", "elapse", "idle"):
                default = type(self).model_fields[name].default
                if getattr(self, name) != default:
                    raise ValueError(
                        f"{name}: got {getattr(self, name)!r} in an experiment with inference, where it would be "
                        f"ignored; accepted: {default!r}"
                    )
        return self


def presets() -> list[str]:
    """Names of the experiments that ship."""
    return shipped(FOLDER)


def load(name: str | Path) -> Experiment:
    """The experiment that ships under ``name``, or the one in the YAML file at that path."""
    path = find_yaml(name, FOLDER, "experiment: none")
    return parse(Experiment, read_yaml(path), path.name)


def changed(experiment: Experiment, changes: dict[str, Any]) -> Experiment:
    """The experiment with some fields replaced, checked anew; fields of its recipe may be named directly."""
    fields = experiment.model_dump()
    for name, value in changes.items():
        if name in fields:
            fields[name] = value
        elif name in fields["recipe"]:
            fields["recipe"][name] = value
        else:
            raise InputError(f"experiment: {name} is not a field{nearest(name, [*fields, *fields['recipe']])}")
    return parse(Experiment, fields, f"experiment {experiment.name}")

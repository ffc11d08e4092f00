"""An experiment as data: which network learns what, on which chip, with which device and recipe.

The experiments that ship are YAML files in ``experiments/``; a user's own has the same fields. `load` reads and
checks one.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    field_serializer,
    model_validator,
)

from rpusim.arch.chips.chip import GIVEN, listed
from rpusim.arch.chips.description import ChipDescription
from rpusim.arch.contract import dotted
from rpusim.arch.contract.configuration import find_yaml, is_text, parse, read_yaml, shipped, shown
from rpusim.arch.contract.quantity import Age, Seconds, SecondsOrZero
from rpusim.arch.contract.sourced import MOST, Count, Several, Sourced
from rpusim.errors import InputError, nearest
from rpusim.workloads import zoo
from rpusim.workloads.cells import OF_THE_CHIP
from rpusim.workloads.cells.management import Management
from rpusim.workloads.clock.sampling import Timing
from rpusim.workloads.runs.network_mapping import NetworkMapping

MOST_SEED = 2**63 - 1
"""The largest seed that torch takes."""
OF_CHIPS = tuple(name for name in ChipDescription.model_fields if name not in {"name", "title", "source", "sources"})
"""Fields of a chip, which changes of an experiment may name directly."""
FOLDER = zoo.FOLDER / "experiments"
"""Where the experiments that ship lie."""


def described(given: object) -> object:
    """Write a device that is an object as a mapping; files, names and mappings need no torch."""
    if isinstance(given, str | dict):
        return given
    from rpusim.workloads.cells import own_devices

    return own_devices.described(given)


class Recipe(Sourced):
    """Stochastic gradient descent on the mean loss of a mini-batch.

    epochs:         how often all samples are gone through.
    batch:          samples of a mini-batch.
    learning_rate:  of the first epochs.
    halve_every:    after so many epochs the learning rate is halved, again and again.
    """

    epochs: Count
    batch: Count
    learning_rate: Annotated[float, Field(gt=0, le=1e6)]
    halve_every: Count


class Pause(Sourced):
    """The chip stands still, its weights in the arrays.

    after_epoch: after which epoch, counted from 1.
    time:        for how long.
    """

    after_epoch: Count
    time: Seconds

    @field_serializer("time")
    def _with_unit(self, time: float) -> str:
        return f"{time!r} s"


class Idle(Sourced):
    """Time in which nothing is computed.

    per_mini_batch: before each mini-batch, while its data are loaded.
    pauses:         longer ones, between epochs.
    """

    per_mini_batch: SecondsOrZero
    pauses: Annotated[tuple[Pause, ...], Several] = ()

    @field_serializer("per_mini_batch")
    def _with_unit(self, time: float) -> str:
        return f"{time!r} s"


class Retraining(Sourced):
    """Hardware-aware training in software, for the cells that the network is then programmed into.

    epochs:         more epochs, after those of the recipe.
    learning_rate:  of the first of them.
    noise:          standard deviation of what is added to the weights of a mini-batch, over the largest weight.
    clip:           weights are clipped at so many standard deviations; 0: not at all.
    """

    epochs: Count
    learning_rate: Annotated[float, Field(gt=0, le=1e6)]
    noise: Annotated[float, Field(ge=0, le=1e3)]
    clip: Annotated[float, Field(ge=0, le=1e6)]


class Use(Sourced):
    """The network is trained in software, programmed, and tested at some times after that.

    times:       seconds after programming, in the order in which it is tested.
    retraining:  hardware-aware training before it is programmed; without it, it is programmed as it is.
    """

    times: Annotated[tuple[Age, ...], Several, Field(min_length=1, max_length=1000)]
    retraining: Retraining | None = None

    @field_serializer("times")
    def _with_unit(self, times: tuple[float, ...]) -> list[str]:
        return [f"{time!r} s" for time in times]


class Refresh(Sourced):
    """What capacitors have lost is written back, see `rpusim.workloads.clock.coupling`.

    every: after so long.
    """

    every: Seconds

    @field_serializer("every")
    def _with_unit(self, time: float) -> str:
        return f"{time!r} s"


class Sharing(Sourced):
    """How replicas of a layer share its vectors, see `rpusim.kernels.layers.replicated`.

    training:       which replica does a vector in training.
    inference:      the same when the network is tested; one: the first replica does all.
    votes:          how often it is tested, for a vote of the answers.
    first_weights:  the same in all replicas, or independent.
    average_every:  mini-batches after which replicas are averaged; 0: never.
    learning_rate:  same: every replica learns at the recipe's rate; times-replicas: at so many times that.
    """

    training: Literal["random", "in-turn"] = "random"
    inference: Literal["random", "in-turn", "one"] = "random"
    votes: Annotated[int, Field(ge=1, le=1000)] = 1
    first_weights: Literal["equal", "independent"] = "equal"
    average_every: Annotated[int, Field(ge=0, le=MOST)] = 0
    learning_rate: Literal["same", "times-replicas"] = "same"
    source: str = "default"


class LowRankAdapters(Sourced):
    """Weights are frozen, and low-rank adapters learn beside them (LoRA, see `rpusim.kernels.layers.low_rank`).

    rank:      of the adapters.
    scale:     what their products are multiplied by.
    layers:    which layers get one, by name or pattern.
    adapters:  whether they lie on arrays, or are digital and learn by arithmetic.
    weights:   a file of the network's ``state_dict``, as torch.save writes it; None: its first weights.
    """

    rank: Count
    scale: Annotated[float, Field(ge=-1e6, le=1e6)] = 1.0
    layers: Annotated[tuple[str, ...], Several] = ("*",)
    adapters: Literal["arrays", "digital"] = "arrays"
    weights: str | None = None
    source: str = "default"


Strength = Annotated[float, Field(gt=0, le=1e6)]


class Robustness(Sourced):
    """How samples of the test set are disturbed after the last epoch, see `rpusim.workloads.runs.robustness`.

    noise:        standard deviations of what is added to every input, in the unit of the samples.
    adversarial:  how far every input is moved to where the loss grows, in the same unit.
    """

    noise: Annotated[tuple[Strength, ...], Several] = ()
    adversarial: Annotated[tuple[Strength, ...], Several] = ()
    source: str = "default"


def file_name(name: str) -> str:
    """Return a name that a folder can get; ValueError for any other."""
    if not re.fullmatch(r"[^\W_][\w .+=,-]{0,99}", name) or name != name.strip():
        raise ValueError(
            f"got {shown(repr(name))}, but a plain name is needed, which the run folder gets: letters, digits, spaces "
            "and . + = , _ -, a letter or digit first, at most 100 characters"
        )
    return name


class Experiment(Sourced):
    """Everything that a run needs; the same experiment gives the same result, byte for byte.

    name:        a plain name, which the run folder gets.
    title:       a sentence for people.
    network:     one of `rpusim.workloads.zoo.networks`, or ``file.py:function``.
    data:        a name such as digits, a file or a folder, or ``file.py:function`` (see `rpusim.workloads.data.kinds`).
    chip:        a preset's name, a YAML file, or a mapping of ``like`` and fields that are changed in it (see
                 `rpusim.arch.chips.chip.GivenChip`).
    device:      a configuration's name, a device of the user's own (a YAML file, ``mine.py:Device``, or an object,
                 which becomes a mapping), or a mapping with ``model``, that model's parameters and a ``cell`` (see
                 `rpusim.workloads.cells.training_cells`).
    bias:        where biases are: a column of the array, or digital.
    exclude:     layers and parameters whose weights stay digital, by name or pattern.
    lora:        the network's weights are frozen, and low-rank adapters learn; None: all weights learn.
    recipe:      how the network is trained.
    management:  what the digital side does to fit numbers to the analog range.
    schedule:    what may overlap, see `rpusim.arch.schedule.schedules`; asynchronous: samples see the weights that the
                 clock says (`rpusim.workloads.runs.stale`).
    timing:      which mini-batches the engine times, see `rpusim.workloads.clock.sampling`.
    elapse:      whether what leaks and drifts does so after every mini-batch, or before every vector of an update (see
                 `rpusim.workloads.clock.coupling`).
    execution:   how pulses are computed: merged where that is the same in distribution, or all one by one (exact).
    idle:        time in which the chip waits; None: none.
    refresh:     how often capacitors are refreshed; None: never.
    replicas:    copies of layers by name, which share the layer's vectors and learn each for itself.
    sharing:     how they share them.
    robustness:  by how much samples are disturbed when the trained network is tested once more.
    mapping:     how blocks find arrays.
    inference:   the network is trained in software, programmed and used; None: it is trained on the chip.
    waterfall:   draws of noise, programming and drift by which the error of a network that is programmed is divided by
                 causes; 0: it is not (see `rpusim.workloads.waterfall.divide`).
    seed:        of first weights, devices, order of samples and every noise.
    """

    name: Annotated[str, AfterValidator(file_name)]
    title: str
    network: str
    data: str
    chip: str | dict[str, Any]
    device: Annotated[str | dict[str, Any], BeforeValidator(described)]
    bias: Literal["column", "digital"]
    exclude: Annotated[tuple[str, ...], Several] = ()
    lora: LowRankAdapters | None = None
    recipe: Recipe
    management: Management
    schedule: Literal["sequential", "minibatch-pipelined", "asynchronous"] = "sequential"
    timing: Timing = "every"
    elapse: Literal["mini-batch", "vector"] = "mini-batch"
    execution: Literal["merged", "exact"] = "merged"
    idle: Idle | None = None
    refresh: Refresh | None = None
    replicas: dict[str, int] = {}
    sharing: Sharing = Sharing()
    robustness: Robustness = Robustness()
    mapping: NetworkMapping = NetworkMapping()
    inference: Use | None = None
    waterfall: Annotated[int, Field(ge=0, le=1000)] = 0
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)]
    _file: str = PrivateAttr("")
    _replaced: frozenset[str] = PrivateAttr(frozenset())

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Experiment:
        if self.inference is not None:
            for name in ("schedule", "timing", "elapse", "execution", "idle", "replicas", "sharing", "robustness"):
                default = type(self).model_fields[name].default
                if getattr(self, name) != default:
                    raise ValueError(
                        f"{name}: got {getattr(self, name)!r} in an experiment with inference, where it would be "
                        f"ignored; accepted: {default!r}"
                    )
        self.mapping.check_beside(bool(self.replicas), self.inference is not None)
        if self.waterfall and self.inference is None:
            raise ValueError(
                f"waterfall: got {self.waterfall} in an experiment that learns on the chip, where causes act on one "
                "another while it learns; accepted: 0, or an experiment with inference, such as lenet-digits-pcm"
            )
        if self.sharing != Sharing() and not self.copied:
            raise ValueError(
                "sharing: given without replicas, which it is about; accepted: replicas of a layer as well"
            )
        if self.sharing.average_every and self.timing != "every":
            raise ValueError(
                "sharing.average_every: given where not all mini-batches are timed; it needs timing: every"
            )
        if self.schedule == "asynchronous":
            for name in ("timing", "elapse", "replicas", "refresh"):
                default = type(self).model_fields[name].default
                if getattr(self, name) != default:
                    raise ValueError(
                        f"{name}: got {getattr(self, name)!r} with schedule: asynchronous, which it cannot go with; "
                        f"accepted: {default!r}"
                    )
        if self.copied and self.elapse == "vector":
            raise ValueError(
                "elapse: got 'vector' with replicas, whose vectors it cannot follow; accepted: mini-batch, or no "
                "replicas"
            )
        return self

    @contextmanager
    def speaks(self, field: str = "") -> Iterator[None]:
        """Begin every InputError within with the file of this experiment, and with the field that is being loaded.

        field: names what is loaded, such as "chip"; empty: the error names its field by itself. Fields that were
               replaced after the file had been read are not its own.
        """
        try:
            yield
        except InputError as error:
            said = str(error)
            if field and not said.startswith((f"{field}:", f"{field}.")):
                said = f"{field}: {said}"
            named = re.match(r"[a-z_]*", said)
            if self._file and named and named[0] not in self._replaced and not said.startswith(f"{self._file}: "):
                said = f"{self._file}: {said}"
            raise InputError(said) from error.__cause__

    @property
    def digest(self) -> str:
        """A name of everything that it sets, 16 hexadecimal digits; titles and sources aside."""
        fields = self.model_dump(mode="json", exclude={"name", "title", "source", "sources"} | self._unused)
        return hashlib.sha256(json.dumps(_plain(fields), sort_keys=True).encode()).hexdigest()[:16]

    def document(self) -> dict[str, Any]:
        """Return the document's ``training``: everything that is set, but what a result names by itself."""
        named = {"source", "sources", "name", "title", "network", "chip", "seed"}
        return self.model_dump(exclude=named | self._unused)

    @property
    def _unused(self) -> set[str]:
        """Names fields that were left at defaults which change nothing."""
        copies = set() if self.copied else {"replicas", "sharing"}
        copies |= {"lora"} if self.lora is None else set()
        copies |= set() if self.waterfall else {"waterfall"}
        copies |= set() if self.robustness != Robustness() else {"robustness"}
        return copies | ({"mapping"} if self.mapping.is_default else set())

    @property
    def copied(self) -> bool:
        """Whether layers have copies."""
        return bool(self.replicas or self.mapping.replicas)


def _plain(fields: Any) -> Any:
    """Return fields without the sources in them."""
    if isinstance(fields, dict):
        return {name: _plain(value) for name, value in fields.items() if name not in ("source", "sources")}
    return [_plain(value) for value in fields] if isinstance(fields, list) else fields


def presets() -> list[str]:
    """List the names of the experiments that ship."""
    return shipped(FOLDER)


def load(name: str | Path) -> Experiment:
    """Load the experiment that ships under ``name``, or the one in the YAML file at that path.

    Raises InputError if there is none, or a field is not what it should be.
    """
    path = find_yaml(name, FOLDER, "experiment: none")
    experiment = parse(Experiment, read_yaml(path), path.name)
    experiment._file = shown(path.name)
    return experiment


def changed(experiment: Experiment, changes: dict[str, Any], source: str = GIVEN) -> Experiment:
    """Return the experiment with some fields replaced, checked anew.

    experiment:  is not changed.
    changes:     by dotted path (see `rpusim.arch.contract.dotted`), with values as a file has them. Fields of its
                 recipe and of its chip may be named directly: "epochs", "tiles.0.adc.bits".
    source:      where what is changed comes from.

    Returns it with a title of its own, if it is no longer what its title says. Raises InputError if there is no such
    field, or its value cannot be used.
    """
    fields: dict[str, Any] = experiment.model_dump()
    for path in sorted(changes, key=lambda path: "." in path or path in OF_CHIPS):  # a chip first, then its fields
        value, head = changes[path], path.partition(".")[0]
        if isinstance(value, str) and not is_text(value):
            raise InputError(
                f"{path}: got {shown(repr(value))}, half a character of which is missing; rename it in UTF-8"
            )
        if changed_inside(fields, path, value):
            continue
        if head in fields:
            fields = dotted.changed(fields, {path: value}, source)
        elif head in fields["recipe"]:
            fields = dotted.changed(fields, {f"recipe.{path}": value}, source)
        else:
            accepted = [*fields, *fields["recipe"], *OF_CHIPS]
            raise InputError(f"experiment: {shown(head)} is not a field{nearest(head, accepted)}")
    heads = {"chip" if path.partition(".")[0] in OF_CHIPS else path.partition(".")[0] for path in changes}
    if heads & {"network", "chip", "device", "data"} and "title" not in heads:
        fields["title"] = f"{fields['network']} learns {fields['data']} on {named(fields['chip'])}"
    made = parse(Experiment, fields, f"experiment {experiment.name}")
    made._file, made._replaced = experiment._file, experiment._replaced | heads
    return made


def of_a_chip(path: str) -> bool:
    """Tell whether a dotted path is of a field within a chip: ``tiles.0.adc.bits``, ``chip.tiles.0.adc.bits``."""
    head, _, rest = path.partition(".")
    return head in OF_CHIPS or (head == "chip" and rest != "")


def changed_inside(fields: dict[str, Any], path: str, value: object) -> bool:
    """Change a field within the chip or device that ``fields`` name, or a layer's replicas; False at other paths."""
    head, _, rest = path.partition(".")
    if of_a_chip(path):
        fields["chip"] = alike(fields["chip"]) | {path.removeprefix("chip."): value}
    elif head == "device" and rest and fields["device"] is not None:
        fields["device"] = with_parameter(fields["device"], rest, value)
    elif head == "replicas" and rest:  # the name of a layer may have dots
        fields["replicas"] = {**fields["replicas"], rest: value}
    else:
        return False
    return True


def alike(chip: Any) -> dict[str, Any]:
    """Return a chip that is named as a mapping, to which changes of its fields can be added."""
    return chip if isinstance(chip, dict) else {"like": chip}


def with_parameter(device: Any, path: str, value: Any) -> dict[str, Any]:
    """Return a device that is named, or a mapping, as a mapping with another parameter; ``path``: cell.gamma."""
    named = device if isinstance(device, dict) else {"model" if device == OF_THE_CHIP else "like": device}
    return dotted.changed(named, {path: value}, GIVEN)


def named(chip: Any) -> str:
    """Name a chip for a title: reram-512 with tiles.0.adc.bits=6."""
    if not isinstance(chip, dict):
        return str(chip)
    changes = {path: value for path, value in chip.items() if path != "like"}
    return f"{chip.get('like')} with {listed(changes)}"

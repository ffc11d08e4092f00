"""What a user names is loaded here, once, and passed on as a value: network, chip, unit cells, data, and placement.

A chip, a network or a device may be given by name, as a file, or as a value; whatever comes after this module takes
values only.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from rpusim.arch.chips.chip import Chip, load_chip
from rpusim.arch.choice.balance import chosen_replicas
from rpusim.arch.choice.near import nearer
from rpusim.arch.contract.configuration import shown
from rpusim.arch.mapping.placement import Placement, place, replicas_of
from rpusim.arch.network.network import Network
from rpusim.errors import InputError, nearest, written
from rpusim.kernels import PulsedDevice
from rpusim.kernels.inference import INFERENCE, AddNormal, GaussianClip, InferenceConfig
from rpusim.kernels.layers.low_rank import adapters, lora
from rpusim.kernels.layers.replicated import Replication
from rpusim.kernels.layers.shares import Way
from rpusim.kernels.pulses.trains import Execution
from rpusim.workloads.capture.capture import capture, capture_modes, check_convertible
from rpusim.workloads.capture.samples import Samples
from rpusim.workloads.capture.traced import WHOLE
from rpusim.workloads.cells import inference_cells, training_cells
from rpusim.workloads.cells.inference_cells import InferenceCells
from rpusim.workloads.cells.training_cells import UnitCells
from rpusim.workloads.data import kinds
from rpusim.workloads.data.dataset import Data, Dataset
from rpusim.workloads.results.document import package_version
from rpusim.workloads.runs.checkpoint import digest
from rpusim.workloads.runs.settings import Experiment, LowRankAdapters, Retraining, Use
from rpusim.workloads.zoo import networks

Cells = UnitCells | InferenceCells
"""What stands at the cross-points of arrays: cells that learn there, or that are programmed and read."""

GivenDevice = str | dict[str, Any] | PulsedDevice | type[PulsedDevice] | InferenceConfig
"""A device as a user names it: a way to train or to infer, a mapping with ``model``, a device of the user's own (see
`rpusim.workloads.cells.own_devices`), or an `InferenceConfig`."""


@dataclass(frozen=True)
class Inputs:
    """What an experiment names, loaded.

    digital:    the network as a torch module with its first weights, in floating point.
    network:    its weight layers and operations.
    samples:    the data, in the shape that the network reads.
    cells:      what stands at the cross-points.
    placement:  where every layer lies on the chip.
    copies:     how many copies layers have, by name.
    input_shape: what one sample is, as the network's builder says it.
    """

    experiment: Experiment
    digital: nn.Module
    network: Network
    samples: Dataset
    cells: Cells
    placement: Placement
    copies: Mapping[str, int]
    input_shape: Any = ()

    @property
    def exclude(self) -> tuple[str, ...]:
        """What stays digital, by name or pattern."""
        return _excluded(self.experiment, self.digital)

    @property
    def replicas(self) -> dict[str, Replication]:
        """How replicas share the vectors of layers, by their names."""
        sharing = self.experiment.sharing
        return {
            name: Replication(
                number,
                Way(sharing.training),
                Way(sharing.inference),
                sharing.first_weights,
                sharing.average_every,
                sharing.learning_rate,
            )
            for name, number in self.copies.items()
            if number > 1
        }

    def provenance(self) -> list[dict[str, Any]]:
        """List every number that goes into a run: field, value, unit and source."""
        replicas, source = self.copies, self.experiment.sources.get("replicas", self.experiment.source)
        if self.experiment.mapping.replicas:
            source = f"chosen by the mapper (mapping.replicas: {self.experiment.mapping.replicas})"
        numbers = self.experiment.numbers("experiment")
        return [
            *(
                row
                for row in numbers
                if (replicas or not row["field"].startswith("experiment.sharing."))
                and (row["value"] or row["field"] != "experiment.waterfall")
            ),
            *(
                {"field": f"experiment.replicas.{name}", "value": number, "unit": "1", "source": source}
                for name, number in replicas.items()
            ),
            *self.cells.provenance(),
            {"field": "data", "value": self.experiment.data, "unit": "1", "source": self.samples.source},
            *self.placement.chip.provenance(),
        ]

    def contents(self) -> dict[str, str]:
        """Name all that the result depends on, for a checkpoint.

        What a name stands for may change between two runs, so contents are there as well, as short digests.
        """
        fields: dict[str, str] = {}
        for name, value in self.experiment.model_dump(exclude={"title", "source", "sources"}).items():
            parts = value if name in ("recipe", "management") else {"": value}
            fields |= {f"{name}.{part}".rstrip("."): str(given) for part, given in parts.items()}
        chip, samples = self.placement.chip, self.samples
        numbers = [*self.cells.provenance(), *chip.provenance()]
        digests = {
            "network": digest(repr(self.digital), *self.digital.state_dict().values()),
            "chip": digest(chip.model_dump_json(), json.dumps(numbers, default=str)),
            "device": digest(repr(self.cells)),
            "data": digest(samples.train_x, samples.train_y, samples.test_x, samples.test_y),
        }
        versions = {"rpusim": package_version(), "torch": str(torch.__version__), "numpy": np.__version__}
        return fields | {f"content of the {name}": value for name, value in digests.items()} | versions


def load(experiment: Experiment, given: Data | None = None) -> Inputs:
    """Load what an experiment names, and place its network on its chip.

    given: data to learn from, in place of those that it names.

    The network's first weights come from torch's random numbers as they stand. Raises InputError if something is
    missing, or does not go together.
    """
    with experiment.speaks("network"):
        digital, input_shape = networks.build(experiment.network)
        if experiment.lora is not None:
            digital = _with_adapters(digital, experiment.lora)
        inputs = Samples.of(input_shape)
        if len(inputs.all) != 1 or inputs.all[0].axis:
            raise InputError(
                f"network: {experiment.network!r} reads {shown(written(input_shape))}, but the data of a run are one "
                "tensor with samples first; accepted: the shape of one sample, or rpusim.place and a loop of your own"
            )
        exclude = _excluded(experiment, digital)
        if experiment.inference is None:
            network, _ = capture_modes(digital, input_shape, experiment.network, exclude)
        else:  # training is done in software
            network = capture(digital, input_shape, experiment.network, exclude=exclude)
        check_convertible(network, digital)
    with experiment.speaks("data"):
        found = kinds.load(experiment.data) if given is None else given
        samples = found.shaped(inputs.all[0].shape).of_type(network.inputs[0].detail == WHOLE)
    with experiment.speaks("chip"):
        chip = load_chip(experiment.chip)
    cells: Cells
    with experiment.speaks("device"):
        if experiment.inference is None:
            cells = training_cells.build(experiment.device, chip)
            cells = replace(cells, execution=Execution(experiment.execution))
        else:
            cells = _that_infer(experiment.device)
    if experiment.inference is not None and isinstance(cells, InferenceCells):
        with experiment.speaks("inference.times"):
            _check_times(cells, experiment.inference)
        if experiment.inference.retraining:
            with experiment.speaks("inference.retraining"):
                cells = _retrained(cells, experiment.inference.retraining)
    mapping, drawn = experiment.mapping, experiment.sharing.training == "random"
    with experiment.speaks("mapping" if mapping.replicas or mapping.tiles else "replicas"):
        on = chip, mapping.replicas or experiment.replicas, mapping.tiles, experiment.bias, cells.layout, mapping.fit
        copies = chosen_replicas(network, *on)
        replicas_of(network, copies)
        if mapping.replicas:
            copies = {name: number for name, number in copies.items() if number > 1}
    with experiment.speaks("network"):
        placement = place(network, chip, experiment.bias, cells.layout, copies, drawn, mapping.fit)
        if mapping.placing == "near":
            placement = nearer(placement, training=experiment.inference is None)
    with experiment.speaks("mapping"):
        check_turns(placement, cells)
        if placement.reloads and experiment.waterfall:
            raise InputError(
                f"waterfall: got {experiment.waterfall} with mapping.fit: reload, where weights are programmed anew "
                "for every sample, so that causes do not act on one programmed network; accepted: 0, or another fit"
            )
    with experiment.speaks("chip"):
        if experiment.inference is not None:
            for kind in chip.tiles:
                kind.writing(chip.name)
    return Inputs(experiment, digital, network, samples, cells, placement, copies, input_shape)


def _excluded(experiment: Experiment, network: nn.Module) -> tuple[str, ...]:
    """Return what of an experiment's network stays digital, adapters included if they do."""
    digital = experiment.lora is not None and experiment.lora.adapters == "digital"
    return (*experiment.exclude, *(adapters(network) if digital else ()))


def _with_adapters(digital: nn.Module, wanted: LowRankAdapters) -> nn.Module:
    """Put low-rank adapters into a network, with the weights that an experiment names."""
    if wanted.weights is not None:
        try:
            digital.load_state_dict(torch.load(wanted.weights, weights_only=True))
        except (
            OSError,
            RuntimeError,
            ValueError,
            EOFError,
            pickle.UnpicklingError,
            AttributeError,
            TypeError,
        ) as error:
            said = next(iter(str(error).splitlines()), "").rstrip(".:")
            raise InputError(
                f"lora.weights: {shown(wanted.weights)} does not hold the weights of this network ({said}); accepted: "
                "a file that torch.save wrote of its state_dict"
            ) from None
    try:
        return lora(digital, wanted.rank, wanted.scale, wanted.layers)
    except InputError as error:
        raise InputError(f"lora.{error}") from None


def check_turns(placement: Placement, cells: Cells) -> None:
    """Refuse weights that take turns on arrays where cells learn, as what they learned would have to be kept."""
    if placement.reloads and cells.learns:
        raise InputError(
            "mapping.fit: got reload with cells that learn on the arrays, but blocks that take turns are written anew "
            "for every sample; accepted: cells that infer, such as inference-pcm, or as-is, pack or grow"
        )


def load_cells(given: GivenDevice, chip: Chip) -> Cells:
    """Return the cells that a device's name or value stands for on a chip: to train, or to infer."""
    if (found := inference_cells.cells(given)) is not None:
        return found
    assert not isinstance(given, InferenceConfig)
    return training_cells.build(given, chip)


def _that_infer(device: GivenDevice) -> InferenceCells:
    """Return the cells that an experiment with inference names."""
    found = inference_cells.cells(device)
    if found is None:
        given = str(device)[:60]
        raise InputError(f"device: {given!r} does not infer, but the experiment does{nearest(given, INFERENCE)}")
    return found


def _check_times(cells: InferenceCells, use: Use) -> None:
    """Refuse times after programming that the model of noise and drift does not cover."""
    if cells.config.noise is not None:
        for seconds in use.times:
            cells.config.noise.check_time(seconds)


def _retrained(cells: InferenceCells, retraining: Retraining) -> InferenceCells:
    """Add to cells what disturbs them, and clips their weights, while they are retrained."""
    clip = None
    if retraining.clip:
        try:
            clip = GaussianClip(retraining.clip)
        except InputError as error:
            raise InputError(f"inference.retraining.clip: {error}") from None
    return replace(cells, config=replace(cells.config, modifiers=(AddNormal(retraining.noise),), clip=clip))

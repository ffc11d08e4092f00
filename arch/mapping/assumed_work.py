"""The work that a network is assumed to do for a number of samples, as rows of activity; and what cannot be assumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rpusim.arch.contract.activity import Activity
from rpusim.arch.contract.configuration import shown
from rpusim.arch.mapping.assumed_activity import Learning, assumed_activity, assumed_rows
from rpusim.arch.mapping.placement import Placement
from rpusim.errors import InputError, written

MOST_ROWS = 20_000_000
"""Rows of activity that are timed in one go, at some hundred bytes each."""
FEW_ROWS = 200_000
"""Of a sample of more rows the layers are timed one by one, see `rpusim.arch.account.by_layer`."""
MOST_VECTORS = 2**31 - 1
"""The most vectors of one layer in one mini-batch: columns of activity number them in 32 bits."""


def check(placement: Placement, samples: int, training: bool, schedule: str, batch: int) -> None:
    """Refuse numbers below 1, training where nothing can train, and inference where it is not what is asked for.

    placement, samples, training, batch: as of `AssumedWork`. schedule: what may overlap.
    """
    for name, given in (("samples", samples), ("batch", batch)):
        if not isinstance(given, int) or given < 1:
            raise InputError(f"{name}: got {shown(written(given))}, but at least 1 is needed")
    if placement.reloads and (training or schedule != "sequential"):
        what = "training" if training else f"schedule {schedule!r}"
        raise InputError(
            f"mapping.fit: got reload for {what}, but blocks take turns sample by sample; accepted: inference with "
            "schedule sequential, or another way"
        )
    largest = MOST_VECTORS // max(layer.layer.vectors for layer in placement.layers)
    if batch > largest:
        raise InputError(
            f"batch: got {shown(written(batch))}, but a mini-batch of this network has at most {largest} samples, so "
            "that its vectors can be counted"
        )
    if not training and batch > 1:
        raise InputError(f"batch: got {batch} for inference, but mini-batches are for training; accepted: 1")
    if training and not placement.chip.trains:
        raise InputError(f"chip: {placement.chip.name} has tiles without pulses and only infers; ask for inference")
    if not training and schedule in ("minibatch-pipelined", "asynchronous"):
        raise InputError(
            f"schedule: got {schedule!r} for inference, but it is for training; accepted: sequential, layer-pipelined"
        )


@dataclass(frozen=True)
class AssumedWork:
    """What a network is assumed to do for a number of samples.

    placement:  where its layers lie.
    samples:    how many there are.
    training:   whether they also go back and learn.
    batch:      samples of a mini-batch, in training.
    learning:   what unit cells are assumed to do.
    before:     rows of what is done once, before the first sample.
    """

    placement: Placement
    samples: int
    training: bool
    batch: int
    learning: Learning
    before: Activity

    @property
    def size(self) -> int:
        """Samples of what may repeat itself: of a mini-batch in training, one in inference."""
        return self.batch if self.training else 1

    @property
    def most(self) -> int:
        """How many samples can be timed in one go."""
        return max(1, MOST_ROWS // assumed_rows(self.placement, 1, self.training, 1, self.learning))

    def mini_batches(self, number: int, size: int) -> Activity:
        """Write the activity of the first ``number`` mini-batches of ``size`` samples."""
        return self._written(number * size, size)

    def of_layer(self, layer: int) -> Activity:
        """Write the activity of one layer in inference of one sample."""
        return assumed_activity(self.placement, 1, training=False, learning=self.learning, layer=layer)

    @property
    def by_layer(self) -> Callable[[int], Activity] | None:
        """What gives the activity layer by layer in inference of one large sample, nothing done before; or None."""
        alone = self.samples == 1 and not self.training and not len(self.before)
        return self.of_layer if alone and self.most < MOST_ROWS // FEW_ROWS else None

    def all(self) -> Activity:
        """Write the activity of all samples."""
        return self._written(self.samples, self.batch)

    def _written(self, samples: int, batch: int) -> Activity:
        activity = assumed_activity(self.placement, samples, self.training, batch, self.learning)
        return Activity.concatenate([self.before, activity])

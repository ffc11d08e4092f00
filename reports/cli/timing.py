"""What `rpusim time` and `rpusim trace` share: time a network as the options say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rpusim.arch.contract.waiting import awaited
from rpusim.reports.cli.console import aside
from rpusim.reports.cli.options import copies_by_layer

if TYPE_CHECKING:
    from rpusim.arch.chips.chip import Chip
    from rpusim.workloads.results.result import Result


def is_training(chip: Chip, training: bool | None, schedule: str, device: Any) -> bool:
    """Tell whether training or inference is timed.

    chip:      what the network is timed on.
    training:  what --training or --inference said; if neither was given (None), training is timed where the chip, the
               device and the schedule allow it.
    schedule:  name of the schedule; layer-pipelined is for inference only.
    device:    the way to train or to infer, as a user gives it; None for the chip's own.
    """
    if training is not None:
        return training
    return schedule != "layer-pipelined" and chip.trains and not _infers(device)


def _infers(device: Any) -> bool:
    """Tell whether a device's cells only infer."""
    if device is None:
        return False
    from rpusim.workloads.cells import inference_cells  # which needs torch

    return inference_cells.cells(device) is not None


def timed(network: str, chip: Chip, training: bool, replicas: str | None, **options: Any) -> Result:
    """Time a network with `rpusim.workloads.runs.estimate.time_network`.

    replicas: what --replicas said. options: the other options of `rpusim time`, by the names of that function.
    """
    from rpusim.workloads.runs import estimate

    with aside(), awaited(f"timing {network} (loops are compiled the first time)"):
        return estimate.time_network(network, chip, training=training, replicas=copies_by_layer(replicas), **options)

"""Who is told of every epoch of a run: TensorBoard, Weights & Biases, or a function of the user's.

A callback is called with the name of the stage ("analog" on the chip, "digital" in floating point) and with what the
epoch led to: ``epoch``, ``train_loss``, ``test_error``, and on the chip ``seconds``, ``joules`` and ``pulses_per_cell``
by then.

    rpusim.simulate("fcn-digits", callbacks=[rpusim.TensorBoard("logs/fcn")])
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from rpusim.errors import InputError

Callback = Callable[[str, Mapping[str, float]], None]


class TensorBoard:
    """Write every figure of every epoch for TensorBoard.

    folder: of the event files. InputError if the package tensorboard is not installed.
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            self._writer: Any = import_module("torch.utils.tensorboard").SummaryWriter(str(folder))
        except ImportError:
            raise InputError("TensorBoard: tensorboard is not installed; run pip install tensorboard") from None

    def __call__(self, stage: str, epoch: Mapping[str, float]) -> None:
        """Write one epoch; its figures are called STAGE/NAME."""
        for name, value in epoch.items():
            if name != "epoch":
                self._writer.add_scalar(f"{stage}/{name}", value, int(epoch["epoch"]))
        self._writer.flush()


class WeightsAndBiases:
    """Log every figure of every epoch to Weights & Biases.

    options: of ``wandb.init``, such as ``project="rpu"``. InputError if wandb is not installed.
    """

    def __init__(self, **options: Any) -> None:
        try:
            self._run: Any = import_module("wandb").init(**options)
        except ImportError:
            raise InputError("WeightsAndBiases: wandb is not installed; run pip install wandb") from None

    def __call__(self, stage: str, epoch: Mapping[str, float]) -> None:
        """Log one epoch; its figures are called STAGE/NAME, and STAGE/epoch is what they are plotted against."""
        self._run.log({f"{stage}/{name}": value for name, value in epoch.items()})

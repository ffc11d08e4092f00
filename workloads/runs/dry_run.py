"""One mini-batch forward and backward before anything is trained, so that a network that cannot learn says so at once.

Nothing of it stays: the module is a copy, the random state is put back, and no activity is written.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from rpusim.errors import InputError
from rpusim.workloads.runs.process import RandomNumbers
from rpusim.workloads.runs.training_loop import Batches, likelihood


def dry_run(digital: nn.Module, analog: nn.Module, batches: Batches) -> None:
    """Refuse now, and not in the middle of a training, a network that cannot learn a mini-batch of its data.

    digital:  the network in floating point.
    analog:   the same network on arrays, which is not used afterwards.
    batches:  the data; the smallest mini-batch is tried.

    Raises InputError if a forward or backward pass fails, or a weight is not what an array can hold.
    """
    _check_parameters(digital)
    x, y = batches.smallest()
    for module, where in ((digital, "the data"), (analog, "the data on the arrays")):
        _check_learns(module, x, y, batches.classes, where)


def draws(digital: nn.Module, batches: Batches, numbers: RandomNumbers) -> Callable[[], AbstractContextManager[None]]:
    """Find out whether the network draws random numbers of torch when it learns, as with dropout.

    digital:  the network in floating point; a copy of it is run.
    batches:  the data; the smallest mini-batch is tried.
    numbers:  of the run.

    Returns what makes the surrounding of each pass: the run's numbers in place of torch's, or, where none is drawn,
    nothing, as other threads may want theirs.
    """
    twin, tried = copy.deepcopy(digital).train(), RandomNumbers(0)
    before = tried.state
    try:
        with tried.drawn():
            twin(batches.smallest()[0])
    except (Exception, SystemExit):  # whatever a user's forward may raise: it will be said where it is trained
        return numbers.drawn
    return nullcontext if torch.equal(before, tried.state) else numbers.drawn


def _check_parameters(module: nn.Module) -> None:
    """Refuse what an array cannot do, other numbers than float32; and a network of which nothing learns."""
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            kind = str(tensor.dtype).removeprefix("torch.")
            raise InputError(f"network: {name} is {kind}; accepted: float32, as after module.float()")
    if not any(weight.requires_grad for weight in module.parameters()):
        raise InputError(
            "network: all of its parameters are frozen (requires_grad=False), so that nothing learns; accepted: at "
            "least one that learns"
        )


def _check_learns(module: nn.Module, x: torch.Tensor, y: torch.Tensor, classes: int, where: str) -> None:
    """Send one mini-batch through a copy of the module, and its loss back. where: the words for an error."""
    twin = copy.deepcopy(module).train()
    with RandomNumbers(0).drawn():
        try:
            output = twin(x)
            _check_output(output, tuple(y.shape), classes)
            torch.autograd.backward(likelihood(output, y))
        except InputError:
            raise
        except (Exception, SystemExit) as error:  # whatever a user's forward may raise
            said = next(iter(str(error).splitlines()), "").rstrip(".")
            raise InputError(
                f"network: a mini-batch of {len(y)} of {where} cannot be learned ({type(error).__name__}: {said}); "
                "accepted: a network that torch can train on it"
            ) from error


def _check_output(output: object, labels: tuple[int, ...], classes: int) -> None:
    """Refuse what is no log-probability of each class; labels: shape of the right classes."""
    if not isinstance(output, torch.Tensor) or not output.is_floating_point():
        kind = str(output.dtype) if isinstance(output, torch.Tensor) else type(output).__name__
        raise InputError(f"network: returns {kind}; accepted: a tensor of log-probabilities")
    if tuple(output.shape[:-1]) != labels:
        what = ", ".join(("samples", "positions", *["..."] * len(labels))[: len(labels)])
        raise InputError(
            f"network: returns shape {tuple(output.shape)} for {labels[0]} samples; accepted: ({what}, classes), here "
            f"{(*labels, classes)}"
        )
    if output.shape[-1] < classes:
        raise InputError(
            f"network: has {output.shape[-1]} outputs but the data have {classes} classes; accepted: an output for each"
        )

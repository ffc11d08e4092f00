"""How a trained network answers when samples of the test set are disturbed: by noise, or by whoever wants it wrong.

    noise:        x + s xi, xi standard normal, of every input for itself                                         (1)
    adversarial:  x + s sign(dL/dx), L the loss of the right class (the fast gradient sign method; Goodfellow,
                  Shlens & Szegedy, ICLR 2015)                                                                    (2)

The gradient is that of the network as it is, through its arrays with their noise and whichever replicas do a sample
then; another pass answers. Nothing of it is on the clock, and nothing stays.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import nn

from rpusim.errors import InputError
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.workloads.runs.settings import Robustness
from rpusim.workloads.runs.training_loop import likelihood, majority

Tensor = torch.Tensor
PIECE = 500
"""Samples that are disturbed at a time."""


def disturbed(
    models: dict[str, nn.Module], x: Tensor, y: Tensor, given: Robustness, seed: int, votes: int = 1
) -> dict[str, list[dict[str, float]]]:
    """Test networks on disturbed samples.

    models:  by the name that their errors get in the result, such as test_error.
    x, y:    samples (samples, ...) and their classes.
    given:   the strengths, in the unit of the samples.
    seed:    of the noise, which is the same for all networks and, but for its strength, for all strengths.
    votes:   how often each sample is classified, as for the test error.

    Returns for noise and adversarial, as far as asked for, one entry per strength: ``strength`` and the fraction of
    samples that each network classifies wrongly; nothing if nothing is asked for.

    InputError: samples that are whole numbers, such as characters.
    """
    if not given.noise and not given.adversarial:
        return {}
    if not x.is_floating_point():
        kind = str(x.dtype).removeprefix("torch.")
        raise InputError(f"robustness: samples are {kind}, which nothing can be added to; accepted: samples of float32")
    draw = torch.Generator().manual_seed(seed)
    noise = torch.randn(x.shape, generator=draw)
    copies = {name: _apart(model) for name, model in models.items()}
    found: dict[str, list[dict[str, float]]] = {}
    for kind, strengths in (("noise", given.noise), ("adversarial", given.adversarial)):
        rows = []
        for strength in strengths:
            errors = {}
            for name, model in copies.items():
                towards = noise if kind == "noise" else worst(model, x, y)
                errors[name] = _wrong(model, x + strength * towards, y, votes)
            rows.append({"strength": strength, **errors})
        if rows:
            found[kind] = rows
    return found


def worst(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Compute by equation 2 the signs, like ``x``, that make each sample's loss grow fastest."""
    signs = []
    for part, right in _pieces(x, y):
        given = part.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(likelihood(model(given), right), given)
        signs.append(gradient.sign())
    return torch.cat(signs)


@torch.no_grad()
def _wrong(model: nn.Module, x: Tensor, y: Tensor, votes: int) -> float:
    wrong = sum(int((majority([model(part) for _ in range(votes)]) != right).sum()) for part, right in _pieces(x, y))
    return wrong / y.numel()


def _pieces(x: Tensor, y: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    return zip(torch.split(x, PIECE), torch.split(y, PIECE), strict=True)


def _apart(model: nn.Module) -> nn.Module:
    """Copy a network, without its log: what is tested is not what is timed."""
    made = copy.deepcopy(model).eval()
    for part in made.modules():
        if isinstance(part, AnalogLayer):
            part.log = None
    return made

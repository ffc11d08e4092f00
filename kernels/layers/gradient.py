"""What stands among a module's parameters for the gradient of weights that learn by pulses.

Arrays never hold a gradient: they get pairs (x, d), and the pulses of all pairs together change the weights by
-lr G on average, with G = sum of d x^T. What a training loop does to gradients before the step is done to ||G||, the
Frobenius norm, and the errors d follow in proportion, so that pulses stand for the gradient that the loop asked for:

    nn.utils.clip_grad_norm_(model.parameters(), c)   every d is multiplied by min(1, c / norm), with the norm over all
                                                      parameters, digital ones and biases in arrays included
    nn.utils.clip_grad_value_(model.parameters(), c)  the norm of each layer becomes at most c (elements of G are
                                                      nowhere, so that they cannot be clipped one by one)
    p.grad *= c                                       d is multiplied by c
    model.zero_grad(), optimizer.zero_grad()          pairs are forgotten
    p.requires_grad_(False)                           the layer is frozen: no pairs are kept

A cell that scales its gradients by itself (``auto_scale``) undoes most of that.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import torch

from rpusim.errors import InputError

Tensor = torch.Tensor


class Waiting(NamedTuple):
    """Hold pairs in the order of the forward passes.

    x, d:      (vectors, columns of all groups) and (vectors, rows).
    measured:  whether somebody asked for the norm of their gradient.
    """

    x: Tensor
    d: Tensor
    measured: bool


class PulsedGradient(torch.nn.Parameter):
    """Stand among a module's parameters as one number, 0, whose ``grad`` is the norm of the waiting pairs' gradient.

    ``grad`` is None where no pairs wait. The norm is worked out when somebody asks for it.

    layer:    number of the layer that the pairs belong to, for messages.
    norm_of:  the Frobenius norm of the gradient of pairs x (vectors, columns of all groups), d (vectors, rows).
    """

    layer: int
    norm_of: Callable[[Tensor, Tensor], Tensor]

    def __new__(cls, layer: int, norm_of: Callable[[Tensor, Tensor], Tensor]) -> PulsedGradient:
        made: PulsedGradient = super().__new__(cls, torch.zeros(()), True)
        made.layer, made.norm_of = layer, norm_of
        made.clear()
        return made

    def clear(self) -> None:
        """Forget all pairs."""
        self._pairs: list[tuple[int, int, Tensor, Tensor]] = []
        self._norm: Tensor | None = None  # as given to the loop, which may have changed it
        self._found, self._measured = 0.0, False

    def append(self, call: int, step: int, x: Tensor, d: Tensor) -> None:
        """Add pairs.

        call:  number of the layer's call; all steps of a sequence have that of the first. step: which step they are.
        x, d:  (vectors, columns of all groups) and (vectors, rows).

        InputError: an optimizer of torch has changed the parameter.
        """
        if self.item() != 0.0:
            raise InputError(
                f"layer {self.layer}: an optimizer of torch has made a step, but arrays learn by pulses; "
                "accepted is rpusim.AnalogSGD(model, lr)"
            )
        self._follow()
        self._pairs.append((call, step, x, d))

    def use_up(self) -> Waiting | None:
        """Return all pairs and forget them; None if there are none."""
        self._follow()
        pairs, measured = sorted(self._pairs, key=itemgetter(0, 1)), self._measured
        self.clear()
        if not pairs:
            return None
        calls, steps, x, d = zip(*pairs, strict=True)
        if len(pairs) == 1:
            return Waiting(x[0], d[0], measured)
        if not any(steps):
            return Waiting(torch.cat(x), torch.cat(d), measured)
        sample = np.concatenate([np.arange(len(part)) for part in x])
        order = torch.from_numpy(np.lexsort((sample, np.repeat(calls, [len(part) for part in x])))).to(x[0].device)
        return Waiting(torch.cat(x)[order], torch.cat(d)[order], measured)

    def _follow(self) -> None:
        """Let the errors follow what was done to the norm since it was asked for."""
        if self._norm is None:
            return
        factor = float(self._norm) / self._found if self._found else 1.0
        if factor != 1.0:
            self._pairs = [(call, step, x, d * factor) for call, step, x, d in self._pairs]
        self._norm = None

    @property
    def grad(self) -> Tensor | None:
        if self._norm is None and self._pairs:
            x, d = (torch.cat(side) for side in zip(*((x, d) for *_, x, d in self._pairs), strict=True))
            self._norm, self._measured = self.norm_of(x, d).detach(), True
            self._found = float(self._norm)
        return self._norm

    @grad.setter
    def grad(self, given: Any) -> None:
        if given is None:
            self.clear()
        elif self.grad is not None:
            self._norm = given


def operations_of_norm(rows: int, columns: int, vectors: int) -> int:
    """Count the digital multiplications per pair for the norm of a tile's gradient, and to scale d.

    The norm comes from the products of all pairs of vectors, or from the gradient itself, whichever takes fewer.

    rows, columns: size of the tile. vectors: how many pairs there are.
    """
    return min((vectors + 1) // 2 * (rows + columns), rows * columns) + rows

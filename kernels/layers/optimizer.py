"""AnalogSGD: stochastic gradient descent where analog tiles learn by pulses and everything else by arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.layers import AnalogLayer
from rpusim.kernels.layers.gradient import PulsedGradient


class AnalogSGD(torch.optim.Optimizer):
    """Train a module: its analog layers by pulsed updates, its parameters by plain SGD.

    model:         the module (not its parameters, as analog weights are no torch parameters).
    lr:            learning rate of both; may be changed by torch's schedulers or in ``param_groups``.
    momentum, weight_decay:  for the digital parameters only; arrays have neither.

    What a loop does to gradients, clipping say, is done to the pulses, see `layers.gradient`.

    One `step` sends all vector pairs since the last one in sample order, then lets cells diffuse and decay by one
    mini-batch, and counts one mini-batch in the activity logs. With lr == 0 nothing is sent. Unlike gradients, pairs
    are used up by a step; `zero_grad` forgets those that are left.

    InputError: model is no module, or a number is out of its range.
    """

    def __init__(self, model: torch.nn.Module, lr: float, *, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        if not isinstance(model, torch.nn.Module):
            raise InputError(
                f"model: {type(model).__name__} was given; accepted is the torch module itself, AnalogSGD(model)"
            )
        checks.number("lr", lr, low=0.0)
        checks.number("momentum", momentum, low=0.0)
        checks.number("weight_decay", weight_decay, low=0.0)
        self.layers = [module for module in model.modules() if isinstance(module, AnalogLayer)]
        group = {"params": [p for p in model.parameters() if p.requires_grad and not isinstance(p, PulsedGradient)]}
        super().__init__([group], {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget gradients and unused vector pairs."""
        if self.param_groups[0]["params"]:
            super().zero_grad(set_to_none)
        for layer in self.layers:
            if layer.gradient is not None:
                layer.gradient.clear()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Learn from one mini-batch; returns the loss that ``closure`` computes, None without one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self.param_groups[0]["params"]:
            self._learn_digitally()
        rate, logs = float(self.param_groups[0]["lr"]), {}
        for layer in self.layers:
            layer.pulsed_update(rate)
            layer.end_mini_batch()
            if layer.log is not None:
                logs[id(layer.log)] = layer.log
        for log in logs.values():
            log.step += 1
        return loss

    @torch.no_grad()
    def _learn_digitally(self) -> None:
        """Move the digital parameters by plain SGD."""
        (group,) = self.param_groups
        for parameter in group["params"]:
            if parameter.grad is None:
                continue
            gradient = parameter.grad.add(parameter, alpha=group["weight_decay"])
            if group["momentum"] > 0.0:
                state = self.state[parameter]
                velocity = state.get("momentum_buffer")
                state["momentum_buffer"] = gradient = (
                    gradient.clone() if velocity is None else velocity.mul_(group["momentum"]).add_(gradient)
                )
            parameter.add_(gradient, alpha=-group["lr"])

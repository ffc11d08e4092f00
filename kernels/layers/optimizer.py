"""AnalogSGD: stochastic gradient descent where analog tiles learn by pulses and everything else by arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, cast

import torch
from torch.optim import optimizer as of_torch

from rpusim.arch.contract import checks
from rpusim.errors import InputError
from rpusim.kernels.base.precision import casts, exactly
from rpusim.kernels.layers.base import AnalogLayer
from rpusim.kernels.layers.gradient import ArrayWeights, on_arrays

_GLOBAL_HOOKS = of_torch._global_optimizer_pre_hooks, of_torch._global_optimizer_post_hooks
"""Hooks for the steps of all optimizers of torch."""


def digital_parameters(module: torch.nn.Module) -> list[torch.nn.Parameter]:
    """The parameters of a module that are not on arrays that learn by pulses, for any optimizer of torch."""
    return [each for each in module.parameters() if not isinstance(each, ArrayWeights)]


def array_parameters(module: torch.nn.Module) -> list[ArrayWeights]:
    """The parameters of a module that stand for weights on arrays that learn by pulses, for `AnalogSGD`."""
    return on_arrays(module.parameters())


class AnalogSGD(torch.optim.Optimizer):
    """Trains a module: its analog layers by pulsed updates, its digital parameters by plain SGD.

    model: the module, all of whose parameters are trained; or, as of torch's optimizers, parameters or groups of them,
        such as `array_parameters` where another optimizer trains the `digital_parameters`.
    lr: learning rate of both; may be changed by torch's schedulers or in ``param_groups``.
    momentum, weight_decay: for the digital parameters only; arrays have neither, and InputError says so if there are
        no digital ones.

    What a loop does to gradients, clipping say, is done to the pulses, see `layers.gradient`.

    One `step` sends the vector pairs that wait, in sample order, then lets cells diffuse and decay by one mini-batch,
    and counts one mini-batch in the activity logs. With lr == 0 nothing is sent. As gradients do, pairs stay until
    `zero_grad`.
    """

    def __init__(
        self,
        model: torch.nn.Module | Iterable[Any],
        lr: float,
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        checks.number("lr", lr, low=0.0)
        checks.number("momentum", momentum, low=0.0)
        checks.number("weight_decay", weight_decay, low=0.0)
        self._layers: list[AnalogLayer] = []
        self._model = model if isinstance(model, torch.nn.Module) else None
        if not isinstance(model, torch.nn.Module | Iterable) or isinstance(model, str | torch.Tensor):
            raise InputError(
                f"model: {type(model).__name__} was given; accepted is the torch module itself, AnalogSGD(model), or "
                "parameters of it"
            )
        given: Any = list(model.parameters()) if isinstance(model, torch.nn.Module) else list(model)
        if not given:
            raise InputError("model: nothing to train was given; accepted is a module with parameters, or parameters")
        super().__init__(given, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        digital = [p for group in self.param_groups for p in group["params"] if not isinstance(p, ArrayWeights)]
        for field, value in (("momentum", momentum), ("weight_decay", weight_decay)):
            if value and not digital:
                raise InputError(
                    f"{field}: {value} was given, but all parameters are on arrays, which have none; accepted is 0"
                )

    @property
    def layers(self) -> list[AnalogLayer]:
        """The analog layers that it trains, those trained by arithmetic included."""
        if not self._layers:  # modules are gone through once: that takes as long as a small layer's step
            found: dict[int, AnalogLayer] = {}
            if self._model is not None:
                found = {id(part): part for part in self._model.modules() if isinstance(part, AnalogLayer)}
            for group in self.param_groups:
                for part in on_arrays(group["params"]):
                    found.setdefault(id(part.layer), cast(AnalogLayer, part.layer))
            self._layers = list(found.values())
        return self._layers

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Train more parameters, digital ones or those of arrays, as for torch's optimizers."""
        super().add_param_group(param_group)
        self._layers = []

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget gradients and vector pairs, as of torch's optimizers."""
        if not set_to_none:
            super().zero_grad(False)
            return
        with torch._C.DisableTorchFunctionSubclass():
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.grad = None

    @staticmethod
    def profile_hook_step(func: Any) -> Any:
        """Wrap ``step`` as torch does, for hooks and its profiler, but only while there is somebody to call."""
        usual = torch.optim.Optimizer.profile_hook_step(func)

        @wraps(func)
        def step(self: AnalogSGD, *arguments: Any, **options: Any) -> Any:
            hooks = self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks, *_GLOBAL_HOOKS
            if any(hooks) or torch._C._autograd._profiler_enabled():
                return usual(self, *arguments, **options)
            return func(self, *arguments, **options)

        return step

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One mini-batch; returns the closure's loss if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        with torch._C.DisableTorchFunctionSubclass():
            if casts():
                with exactly(self._device()):
                    self._step()
            else:
                self._step()
        return loss

    def _device(self) -> torch.device:
        """Return where the first parameter is."""
        device: torch.device = self.param_groups[0]["params"][0].device
        return device

    def _step(self) -> None:
        """Train the digital parameters, send the pairs that wait, and end the mini-batch of every layer and log."""
        rates: dict[int, dict[str, float]] = {}
        for group in self.param_groups:
            parts = on_arrays(group["params"])
            if len(parts) < len(group["params"]):
                self._learn_digitally(group)
            rate = float(group["lr"])
            for part in parts:
                if part.grad is not None:
                    rates.setdefault(id(part.layer), {})[part.part_name] = rate
        logs = {}
        for layer in self.layers:
            layer.pulsed_update(rates.get(id(layer), {}))
            layer.end_mini_batch()
            if layer.log is not None:
                logs[id(layer.log.whole)] = layer.log.whole
        for log in logs.values():
            log.mini_batch_over(self)

    @torch.no_grad()
    def _learn_digitally(self, group: dict[str, Any]) -> None:
        """Plain SGD of a group's digital parameters."""
        for parameter in group["params"]:
            if isinstance(parameter, ArrayWeights) or parameter.grad is None:
                continue
            gradient = parameter.grad.add(parameter, alpha=group["weight_decay"])
            if group["momentum"] > 0.0:
                state = self.state[parameter]
                velocity = state.get("momentum_buffer")
                state["momentum_buffer"] = gradient = (
                    gradient.clone() if velocity is None else velocity.mul_(group["momentum"]).add_(gradient)
                )
            parameter.add_(gradient, alpha=-group["lr"])

"""A module with weights on arrays as torch's modules are: parameters that stand for them, copies, files, devices.

Weights that learn by pulses are on the arrays alone. So a state has the tiles' tensors and the digital parameters, and
not what stands for the weights; a copy makes that anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch._subclasses.functional_tensor import FunctionalTensor

from rpusim.errors import InputError
from rpusim.kernels.layers.gradient import ArrayWeights

_TRACED = (FakeTensor, FunctionalTensor)  # what torch.export sends through a module


class ArrayModule(torch.nn.Module):
    """Hold the parameters of a layer whose weights, or a part of them, are on arrays.

    layer:   number of the layer, for messages.
    scale:   a buffer, which lies where the arrays do.
    """

    layer: int
    scale: Tensor
    _parts: tuple[str, ...]

    def _register_parts(self, learns: dict[str, bool]) -> None:
        """Stand among the parameters for what is on the arrays and learns by pulses; ``learns`` is True by default."""
        for name in self._parts:
            part: Any = ArrayWeights(self, name, self.scale.device, learns.get(name, True))
            self.register_parameter(name, part)

    def _handle(self, name: str) -> Tensor:
        """Return the parameter that stands for ``weight`` or ``bias``; InputError if somebody has put another there."""
        part = self._parameters.get(name)
        if isinstance(part, ArrayWeights) and part.layer is self:
            return part
        raise InputError(
            f"layer {self.layer}: its {name} was replaced (by torch.func.functional_call, a parametrization, or an "
            "assignment), but the arrays hold others; accepted: set_weights(weight, bias) of the layer"
        )

    def _check_transforms(self, x: Tensor) -> None:
        """Refuse what would look into the product, or do it for several inputs at once: it happens on arrays."""
        if x.device != self._buffers["scale"].device:  # type: ignore[union-attr]
            raise InputError(
                f"layer {self.layer}: an input on {x.device} was given to arrays on {self.scale.device}; accepted are "
                "both on one device, to(device)"
            )
        # Not torch.compiler.is_compiling(), which holds for every thread while one of them exports something.
        if torch.compiler.is_dynamo_compiling() or isinstance(x, _TRACED) or torch._C._get_tracing_state() is not None:
            what = "torch.compile, torch.export or torch.jit"
        elif torch._C._functorch.is_functorch_wrapped_tensor(x):
            what = "torch.func (vmap, grad, jacrev, jvp)"
        else:
            return
        raise InputError(
            f"layer {self.layer}: {what} was asked for a product on arrays, which it cannot look into; accepted: the "
            "digital network before it is converted, or plain calls with backward() or torch.autograd"
        )

    def __prepare_scriptable__(self) -> Any:
        """Refuse torch.jit.script."""
        raise InputError(
            f"layer {self.layer}: torch.jit.script was asked for a layer on arrays; accepted: the digital network "
            "before it is converted"
        )

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        """Move to another device; arrays and their factors stay in single precision, whatever a model is cast to."""
        apply: Callable[..., Any] = super()._apply
        with self._digital_only():
            apply(lambda t: done if (done := fn(t)).dtype is t.dtype else t.to(done.device), recurse)
        parts = {name: getattr(self, name) for name in self._parts}
        if any(part.device != self.scale.device for part in parts.values()):
            self._register_parts({name: part.requires_grad for name, part in parts.items()})
        return self

    @contextmanager
    def _digital_only(self) -> Iterator[None]:
        """Have no parameters but the digital ones for a while; the order stays."""
        every = self._parameters
        self._parameters = {name: each for name, each in every.items() if name not in self._parts}
        try:
            yield
        finally:
            self._parameters = {name: self._parameters.get(name, each) for name, each in every.items()}

    def __getattr__(self, name: str) -> Any:
        if name == "weight" and self.__dict__.get("_by_torch"):  # trained by torch, tile by tile
            learns = any(parameter.requires_grad for parameter in self.trained)
            return ArrayWeights(self, name, self.scale.device, learns)
        return super().__getattr__(name)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        """Leave out what stands for the weights: the tiles hold them."""
        with self._digital_only():
            super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *arguments: Any) -> None:
        if f"{prefix}weight" in state_dict:
            raise InputError(
                f"{prefix}weight: a state of digital layers was given to layers on arrays; accepted: "
                "rpusim.load_digital(model, state), or loading it before the model is converted or placed"
            )
        with self._digital_only():
            super()._load_from_state_dict(state_dict, prefix, *arguments)

    def __getstate__(self) -> dict[str, Any]:
        """Copies and files take unused pairs not along."""
        own = {name: getattr(self, name).requires_grad for name in self._parts}
        return self.__dict__ | {"_parameters": {**self._parameters, **own}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        learns = {name: value for name, value in state["_parameters"].items() if isinstance(value, bool)}
        plain = {name: value for name, value in state["_parameters"].items() if not isinstance(value, bool)}
        restore: Callable[[dict[str, Any]], None] = super().__setstate__
        restore({**state, "_parameters": plain})
        self._register_parts(learns)
        self._parameters = {name: self._parameters[name] for name in state["_parameters"]}

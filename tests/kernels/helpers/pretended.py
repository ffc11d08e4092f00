"""A GPU that is pretended, so that a machine without one finds what would fail on it.

Within `PretendedGPU` tensors are on the "GPU" that were moved there, that were made there (``device=``), or that are
computed from such. They lie in the memory of the CPU and give its numbers, but say that they are on ``cuda:0``, and
what a GPU would refuse fails here, too: to read one as an array of numpy, to compute with tensors of both places, and
to draw for it from a generator of the CPU. Where the host would wait for a GPU is counted.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from rpusim.kernels.layers import AnalogLayer, gradient

_WRAPPER: Any = torch.Tensor._make_wrapper_subclass
_GPU = torch.device("cuda", 0)
_ARRAYS = ("numpy", "__array__", "data_ptr")
_NUMBERS = ("item", "tolist", "nonzero", "__bool__", "__float__", "__int__", "__index__")
_ANYWHERE = (
    "copy_",
    "__set__",
    "set_",
    "__repr__",
    "__getitem__",
    "__setitem__",
    "index_put_",
    "is_set_to",
    "_has_compatible_shallow_copy_type",
)
"""Functions that take tensors of both places, or see to it themselves."""


def _on_gpu(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and bool(value.__dict__.get("_pretended"))


def _mark(value: Any, there: bool = True) -> Any:
    if isinstance(value, torch.Tensor):
        value.__dict__["_pretended"] = there
    return value


def _is_gpu(device: Any) -> bool:
    return device is not None and not isinstance(device, torch.Tensor) and torch.device(device).type == "cuda"


class PretendedGPU(TorchFunctionMode):
    """Pretend a GPU while it is entered; ``waits`` lists what the host waited for, by the name of the function."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[str] = []

    def __enter__(self) -> Any:
        """Let tensors that stand for something else say that they are on the CPU: torch cannot have them elsewhere."""

        def made(*args: Any, **kwargs: Any) -> Any:
            return _WRAPPER(*args, **kwargs | ({"device": "cpu"} if _is_gpu(kwargs.get("device")) else {}))

        self._before = gradient._wrapper, gradient.Pairs.__init__, AnalogLayer.analog_backward
        pairs, backward = self._before[1:]

        def of_pairs(self: Any, call: int, step: int, x: torch.Tensor, d: torch.Tensor) -> None:
            pairs(self, call, step, _mark(x), _mark(d))

        def errors(self: Any, d: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            return backward(self, _mark(d), *args, **kwargs)

        # What comes from autograd itself is on the GPU that it was computed on.
        gradient.Pairs.__init__ = of_pairs  # type: ignore[method-assign]
        AnalogLayer.analog_backward = errors  # type: ignore[method-assign]
        gradient._wrapper = made
        torch.Tensor._make_wrapper_subclass = staticmethod(made)  # type: ignore[assignment]
        return super().__enter__()

    def __exit__(self, *args: Any) -> None:
        super().__exit__(*args)
        gradient._wrapper, gradient.Pairs.__init__, AnalogLayer.analog_backward = self._before  # type: ignore[method-assign]
        torch.Tensor._make_wrapper_subclass = staticmethod(_WRAPPER)  # type: ignore[assignment]

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        owner = getattr(getattr(func, "__self__", None), "__name__", "")
        first = args[0] if args else None
        if name == "__get__":
            return self._attribute(owner, func, args, kwargs)
        if name in ("to", "cpu", "cuda") and isinstance(first, torch.Tensor):
            return self._moved(name, func, args, kwargs)
        tensors = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, torch.Tensor)]
        there = [each for each in tensors if _on_gpu(each)]
        if there and name in _ARRAYS[:2]:
            raise AssertionError(f"{name} of a tensor on a GPU")
        if there and name in _NUMBERS:
            self.waits.append(name)
        plain = [each for each in tensors if type(each) in (torch.Tensor, torch.nn.Parameter)]
        here = [each for each in plain if not _on_gpu(each) and each.dim()]
        if there and here and name not in _ANYWHERE:
            shapes = [tuple(each.shape) for each in here]
            raise AssertionError(f"{name} of tensors on a GPU and of {shapes} on the CPU")
        if there and name in ("__getitem__", "__setitem__", "copy_") and any(each.dim() for each in here):
            self.waits.append(f"{name} from the CPU")
        asked = kwargs.get("device")
        if _is_gpu(asked):
            if "generator" in kwargs and kwargs["generator"] is not None:
                raise AssertionError(f"{name} on a GPU with a generator of the CPU")
            kwargs["device"] = "cpu"
        found = func(*args, **kwargs)
        if name in ("copy_", "__set__") and isinstance(first, torch.Tensor):
            if name == "__set__" and owner == "data":
                _mark(first, _on_gpu(args[1]))
            return found
        made = _is_gpu(asked) or (bool(there) and asked is None)
        return tree_map(lambda each: _mark(each) if made else each, found)

    def _attribute(self, owner: str, func: Any, args: Any, kwargs: Any) -> Any:
        if _on_gpu(args[0]):
            if owner == "device":
                return _GPU
            if owner in ("is_cpu", "is_cuda"):
                return owner == "is_cuda"
            return tree_map(_mark, func(*args, **kwargs))
        return func(*args, **kwargs)

    def _moved(self, name: str, func: Any, args: Any, kwargs: Any) -> Any:
        first, rest = args[0], list(args[1:])
        there = _on_gpu(first) if name == "to" else name == "cuda"
        for place, each in enumerate(rest):
            if isinstance(each, torch.Tensor):
                there, rest[place] = _on_gpu(each), each.dtype
            elif isinstance(each, str | torch.device):
                there, rest[place] = _is_gpu(each), torch.device("cpu")
        if kwargs.get("device") is not None:
            there, kwargs["device"] = _is_gpu(kwargs["device"]), torch.device("cpu")
        if name != "to":
            rest = []
        if there == _on_gpu(first) and name != "to":
            return first
        if _on_gpu(first) and not there:
            self.waits.append("cpu")
        found = torch.Tensor.to(first, *rest, **kwargs) if name == "to" else first
        if there != _on_gpu(first) and found is first:
            found = first.clone()
        return found if there == _on_gpu(found) else _mark(found, there)

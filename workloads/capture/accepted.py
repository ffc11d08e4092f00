"""Torch's operations that a network has kinds of its own for, and modules that do the same in both modes."""

from __future__ import annotations

from torch import nn

_ACTIVATIONS = (
    "relu relu6 sigmoid tanh leaky_relu elu gelu silu hardtanh hardsigmoid hardswish softplus prelu mish selu celu "
    "log_sigmoid threshold clamp clamp_min clamp_max abs neg exp"
)
_POOLS = {
    "max_pool1d": "max",
    "max_pool3d": "max",
    "max_pool3d_with_indices": "max",
    "avg_pool3d": "average",
    "adaptive_avg_pool1d": "average",
    "adaptive_max_pool1d": "max",
    "adaptive_avg_pool3d": "average",
    "adaptive_max_pool3d": "max",
    "max_pool2d": "max",
    "max_pool2d_with_indices": "max",
    "avg_pool1d": "average",
    "avg_pool2d": "average",
    "adaptive_avg_pool2d": "average",
    "adaptive_max_pool2d": "max",
    "mean": "average",
}
_RESHAPES = "flatten unflatten view reshape _unsafe_view squeeze unsqueeze"
_DROPOUTS = "dropout feature_dropout alpha_dropout feature_alpha_dropout"
_SELECTIONS = ("select", "slice")
_IDENTITIES = "contiguous clone detach alias to _to_copy lift_fresh_copy type_as float double half bfloat16 positive"
_SHAPED = "zeros ones full empty rand randn randint"
_NEW = "zeros ones full empty empty_strided"
CONSTANT = frozenset([*(f"{name}_like" for name in _SHAPED.split()), *(f"new_{name}" for name in _NEW.split())])
"""Traced operations that take the shape of what they read, and no value of it: what they make is no signal."""
ACCEPTED: dict[str, tuple[str, str]] = {
    "linear": ("linear", ""),
    **{name: (name, "") for name in ("conv1d", "conv2d", "conv3d", "recurrent")},
    **{name: ("activation", name) for name in _ACTIVATIONS.split()},
    **{name: ("pool", detail) for name, detail in _POOLS.items()},
    **{name: ("flatten", name) for name in _RESHAPES.split()},
    **{name: ("dropout", name) for name in _DROPOUTS.split()},
    **{name: ("identity", name) for name in _IDENTITIES.split()},
    **{name: ("select", name) for name in _SELECTIONS},
    **{name: ("add", name) for name in ("add", "sub", "rsub")},
    **{name: ("multiply", name) for name in ("mul", "div")},
    "batch_norm": ("batch_norm", ""),
    "softmax": ("softmax", "softmax"),
    "log_softmax": ("softmax", "log_softmax"),
}
"""Traced operation (the name after ``aten.``) -> kind and detail of the network's operation, where it has one of its
own; for all others see `moving` and `rules`."""

_MODULES = (
    "Linear Conv1d Conv2d Conv3d RNN LSTM GRU ReLU ReLU6 Sigmoid Tanh LeakyReLU ELU GELU SiLU Hardtanh Hardsigmoid "
    "Hardswish Softplus PReLU Mish MaxPool1d MaxPool2d AvgPool1d AvgPool2d AdaptiveAvgPool2d AdaptiveMaxPool2d "
    "BatchNorm1d BatchNorm2d Dropout Dropout2d Flatten Unflatten Identity Softmax LogSoftmax"
)
WEIGHT_LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.RNNBase)
"""Modules whose weights lie on arrays."""
ACCEPTED_MODULES = tuple(_MODULES.split())
"""Names of torch's modules that are known to do the same in training as in evaluation, numbers aside."""

"""Small networks, each with something of what a compiled step can do; they read samples of 1 x 3 x 4 numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Residual(nn.Module):
    """A sum of two branches, one of which is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(12, 6), nn.Linear(6, 6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x.flatten(1)))
        x = x + torch.tanh(self.inner(x))
        return torch.log_softmax(self.last(x), 1)


class Tied(nn.Module):
    """Two weights, one of which is used three times, and one twice for several vectors of a sample."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.rows, self.last = nn.Linear(12, 12), nn.Linear(4, 4), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.rows(torch.tanh(self.rows(x.squeeze(1))))).flatten(1)
        for _ in range(3):
            x = torch.tanh(self.inner(x))
        return torch.log_softmax(self.last(x), 1)


class TiedConvolution(nn.Module):
    """A convolution that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.last = nn.Conv2d(1, 1, 3, padding=1), nn.Linear(12, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.convolution(torch.tanh(self.convolution(x))))
        return torch.log_softmax(self.last(x.flatten(1)), 1)


class Gated(nn.Module):
    """Products, quotients, squares, constants, a gate that is repeated along an axis, and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.value, self.whole = nn.Linear(12, 6), nn.Linear(12, 6), nn.Linear(12, 1)
        self.dropout, self.last = nn.Dropout(0.3), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        z, h, whole = torch.sigmoid(self.gate(x)), torch.tanh(self.value(x)), torch.sigmoid(self.whole(x))
        y = self.dropout((1 - z) * h + z * 0.5 - h / (1.5 + z))
        y = torch.sub(y, h * h, alpha=0.5) * whole + y[:, :1]
        return torch.log_softmax(self.last(y), 1)


class Unrolled(nn.Module):
    """A recurrent network whose loop is written out: two weights that are used in every step."""

    def __init__(self) -> None:
        super().__init__()
        self.given, self.state, self.last = nn.Linear(4, 5), nn.Linear(5, 5, bias=False), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        state = torch.tanh(self.given(x[:, 0, 0]))
        for step in range(1, x.shape[2]):
            state = torch.tanh(self.given(x[:, 0, step]) + self.state(state))
        return torch.log_softmax(self.last(state), 1)


class Normed(nn.Module):
    """Norms over the mini-batch of images and of vectors, one of them used twice; dropout of whole channels."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.convolution, self.images = nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3, **options)
        self.dropout, self.inner = nn.Dropout2d(0.4), nn.Linear(36, 6)
        self.vectors, self.last = nn.BatchNorm1d(6, momentum=0.3), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(torch.relu(self.images(self.convolution(x))))
        x = self.vectors(torch.tanh(self.vectors(self.inner(x.flatten(1)))))
        return torch.log_softmax(self.last(x), 1)


class Frozen(Normed):
    """The same with statistics, and a factor, that do not change."""

    def __init__(self) -> None:
        super().__init__()
        self.images.weight.requires_grad_(False)

    def train(self, mode: bool = True) -> Frozen:
        super().train(mode)
        self.images.eval()
        return self


class Recurrent(nn.Module):
    """A recurrent layer, or several, of which the last output is read."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.recurrent = getattr(nn, kind)(4, 5, batch_first=True, **options)
        self.last = nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return torch.log_softmax(self.last(self.recurrent(x.squeeze(1))[0][:, -1]), 1)


class Twice(nn.Module):
    """A recurrent layer that is used twice, and read in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent, self.last = nn.GRU(4, 4, batch_first=True), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        once, _ = self.recurrent(x.squeeze(1))
        _, state = self.recurrent(torch.relu(once))
        return torch.log_softmax(self.last(state[-1] + once[:, 1]), 1)


class Functional(nn.Module):
    """Functions that few networks have, and dropout as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Linear(12, 8), nn.Linear(8, 8), nn.Linear(8, 4)
        self.mish, self.celu = nn.Mish(), nn.CELU(0.7)

    def forward(self, x: Tensor) -> Tensor:
        x = functional.dropout(functional.gelu(self.first(x.flatten(1))), 0.3, self.training)
        x = functional.dropout(x, 0.9, training=False)
        y = functional.hardswish(self.inner(x)) + functional.gelu(x, approximate="tanh") + self.mish(x)
        y = functional.logsigmoid(y) + self.celu(x) + functional.selu(y) + torch.exp(-torch.abs(x))
        return torch.log_softmax(self.last(y), 1)


class Still(nn.Module):
    """Layers that are frozen: before anything learns, and between layers that do."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.first = nn.Conv2d(1, 2, 3, padding=1), nn.Linear(24, 8)
        self.learns, self.between = nn.Linear(8, 8), nn.Linear(8, 8)
        self.norm, self.last = nn.LayerNorm(8), nn.Linear(8, 4)
        for layer in (self.convolution, self.first, self.between):
            layer.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(torch.relu(self.convolution(x)).flatten(1)))
        x = torch.tanh(self.between(torch.tanh(self.learns(x))))
        return torch.log_softmax(self.last(self.norm(x)), 1)


class Partly(nn.Module):
    """Layers of which only the weights, or only the biases, are frozen: one of either kind in groups."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.depthwise = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 4, 3, groups=2)
        self.inner, self.learns, self.last = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4)
        for weights in (self.depthwise, self.inner):
            weights.weight.requires_grad_(False)
        for biases in (self.first, self.last):
            assert biases.bias is not None
            biases.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.depthwise(torch.tanh(self.first(x))).flatten(1))
        return torch.log_softmax(self.last(torch.tanh(self.inner(torch.tanh(self.learns(x))))), 1)


class FrozenRecurrent(nn.Module):
    """A recurrent layer that is frozen, behind a layer that learns, or before anything that does."""

    def __init__(self, kind: str, learns: bool) -> None:
        super().__init__()
        self.first, self.recurrent = nn.Linear(4, 4), getattr(nn, kind)(4, 5, batch_first=True)
        self.last = nn.Linear(5, 4)
        self.recurrent.requires_grad_(False)
        self.first.requires_grad_(learns)

    def forward(self, x: Tensor) -> Tensor:
        return torch.log_softmax(self.last(self.recurrent(self.first(x.squeeze(1)))[0][:, -1]), 1)


class Detached(nn.Module):
    """Values that send no gradient back: beside one that does, and as the only ones that are read of a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.still, self.inner, self.gate = nn.Linear(12, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.norm, self.last = nn.LayerNorm(6), nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.inner(self.norm(torch.tanh(self.still(x.flatten(1)))).detach()))
        y = torch.sigmoid(self.gate(x))
        return torch.log_softmax(self.last(x * torch.relu(y).detach() + y), 1)


class Bent(nn.Module):
    """Slopes that learn, of channels and of all numbers, one of them used twice and one frozen."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.channels = nn.Conv2d(1, 3, 3, padding=1), nn.PReLU(3, 0.1)
        self.inner, self.last, self.all, self.still = nn.Linear(36, 6), nn.Linear(6, 4), nn.PReLU(), nn.PReLU(6)
        self.still.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(self.all(self.channels(self.convolution(x))).flatten(1))
        return torch.log_softmax(self.last(self.all(x) + self.still(torch.tanh(x))), 1)


class Grouped(nn.Module):
    """Convolutions in groups, one of which reads every channel by itself; norms of groups and of layers.

    Outputs come in whole steps of a converter, of which a norm makes fractions of whole numbers. Now and then one
    is exactly the mean of its group, or exactly between two steps of the next converter, where rounding would decide;
    so behind a norm stands no function with a kink, and norms have weights that are no whole numbers.
    """

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.first, self.depthwise = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 4, 3, groups=2, bias=bias)
        self.groups, self.halves = nn.GroupNorm(2, 4), nn.Conv2d(4, 6, 1, groups=2, bias=bias)
        self.norm, self.last = nn.LayerNorm([6, 1, 2]), nn.Linear(12, 4)
        for norm in (self.groups, self.norm):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.1, 0.1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.groups(self.depthwise(torch.tanh(self.first(x)))))
        return torch.log_softmax(self.last(self.norm(self.halves(x)).flatten(1)), 1)


class BothWays(nn.Module):
    """A recurrent layer in both directions, or several; what they give is put side by side, and averaged over steps."""

    def __init__(self, kind: str, **options: Any) -> None:
        super().__init__()
        self.recurrent = getattr(nn, kind)(4, 5, batch_first=True, bidirectional=True, **options)
        self.last = nn.Linear(20, 4)

    def forward(self, x: Tensor) -> Tensor:
        states, _ = self.recurrent(x.squeeze(1))
        return torch.log_softmax(self.last(torch.cat([states.mean(1), states[:, 0]], 1)), 1)


class Transposed(nn.Module):
    """A weight that is used, and used transposed, before and after it is used as it is; another only transposed."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.inner, self.only, self.last = nn.Linear(12, 6, bias=bias), nn.Linear(8, 12, bias=False), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.inner(x.flatten(1)))
        x = torch.tanh(functional.linear(x, self.inner.weight.t()))
        x = torch.tanh(self.inner(x) @ self.inner.weight) + x
        return torch.log_softmax(self.last(torch.tanh(functional.linear(x, self.only.weight.t()))), 1)


def convolution() -> nn.Module:
    """Convolutions, pooling of both kinds, a padded window."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.Tanh(),
        nn.MaxPool2d(2),
        nn.Conv2d(3, 4, (1, 2)),
        nn.LeakyReLU(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 4),
        nn.LogSoftmax(1),
    )


def chain(bias: bool = True) -> nn.Module:
    """Two layers, one behind the other."""
    layers = nn.Linear(12, 7, bias=bias), nn.Sigmoid(), nn.Linear(7, 4, bias=bias)
    return nn.Sequential(nn.Flatten(), *layers, nn.LogSoftmax(1))


PLAIN: dict[str, Callable[[], nn.Module]] = {
    "chain": chain,
    "without bias": lambda: chain(False),
    "convolution": convolution,
    "residual": Residual,
    "tied": Tied,
    "tied convolution": TiedConvolution,
}
"""Networks of layers, functions, pooling and sums."""
BETWEEN: dict[str, Callable[[], nn.Module]] = {
    "gated": Gated,
    "unrolled": Unrolled,
    "normed": Normed,
    "frozen": Frozen,
    "rnn": lambda: Recurrent("RNN"),
    "rnn of relu": lambda: Recurrent("RNN", nonlinearity="relu", bias=False, num_layers=2),
    "lstm": lambda: Recurrent("LSTM", num_layers=2, dropout=0.3),
    "gru": lambda: Recurrent("GRU"),
    "gru, twice": Twice,
    "transposed": Transposed,
    "transposed without bias": lambda: Transposed(False),
    "functions": Functional,
    "still": Still,
    "partly frozen": Partly,
    "frozen lstm": lambda: FrozenRecurrent("LSTM", True),
    "frozen gru at first": lambda: FrozenRecurrent("GRU", False),
    "detached": Detached,
    "slopes": Bent,
    "grouped": Grouped,
    "grouped without bias": lambda: Grouped(False),
    "lstm, both ways": lambda: BothWays("LSTM", num_layers=2, dropout=0.3),
    "gru, both ways": lambda: BothWays("GRU"),
    "rnn, both ways": lambda: BothWays("RNN", bias=False),
}
"""Networks with something of `rpusim.kernels.step.between`."""
NETWORKS = PLAIN | BETWEEN

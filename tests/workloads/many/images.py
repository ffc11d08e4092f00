"""Networks for images, volumes and sound, as people write them: each a module, and the shape of one sample."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """Two convolutions with batch norms beside a shortcut, which may be a convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(inputs, outputs, 3, stride, 1), nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.n, self.m = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.s = nn.Conv2d(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.m(self.b(F.relu(self.n(self.a(x))))) + self.s(x))


class Excited(nn.Module):
    """A squeeze-and-excitation block behind a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.f, self.g, self.o = nn.Conv2d(3, 8, 3), nn.Linear(8, 2), nn.Linear(2, 8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = self.c(x)
        gate = torch.sigmoid(self.g(F.relu(self.f(y.mean((2, 3))))))
        return self.o((y * gate[:, :, None, None]).flatten(2).mean(-1))


class Inverted(nn.Module):
    """An inverted residual of MobileNet-v2: wider, by channels, narrower again."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.up, self.by, self.down = nn.Conv2d(8, 24, 1), nn.Conv2d(24, 24, 3, 1, 1, groups=24), nn.Conv2d(24, 8, 1)
        self.o = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.stem(x))
        return self.o(F.adaptive_avg_pool2d(x + self.down(F.relu6(self.by(F.relu6(self.up(x))))), 1).flatten(1))


class Fire(nn.Module):
    """A SqueezeNet block: squeeze, then two expansions side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.s, self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 3, padding=1)
        self.o = nn.Conv2d(16, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        s = F.relu(self.s(x))
        return F.avg_pool2d(self.o(torch.cat([F.relu(self.a(s)), F.relu(self.b(s))], 1)), 8).flatten(1)


class Dense(nn.Module):
    """A dense block: each layer reads all before it."""

    def __init__(self) -> None:
        super().__init__()
        self.n = nn.ModuleList(nn.BatchNorm2d(4 + 4 * i) for i in range(3))
        self.c = nn.ModuleList(nn.Conv2d(4 + 4 * i, 4, 3, padding=1) for i in range(3))
        self.stem, self.o = nn.Conv2d(1, 4, 3, padding=1), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        found = [self.stem(x)]
        for n, c in zip(self.n, self.c, strict=True):
            found.append(c(F.relu(n(torch.cat(found, 1)))))
        return self.o(torch.cat(found, 1).amax((2, 3)))


class Inception(nn.Module):
    """Four branches of windows of different sizes, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 3, padding=1)
        self.c, self.p = nn.Conv2d(3, 4, 5, padding=2), nn.Conv2d(3, 4, 1)
        self.o = nn.Linear(16 * 16, 4)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([self.a(x), self.b(x), self.c(x), self.p(F.max_pool2d(x, 3, 1, 1))], dim=1)
        return self.o(F.max_pool2d(y, 2).flatten(1))


class Shuffle(nn.Module):
    """A ShuffleNet-v2 unit: channels split, one half convolved, shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.o = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Linear(8, 3)
        self.shuffle = nn.ChannelShuffle(2)

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, 1)
        y = self.shuffle(torch.cat([left, self.b(F.relu(self.a(right)))], 1))
        return self.o(y.mean((2, 3)))


class UNet(nn.Module):
    """Down and up again, with a transposed convolution whose windows overlap, and shortcuts."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 4, 2, 1)
        self.c, self.o = nn.Conv2d(8, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.a(x))
        up = self.up(F.relu(self.b(F.max_pool2d(a, 2))))
        return self.o(F.relu(self.c(torch.cat([a, up], 1))))


class Bilinear(nn.Module):
    """Segmentation with dilated branches and a bilinear upsampling."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 3, 2, 1)
        self.d = nn.ModuleList(nn.Conv2d(8, 4, 3, padding=d, dilation=d) for d in (1, 2, 4))
        self.o = nn.Conv2d(12, 3, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.a(x))
        y = self.o(torch.cat([d(y) for d in self.d], 1))
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=False)


class SuperResolution(nn.Module):
    """Sub-pixel convolution: channels become places."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 8, 5, padding=2), nn.Conv2d(8, 9, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.b(torch.tanh(self.a(x))), 3)


class ConvMixer(nn.Module):
    """Patches, then depthwise and pointwise convolutions with residuals."""

    def __init__(self) -> None:
        super().__init__()
        self.p = nn.Conv2d(3, 8, 4, 4)
        self.d, self.q = nn.Conv2d(8, 8, 3, padding="same", groups=8), nn.Conv2d(8, 8, 1)
        self.n, self.m, self.o = nn.BatchNorm2d(8), nn.BatchNorm2d(8), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = F.gelu(self.p(x))
        x = x + self.n(F.gelu(self.d(x)))
        return self.o(self.m(F.gelu(self.q(x))).mean((-1, -2)))


class Siamese(nn.Module):
    """One network for two images, and their distance."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.f = nn.Conv2d(1, 4, 3, 2), nn.Linear(36, 8)

    def one(self, x: Tensor) -> Tensor:
        return F.normalize(self.f(F.relu(self.c(x)).flatten(1)), dim=-1)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return (self.one(a) - self.one(b)).pow(2).sum(-1).sqrt()


class Frames(nn.Module):
    """A convolution for each frame of a video, and a GRU over them."""

    def __init__(self) -> None:
        super().__init__()
        self.c, self.r, self.o = nn.Conv2d(3, 4, 3, 2), nn.GRU(4 * 9, 8, batch_first=True), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        n, t = x.shape[:2]
        y = F.relu(self.c(x.flatten(0, 1))).reshape(n, t, -1)
        return self.o(self.r(y)[0][:, -1])


class VAE(nn.Module):
    """A convolutional variational autoencoder, with several results."""

    def __init__(self) -> None:
        super().__init__()
        self.e, self.m, self.v = nn.Conv2d(1, 4, 4, 2, 1), nn.Linear(64, 3), nn.Linear(64, 3)
        self.d, self.u = nn.Linear(3, 64), nn.ConvTranspose2d(4, 1, 4, 2, 1)

    def forward(self, x: Tensor) -> Any:
        h = F.relu(self.e(x)).flatten(1)
        mean, variance = self.m(h), self.v(h)
        z = mean + torch.randn_like(mean) * (0.5 * variance).exp()
        return torch.sigmoid(self.u(F.relu(self.d(z)).view(-1, 4, 4, 4))), mean, variance


class Spatial(nn.Module):
    """A non-local block: attention between all places of an image."""

    def __init__(self) -> None:
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Conv2d(8, 8, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (c(x).flatten(2) for c in (self.q, self.k, self.v))
        y = torch.bmm(v, torch.softmax(torch.bmm(q.transpose(1, 2), k), -1).transpose(1, 2))
        return x + self.o(y.view_as(x))


class WaveNet(nn.Module):
    """Gated dilated causal convolutions over sound."""

    def __init__(self) -> None:
        super().__init__()
        self.i = nn.Conv1d(1, 8, 1)
        self.f = nn.ModuleList(nn.Conv1d(8, 16, 2, dilation=2**i) for i in range(3))
        self.r = nn.ModuleList(nn.Conv1d(8, 8, 1) for _ in range(3))
        self.o = nn.Conv1d(8, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, skipped = self.i(x), 0
        for number, (f, r) in enumerate(zip(self.f, self.r, strict=True)):
            a, b = f(F.pad(x, (2**number, 0))).chunk(2, 1)
            y = r(torch.tanh(a) * torch.sigmoid(b))
            x, skipped = x + y, skipped + y
        return self.o(F.relu(skipped))


class Graph(nn.Module):
    """A graph network: sums over neighbours by an adjacency that comes with the sample."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(5, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        x = F.relu(adjacency @ self.a(x))
        return (adjacency @ self.b(x)).log_softmax(-1)


IMAGES: dict[str, tuple[Any, Any]] = {
    "resnet": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 4, 3),
            Residual(4, 4),
            Residual(4, 8, 2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 4),
        ),
        (3, 12, 12),
    ),
    "vgg": (
        lambda: nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Dropout2d(),
            nn.Conv2d(8, 8, 3),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d((2, 3)),
            nn.Flatten(),
            nn.Dropout(),
            nn.Linear(48, 4),
        ),
        (3, 12, 12),
    ),
    "squeeze and excitation": (Excited, (3, 8, 8)),
    "mobilenet-v2": (Inverted, (3, 12, 12)),
    "squeezenet": (Fire, (3, 8, 8)),
    "densenet": (Dense, (1, 8, 8)),
    "inception": (Inception, (3, 8, 8)),
    "shufflenet-v2": (Shuffle, (8, 6, 6)),
    "unet": (UNet, (1, 8, 8)),
    "deeplab": (Bilinear, (3, 16, 16)),
    "super-resolution": (SuperResolution, (1, 6, 6)),
    "convmixer": (ConvMixer, (3, 16, 16)),
    "siamese": (Siamese, ((1, 8, 8), (1, 8, 8))),
    "frames of a video": (Frames, (4, 3, 8, 8)),
    "variational autoencoder": (VAE, (1, 8, 8)),
    "non-local block": (Spatial, (8, 5, 5)),
    "wavenet": (WaveNet, (1, 24)),
    "graph network": (Graph, ((6, 5), (6, 6))),
    "volumes": (
        lambda: nn.Sequential(
            nn.Conv3d(1, 4, 3),
            nn.BatchNorm3d(4),
            nn.ELU(),
            nn.AvgPool3d(2),
            nn.AdaptiveMaxPool3d(1),
            nn.Flatten(),
            nn.Linear(4, 2),
        ),
        (1, 8, 8, 8),
    ),
    "generator": (
        lambda: nn.Sequential(
            nn.Linear(6, 32),
            nn.Unflatten(1, (8, 2, 2)),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(8, 4, 3, padding=1),
            nn.InstanceNorm2d(4, affine=True),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose2d(4, 1, 3, 2, 1, output_padding=1),
            nn.Tanh(),
        ),
        (6,),
    ),
    "discriminator": (
        lambda: nn.Sequential(
            nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 4, 4, 2, 1)),
            nn.LeakyReLU(0.2),
            nn.GroupNorm(2, 4),
            nn.Conv2d(4, 1, 4),
            nn.Flatten(),
            nn.Sigmoid(),
        ),
        (1, 8, 8),
    ),
    "sound by transposed convolutions": (
        lambda: nn.Sequential(
            nn.ConvTranspose1d(4, 4, 8, 4, 2),
            nn.PReLU(),
            nn.Conv1d(4, 2, 7, padding=3, padding_mode="reflect"),
            nn.GLU(1),
        ),
        (4, 9),
    ),
    "circular padding": (
        lambda: nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular"),
            nn.Mish(),
            nn.ReplicationPad2d(1),
            nn.Conv2d(4, 2, 3, groups=2),
            nn.LPPool2d(2, 2),
        ),
        (2, 6, 6),
    ),
}
"""By name: what builds the module, and the shapes of one sample."""

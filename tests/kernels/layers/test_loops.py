"""A loop of torch means on arrays what it means in torch: generated loops on exact arrays, beside torch itself."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, AnalogSGD, IdealDevice, IOParameters
from rpusim.kernels.layers.convert import convert
from rpusim.kernels.layers.optimizer import array_parameters, digital_parameters

EXACT = AnalogConfig(IdealDevice(), forward=IOParameters(is_perfect=True), backward=IOParameters(is_perfect=True))
DIGITAL_BIAS = AnalogConfig(
    IdealDevice(), forward=IOParameters(is_perfect=True), backward=IOParameters(is_perfect=True), analog_bias=False
)
INPUTS, SAMPLES = 6, 4


class Twice(nn.Module):
    """One layer used twice, and a sum around another."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.shared, self.last = nn.Linear(INPUTS, 5), nn.Linear(5, 5, bias=False), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.tanh(self.first(x))
        h = torch.tanh(self.shared(h)) + h
        return self.last(torch.tanh(self.shared(h)))  # type: ignore[no-any-return]


class Sequence(nn.Module):
    """A recurrent layer over the inputs as a sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.last = nn.LSTM(2, 4, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.lstm(x.reshape(len(x), 3, 2))[0][:, -1])  # type: ignore[no-any-return]


NETWORKS: list[Callable[[], nn.Module]] = [
    lambda: nn.Sequential(nn.Linear(INPUTS, 5), nn.Tanh(), nn.Linear(5, 3)),
    lambda: nn.Sequential(nn.Linear(INPUTS, 5, bias=False), nn.LayerNorm(5), nn.Tanh(), nn.Linear(5, 3)),
    lambda: nn.Sequential(
        nn.Unflatten(1, (2, 3)), nn.Conv1d(2, 4, 2, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)
    ),
    Twice,
    Sequence,
]


@dataclass
class Loop:
    """What a generated loop does, chosen by its seed."""

    network: int
    config: AnalogConfig
    steps: int
    accumulate: int
    clip: float | None
    scaled: float | None
    scaler: bool
    schedule: str | None
    frozen: str | None
    losses: int
    closure: bool
    checkpointed: bool
    adversarial: bool
    hooked: float | None
    forgetful: bool
    divided: float | None
    groups: bool
    beside: bool
    penalty: bool = False
    by_value: bool = False
    double: bool = False
    seen: list[float] = field(default_factory=list)

    @staticmethod
    def of(seed: int) -> Loop:
        """A loop of which a few things are unusual."""
        r = np.random.default_rng(seed)

        def some(value: Any, chance: float = 0.25) -> Any:
            return value if r.random() < chance else None

        scaled = some(float(r.choice([8.0, 65536.0])))
        return Loop(
            network=int(r.integers(len(NETWORKS))),
            config=EXACT if r.random() < 0.7 else DIGITAL_BIAS,
            steps=int(r.integers(2, 5)),
            accumulate=int(r.integers(1, 4)),
            clip=some(float(r.choice([0.05, 0.5, 100.0]))),
            scaled=scaled,
            scaler=scaled is not None and r.random() < 0.5,
            schedule=some(str(r.choice(["step", "cosine", "lambda"]))),
            frozen=some(str(r.choice(["first", "last", "bias", "thaws"]))),
            losses=int(r.integers(1, 3)),
            closure=bool(some(True, 0.15)),
            checkpointed=bool(some(True, 0.15)),
            adversarial=bool(some(True)),
            hooked=some(float(r.choice([0.5, 2.0])), 0.15),
            forgetful=bool(some(True, 0.15)),
            divided=some(float(r.choice([2.0, 10.0])), 0.2),
            groups=bool(some(True, 0.15)),
            beside=bool(some(True, 0.15)),
            penalty=bool(some(True, 0.06)),
            by_value=bool(some(True, 0.06)),
            double=bool(some(True, 0.06)),
        )

    def run(self, analog: bool) -> list[torch.Tensor]:
        """The outputs after training, and norms that the loop has seen; InputError where arrays refuse."""
        torch.manual_seed(1)
        digital = NETWORKS[self.network]()
        names = [name for name, _ in digital.named_parameters()]
        self._freeze(digital, names)
        model = convert(digital, self.config) if analog else copy.deepcopy(digital)
        optimizers = self._optimizers(model, analog)
        schedules = [self._schedule(each) for each in optimizers]
        if self.hooked:
            for parameter in model.parameters():
                if parameter.requires_grad:
                    parameter.register_hook(lambda g: g * self.hooked)
        scaler = torch.amp.GradScaler("cpu", init_scale=self.scaled or 1.0) if self.scaler else None
        torch.manual_seed(2)
        seen: list[float] = []
        for number in range(self.steps):
            if self.frozen == "thaws" and number == 1:
                model.requires_grad_(True)
            if not self.forgetful or number == 0:
                for each in optimizers:
                    each.zero_grad()
            if self.closure and not scaler:
                x = [torch.randn(SAMPLES, INPUTS) for _ in range(self.accumulate)]
                first, *others = optimizers
                first.step(lambda model=model, x=x, seen=seen: self._gradients(model, x, None, seen))
                for each in others:
                    each.step()
            else:
                self._gradients(model, [torch.randn(SAMPLES, INPUTS) for _ in range(self.accumulate)], scaler, seen)
                if scaler:
                    for each in optimizers:
                        scaler.unscale_(each)
                self._clip(model, seen)
                for each in optimizers:
                    scaler.step(each) if scaler else each.step()
                if scaler:
                    scaler.update()
            for schedule in schedules:
                if schedule:
                    schedule.step()
        model.eval()
        with torch.no_grad():
            return [model(torch.randn(9, INPUTS)), torch.tensor(seen)]

    def _freeze(self, digital: nn.Module, names: list[str]) -> None:
        chosen = {"first": names[:1], "last": names[-1:], "bias": [n for n in names if "bias" in n], "thaws": names[:2]}
        for name in chosen.get(self.frozen or "", []):
            digital.get_parameter(name).requires_grad_(False)

    def _optimizers(self, model: nn.Module, analog: bool) -> list[torch.optim.Optimizer]:
        if self.beside:  # digital parameters by Adam; of the network on arrays, they are known by name
            known = convert(NETWORKS[self.network](), self.config)
            digital_names = {
                name.replace("lstm.ih_l0.bias", "lstm.bias_ih_l0").replace("lstm.hh_l0.bias", "lstm.bias_hh_l0")
                for name, p in known.named_parameters()
                if any(p is each for each in digital_parameters(known))
            }
            if not analog:
                by_adam = [p for name, p in model.named_parameters() if name in digital_names]
                rest = [p for name, p in model.named_parameters() if name not in digital_names]
            else:
                by_adam, rest = digital_parameters(model), list(array_parameters(model))
            if by_adam:
                made: Any = AnalogSGD(rest, 0.1) if analog else torch.optim.SGD(rest, 0.1)
                return [torch.optim.Adam(by_adam, 0.01), made]
        if self.groups:
            first, *others = model.parameters()
            groups = [{"params": [first], "lr": 0.02}, {"params": others}]
            return [AnalogSGD(groups, 0.1) if analog else torch.optim.SGD(groups, 0.1)]
        return [AnalogSGD(model, 0.1) if analog else torch.optim.SGD(model.parameters(), 0.1)]

    def _schedule(self, optimizer: torch.optim.Optimizer) -> Any:
        kinds = torch.optim.lr_scheduler
        made: dict[str, Callable[[], Any]] = {
            "step": lambda: kinds.StepLR(optimizer, 1, 0.5),
            "cosine": lambda: kinds.CosineAnnealingLR(optimizer, 5),
            "lambda": lambda: kinds.LambdaLR(optimizer, lambda number: 0.7**number),
        }
        return made[self.schedule]() if self.schedule else None

    def _gradients(self, model: nn.Module, inputs: list[torch.Tensor], scaler: Any, seen: list[float]) -> torch.Tensor:
        total = torch.zeros(())
        for x in inputs:
            if self.adversarial:
                bent = x.clone().requires_grad_()
                (slope,) = torch.autograd.grad(model(bent).square().mean(), bent)
                x = (x + 0.1 * slope.sign()).detach()
            y = checkpoint(model, x, use_reentrant=False) if self.checkpointed else model(x)
            losses = [y.sub(0.3).square().mean(), y.abs().sum()][: self.losses]
            if self.double:
                bent = x.clone().requires_grad_()
                (slope,) = torch.autograd.grad(model(bent).sum(), bent, create_graph=True)
                losses.append(slope.square().sum())
            if self.penalty:
                losses.append(0.1 * sum(p.square().sum() for p in model.parameters()))  # type: ignore[arg-type]
            for number, loss in enumerate(losses):
                again = number + 1 < len(losses)
                times = self.scaled if self.scaled and not scaler else 1.0
                (scaler.scale(loss) if scaler else loss * times).backward(retain_graph=again)
                total = total + loss.detach()
        if self.scaled and not scaler:
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.div_(self.scaled)
        if self.divided:
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad /= self.divided
        return total

    def _clip(self, model: nn.Module, seen: list[float]) -> None:
        if self.by_value:
            nn.utils.clip_grad_value_(model.parameters(), 0.01)
        if self.clip:
            seen.append(float(nn.utils.clip_grad_norm_(model.parameters(), self.clip)))


def compared(seed: int) -> str:
    """Say "equal", "refused", or how far the two are from each other."""
    loop = Loop.of(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = loop.run(analog=False)
        try:
            found = loop.run(analog=True)
        except InputError:
            return "refused"
    apart = max(
        float(((a - b).abs() / (1.0 + a.abs())).max()) if len(a) else 0.0 for a, b in zip(expected, found, strict=True)
    )
    return "equal" if apart < 1e-5 else f"{apart:.2g} apart: {loop}"


@pytest.mark.parametrize("part", range(4))
def test_generated_loops_are_those_of_torch_or_are_refused(part: int) -> None:
    """200 loops; only those with an elementwise clip, a penalty on weights or a second derivative may be refused."""
    for seed in range(50 * part, 50 * part + 50):
        loop, found = Loop.of(seed), compared(seed)
        may_be_refused = loop.penalty or loop.by_value or loop.double
        assert found == "equal" or (found == "refused" and may_be_refused), (seed, found, loop)

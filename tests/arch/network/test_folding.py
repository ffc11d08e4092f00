"""What index maps fold is what they would be unfolded: the same waits, the same messages, the same picoseconds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from rpusim.arch.chips.chip import Chip
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.network import index_maps, moves, network, sums
from rpusim.arch.network.moves import Moves
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.zoo.encoders import NormFirst
from rpusim.workloads.zoo.language_models import Gpt2, Llama, Tokens
from rpusim.workloads.zoo.residual import Basic
from rpusim.workloads.zoo.unet import UNet

SMALL = {
    "a residual block": (lambda: nn.Sequential(nn.Conv2d(2, 4, 3), Basic(4, 6, 2)), (2, 9, 9)),
    "a U-Net": (lambda: UNet(1, 2, (4, 6)), (1, 8, 8)),
    "a block of a vision transformer": (lambda: NormFirst(128, 2), (5, 128)),
    "GPT-2": (lambda: Gpt2(64, 2, 20, 8, Tokens(6)), ((6,), torch.int64)),
    "Llama": (lambda: Llama(64, 1, 2, 48, 20, Tokens(5)), ((5,), torch.int64)),
    "a step of Llama": (lambda: Llama(64, 1, 2, 48, 20, Tokens(1, 7, True)), ((1,), torch.int64)),
    "experts": (lambda: Gpt2(64, 1, 20, 8, Tokens(6), (2, 1, 1)), ((6,), torch.int64)),
}


def found(name, engine, training):
    made, shape = SMALL[name]
    with torch.device("meta"):
        module = made()
    captured = capture(module, shape, training=training)
    shipped = Chip.load("reram-512")
    roomy = shipped.model_copy(update={"tiles": (shipped.tiles[0].model_copy(update={"count": 200}),)})
    first = (
        next(layer.name for layer in captured.layers if layer.vectors > 1) if captured.layers[0].vectors > 1 else None
    )
    plan = make_plan(place(captured, roomy, replicas={first: 2} if first else None))
    events = run(plan, assumed_activity(plan.placement, 2, training), "sequential", engine)
    edges = [(e.producer, e.consumer, e.needs.tolist(), e.emits.tolist(), e.frees.tolist()) for e in captured.edges]
    return edges, [captured.late(stage) for stage in range(-1, len(captured.layers) + len(captured.sums))], events


def unfold(monkeypatch):
    """Have every map written out, and every move done place by place."""

    def whole(*maps):
        return [np.ascontiguousarray(each) for each in maps]

    for module in (index_maps, moves, network, sums):
        monkeypatch.setattr(module, "folded", whole)
    monkeypatch.setattr(Moves, "pieces", lambda self, sizes: None)


@pytest.mark.parametrize("engine", ["compiled", "simpy"])
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("name", SMALL)
def test_a_network_is_planned_and_timed_alike_folded_or_not(name, training, engine, monkeypatch):
    edges, late, events = found(name, engine, training)
    unfold(monkeypatch)
    other_edges, other_late, others = found(name, engine, training)
    assert edges == other_edges
    assert late == other_late
    for column in ("start", "end", "station", "amount", "layer"):
        assert np.array_equal(getattr(events, column), getattr(others, column))

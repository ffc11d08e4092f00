"""What the mapper chooses, in experiments and loops of one's own: the numbers of what was chosen, on nearer tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import rpusim
from rpusim.arch.choice.traffic_of_tiles import bits_times_hops
from rpusim.arch.schedule.plan import make_plan
from rpusim.errors import InputError
from rpusim.reports.cli.schema import problem, schema_of
from rpusim.workloads.runs import inputs, settings

CHIP = {"like": "reram-512", "tiles.0.count": 64}


def experiment(few_digits: Path, **mapping: Any) -> settings.Experiment:
    changes = {"data": str(few_digits), "epochs": 1, "chip": CHIP, "timing": "first"}
    changes |= {f"mapping.{name}": value for name, value in mapping.items()}
    return settings.changed(settings.load("lenet-digits"), changes)


def test_an_experiment_learns_on_balanced_replicas_as_on_those_given_by_name(few_digits: Path) -> None:
    found = rpusim.simulate(experiment(few_digits, replicas="balance", tiles=12)).document
    copies = {layer["name"]: layer["replicas"] for layer in found["layers"] if layer["replicas"] > 1}
    assert copies and found["tiles"]["count"] <= 12
    by_name = settings.changed(experiment(few_digits), {"replicas": copies})
    again = rpusim.simulate(by_name).document
    for key in ("time", "energy", "accuracy", "layers"):
        assert again[key] == found[key]
    assert found["training"]["mapping"]["replicas"] == "balance" and problem(found, schema_of("result")) == ""
    chosen = [row for row in found["provenance"] if row["field"].startswith("experiment.replicas.")]
    assert {row["value"] for row in chosen} == set(copies.values())
    assert all(row["source"].startswith("chosen by the mapper") for row in chosen)


def test_places_change_the_ways_and_not_the_numbers(few_digits: Path) -> None:
    in_order, near = (experiment(few_digits, replicas="balance", placing=where) for where in ("in-order", "near"))
    far, short = (make_plan(inputs.load(each).placement) for each in (in_order, near))
    assert bits_times_hops(short, True) < bits_times_hops(far, True)
    documents = [rpusim.simulate(each).document for each in (in_order, near)]
    curves = [document["accuracy"]["curve"][0] for document in documents]
    for key in ("train_loss", "test_error", "similarity", "pulses_per_cell"):
        assert curves[0][key] == curves[1][key]
    assert documents[1]["energy"]["total_J"] < documents[0]["energy"]["total_J"]


def test_a_loop_of_ones_own_has_them_as_well() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(1, 8, 5), nn.Tanh(), nn.Flatten(), nn.Linear(8 * 64, 10))
    model = rpusim.place(module, "reram-512", (1, 12, 12), replicas="balance", tiles=20, placing="near")
    model(torch.randn(4, 1, 12, 12)).sum().backward()
    found = model.chip.report().document  # type: ignore[union-attr, operator]
    assert found["layers"][0]["replicas"] > 1 and found["tiles"]["count"] <= 20
    mapped = rpusim.map_network(
        (module, (1, 12, 12)), "reram-512", replicas="balance", tiles=20, placing="near", device="rpu-baseline-2016"
    )
    assert [layer["replicas"] for layer in found["layers"]] == [layer["replicas"] for layer in mapped["layers"]]


def test_max_computes_and_times_what_the_same_copies_by_name_do() -> None:
    """16 positions of a convolution on 16 arrays: the same answers, weights, events and energy as given by name."""
    found = []
    for copies in ("max", {"0": 16}):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(4 * 16, 3))
        model = rpusim.place(module, "reram-512", (1, 6, 6), replicas=copies)
        optimizer, generator = rpusim.AnalogSGD(model, 0.1), torch.Generator().manual_seed(0)
        for _ in range(2):
            optimizer.zero_grad()
            answers = model(torch.randn(3, 1, 6, 6, generator=generator))
            answers.square().sum().backward()
            optimizer.step()
        found.append((answers.detach(), model.chip.report().document))  # type: ignore[union-attr, operator]
    (first, one), (second, other) = found
    assert [layer["replicas"] for layer in one["layers"]] == [16, 1] and one["tiles"]["arrays"] == 17
    assert torch.equal(first, second)
    for key in ("time", "energy", "pulses", "layers", "tiles"):
        assert one[key] == other[key]


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        ({"replicas": "most"}, "mapping.replicas: got 'most'"),
        ({"placing": "far"}, "mapping.placing: got 'far'"),
        ({"tiles": 5}, "tiles: got 5 with replicas"),
        ({"replicas": "balance", "tiles": 1}, r"tiles: network .* needs 4 tiles .* but 1 may be used"),
        ({"replicas": "balance", "fit": "pack"}, "balance and max count arrays that layers have for themselves"),
    ],
)
def test_what_cannot_be_chosen_is_refused(few_digits: Path, mapping: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        inputs.load(experiment(few_digits, **mapping))


def test_chosen_replicas_beside_others_are_refused(few_digits: Path) -> None:
    with pytest.raises(InputError, match=r"mapping.replicas: got 'max' in an experiment with replicas by layer"):
        settings.changed(experiment(few_digits, replicas="max"), {"replicas": {"conv1": 2}})
    with pytest.raises(InputError, match=r"mapping.replicas: got 'max' in an experiment with inference"):
        settings.changed(settings.load("lenet-digits-inference"), {"mapping.replicas": "max"})
    with pytest.raises(InputError, match="replicas: were given for cells that only infer"):
        rpusim.place(nn.Sequential(nn.Conv2d(1, 8, 5)), "reram-512", (1, 9, 9), "inference-pcm", replicas="max")
    with pytest.raises(InputError, match="placing: got 'nearby'"):
        rpusim.place(nn.Sequential(nn.Linear(5, 5)), "reram-512", (5,), placing="nearby")
    with pytest.raises(InputError, match="replicas: got"):
        rpusim.place(nn.Sequential(nn.Linear(5, 5)), "reram-512", (5,), tiles=5)

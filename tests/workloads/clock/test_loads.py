"""Weights that take turns, in the numbers and on the clock: as many loads, at the ages, the noise that both say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Activity, Phase
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.fit.turns import turns
from rpusim.arch.mapping.placement import Placement
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError
from rpusim.kernels.inference import InferenceConfig, InferenceTile, drift, program
from rpusim.reports.cli.schema import problem, schema_of
from rpusim.workloads.cells.periphery import with_management
from rpusim.workloads.clock.by_sample import by_sample
from rpusim.workloads.runs import settings
from rpusim.workloads.runs.placed import MANAGED

EXACT = InferenceConfig(None, compensation=None)


def few(tiles: int, name: str = "reram-512", **changes: Any) -> Chip:
    chip = Chip.load(name, changes)
    return chip.model_copy(update={"tiles": (chip.tiles[0].model_copy(update={"count": tiles}),)})


def line(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(20, 30), nn.Tanh(), nn.Linear(30, 200), nn.Tanh(), nn.Linear(200, 10))


def image(seed: int = 1) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 16, 30), nn.Tanh(), nn.Linear(30, 5)
    )


def wide(seed: int = 1) -> nn.Module:
    """Two layers of two blocks of 512 lines, each larger than one array."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(20, 600), nn.Tanh(), nn.Linear(600, 10))


class Sequence(nn.Module):
    """Two recurrent layers and a readout of every step, of sequences with time first."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.below, self.above, self.out = nn.LSTM(5, 6), nn.LSTM(6, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.above(self.below(x)[0])[0])


class Twice(nn.Module):
    """One weight before and after another one."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.outer, self.inner = nn.Linear(8, 8), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outer(torch.tanh(self.inner(torch.tanh(self.outer(x)))))


class Recorded:
    """A placed module, with all rows of activity that it writes."""

    def __init__(self, module: nn.Module, chip: Chip, shape: Any, device: Any, fit: str) -> None:
        self.model = rpusim.place(module, chip, shape, device, fit=fit)
        program(self.model)
        self.meter: Any = self.model.chip._meter  # type: ignore[union-attr]
        self.rows: list[Activity] = []
        add = self.meter.add

        def added(done: Any) -> Any:
            self.rows.append(done.rows)
            return add(done)

        self.meter.add = added

    @property
    def placement(self) -> Placement:
        return self.meter.plan.placement  # type: ignore[no-any-return]

    def report(self) -> Any:
        return self.model.chip.report().document  # type: ignore[union-attr, operator]

    def timed(self) -> Activity:
        """All that was done, as it is timed."""
        rows = with_management(Activity.concatenate(self.rows), self.placement, MANAGED)
        return by_sample(rows, self.placement, 0)


NETWORKS: dict[str, tuple[Any, Any, Any]] = {
    "line": (line, (20,), torch.randn(7, 20, generator=torch.Generator().manual_seed(0))),
    "image": (image, (2, 6, 6), torch.randn(5, 2, 6, 6, generator=torch.Generator().manual_seed(0))),
    "wide": (wide, (20,), torch.randn(6, 20, generator=torch.Generator().manual_seed(0))),
    "sequence": (Sequence, (4, "samples", 5), torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))),
    "twice": (Twice, (8,), torch.randn(6, 8, generator=torch.Generator().manual_seed(0))),
}
TAKING_TURNS = [(name, tiles) for name in NETWORKS for tiles in (1, 2) if (name, tiles) != ("twice", 2)]
"""Networks on so few arrays that blocks take turns."""


@pytest.mark.parametrize("name", NETWORKS)
def test_without_errors_of_cells_reloaded_equals_as_is_to_the_bit(name: str) -> None:
    """With converters, their noise and bound management."""
    module, shape, x = NETWORKS[name]
    found = [rpusim.place(module(), few(n), shape, EXACT, fit=fit) for n, fit in ((1, "reload"), (20, "as-is"))]
    for model in found:
        program(model)
    assert found[0].chip._meter.plan.placement.reloads  # type: ignore[union-attr]
    for _ in range(2):
        assert torch.equal(*(model(x) for model in found))


@pytest.mark.parametrize(("name", "tiles"), TAKING_TURNS)
def test_loads_in_the_numbers_are_the_writes_on_the_clock(name: str, tiles: int) -> None:
    module, shape, x = NETWORKS[name]
    made = Recorded(module(), few(tiles), shape, "inference-pcm", "reload")
    for _ in range(2):
        made.model(x)
    document, samples = made.report(), 2 * x.shape[1 if name == "sequence" else 0]
    per_sample = sum(map(len, turns(made.placement).values()))
    assert document["activity"]["samples"] == samples
    assert document["reload"]["loads"] == samples * per_sample > 0
    activity = made.timed()
    events = run(make_plan(made.placement), activity, "sequential")
    written = np.unique(events.row[(events.op == Op.WRITE) & (events.row >= 0)])
    loads = [row for row in written if is_turn(made.placement, activity, row)]
    assert len(loads) == document["reload"]["loads"]
    weights = sum(int(activity.writes[row]) for row in loads)
    assert weights == samples * document["reload"]["written_weights"]
    assert document["activity"]["maintenance"]["cells_changed"] == int(activity.writes.sum())


def is_turn(placement: Placement, activity: Activity, row: int) -> bool:
    return int(activity.tile[row]) in turns(placement).get(int(activity.layer[row]), {})


@pytest.mark.parametrize(("name", "tiles"), TAKING_TURNS)
def test_the_age_of_a_load_is_the_clocks_to_the_picosecond(name: str, tiles: int) -> None:
    """Of every sample after the first, where no vector is repeated: found again from the events of what was done."""
    module, shape, x = NETWORKS[name]
    unmanaged = MANAGED.model_copy(update={"bound": "none"})
    model = rpusim.place(module(), few(tiles), shape, "inference-pcm", management=unmanaged, fit="reload")
    program(model)
    meter: Any = model.chip._meter  # type: ignore[union-attr]
    placement, log = meter.plan.placement, model.chip._log  # type: ignore[union-attr]
    model(x)
    activity = by_sample(with_management(log.take(), placement, unmanaged), placement, 0)
    assert activity.passes[activity.phase == Phase.FORWARD].max() == 1
    events = run(make_plan(placement), activity, "sequential")
    tiles_of = {
        (tile.layer, tile.tile): tile.loads
        for tile in model.modules()
        if isinstance(tile, InferenceTile) and tile.loads is not None
    }
    assert tiles_of
    step = activity.step[np.maximum(events.row, 0)]
    for (first, number), loads in tiles_of.items():
        uses = placement.network.uses(first)
        of_block = np.isin(events.layer, uses) & (events.tile == number)
        writes = np.sort(events.end[of_block & (events.op == Op.WRITE) & (events.phase == Phase.MAINTENANCE)])
        for use, layer in enumerate(uses):
            for sample in range(1, int(step.max()) + 1):
                reads = of_block & (events.op == Op.DRIVE) & (events.phase == Phase.FORWARD)
                begun = events.start[reads & (events.layer == layer) & (step == sample)].min()
                assert loads.seconds[use] == (begun - writes[writes <= begun].max()) / 1e12


def test_only_what_takes_turns_has_new_noise_in_every_sample() -> None:
    made = Recorded(line(), few(2), (20,), "inference-pcm", "reload")
    tiles = [tile for tile in made.model.modules() if isinstance(tile, InferenceTile)]
    assert [tile.loads is None for tile in tiles] == [False, True, False]  # the largest one stays
    before = [tile.held.clone() for tile in tiles]
    made.model(NETWORKS["line"][2])
    assert [torch.equal(tile.held, held) for tile, held in zip(tiles, before, strict=True)] == [False, True, False]
    held = [tile.held.clone() for tile in tiles]
    drift(made.model, 86400.0)
    assert [torch.equal(tile.held, now) for tile, now in zip(tiles, held, strict=True)] == [True, False, True]
    assert tiles[0].loads is not None and tiles[0].age == tiles[0].loads.ages[0] < 1e-3


def test_a_call_that_was_refused_leaves_no_loads_on_the_clock() -> None:
    made = Recorded(line(), few(2), (20,), "inference-pcm", "reload")
    made.model(NETWORKS["line"][2])
    with pytest.raises(InputError):
        made.model(torch.zeros(3, 21))
    assert made.report()["reload"]["loads"] == 14


def test_an_account_goes_on_from_its_state(tmp_path: Path) -> None:
    x = NETWORKS["line"][2]
    whole, halved = (Recorded(line(), few(2), (20,), "inference-pcm", "reload").model for _ in range(2))
    whole(x), halved(x)
    restored = rpusim.place(line(), few(2), (20,), "inference-pcm", fit="reload")
    restored.load_state_dict(halved.state_dict())
    restored.chip.load_state_dict(halved.chip.state_dict())  # type: ignore[union-attr, operator]
    assert torch.equal(whole(x), restored(x))
    documents = [model.chip.report().document for model in (whole, restored)]  # type: ignore[union-attr, operator]
    for key in ("time", "energy", "reload", "activity"):
        assert documents[0][key] == documents[1][key]
    assert problem(documents[0], schema_of("result")) == ""


def test_cells_that_learn_are_refused_where_they_take_turns(few_digits: Path) -> None:
    with pytest.raises(InputError, match=r"^mapping.fit: got reload with cells that learn on the arrays"):
        rpusim.place(line(), few(1), (20,), "reram-sb", fit="reload")
    experiment = settings.changed(
        settings.load("lenet-digits"),
        {"data": str(few_digits), "mapping.fit": "reload", "chip": {"like": "reram-512", "tiles.0.count": 2}},
    )
    with pytest.raises(InputError, match=r"mapping.*fit: got reload with cells that learn on the arrays"):
        rpusim.simulate(experiment)


def test_an_experiment_says_how_accurate_and_how_dear_weights_that_take_turns_are(few_digits: Path) -> None:
    """Layers of 16 x 26, 32 x 145 and others on two arrays; per time one load for each sample and turn."""
    experiment = settings.load("lenet-digits-inference")
    assert experiment.inference is not None
    changes = {
        "data": str(few_digits),
        "epochs": 1,
        "mapping.fit": "reload",
        "chip": {"like": "reram-512", "tiles.0.count": 2},
        "device": "inference-pcm",
        "inference": {"times": ["1 s", "1 day"], "source": "test"},
    }
    document = rpusim.simulate(settings.changed(experiment, changes)).document
    reload, tested = document["reload"], document["accuracy"]["test_samples"]
    assert reload["loads"] == 2 * tested * reload["written_blocks"] > 0
    assert 0.0 < reload["age_s"]["least"] <= reload["age_s"]["most"] < 1e-2
    assert 0.5 < reload["time_share"] < 1.0 and 0.0 < reload["energy_share"] < 1.0
    ages = document["accuracy"]["aging"]
    for kind, total in (("seconds", document["time"]["total_s"]), ("joules", document["energy"]["total_J"])):
        parts = sum(age[f"{kind}_per_inference"] * tested + age[f"maintenance_{kind}"] for age in ages)
        assert parts == pytest.approx(total, rel=1e-9)
    assert problem(document, schema_of("result")) == ""


def test_the_page_shows_what_its_example_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[3] / "docs" / "mapping.md").read_text(encoding="utf-8")
    code, _, rest = page.partition("```python\n")[2].partition("```")
    exec(compile(code, "mapping.md", "exec"), {})
    shown = rest.partition("prints\n\n")[2].partition("\n\n")[0]
    assert [line.strip() for line in shown.splitlines()] == capsys.readouterr().out.splitlines()

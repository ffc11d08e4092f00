"""Weights that a module uses more than once: one set of arrays in map, time, and in what computes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

import rpusim
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.activity import Phase
from rpusim.arch.engine.events import Op
from rpusim.arch.mapping.assumed_activity import assumed_activity
from rpusim.arch.mapping.placement import place
from rpusim.arch.schedule.plan import make_plan
from rpusim.arch.schedule.schedules import run
from rpusim.errors import InputError
from rpusim.kernels import AnalogConfig, IdealDevice, IOParameters
from rpusim.kernels.layers.convert import convert, load_digital
from rpusim.workloads.capture.capture import capture

EXACT = AnalogConfig(IdealDevice(), forward=IOParameters(is_perfect=True), backward=IOParameters(is_perfect=True))


class Loop(nn.Module):
    """A layer that is gone through several times between two others."""

    def __init__(self, times: int = 4) -> None:
        super().__init__()
        self.times = times
        self.first, self.again, self.last = nn.Linear(6, 5), nn.Linear(5, 5), nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.tanh(self.first(x))
        for _ in range(self.times):
            x = torch.tanh(self.again(x))
        return self.last(x)  # type: ignore[no-any-return]


class Siamese(nn.Module):
    """Two halves of the input through the same convolution and layer, and what the difference says."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Conv1d(1, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(4, 4), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        one, other = self.tower(x[:, :3].unsqueeze(1)), self.tower(x[:, 3:].unsqueeze(1))
        return self.head(torch.abs(one - other))  # type: ignore[no-any-return]


class Tied(nn.Module):
    """Two layers with one weight."""

    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        self.coder, self.decoder = nn.Linear(6, 6, bias=bias), nn.Linear(6, 6, bias=bias)
        self.decoder.weight = self.coder.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(torch.tanh(self.coder(x)))  # type: ignore[no-any-return]


class Autoencoder(nn.Module):
    """A decoder with the encoder's weight."""

    def __init__(self, bias: bool = False) -> None:
        super().__init__()
        self.coder, self.bias = nn.Linear(6, 3, bias=bias), nn.Parameter(torch.zeros(6)) if bias else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(torch.tanh(self.coder(x)), self.coder.weight.t(), self.bias)


NETWORKS: list[Callable[[], nn.Module]] = [Loop, Siamese, Tied, Autoencoder]
USES = {Loop: [(0,), (1, 2, 3, 4), (5,)], Siamese: [(0, 2), (1, 3), (4,)], Tied: [(0, 1)], Autoencoder: [(0, 1)]}


@pytest.mark.parametrize("make", NETWORKS)
def test_a_weight_has_one_set_of_arrays_whatever_its_uses(make: Callable[[], nn.Module]) -> None:
    network = capture(make(), (6,))
    placement = place(network, Chip.load("rpu-2016"))
    assert sorted({network.uses(layer) for layer in range(len(network.layers))}) == USES[make]  # type: ignore[index]
    for uses in USES[make]:  # type: ignore[index]
        slots = [[block.slots for block in placement.layers[use].blocks] for use in uses]
        assert all(other == slots[0] for other in slots)
    assert placement.arrays_used == placement.tiles_used == len(USES[make])  # type: ignore[index]
    assert network.weights == sum(parameter.numel() for parameter in make().parameters())


@pytest.mark.parametrize("schedule", ["sequential", "minibatch-pipelined", "asynchronous"])
@pytest.mark.parametrize("make", NETWORKS)
def test_uses_wait_for_one_another_and_learn_when_all_have_gone_back(
    make: Callable[[], nn.Module], schedule: str
) -> None:
    network = capture(make(), (6,))
    placement = place(network, Chip.load("rpu-2016"))
    plan, activity = make_plan(placement), assumed_activity(placement, 4, True, 2)
    events = run(plan, activity, schedule)  # type: ignore[arg-type]
    step = activity.step[np.maximum(events.row, 0)]
    for uses in USES[make]:  # type: ignore[index]
        (array,) = {each.array for use in uses for block in plan.layers[use].blocks for each in block.arrays}
        held = np.flatnonzero(np.isin(events.op, [Op.DRIVE, Op.PULSE]) & (events.station == array))
        order = held[np.argsort(events.start[held], kind="stable")]
        drives = events.op[order] == Op.DRIVE
        assert set(events.layer[order[~drives]]) == set(events.layer[order[drives]]) == set(uses)
        assert np.all(events.end[order[:-1]] <= events.start[order[1:]])  # one at a time
        if schedule != "asynchronous":  # all that a mini-batch reads, then all that it writes, then the next one
            of_step = [step[order] == number for number in range(2)]
            read = [[events.start[order[s & d]] for d in (drives, ~drives)] for s in of_step]
            assert read[0][0].max() < read[0][1].min() < read[0][1].max() < read[1][0].min()


@pytest.mark.parametrize("make", NETWORKS)
def test_the_rows_of_a_placed_module_are_those_of_its_network(make: Callable[[], nn.Module]) -> None:
    """As many vectors of each use, in each phase, as are assumed for its network; numbered from 0 on in each."""
    torch.manual_seed(1)
    module = make()
    placed = rpusim.place(module, "rpu-2016", (6,))
    optimizer = rpusim.AnalogSGD(placed.parameters(), lr=0.1)
    taken = []
    placed.chip._coupling.stepped = placed.chip._log.when_over = lambda: taken.append(placed.chip._take().rows)
    for samples in ((3,), (2, 4)):
        optimizer.zero_grad()
        for number in samples:
            placed(torch.randn(number, 6)).square().sum().backward()
        optimizer.step()
    network = capture(module, (6,))
    placement = place(network, Chip.load("rpu-2016"))
    for rows, samples in zip(taken, (3, 6), strict=True):
        wanted = assumed_activity(placement, samples, True, samples)
        for layer in range(len(network.layers)):
            for phase in (Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE):
                mine, theirs = (r.select((r.layer == layer) & (r.phase == phase)) for r in (rows, wanted))
                assert sorted(mine.vector) == sorted(theirs.vector)


@pytest.mark.parametrize("make", NETWORKS)
def test_all_uses_learn_on_one_set_of_weights(make: Callable[[], nn.Module]) -> None:
    """With ideal cells and exact circuits a module on arrays learns as the digital one does from torch's optimizer."""
    torch.manual_seed(2)
    digital, x = make(), torch.randn(4, 6)
    analog = convert(digital, EXACT)
    optimizers = torch.optim.SGD(digital.parameters(), 0.05), rpusim.AnalogSGD(analog.parameters(), lr=0.05)
    for _ in range(3):
        for module, optimizer in zip((digital, analog), optimizers, strict=True):
            optimizer.zero_grad()
            module(x).square().sum().backward()
            optimizer.step()
    torch.testing.assert_close(analog(x), digital(x), rtol=1e-3, atol=1e-4)


def test_two_modules_with_one_weight_are_one_layer_on_arrays() -> None:
    placed = rpusim.place(Tied(), "rpu-2016", (6,))
    assert placed.coder is placed.decoder
    before = placed.coder.weight.detach().clone()
    optimizer = rpusim.AnalogSGD(placed.parameters(), lr=1.0)
    placed(torch.randn(8, 6)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(placed.decoder.weight.detach(), before)


@pytest.mark.parametrize("make", NETWORKS)
def test_states_are_loaded_under_all_names(make: Callable[[], nn.Module]) -> None:
    """Of the digital network, and of the one on arrays."""
    torch.manual_seed(3)
    digital, x = make(), torch.randn(2, 6)
    analog, other = convert(make(), EXACT), convert(make(), EXACT)
    load_digital(analog, digital.state_dict())
    torch.testing.assert_close(analog(x), digital(x))
    other.load_state_dict(analog.state_dict())
    assert torch.equal(other(x), analog(x))


def test_one_weight_with_two_biases_is_a_sentence() -> None:
    sentence = "layers 'coder' and 'decoder' use one weight but not one bias.*accepted: the same bias in both, none"
    with pytest.raises(InputError, match=sentence):
        rpusim.place(Tied(bias=True), "rpu-2016", (6,))
    network = capture(Tied(bias=True), (6,))
    assert place(network, Chip.load("rpu-2016"), "digital").arrays_used == 1


def test_replicas_hold_for_all_uses() -> None:
    network = capture(Siamese(), (6,))
    placement = place(network, Chip.load("rpu-2016"), replicas={"tower.0": 2})
    assert [placed.replicas for placed in placement.layers] == [2, 1, 2, 1, 1]
    with pytest.raises(InputError, match=r"'tower.0' has 2 and is used again as 'tower.0:2'"):
        place(network, Chip.load("rpu-2016"), replicas={"tower.0": 2, "tower.0:2": 1})


class Twice(nn.Module):
    """A recurrent layer whose output it reads again."""

    def __init__(self, kind: type[nn.RNNBase] = nn.RNN, times: int = 2) -> None:
        super().__init__()
        self.times, self.rnn, self.last = times, kind(3, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for _ in range(self.times):
            x = self.rnn(x)[0]
        return self.last(x[:, -1])  # type: ignore[no-any-return]


class TestRecurrent:
    """A recurrent layer that is called again uses both its arrays again, all steps of a call in turn."""

    @pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
    @pytest.mark.parametrize("times", [2, 3])
    def test_it_learns_as_torch_does(self, kind: type[nn.RNNBase], times: int) -> None:
        torch.manual_seed(4)
        digital, x = Twice(kind, times), torch.randn(5, 4, 3)
        analog = convert(digital, EXACT)
        optimizers = torch.optim.SGD(digital.parameters(), 0.05), rpusim.AnalogSGD(analog.parameters(), lr=0.05)
        for _ in range(3):
            for module, optimizer in zip((digital, analog), optimizers, strict=True):
                optimizer.zero_grad()
                module(x).square().sum().backward()
                optimizer.step()
        torch.testing.assert_close(analog(x), digital(x), rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("times", [1, 2, 3])
    def test_its_rows_are_those_of_its_network(self, times: int) -> None:
        placed = rpusim.place(Twice(times=times), "rpu-2016", (4, 3))
        optimizer = rpusim.AnalogSGD(placed.parameters(), lr=0.1)
        taken = []
        placed.chip._coupling.stepped = placed.chip._log.when_over = lambda: taken.append(placed.chip._take().rows)
        for samples in (3, 2):
            optimizer.zero_grad()
            placed(torch.randn(samples, 4, 3)).square().sum().backward()
            optimizer.step()
        placement = place(capture(Twice(times=times), (4, 3)), Chip.load("rpu-2016"))
        assert placement.arrays_used == 3
        for rows, samples in zip(taken, (3, 2), strict=True):
            wanted = assumed_activity(placement, samples, True, samples)
            for layer in range(2 * times + 1):
                for phase in (Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE):
                    mine, theirs = (r.select((r.layer == layer) & (r.phase == phase)) for r in (rows, wanted))
                    assert sorted(mine.vector) == sorted(theirs.vector)

    def test_it_is_timed_in_a_loop(self) -> None:
        placed = rpusim.place(Twice(), "rpu-2016", (4, 3))
        optimizer = rpusim.AnalogSGD(placed.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            placed(torch.randn(3, 4, 3)).square().sum().backward()
            optimizer.step()
        result = placed.chip.report()
        assert result["time"]["total_s"] > 0 and result["activity"]["mini_batches"] == 2


class TestTransposed:
    """A decoder with the encoder's weight reads the encoder's arrays from their rows to their columns."""

    @pytest.mark.parametrize("bias", [False, True])
    def test_rows_on_several_tiles_are_those_of_the_network(self, bias: bool) -> None:
        """Of 6 x 3 weights on arrays of 2 x 3: the same tiles, phases, vectors and lines as are assumed."""
        chip = Chip.load("rpu-2016")
        small = chip.tiles[0].array.model_copy(update={"rows": 2, "columns": 3})
        chip = chip.model_copy(update={"tiles": (chip.tiles[0].model_copy(update={"array": small}),)})
        module = Autoencoder(bias)
        placed = rpusim.place(module, chip, (6,))
        optimizer = rpusim.AnalogSGD(placed.parameters(), lr=0.1)
        taken = []
        placed.chip._coupling.stepped = placed.chip._log.when_over = lambda: taken.append(placed.chip._take().rows)
        placed(torch.randn(2, 6)).square().sum().backward()
        optimizer.step()
        placement = place(capture(module, (6,)), chip)
        assert placement.arrays_used == (6 if bias else 4)
        wanted = assumed_activity(placement, 2, True, 2)
        for rows in (taken[0], wanted):
            assert {Phase.FORWARD, Phase.BACKWARD, Phase.UPDATE} == set(rows.phase[rows.layer == 1])
        columns = ("layer", "phase", "tile", "vector")
        mine, theirs = (sorted(zip(*(getattr(r, name) for name in columns), strict=True)) for r in (taken[0], wanted))
        assert mine == theirs

    def test_its_loop_is_timed(self) -> None:
        placed = rpusim.place(Autoencoder(bias=True), "rpu-2016", (6,))
        optimizer = rpusim.AnalogSGD(placed.parameters(), lr=0.1)
        for _ in range(2):
            optimizer.zero_grad()
            placed(torch.randn(3, 6)).square().sum().backward()
            optimizer.step()
        result = placed.chip.report()
        assert result["activity"]["mini_batches"] == 2 and result["tiles"]["arrays"] == 1
        assert result["layers"][1]["arrays_of"] == "coder" and result["layers"][1]["transposed"]

    def test_a_chip_that_reads_one_side_is_a_sentence(self) -> None:
        for chip in ("isaac-2016", "hermes-2021"):
            with pytest.raises(InputError, match=r"'coder' is used transposed.*on one side only.*accepted: a chip"):
                place(capture(Autoencoder(), (6,)), Chip.load(chip))

    def test_axes_that_stay_where_they_are_turn_nothing(self) -> None:
        class Square(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.coder = nn.Linear(6, 6, bias=False)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return nn.functional.linear(torch.tanh(self.coder(x)), self.coder.weight.permute(0, 1))

        network = capture(Square(), (6,))
        assert network.uses(1) == (0, 1) and not network.layers[1].turned

    def test_two_parameters_with_one_memory_are_a_sentence(self) -> None:
        """In torch they change together, as an optimizer writes into both; on two arrays they would not."""
        model = nn.Sequential(nn.Linear(6, 3), nn.Linear(3, 6))
        model[1].weight = nn.Parameter(model[0].weight.t())
        with pytest.raises(InputError, match=r"'0.weight' and '1.weight' are two with the same numbers in memory"):
            capture(model, (6,))
        both = torch.randn(6, 6)  # two halves of one piece of memory are no tie
        model[0].weight, model[1].weight = nn.Parameter(both[:3]), nn.Parameter(both[3:].reshape(6, 3))
        assert len(capture(model, (6,)).layers) == 2

    @pytest.mark.parametrize(
        "turn", [lambda w: w.t(), lambda w: w.T, lambda w: w.transpose(-1, 0), lambda w: w.permute(1, 0)]
    )
    def test_every_way_to_write_it_is_known(self, turn: Callable[[torch.Tensor], torch.Tensor]) -> None:
        class Turned(Autoencoder):
            def forward(self, x: torch.Tensor) -> torch.Tensor:
                return nn.functional.linear(torch.tanh(self.coder(x)), turn(self.coder.weight))

        layers = capture(Turned(), (6,)).layers
        assert [(layer.name, layer.rows, layer.columns, layer.turned) for layer in layers] == [
            ("coder", 3, 6, False),
            ("coder:2", 6, 3, True),
        ]

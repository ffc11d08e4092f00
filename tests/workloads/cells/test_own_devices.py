"""A device of the user's own stands wherever a name does: a YAML file, a class in a file, a class or an object."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import rpusim
from rpusim.errors import InputError
from rpusim.kernels import SoftBounds
from rpusim.kernels.devices import ConstantStep
from rpusim.workloads.cells.own_devices import described
from rpusim.workloads.cells.training_cells import build
from rpusim.workloads.runs import settings

CLASS = """
from dataclasses import dataclass

import torch

from rpusim.kernels.devices.base import PulsedDevice
from rpusim.kernels.devices.symmetry import bracketed_symmetry_point


def half_step(weight, noise, size, slope):
    here = size - slope * weight * weight
    return here + here * noise


@dataclass(frozen=True)
class Round(PulsedDevice):
    curvature: float = 0.5

    kind = "round-step"

    @property
    def step(self):
        return half_step

    def step_parameters(self, steps, draw):
        return [steps.up, steps.up * self.curvature], [steps.down, steps.down * self.curvature]

    def symmetry_point(self, cells):
        return bracketed_symmetry_point(self.step, cells)


fine = Round(dw_min=0.0005)
"""


@pytest.fixture
def of_class(tmp_path: Path) -> str:
    (tmp_path / "mine.py").write_text(CLASS)
    return f"{tmp_path / 'mine.py'}:Round"


@pytest.fixture
def of_file(tmp_path: Path) -> str:
    path = tmp_path / "fitted.yaml"
    path.write_text("model: soft-bounds\ntitle: ours\nsource: measured by us\ndw_min: 0.004\nfit: {file: our.csv}\n")
    return str(path)


def test_a_file_says_what_the_device_is_and_where_it_comes_from(of_file: str) -> None:
    cells = build(of_file)
    assert cells.device == SoftBounds(dw_min=0.004)
    assert cells.source == f"measured by us ({of_file})"


def test_a_file_takes_other_parameters_and_any_cell(of_file: str) -> None:
    cells = build({"model": of_file, "w_max": 0.8, "cell": {"kind": "dynamic-transfer", "fast_lr": 0.5}})
    assert cells.device == SoftBounds(dw_min=0.004, w_max=0.8)
    assert (cells.cell.kind, cells.layout.arrays) == ("dynamic-transfer", 2)
    assert "changed by the user: w_max" in build({"like": of_file, "w_max": 0.8}).source


def test_a_file_may_be_like_a_file_but_not_like_itself(of_file: str, tmp_path: Path) -> None:
    (tmp_path / "second.yaml").write_text(f"like: {of_file}\nw_min: -0.7\n")
    assert build(str(tmp_path / "second.yaml")).device == SoftBounds(dw_min=0.004, w_min=-0.7)
    (tmp_path / "loop.yaml").write_text(f"like: {tmp_path / 'loop.yaml'}\n")
    with pytest.raises(InputError, match=r"loop\.yaml: names itself"):
        build(str(tmp_path / "loop.yaml"))


def test_a_class_its_object_and_an_object_of_its_file_are_devices(of_class: str) -> None:
    named = build(of_class)
    assert named.device.kind == "round-step"
    kind = type(named.device)
    assert build(kind).device == named.device
    changed = build(kind(dw_min=0.002, curvature=0.25)).device
    assert changed == kind(dw_min=0.002, curvature=0.25)
    assert build(of_class.replace(":Round", ":fine")).device.dw_min == 0.0005
    assert build({"model": of_class, "curvature": 0.1}).device == kind(curvature=0.1)


def test_an_object_becomes_a_mapping_that_makes_it_again() -> None:
    device = SoftBounds(dw_min=0.003, drift=rpusim.kernels.devices.Drift(nu=0.1))
    given = described(device)
    assert given == {"model": "soft-bounds", "dw_min": 0.003, "drift": vars(device.drift)}
    assert build(given).device == device
    chosen = settings.changed(settings.load("fcn-digits"), {"device": ConstantStep(dw_min=0.002)})
    assert chosen.device == {"model": "constant-step", "dw_min": 0.002}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dw_min: 0.1\n", "needs model, such as model: soft-bounds, or like"),
        ("model: soft-bound\n", "did you mean 'soft-bounds'"),
        ("model: soft-bounds\ndw_mini: 0.1\n", "has no such parameter; did you mean 'dw_min'"),
        ("model: soft-bounds\ndw_min: -1\n", "dw_min: -1 was given; accepted is a number > 0"),
        ("model: soft-bounds\ntitle: 3\n", "title: got 3, but words are needed"),
    ],
)
def test_what_is_wrong_in_a_file_is_one_sentence_with_its_name(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"^wrong\.yaml: ") as caught:
        build(str(path))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_with_a_class_is_one_sentence(of_class: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no device 'Rond'; did you mean 'Round'"):
        build(of_class.replace("Round", "Rond"))
    with pytest.raises(InputError, match="there is no file"):
        build(str(tmp_path / "none.py:Round"))
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(InputError, match=r"cannot be run \(ZeroDivisionError"):
        build(f"{tmp_path / 'broken.py'}:Round")


def test_an_own_class_learns_on_a_chip_and_the_chip_counts_it(of_class: str) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(6, 3))
    model = rpusim.place(module, "rpu-2016", (6,), device={"model": of_class, "dw_min": 0.01})
    optimizer = rpusim.AnalogSGD(model, lr=0.1)
    x, wanted = torch.eye(6), torch.linspace(-0.5, 0.5, 18).reshape(6, 3)
    errors = []
    for _ in range(40):
        optimizer.zero_grad()
        error = (model(x) - wanted).square().mean()
        error.backward()
        optimizer.step()
        errors.append(error.item())
    assert sum(errors[-5:]) < 0.5 * sum(errors[:5])
    report = model.chip.report()
    assert report["time"]["total_s"] > 0


def test_a_point_is_named_after_the_content_of_its_device_file(of_file: str) -> None:
    from rpusim.workloads.explore import points
    from rpusim.workloads.explore.study import made

    study = made({"name": "s", "title": "s", "run": "fcn-digits", "points": [{"device": {"like": of_file}}]})
    before = points.points(study, study.points[0])[0].name
    Path(of_file).write_text("model: soft-bounds\ndw_min: 0.005\n")
    assert points.points(study, study.points[0])[0].name != before

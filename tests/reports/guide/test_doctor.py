"""What `rpusim doctor` says of a machine."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError

import pytest

from rpusim.reports.guide import accelerator, doctor


def test_this_machine_has_all_that_is_needed(rpusim):
    shown = rpusim("doctor")
    assert shown.status == 0
    for words in ("Python", "cores", "compiled loops", "always needed", "torch"):
        assert words in shown.stdout
    found = json.loads(rpusim("doctor", "--json").stdout)
    assert found["ok"] and found["cores"] >= 1 and found["memory_bytes"] > 2**28
    assert {row["name"] for row in found["packages"]} >= {"torch", "numba", "numpy"}


def test_what_is_missing_or_too_old_is_said_with_what_brings_it(rpusim, monkeypatch):
    wanted = ["numpy>=99", "nothing-of-this-name>=1.2; extra == 'study'", "build>=1; extra == 'dev'"]
    real = doctor.version

    def version(name):
        if name == "nothing-of-this-name":
            raise PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor, "requires", lambda name: wanted)
    monkeypatch.setattr(doctor, "version", version)
    shown = rpusim("doctor")
    assert shown.status == 1
    assert "missing: numpy>=99" in shown.stdout and "pip install 'rpusim[study]'" in shown.stdout
    assert "build" not in shown.stdout


def test_an_extra_for_one_system_is_still_an_extra(monkeypatch):
    monkeypatch.setattr(doctor, "requires", lambda name: ['triton>=99; (sys_platform == "linux") and extra == "gpu"'])
    always, extras = doctor._packages()
    assert always == [] and [row["name"] for row in extras["gpu"]] == ["triton"] and not extras["gpu"][0]["ok"]
    plain = 'triton>=99; sys_platform == "linux" and extra == "gpu"'
    monkeypatch.setattr(doctor, "requires", lambda name: [plain])
    assert [row["name"] for row in doctor._packages()[1]["gpu"]] == ["triton"]


def test_which_way_tensors_on_a_gpu_take_is_said(rpusim):
    found = json.loads(rpusim("doctor", "--json").stdout)["accelerator"]
    assert found["way"] == accelerator.way(found["cuda"], len(found["gpus"]), found["triton"])
    for label in ("accelerator", "GPU", "torch"):
        assert label in rpusim("doctor").stdout
    assert (
        accelerator.way(None, 0, "3.9") == "none: torch is built without CUDA, and everything is computed on the "
        "cores above"
    )
    assert "torch sees no GPU" in accelerator.way("12.8", 0, None)
    assert "rpusim[gpu]" in accelerator.way("12.8", 1, None)
    assert "Triton" in accelerator.way("12.8", 1, "3.9")


def test_bytes_of_a_weight_are_those_of_its_arrays():
    """A cell of reram-es has a weight, bounds and steps up and down, of 4 bytes each; Tiki-Taka has two arrays."""
    plain, transfer = (accelerator.bytes_per_cell(name) for name in ("reram-es", "tiki-taka-reram-es"))
    assert plain >= 5 * 4 and transfer == pytest.approx(2 * plain, rel=1e-3)


@pytest.mark.parametrize(("written", "numbers"), [("2.13.0+cpu", (2, 13, 0)), ("1.2rc1", (1, 2, 1)), ("", ())])
def test_versions_are_compared_as_numbers(written, numbers):
    assert doctor._numbers(written) == numbers


def test_a_folder_that_cannot_be_written_is_said(rpusim, monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "not there"))
    assert "cannot be kept" in rpusim("doctor").stdout.replace("\n", " ")

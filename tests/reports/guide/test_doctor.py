"""What `rpusim doctor` says of a machine."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError

import pytest

from rpusim.reports.guide import doctor


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


@pytest.mark.parametrize(("written", "numbers"), [("2.13.0+cpu", (2, 13, 0)), ("1.2rc1", (1, 2, 1)), ("", ())])
def test_versions_are_compared_as_numbers(written, numbers):
    assert doctor._numbers(written) == numbers


def test_a_folder_that_cannot_be_written_is_said(rpusim, monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "not there"))
    assert "cannot be kept" in rpusim("doctor").stdout.replace("\n", " ")

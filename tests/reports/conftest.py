"""One short run for all tests of what a person sees."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from rpusim.reports.cli.commands import main


def call(*arguments):
    """What a command printed and returned: status, stdout, stderr."""
    outcome = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit), outcome.exception
    return SimpleNamespace(status=outcome.exit_code, stdout=outcome.stdout, stderr=outcome.stderr)


@pytest.fixture
def rpusim():
    return call


@pytest.fixture(scope="session")
def short_run(tmp_path_factory):
    """`rpusim run --epochs 1 --json`: the folder it left and the document it printed."""
    folder = tmp_path_factory.mktemp("runs") / "short"
    outcome = call("run", "fcn-digits", "--epochs", 1, "--seed", 3, "--out", folder, "--json")
    assert outcome.status == 0, outcome.stderr
    return SimpleNamespace(folder=folder, stdout=outcome.stdout, document=json.loads(outcome.stdout))


@pytest.fixture(scope="session")
def timed():
    """Two training samples of LeNet on another chip, timed without computing: a `Result`."""
    from rpusim.workloads.runs.estimate import time_network

    return time_network("lenet-digits", "reram-512", samples=2, training=True, schedule="sequential")


@pytest.fixture(scope="session")
def transferred():
    """Two training samples of mixed precision on one-sided pairs, timed without computing, with stale weights."""
    from rpusim.workloads.runs.estimate import time_network

    options = {"batch": 2, "device": "mixed-precision-pcm"}
    return time_network("lenet-digits", "reram-512", samples=2, training=True, schedule="asynchronous", **options)

"""Ctrl-C and SIGTERM are heeded wherever the process is, and say how to go on."""

import os
import signal
import subprocess
import sys
import time

import pytest

START = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
sys.argv = ["rpusim", "presets"]
from rpusim.reports.cli import main
"""
BUSY = """
import numba
@numba.njit(nogil=True)
def loop(number):
    found = 0
    for each in range(number):
        found = (found * 3 + each) % 1000003
    return found
loop(1)
"""
BEFORE = {
    "in Python": "def at_it():\n    while True: pass\n",
    "in a system call": "def at_it(): time.sleep(60)\n",
    "in a compiled loop": BUSY + "def at_it(): loop(1 << 40)\n",
    "where every exception is swallowed": "def at_it():\n    while True:\n"
    "        try: time.sleep(0.01)\n        except BaseException: pass\n",
}
RUN = """
from rpusim.reports.cli import catalogue
def told():
    print("at it", file=sys.__stdout__, flush=True)
    at_it()
catalogue.catalogue = told
main()
"""


def interrupted(code: str, number: signal.Signals, folder) -> tuple[int, str, str, float]:
    """Send a signal as soon as a process says that it is at it; its status, what it printed then, and the seconds."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], cwd=folder, env=environment, **pipes) as process:
        try:
            assert process.stdout.readline() == "at it\n", process.stderr.read()
            time.sleep(0.2)
            process.send_signal(number)
            began = time.monotonic()
            stdout, stderr = process.communicate(timeout=60)
        finally:
            process.kill()
    return process.returncode, stdout, stderr, time.monotonic() - began


@pytest.mark.parametrize("where", BEFORE)
def test_ctrl_c_is_heeded_soon_wherever_the_process_is(where, tmp_path):
    status, stdout, stderr, seconds = interrupted(START + BEFORE[where] + RUN, signal.SIGINT, tmp_path)
    assert (status, stdout, stderr) == (130, "", "rpusim: interrupted; nothing was written\n")
    assert seconds < 2


def test_sigterm_is_heeded_too_with_a_status_of_its_own(tmp_path):
    status, stdout, stderr, _ = interrupted(START + BEFORE["in a system call"] + RUN, signal.SIGTERM, tmp_path)
    assert (status, stdout, stderr) == (143, "", "rpusim: interrupted; nothing was written\n")


def test_sigterm_while_commands_are_imported(tmp_path):
    (tmp_path / "slow.py").write_text("print('at it', flush=True)\nimport time; time.sleep(60)\n")
    code = (
        START + "import types; sys.path.insert(0, '.')\n"
        "class Finder:\n    def find_spec(self, name, *a):\n        if name == 'click': import slow\n"
        "sys.meta_path.insert(0, Finder())\nmain()"
    )
    status, stdout, stderr, _ = interrupted(code, signal.SIGTERM, tmp_path)
    assert (status, stdout, stderr) == (143, "", "rpusim: interrupted; nothing was written\n")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_run_says_that_the_same_command_goes_on(number, status, tmp_path):
    code = (
        START.replace('"presets"', '"run", "--epochs", "1000", "--out", "run"')
        + "from rpusim.workloads.runs import training_run\n"
        "from pathlib import Path\n"
        "real = training_run.train\n"
        "def told(stage, batches, watch, keep, *more):\n"
        "    def kept():\n"
        "        keep()\n"
        "        if Path('run.checkpoint').exists() and not said:\n"
        "            said.append(print('at it', file=sys.__stdout__, flush=True))\n"
        "    real(stage, batches, watch, kept, *more)\n"
        "said = []\n"
        "training_run.train = told\n"
        "main()"
    )
    found, stdout, stderr, _ = interrupted(code, number, tmp_path)
    assert (found, stdout) == (status, "")
    assert stderr == "rpusim: interrupted; the same command goes on from run.checkpoint\n"
    assert [path.name for path in tmp_path.iterdir()] == ["run.checkpoint"]


def test_an_end_of_file_is_not_taken_for_an_interruption(tmp_path):
    code = START + "def at_it(): raise EOFError('Ran out of input')\n" + RUN
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "interrupted" not in done.stderr and "EOFError: Ran out of input" in done.stderr


def test_the_handlers_are_put_back_after_a_command():
    from rpusim.reports.cli.commands import main

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(SystemExit):
        main(["--version"])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert signal.set_wakeup_fd(-1) == -1

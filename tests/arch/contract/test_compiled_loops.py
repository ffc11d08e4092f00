"""The disk cache of compiled functions: found by the next process, and no error whatever became of it."""

import importlib.util
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numba
import pytest

from rpusim.arch.contract import compiled_loops
from rpusim.errors import Notice

LOOP = """
from rpusim.arch.contract.compiled_loops import compiled

@compiled
def total(number):
    found = 0
    for each in range(number):
        found += each
    return found
"""


@pytest.fixture
def loop(tmp_path, monkeypatch):
    """A function that imports a small loop anew, calls it, and tells whether it came from the cache."""
    (tmp_path / "loop_file.py").write_text(LOOP)
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))

    def call() -> str:
        spec = importlib.util.spec_from_file_location("loop_file", tmp_path / "loop_file.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules["loop_file"] = module
        spec.loader.exec_module(module)
        assert module.total(5) == 10
        return "kept" if sum(module.total.stats.cache_hits.values()) else "compiled"

    return call


def test_what_was_compiled_once_is_found_on_disk(loop):
    assert [loop(), loop()] == ["compiled", "kept"]


@pytest.mark.parametrize("ending", [".nbi", ".nbc"])
@pytest.mark.parametrize(
    "damage",
    [lambda content: b"", lambda content: content[:-7], lambda content: content[:60] + b"\0" + content[61:]],
    ids=["empty", "truncated", "altered"],
)
def test_a_damaged_file_is_compiled_anew_and_kept_again(loop, tmp_path, ending, damage):
    loop()
    (path,) = tmp_path.rglob(f"*{ending}")
    path.write_bytes(damage(path.read_bytes()))
    assert [loop(), loop()] == ["compiled", "kept"]


def test_a_full_disk_is_said_once_and_the_loop_runs(loop, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiled_loops._Files, "_write", full)
    compiled_loops._say.cache_clear()
    with pytest.warns(Notice, match=r"cannot be kept \(No space left on device\).*set NUMBA_CACHE_DIR"):
        assert loop() == "compiled"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert loop() == "compiled"


@pytest.fixture
def nowhere(monkeypatch):
    """Neither the package's folder nor the user's cache folder can be written."""
    for locator in compiled_loops.CompileResultCacheImpl._locator_classes:
        monkeypatch.setattr(locator, "ensure_cache_path", lambda self: (_ for _ in ()).throw(OSError("read-only")))
    monkeypatch.setattr(
        compiled_loops._Temporary, "ensure_cache_path", lambda self: os.makedirs(self._cache_path, exist_ok=True)
    )
    compiled_loops._say.cache_clear()


def test_without_a_writable_folder_a_private_one_among_the_temporary_ones_is_used(loop, nowhere, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.warns(Notice, match="compiled loops are kept in .*temporary.rpusim-"):
        assert [loop(), loop()] == ["compiled", "kept"]
    (folder,) = (tmp_path / "temporary").iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_temporary_folder_that_others_can_write_to_is_not_trusted(loop, nowhere, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"rpusim-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.warns(Notice, match="cannot be kept, and every process compiles them again.*NUMBA_CACHE_DIR"):
        assert [loop(), loop()] == ["compiled", "compiled"]
    assert not list(folder.iterdir())


def test_the_command_line_says_it_in_one_sentence_and_goes_on():
    code = (
        "import warnings\n"
        "from rpusim.errors import Notice\n"
        "from rpusim.reports.cli import catalogue, main\n"
        "def told():\n"
        "    warnings.warn('nothing is kept', Notice); warnings.warn('of torch'); return {}\n"
        "catalogue.catalogue = told\n"
        "import sys; sys.argv = ['rpusim', 'presets', '--json']; main()"
    ).replace("import catalogue, main", "import main\nfrom rpusim.reports.cli import catalogue")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, cwd=Path("/"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "{}\n", "rpusim: nothing is kept\n")

"""A run replaces an earlier run of ours and nothing else, and what cannot be written is refused before any work."""

from __future__ import annotations

import errno
import itertools
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rpusim.errors import InputError
from rpusim.workloads.results import run_folder
from rpusim.workloads.results.result import SCHEMA, Result
from rpusim.workloads.runs import settings


@pytest.fixture
def found() -> Result:
    return Result({"schema": SCHEMA, "network": "a", "chip": "b", "version": "0"}, None, ())


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Whether a process that does the work is dead before it moves or removes a file for the time ``step`` + 1."""
    process = os.fork()
    if process == 0:
        left = itertools.count(step, -1)

        def mortal(do: Callable[..., Any]) -> Callable[..., Any]:
            return lambda *given, **options: os._exit(9) if next(left) == 0 else do(*given, **options)

        for name in ("replace", "unlink", "rmdir"):
            setattr(Path, name, mortal(getattr(Path, name)))
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 9


class TestOnlyRunsOfOursAreReplaced:
    def test_a_folder_whose_result_json_is_another_programs_is_kept(self, found: Result, tmp_path: Path) -> None:
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "result.json").write_text('{"thesis": 1}')
        with pytest.raises(InputError, match=r"mine exists and is not a run folder \(its result.json is not one"):
            run_folder.save(found, tmp_path / "mine")
        assert (tmp_path / "mine" / "result.json").read_text() == '{"thesis": 1}'

    def test_a_run_folder_with_something_of_the_users_in_it_is_kept(self, found: Result, tmp_path: Path) -> None:
        run_folder.save(found, tmp_path / "run")
        (tmp_path / "run" / "notes.txt").write_text("years of work")
        with pytest.raises(InputError, match=r"is not a run folder \(it holds notes.txt\)"):
            run_folder.check_writable(tmp_path / "run")
        with pytest.raises(InputError, match=r"holds notes\.txt"):
            run_folder.save(found, tmp_path / "run")
        assert (tmp_path / "run" / "notes.txt").read_text() == "years of work"

    def test_a_folder_with_the_name_of_one_of_our_files_is_kept(self, found: Result, tmp_path: Path) -> None:
        run_folder.save(found, tmp_path / "run")
        (tmp_path / "run" / "report.html").mkdir()
        with pytest.raises(InputError, match=r"holds report\.html"):
            run_folder.save(found, tmp_path / "run")

    def test_an_earlier_run_is_replaced(self, found: Result, tmp_path: Path) -> None:
        run_folder.save(found, tmp_path / "run")
        found.document["version"] = "1"
        run_folder.save(found, tmp_path / "run")
        assert json.loads((tmp_path / "run" / "result.json").read_text())["version"] == "1"
        assert [path.name for path in tmp_path.iterdir()] == ["run"]

    def test_what_a_process_killed_at_any_step_has_left_goes_with_the_next_run(
        self, found: Result, tmp_path: Path
    ) -> None:
        run_folder.save(found, tmp_path / "run")
        steps = 0
        while killed_at(steps, lambda: run_folder.save(found, tmp_path / "run")):
            steps += 1
            run_folder.save(found, tmp_path / "run")
            assert [path.name for path in tmp_path.iterdir()] == ["run"]
            assert run_folder.read(tmp_path / "run") == found.document
        assert steps > 5

    def test_an_empty_folder_is_taken(self, found: Result, tmp_path: Path) -> None:
        (tmp_path / "run").mkdir()
        run_folder.save(found, tmp_path / "run")
        assert run_folder.read(tmp_path / "run") == found.document

    def test_a_name_as_long_as_the_file_system_allows_is_taken(self, found: Result, tmp_path: Path) -> None:
        run_folder.save(found, tmp_path / ("n" * 255))
        assert run_folder.read(tmp_path / ("n" * 255)) == found.document


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (".", "'.', which is the current folder or around it"),
        ("", "which is the current folder or around it"),
        ("..", "'..', which is the current folder or around it"),
        ("n" * 300, r"\(300 characters\) cannot be written \(File name too long\)"),
        ("a\0b", r"a\\x00b cannot be written"),
    ],
)
def test_a_folder_that_cannot_be_one_is_refused_in_a_sentence(
    given: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence):
        run_folder.check_writable(Path(given))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "-x", ".hidden", "a\nb", "x" * 101, "a ", "a\0"])
def test_an_experiment_has_a_plain_name(name: str) -> None:
    with pytest.raises(InputError, match="a plain name is needed"):
        settings.changed(settings.load("fcn-digits"), {"name": name})


@pytest.mark.parametrize(
    "content", ["[]", "null", "[" * 100_000, '{"schema": NaN}', "\xff", "3", '{"a": ' + "9" * 9999]
)
def test_what_is_no_document_of_ours_is_not_read(content: str, tmp_path: Path) -> None:
    (tmp_path / "result.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=r"is not a run folder|is needed"):
        run_folder.read(tmp_path)


class TestNothingAlteredIsRead:
    def test_what_was_written_is(self, found: Result, tmp_path: Path) -> None:
        run_folder.save(found, tmp_path / "run")
        assert run_folder.read(tmp_path / "run") == found.document
        done = subprocess.run(["sha256sum", "--check", "--quiet", run_folder.DIGESTS], cwd=tmp_path / "run", check=True)
        assert done.returncode == 0

    @pytest.mark.parametrize("name", ["result.json", "config.resolved.yaml", "SHA256SUMS"])
    def test_a_flipped_bit_in_any_file_is_said_with_the_name_of_the_file(
        self, name: str, found: Result, tmp_path: Path
    ) -> None:
        run_folder.save(found, tmp_path / "run")
        path = tmp_path / "run" / name
        whole = path.read_bytes()
        for bit in range(0, 8 * len(whole), 7):
            altered = bytearray(whole)
            altered[bit // 8] ^= 1 << bit % 8
            path.write_bytes(altered)
            with pytest.raises(InputError, match=rf"{name}"):
                run_folder.read(tmp_path / "run")

    def test_a_missing_file_is_named(self, found: Result, tmp_path: Path) -> None:
        run_folder.save(found, tmp_path / "run")
        (tmp_path / "run" / "config.resolved.yaml").unlink()
        with pytest.raises(InputError, match=r"config\.resolved\.yaml: cannot be read \(No such file"):
            run_folder.read(tmp_path / "run")

    def test_a_folder_of_an_earlier_version_has_no_digests(self, found: Result, tmp_path: Path) -> None:
        run_folder.save(found, tmp_path / "run")
        (tmp_path / "run" / "SHA256SUMS").unlink()
        assert run_folder.read(tmp_path / "run") == found.document

    def test_an_altered_run_may_be_replaced(self, found: Result, tmp_path: Path) -> None:
        run_folder.save(found, tmp_path / "run")
        (tmp_path / "run" / "config.resolved.yaml").write_text("altered")
        run_folder.save(found, tmp_path / "run")
        assert run_folder.read(tmp_path / "run") == found.document


def test_half_a_character_is_no_reason_to_lose_a_run(found: Result, tmp_path: Path) -> None:
    named = Result(found.document | {"chip": "c\udce9.yaml"}, None, ())
    run_folder.save(named, tmp_path / "run", lambda document: f"<p>{document['chip']}</p>")
    assert run_folder.read(tmp_path / "run")["chip"] == r"c\udce9.yaml"


def test_what_the_file_system_refuses_is_a_sentence(
    found: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match="run cannot be written \\(No space left on device\\)"):
        run_folder.save(found, tmp_path / "run")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(run_folder.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(InputError, match="run cannot be written \\(No space left on device\\)"):
        run_folder.check_writable(tmp_path / "run")

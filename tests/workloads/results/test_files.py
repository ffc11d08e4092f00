"""Files go through links, keep their permissions, and never take the place of what is no file."""

import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rpusim.errors import InputError
from rpusim.workloads.results import files


def test_a_link_stays_and_the_file_behind_it_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    target, first, second = tmp_path / "far" / "file", tmp_path / "first", tmp_path / "second"
    target.write_text("old")
    target.chmod(0o640)
    second.symlink_to(target)
    first.symlink_to("second")
    files.replace(first, "new")
    assert first.is_symlink() and second.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert [path.name for path in target.parent.iterdir()] == ["file"]
    files.remove(first)
    assert first.is_symlink() and not target.exists()
    files.replace(first, b"again")
    assert target.read_bytes() == b"again"


def test_a_device_is_written_to(tmp_path):
    before = os.stat("/dev/null")
    files.replace(Path("/dev/null"), "nothing")
    (tmp_path / "link").symlink_to("/dev/null")
    files.replace(tmp_path / "link", "nothing")
    assert os.stat("/dev/null") == before


def test_a_pipe_gets_it_all_and_stays(tmp_path):
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    files.replace(pipe, "word" * 50_000)
    reader.join()
    assert got == ["word" * 50_000]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("name", ["/dev/stdout", "/proc/self/fd/1", "/dev/fd/1"])
def test_what_goes_to_stdout_comes_after_what_was_printed_and_before_what_is(tmp_path, name):
    code = (
        f"from pathlib import Path; from rpusim.workloads.results import files; print('a'); "
        f"files.replace(Path({name!r}), 'b\\n'); print('c')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with open(tmp_path / "out", "w") as out:
        subprocess.run([sys.executable, "-c", code], stdout=out, env=environment, check=True)
    assert (tmp_path / "out").read_text() == "a\nb\nc\n"


def test_what_is_special_is_told(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/dev/null")
    os.mkfifo(tmp_path / "pipe")
    special = {name: files.is_special(tmp_path / name) for name in ("file", "link", "pipe", ".", "missing")}
    assert special == {"file": False, "link": True, "pipe": True, ".": False, "missing": False}
    assert files.is_special(Path("/dev/null")) and files.is_special(Path("/dev/stdout"))


@pytest.mark.parametrize("name", [".", "", "..", "/", "folder", "link"])
def test_a_folder_is_refused(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("link").symlink_to("folder")
    with pytest.raises(InputError, match="is a folder; the name of a file is needed"):
        files.replace(Path(name), "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "link"]


@pytest.mark.parametrize("name", ["a\0b", "no/such/file", "round", "x" * 300, "file/below"])
def test_what_the_file_system_refuses_is_a_sentence(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("round").symlink_to("round")
    Path("file").touch()
    with pytest.raises(InputError, match=r"cannot be written \(.+\); a file in a writable folder is needed"):
        files.replace(Path(name), "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "round"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_write_protected_file_is_kept(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "file").chmod(0o444)
    with pytest.raises(InputError, match="write-protected"):
        files.replace(tmp_path / "file", "")
    assert (tmp_path / "file").read_text() == "mine"


def test_long_names_and_names_that_are_no_text_are_written(tmp_path):
    for name in ("µ" * 127, os.fsdecode(b"c\xe9.svg")):
        files.replace(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"


def test_threads_write_one_file_at_once(tmp_path):
    content = {str(number) * 100_000 for number in range(4)}
    writers = [threading.Thread(target=files.replace, args=(tmp_path / "file", each)) for each in content]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert (tmp_path / "file").read_text() in content
    assert [path.name for path in tmp_path.iterdir()] == ["file"]

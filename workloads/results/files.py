"""Files written whole or not at all; what the file system refuses becomes a sentence.

Something is first made beside its place, under a name that says which process makes it. So what a killed process has
left can be told from what another one is making. A symbolic link stays one, and the file it points to is replaced. What
is no file, such as /dev/null, a pipe or a terminal, is never replaced: it is written to.
"""

from __future__ import annotations

import itertools
import os
import platform
import re
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from rpusim.errors import InputError, shown

_MACHINE = re.sub(r"[^\w.]", "_", platform.node())[:60]
_HERE = f".rpusim-{_MACHINE}-"
_NUMBERS = itertools.count()
_MOST_LINKS = 40


def replace(path: Path, content: str | bytes) -> None:
    """Write a file in place of what was there; a process that is killed meanwhile leaves the old one or the new one.

    path:     of the file; its folder must exist. The file behind a symbolic link is replaced, with its permissions; a
              device, a pipe or a descriptor such as /dev/stdout is written to.
    content:  bytes, or text, which is written as UTF-8.

    Raises InputError if the path is a folder, or the file system refuses.
    """
    written = content.encode() if isinstance(content, str) else content
    try:
        if (descriptor := _descriptor(path)) is not None:
            _send(os.dup(descriptor), written)
            return
        target = Path(os.path.realpath(path))
        mode = _mode(target)
        if stat.S_ISDIR(mode):
            raise InputError(f"{shown(str(path))}: is a folder; the name of a file is needed")
        if mode and not stat.S_ISREG(mode):
            _send(os.open(target, os.O_WRONLY | os.O_NOCTTY), written)
            return
        if mode and not os.access(target, os.W_OK):
            raise PermissionError(None, "it is write-protected")
        _put(target, written, stat.S_IMODE(mode))
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{shown(str(path))}: cannot be written ({reason}); a file in a writable folder is needed"
        ) from None


def is_special(path: Path) -> bool:
    """Tell whether a path stands for something that `replace` writes to instead of replacing it."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return _descriptor(path) is not None or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def remove(path: Path) -> None:
    """Remove a file, if it is there; of a symbolic link the file behind it, as `replace` wrote it there."""
    Path(os.path.realpath(path)).unlink(missing_ok=True)


def _put(target: Path, content: bytes, mode: int) -> None:
    """Write a file beside its place and move it there. mode: the permissions to give it; 0: the usual ones."""
    beside = os.fsdecode(os.fsencode(target.name)[:60])
    fresh = target.with_name(f"{_HERE}{os.getpid()}-{next(_NUMBERS)}-{beside}")
    try:
        with open(fresh, "xb") as file:
            file.write(content)
            file.flush()
            if mode:
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(fresh, target)
    finally:
        fresh.unlink(missing_ok=True)


def _send(descriptor: int, content: bytes) -> None:
    """Write to something open, after what this process has printed, and close it."""
    sys.stdout.flush()
    sys.stderr.flush()
    with open(descriptor, "wb") as stream:
        stream.write(content)


def _descriptor(path: Path) -> int | None:
    """Return the open descriptor of this process that a path such as /dev/stdout stands for; None for other paths.

    It may be a file's: that one has been opened by somebody else, who would not see another one in its place.
    """
    here = os.path.abspath(path)
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(os.path.dirname(here))
        if folder == os.path.realpath("/proc/self/fd") and os.path.basename(here).isdecimal():
            return int(os.path.basename(here))
        if not os.path.islink(here):
            return None
        here = os.path.join(folder, os.readlink(here))
    return None


def _mode(target: Path) -> int:
    """Return the kind and permissions of what is at a path; 0 if nothing is."""
    try:
        return target.stat().st_mode
    except FileNotFoundError:
        return 0


def fresh_folder(parent: Path) -> Path:
    """Make a new folder in ``parent``, to be filled and moved to its place.

    What processes of this machine have left there when they were killed is removed first. Raises OSError if the file
    system refuses.
    """
    for left in parent.iterdir():
        process, _, _ = left.name.removeprefix(_HERE).partition("-")
        if left.name.startswith(_HERE) and process.isdecimal() and not _runs(int(process)):
            shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    return Path(tempfile.mkdtemp(prefix=f"{_HERE}{os.getpid()}-", dir=parent))


def _runs(process: int) -> bool:
    """Tell whether a process of this number is alive on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # somebody else's
        return True
    return True

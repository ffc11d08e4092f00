"""Files written whole or not at all; what the file system refuses becomes a sentence.

Something is first made beside its place, under a name that says which process makes it. So what a killed process has
left can be told from what another one is making.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
from pathlib import Path

from rpusim.errors import InputError

_MACHINE = re.sub(r"[^\w.]", "_", platform.node())[:60]
_HERE = f".rpusim-{_MACHINE}-"


def replace(path: Path, content: str | bytes) -> None:
    """Write a file in place of what was there; a process that is killed meanwhile leaves the old one or the new one.

    path:     of the file; its folder must exist.
    content:  bytes, or text, which is written as UTF-8.

    Raises InputError if the file system refuses.
    """
    fresh = path.with_name(f"{_HERE}{os.getpid()}-{path.name[:60]}")
    try:
        with open(fresh, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); a writable folder is needed"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)


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

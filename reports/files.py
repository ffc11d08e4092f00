"""Files written whole or not at all; what the file system refuses becomes a sentence."""

from __future__ import annotations

import os
from pathlib import Path

from rpusim.errors import InputError


def replace(path: Path, content: str | bytes) -> None:
    """Write a file in place of what was there; text as UTF-8."""
    fresh = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        fresh.write_bytes(content.encode() if isinstance(content, str) else content)
        os.replace(fresh, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); a writable folder is needed"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)

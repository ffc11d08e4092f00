"""The run folder: a result on disk, written whole or not at all, and its document read back."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rpusim.arch.contract.configuration import shown
from rpusim.arch.engine.events import Op
from rpusim.errors import InputError
from rpusim.workloads.results import files
from rpusim.workloads.results.result import SCHEMA, Result

DOCUMENT = "result.json"
RUN_FILES = (DOCUMENT, "config.resolved.yaml", "events.npz", "report.html", "trace.json", "trace.pftrace")
"""All that a run folder may hold. A folder with anything else in it is somebody's, and is never replaced."""

CONFIGURATION = ("network", "chip", "training", "assumption", "seed", "version", "provenance")
"""The parts of a document that say what was run; config.resolved.yaml holds them."""


def check_writable(folder: Path) -> None:
    """Refuse, before any work is done, a folder that cannot take a run.

    folder: as the user gave it with ``--out``. Raises InputError unless it is new, empty, or an earlier run's.
    """
    _writable(folder)


def save(result: Result, folder: Path, page: Callable[[dict[str, Any]], str] | None = None) -> None:
    """Write result.json, config.resolved.yaml, events.npz and (with ``page``) report.html: all, or nothing.

    result:  what to write.
    folder:  new, empty, or an earlier run folder, which is replaced.
    page:    makes report.html from the document; None writes none.

    Raises InputError if the folder is none of these or cannot be written; whatever ``page`` raises is passed on.
    """
    folder = _writable(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = files.fresh_folder(folder.parent)
    try:
        fresh.chmod(0o755)
        document = result.document
        (fresh / DOCUMENT).write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        resolved = {key: document[key] for key in CONFIGURATION if key in document}
        settled = yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True)
        (fresh / "config.resolved.yaml").write_text(settled, encoding="utf-8")
        if result.trace is not None:
            names = {"stations": np.array(result.stations), "ops": np.array([op.name for op in Op])}
            _save_arrays(fresh / "events.npz", result.trace.columns() | result.details | names)
        if page is not None:
            (fresh / "report.html").write_text(page(document), encoding="utf-8")
        _put_in_place(fresh, folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def read(folder: Path) -> dict[str, Any]:
    """Read the document in a run folder.

    folder: one that `save` wrote. Raises InputError if there is no document in it, or it is not of this version.
    """
    try:
        document = json.loads((folder / DOCUMENT).read_text(encoding="utf-8"), parse_constant=_no_number)
    except (OSError, ValueError, RecursionError):  # ValueError: not UTF-8, not JSON, NaN, a NUL in the path
        raise InputError(
            f"{shown(str(folder))}: is not a run folder (no readable {DOCUMENT}); give a folder that `rpusim run` wrote"
        ) from None
    if not isinstance(document, dict):
        raise InputError(
            f"{folder / DOCUMENT}: holds {_json_kind(document)}, but an object with schema {SCHEMA!r} is needed"
        )
    if document.get("schema") != SCHEMA:
        raise InputError(f"{folder / DOCUMENT}: schema is {document.get('schema')!r}, but {SCHEMA!r} is needed")
    return document


def _writable(given: Path) -> Path:
    """Return the folder's whole path, if it is new, empty, or holds an earlier run and nothing besides."""
    try:
        folder = given.resolve()
        if folder == Path.cwd() or folder in Path.cwd().parents:
            raise InputError(f"--out: got {str(given)!r}, which is the current folder or around it; give one inside it")
        foreign = _foreign(folder)
        parent = next(p for p in folder.parents if p.exists())
        files.fresh_folder(parent).rmdir()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"--out: {shown(str(given))} cannot be written ({reason}); a writable folder is needed"
        ) from None
    if foreign:
        raise InputError(
            f"--out: {given} exists and is not a run folder ({foreign}); a new or empty folder, or an earlier run to "
            "replace, is needed"
        )
    return folder


def _foreign(folder: Path) -> str:
    """Say why what is there is not an earlier run of ours; empty if nothing is there, or such a run."""
    if not folder.exists():
        return ""
    if not folder.is_dir():
        return "it is a file"
    there = sorted(folder.iterdir())
    for path in there:
        if path.name not in RUN_FILES or path.is_symlink() or not path.is_file():
            return f"it holds {path.name}"
    if not there:
        return ""
    try:
        read(folder)
    except InputError:
        return f"its {DOCUMENT} is not one of ours"
    return ""


def _put_in_place(fresh: Path, folder: Path) -> None:
    """Move a finished folder to its place; an earlier run there is first moved aside, so a kill leaves one of them."""
    if not folder.exists():
        fresh.replace(folder)
        return
    old = files.fresh_folder(folder.parent)
    folder.replace(old / "run")
    fresh.replace(folder)
    for name in RUN_FILES:  # by name: a file that was put there meanwhile is not ours to delete
        (old / "run" / name).unlink(missing_ok=True)
    (old / "run").rmdir()
    old.rmdir()


def _save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write as numpy's savez_compressed does, but without the time of day: the same arrays give the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, values, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.getvalue())


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _json_kind(value: object) -> str:
    return {type(None): "null", list: "a list", str: "a string", bool: "true or false"}.get(type(value), "a number")

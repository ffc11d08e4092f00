"""The run folder: a result on disk, written whole or not at all, and its document read back.

Beside the files lie their digests: a folder in which one was altered, by a slip or by a failing disk, is not read.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from rpusim.arch.engine.events import Op
from rpusim.errors import InputError, shown, written
from rpusim.workloads.results import files
from rpusim.workloads.results.result import SCHEMA, Result

DOCUMENT = "result.json"
DIGESTS = "SHA256SUMS"
"""Holds the digests of the files that a run wrote, as ``sha256sum --check SHA256SUMS`` reads them."""
MOST_BYTES, _MOST_DIGESTS = 500 * 2**20, 10_000
"""The longest document that is read, and the longest list of digests."""
LEAST_FREE = 16 * 2**20
"""Bytes that have to be free where a run is to be written."""
RUN_FILES = (DOCUMENT, DIGESTS, "config.resolved.yaml", "events.npz", "report.html", "trace.json", "trace.pftrace")
"""All that a run folder may hold. A folder with anything else in it is somebody's, and is never replaced."""

CONFIGURATION = ("network", "chip", "training", "assumption", "seed", "version", "provenance")
"""The parts of a document that say what was run; config.resolved.yaml holds them."""


def check_writable(folder: Path) -> None:
    """Refuse, before any work is done, a folder that cannot take a run.

    folder: as the user gave it with ``--out``. Raises InputError unless it is new, empty, or an earlier run's.
    """
    _writable(folder)


def save(result: Result, folder: Path, page: Callable[[dict[str, Any]], str] | None = None) -> None:
    """Write result.json, config.resolved.yaml, events.npz, digests and (with ``page``) report.html: all, or nothing.

    result:  what to write.
    folder:  new, empty, or an earlier run folder, which is replaced.
    page:    makes report.html from the document; None writes none.

    Raises InputError if the folder is none of these or cannot be written; whatever ``page`` raises is passed on.
    """
    folder = _writable(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh = files.fresh_folder(folder.parent)
        try:
            fresh.chmod(0o755)
            _fill(fresh, result, page)
            _put_in_place(fresh, folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    except OSError as error:
        raise InputError(
            f"--out: {shown(str(folder))} cannot be written ({error.strerror or error}); a writable folder is needed"
        ) from None


def _fill(fresh: Path, result: Result, page: Callable[[dict[str, Any]], str] | None) -> None:
    """Write the files of a run into a folder, the digests of the others last."""
    document = result.document
    resolved = {key: document[key] for key in CONFIGURATION if key in document}
    settled = yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True)
    contents = {
        DOCUMENT: _encoded(json.dumps(document, indent=1, allow_nan=False) + "\n"),
        "config.resolved.yaml": _encoded(settled),
    }
    if result.trace is not None:
        names = {"stations": np.array(result.stations), "ops": np.array([op.name for op in Op])}
        contents["events.npz"] = _arrays(result.trace.columns() | result.details | names)
    for name, content in contents.items():
        (fresh / name).write_bytes(content)
    (fresh / DIGESTS).write_text(_digests(contents), encoding="ascii")
    if page is not None:
        (fresh / "report.html").write_bytes(_encoded(page(document)))


def _encoded(text: str) -> bytes:
    """Encode text as UTF-8; half a character, as in the name of a file in another encoding, as its escape."""
    return text.encode("utf-8", "backslashreplace")


def _digests(contents: dict[str, bytes]) -> str:
    """Write the lines of `DIGESTS`, as sha256sum does, and one of these lines themselves."""
    lines = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in contents.items())
    return f"{lines}# {hashlib.sha256(lines.encode()).hexdigest()}\n"


def read(folder: Path) -> dict[str, Any]:
    """Read the document in a run folder.

    folder: one that `save` wrote. Raises InputError if there is no document in it, it is not of this version, or a file
    is not what was written. A folder of an earlier version has no digests, and is taken as it is.
    """
    document = _document(folder)
    _check_digests(folder)
    return document


def of_configuration(folder: Path, configuration: str) -> Path:
    """Return a folder for a run of a configuration: this one, unless a run of another configuration is there.

    configuration: digest of what the run depends on, as the document's ``configuration`` has it.
    """
    try:
        there = _document(folder).get("configuration")
    except InputError:  # no run is there
        return folder
    return folder if there == configuration else folder.with_name(f"{folder.name},{configuration[:8]}")


def _document(folder: Path) -> dict[str, Any]:
    """Read the document in a run folder, whatever the digests say."""
    path = folder / DOCUMENT
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError("larger than any result")
        # ValueError: also what is not UTF-8, not JSON, NaN, or has a NUL in its path
        document = json.loads(path.read_text(encoding="utf-8"), parse_constant=_no_number)
    except (
        OSError,
        ValueError,
        RecursionError,
        MemoryError,
    ):  # ValueError: not UTF-8, not JSON, NaN, a NUL in the path
        raise InputError(
            f"{shown(str(folder))}: is not a run folder (no readable {DOCUMENT}); give a folder that `rpusim run` wrote"
        ) from None
    if not isinstance(document, dict):
        raise InputError(
            f"{shown(str(path))}: holds {_json_kind(document)}, but an object with schema {SCHEMA!r} is needed"
        )
    if document.get("schema") != SCHEMA:
        raise InputError(
            f"{shown(str(path))}: schema is {shown(written(document.get('schema')))}, but {SCHEMA!r} is needed"
        )
    return document


def _check_digests(folder: Path) -> None:
    """Refuse a run folder in which a file is not what was written, naming the file."""
    try:
        content = (folder / DIGESTS).read_bytes()[:_MOST_DIGESTS]
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{shown(str(folder / DIGESTS))}: cannot be read ({error.strerror})") from None
    lines, _, own = content.rpartition(b"# ")
    if own != hashlib.sha256(lines).hexdigest().encode() + b"\n":
        raise InputError(
            f"{shown(str(folder / DIGESTS))}: was altered or damaged after the run, so that nothing in the folder can "
            "be relied on; run it again"
        )
    for line in lines.decode("ascii").splitlines():
        expected, _, name = line.partition("  ")
        try:
            with (folder / name).open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise InputError(
                f"{shown(str(folder / name))}: cannot be read ({error.strerror}), but the run wrote it; run it again"
            ) from None
        if found != expected:
            raise InputError(
                f"{shown(str(folder / name))}: was altered or damaged after the run (its digest is not the one in "
                f"{DIGESTS}); run it again"
            )


def _writable(given: Path) -> Path:
    """Return the folder's whole path, if it is new, empty, or holds an earlier run and nothing besides."""
    try:
        folder = given.resolve()
        if folder == Path.cwd() or folder in Path.cwd().parents:
            raise InputError(f"--out: got {str(given)!r}, which is the current folder or around it; give one inside it")
        foreign = _foreign(folder)
        parent = next(p for p in folder.parents if p.exists())
        files.fresh_folder(parent).rmdir()
        if shutil.disk_usage(parent).free < LEAST_FREE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
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
        _document(folder)
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


def _arrays(arrays: dict[str, np.ndarray]) -> bytes:
    """Write as numpy's savez_compressed does, but without the time of day: the same arrays give the same bytes."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, values, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content.getvalue())
    return whole.getvalue()


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _json_kind(value: object) -> str:
    return {type(None): "null", list: "a list", str: "a string", bool: "true or false"}.get(type(value), "a number")

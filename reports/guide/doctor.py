"""What this machine has for rpusim: versions, cores, memory, kept loops, and which extras lack what."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from rpusim.reports.guide.accelerator import accelerator

_REQUIREMENT = re.compile(
    r"([A-Za-z0-9_.-]+)(?:\[[^]]*\])?\s*([^;]*?)\s*(?:;\s*(?:\(?[^()]*\)? and )?extra == ['\"](\w+)['\"])?"
)


def examined() -> dict[str, Any]:
    """Look at this machine.

    Returns a document: ``rpusim``, ``python`` and ``system`` (versions); ``cores`` that this process may use, and
    ``memory_bytes``; ``packages`` and ``extras`` (rows of name, wanted, found, ok); ``loops``: where compiled loops are
    kept, their bytes, and whether they can be written; ``accelerator``: as `accelerator.accelerator` says; ``ok``:
    nothing that is always needed is missing.
    """
    from rpusim.arch.contract.compiled_loops import folders_of_loops

    packages, extras = _packages()
    folders = folders_of_loops()
    return {
        "rpusim": version("rpusim"),
        "python": sys.version.split()[0],
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "packages": packages,
        "extras": extras,
        "loops": {
            "folder": str(folders[0].parent if len(folders) > 1 else folders[0]) if folders else None,
            "bytes": sum(path.stat().st_size for each in folders for path in each.rglob("*.nb[ic]")),
            "can_be_kept": all(os.access(each, os.W_OK) for each in folders) and bool(folders),
        },
        "accelerator": accelerator(),
        "ok": all(row["ok"] for row in packages),
    }


def _packages() -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """List what rpusim always needs, and what each extra does."""
    always: list[dict[str, Any]] = []
    extras: dict[str, list[dict[str, Any]]] = {}
    for requirement in requires("rpusim") or []:
        match = _REQUIREMENT.fullmatch(requirement)
        if match is None or match[1].lower() == "rpusim" or match[3] == "dev":
            continue
        row = _row(match[1], match[2])
        if match[3]:
            extras.setdefault(match[3], []).append(row)
        else:
            always.append(row)
    return always, extras


def _row(name: str, wanted: str) -> dict[str, Any]:
    try:
        found = version(name)
    except PackageNotFoundError:
        return {"name": name, "wanted": wanted, "found": None, "ok": False}
    least = wanted.removeprefix(">=") if wanted.startswith(">=") else ""
    return {"name": name, "wanted": wanted, "found": found, "ok": _numbers(found) >= _numbers(least)}


def _numbers(written: str) -> tuple[int, ...]:
    """Read the numbers at the beginning of a version: (2, 13, 0) of 2.13.0+cpu."""
    return tuple(int(each) for each in re.findall(r"\d+", written.partition("+")[0])[:3])

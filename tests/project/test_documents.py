"""What a document names is there: files and folders, modules and what they hold, and where its links lead."""

from __future__ import annotations

import re
import runpy
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"))]
)

A_PATH = re.compile(r"(?<![\w./-])(?:arch|kernels|workloads|reports|tests|docs)/[\w./*-]*")
A_NAME = re.compile(r"`(rpusim(?:\.\w+)+)")
A_MODULE_THAT_RUNS = re.compile(r"python -m (rpusim(?:\.\w+)+)")
AN_IMPORT = re.compile(r"^\s*from (rpusim[\w.]*) import ([\w, ]+)", flags=re.MULTILINE)
A_LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def paths(text: str) -> Iterator[str]:
    for found in A_PATH.findall(text):
        yield found.rstrip(".")


def names(text: str) -> Iterator[str]:
    yield from A_NAME.findall(text)
    yield from A_MODULE_THAT_RUNS.findall(text)
    for module, imported in AN_IMPORT.findall(text):
        yield from (f"{module}.{name.strip()}" for name in imported.split(","))


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something that a module holds."""
    *outer, last = name.split(".")
    try:
        import_module(name)
        return True
    except ModuleNotFoundError:
        pass
    thing: object = None
    for length in range(len(outer), 0, -1):
        try:
            thing = import_module(".".join(outer[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in [*outer[length:], last]:
            thing = getattr(thing, attribute, None)
        break
    return thing is not None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_in_a_document_exists(document: Path) -> None:
    for path in paths(document.read_text(encoding="utf-8")):
        found = any(ROOT.glob(path)) if "*" in path else (ROOT / path).exists()
        assert found, f"{document.name}: {path}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_name_of_the_package_in_a_document_resolves(document: Path) -> None:
    for name in names(document.read_text(encoding="utf-8")):
        assert resolves(name), f"{document.name}: {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_between_documents_lead_somewhere(document: Path) -> None:
    for target in A_LINK.findall(document.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (document.parent / target).exists(), f"{document.name}: {target}"


def test_names_and_paths_that_are_not_there_are_found() -> None:
    """The checks above would notice."""
    assert list(paths("in `arch/engine/fast.py`, and (docs/x.md).")) == ["arch/engine/fast.py", "docs/x.md"]
    text = "`rpusim.place(module)` and\n    python -m rpusim.workloads.learning\n    from rpusim.arch import a, b\n"
    assert list(names(text)) == ["rpusim.place", "rpusim.workloads.learning", "rpusim.arch.a", "rpusim.arch.b"]
    assert resolves("rpusim.errors.InputError") and not resolves("rpusim.errors.OutputError")
    assert resolves("rpusim.errors") and not resolves("rpusim.nowhere.errors")


def test_the_table_of_imports_is_the_one_that_is_tested() -> None:
    layout = runpy.run_path(str(ROOT / "tests" / "project" / "test_layout.py"))
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^\| `([a-z_.]+)` \| (.*) \|$", text, flags=re.MULTILINE))
    rooms = {room: set(allowed.split()) for room, allowed in layout["ROOMS"].items() if room != "errors"}
    assert {room: set(re.findall(r"`([a-z_.]+)`", others)) for room, others in said.items()} == rooms

"""The site of the documents: its navigation, its generated pages, and how docstrings and links become its own."""

from __future__ import annotations

import json
import runpy
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

import rpusim

ROOT = Path(__file__).parents[2]
HOOKS = runpy.run_path(str(ROOT / "docs" / "making" / "hooks.py"))
DOCSTRINGS = runpy.run_path(str(ROOT / "docs" / "making" / "docstrings.py"))
SITE = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def pages(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    for inner in nav if isinstance(nav, list) else nav.values() if isinstance(nav, dict) else ():
        yield from pages(inner)


def test_the_navigation_names_every_page_once_and_only_those_that_are_there() -> None:
    docs = ROOT / "docs"
    there = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")} | set(HOOKS["generated"]())
    named = list(pages(SITE["nav"]))
    assert len(named) == len(set(named)) and set(named) == there


def test_nothing_is_fetched_when_a_page_is_looked_at() -> None:
    assert SITE["theme"]["font"] is False
    for key in ("extra_css", "extra_javascript"):
        for path in SITE.get(key, []):
            assert (ROOT / "docs" / path).is_file(), path


def test_the_reference_has_every_public_name_once() -> None:
    homes = HOOKS["homes"]((ROOT / "__init__.py").read_text(encoding="utf-8"))
    assert sorted(homes) == sorted(rpusim.__all__)
    text = "".join(HOOKS["api_pages"](homes).values())
    for name, module in homes.items():
        assert text.count(f"::: {module}.{name}\n") == 1
    with pytest.raises(ValueError, match="other is on no page"):
        HOOKS["api_pages"]({"x": "other"})


def test_the_page_of_what_ships_has_all_of_it() -> None:
    catalogue = json.loads((ROOT / "reports" / "cli" / "catalogue.json").read_text(encoding="utf-8"))
    page = HOOKS["presets_page"](catalogue)
    for kind, entries in catalogue.items():
        assert f"## {kind.capitalize()}\n" in page
        assert all(f"| `{entry['name']}` |" in page for entry in entries)


@pytest.mark.parametrize(
    ("page", "link", "found"),
    [
        ("index.md", "[a](docs/wires.md#x)", "[a](wires.md#x)"),
        ("index.md", "![a](docs/report.png)", "![a](report.png)"),
        ("index.md", "[a](LICENSE)", "a"),
        ("how-it-works.md", "[a](../CONTRIBUTING.md)", "[a](contributing.md)"),
        ("learning.md", "[`a.py`](../workloads/studies/learning.py)", "`a.py`"),
        ("tutorials/architect.md", "[a](../study.md), [b](https://b.org)", "[a](../study.md), [b](https://b.org)"),
        ("contributing.md", "[a](#here)", "[a](#here)"),
    ],
)
def test_links_lead_to_pages_of_the_site_or_become_words(page: str, link: str, found: str) -> None:
    assert HOOKS["linked"](link, page) == found


def test_lines_of_names_in_a_docstring_become_a_list_and_nothing_else_does() -> None:
    listed = DOCSTRINGS["listed"]
    text = "Do it: now.\n\nseed:   of the noise,\n        from 0 on.\na, b:  two.\n\nRaises: never."
    assert listed(text) == "Do it: now.\n\n* **seed**: of the noise, from 0 on.\n* **a, b**: two.\n\nRaises: never."
    assert listed(DOCSTRINGS["__doc__"]) == DOCSTRINGS["__doc__"]

"""The notebooks in docs run, show tables and drawings, and say nothing of the machine they ran on."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MAKING = runpy.run_path(str(ROOT / "docs" / "making" / "notebooks.py"))
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))
SLOW = ("own-device",)
"""Those that learn for minutes."""


def shown(notebook: dict[str, Any], kind: str) -> int:
    """How many outputs of a notebook have a form."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return sum(kind in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=[pytest.mark.slow] if path.stem in SLOW else [], id=path.stem) for path in NOTEBOOKS],
)
def test_a_notebook_runs_and_shows_what_is_stored_in_it(path: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    stored = MAKING["load"](path)
    done = MAKING["run"](stored)
    for kind in ("text/html", "image/svg+xml"):
        assert shown(done, kind) == shown(stored, kind)
    assert shown(done, "text/html") > 0
    assert any("<svg" in text for text in _texts(done))


def _texts(notebook: dict[str, Any]) -> list[str]:
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", [])]
    return ["".join(text) for output in outputs for text in output.get("data", {"": output.get("text", "")}).values()]


def test_there_are_four_and_they_are_short() -> None:
    assert [path.stem for path in NOTEBOOKS] == ["a-study", "own-chip", "own-device", "own-loop"]
    for path in NOTEBOOKS:
        cells = MAKING["load"](path)["cells"]
        assert sum(len(cell["source"]) for cell in cells) < 80 and len(cells) < 16
        assert path.stat().st_size < 200_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_one_and_says_nothing_of_a_machine(path: Path) -> None:
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for text in _texts(notebook):
        assert not re.search(r"/(?:tmp|home|root|work|usr|Users)/", text)


def test_a_page_of_the_site_has_the_code_and_what_it_shows() -> None:
    for path in NOTEBOOKS:
        notebook = MAKING["load"](path)
        page = MAKING["page"](notebook, path.name)
        assert page.count("```python") == sum(cell["cell_type"] == "code" for cell in notebook["cells"])
        assert "<svg" in page and page.rstrip().endswith("to be run and changed.")
        assert all(line.endswith("</div>") for line in page.splitlines() if line.startswith('<div class="shown">'))

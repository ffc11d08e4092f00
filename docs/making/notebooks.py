"""Run the notebooks in docs/notebooks, and make pages of them.

    python docs/making/notebooks.py        runs every cell and stores what it shows; nothing but rpusim is needed

A notebook's cells run one after the other in a folder of their own that is empty, and in one process. What the last
line of a cell is worth is shown as Jupyter would: as HTML or SVG where it has that, else as text; so is what was
printed.
"""

from __future__ import annotations

import ast
import io
import json
import os
import sys
import tempfile
from contextlib import redirect_stdout
from html import escape
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
WAYS = {"text/html": "_repr_html_", "image/svg+xml": "_repr_svg_"}
"""How a value shows itself, the best first."""


def load(path: Path) -> dict[str, Any]:
    """Read a notebook."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def source(cell: dict[str, Any]) -> str:
    """Return the text of a cell."""
    return "".join(cell["source"])


def run(notebook: dict[str, Any]) -> dict[str, Any]:
    """Run all cells here, in the working folder, and return the notebook with what they show."""
    names: dict[str, Any] = {"__name__": "__main__"}
    cells, number = [], 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            cells.append(cell)
            continue
        number += 1
        cells.append(cell | {"execution_count": number, "outputs": _outputs(source(cell), names, number)})
    return notebook | {"cells": cells}


def _outputs(code: str, names: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Run a cell, and return what it shows: what was printed, and the value of its last line."""
    body, last, value = ast.parse(code), None, None
    if body.body and isinstance(body.body[-1], ast.Expr):
        last = ast.Expression(body.body.pop().value)  # type: ignore[attr-defined]
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(body, f"cell {number}", "exec"), names)
        if last is not None:
            value = eval(compile(last, f"cell {number}", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": _lines(printed.getvalue())})
    if value is not None:
        shown = {kind: _lines(getattr(value, way)()) for kind, way in WAYS.items() if hasattr(value, way)}
        data = shown | {"text/plain": _lines(str(value))}
        outputs.append({"output_type": "execute_result", "execution_count": number, "metadata": {}, "data": data})
    return outputs


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def page(notebook: dict[str, Any], name: str) -> str:
    """Write a notebook as a page of the site; name: of its file, which the page leads to."""
    parts = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            parts.append(source(cell))
            continue
        parts.append(f"```python\n{source(cell)}\n```")
        parts += [_shown(output) for output in cell["outputs"]]
    parts.append(f"[This page as a notebook]({name}), to be run and changed.")
    return "\n\n".join(parts) + "\n"


def _shown(output: dict[str, Any]) -> str:
    """Write an output in a line of HTML, which Markdown leaves alone."""
    if output["output_type"] == "stream":
        return _preformatted("".join(output["text"]))
    kind = next((kind for kind in WAYS if kind in output["data"]), None)
    if kind is None:
        return _preformatted("".join(output["data"]["text/plain"]))
    inside = " ".join(line.strip() for line in "".join(output["data"][kind]).splitlines())
    return f'<div class="shown">{inside}</div>'


def _preformatted(text: str) -> str:
    lines = escape(text.rstrip()).replace("\n", "&#10;")
    return f'<div class="shown"><pre>{lines}</pre></div>'


def main() -> None:
    """Run all notebooks, and write what their cells show into them."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        done, before = load(path), os.getcwd()
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            try:
                done = run(done)
            finally:
                os.chdir(before)
        path.write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(path.name, file=sys.stderr)


if __name__ == "__main__":
    main()

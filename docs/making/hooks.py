"""What `make docs` adds to the pages in docs: pages that follow from other files, and links that lead outside of docs.

    index.md, contributing.md, changelog.md    the README and its neighbours
    presets.md                                 what ships, from reports/cli/catalogue.json
    api-*.md                                   the names of `rpusim.__all__`, by what they are for
    notebooks/*.md                             the notebooks in docs/notebooks, with what their cells show

MkDocs calls `on_files` and `on_page_markdown`; everything else is plain text in, plain text out.
"""

from __future__ import annotations

import ast
import json
import posixpath
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TOP = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
"""Files beside docs that are pages of the site, and their names there."""
API = {
    "api-runs.md": ("Runs and studies", ("rpusim.workloads", "rpusim.reports")),
    "api-torch.md": ("The torch way", ("rpusim.kernels", "rpusim.workloads.runs.placed", "rpusim.workloads.capture")),
    "api-inference.md": ("Inference", ("rpusim.kernels.inference", "rpusim.workloads.waterfall")),
    "api-values.md": ("Chips, results and errors", ("rpusim.arch", "rpusim.errors", "rpusim.workloads.results")),
}
"""Pages of the reference: title, and from which modules names come; the longest beginning of a module's name counts."""
_LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


def generated() -> dict[str, str]:
    """Return the pages that are not files in docs: text by name."""
    pages = {page: (ROOT / source).read_text(encoding="utf-8") for source, page in TOP.items()}
    pages["presets.md"] = presets_page(json.loads((ROOT / "reports/cli/catalogue.json").read_text(encoding="utf-8")))
    notebooks = runpy.run_path(str(Path(__file__).with_name("notebooks.py")))
    for path in sorted(notebooks["FOLDER"].glob("*.ipynb")):
        pages[f"notebooks/{path.stem}.md"] = notebooks["page"](notebooks["load"](path), path.name)
    return pages | api_pages(homes((ROOT / "__init__.py").read_text(encoding="utf-8")))


def homes(source: str) -> dict[str, str]:
    """Read from the text of `rpusim/__init__.py` where each public name comes from: module by name."""
    values = {
        target.id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name) and target.id in ("_HOMES", "__all__")
    }
    return {name: values["_HOMES"][name] for name in values["__all__"]}


def api_pages(homes: Mapping[str, str]) -> dict[str, str]:
    """Write the pages of the reference, from which mkdocstrings makes signatures and docstrings."""
    names: dict[str, list[str]] = {page: [] for page in API}
    for name, module in sorted(homes.items(), key=lambda each: each[0].lower()):
        names[_page_of(module)].append(name)
    return {
        page: f"# {title}\n\n" + "".join(f"::: {homes[name]}.{name}\n\n" for name in names[page])
        for page, (title, _) in API.items()
    }


def _page_of(module: str) -> str:
    fitting = [
        (len(beginning), page)
        for page, (_, beginnings) in API.items()
        for beginning in beginnings
        if f"{module}.".startswith(f"{beginning}.")
    ]
    if not fitting:
        raise ValueError(f"{module} is on no page of the reference; give it one in API of docs/making/hooks.py")
    return max(fitting)[1]


def presets_page(catalogue: Mapping[str, list[dict[str, str]]]) -> str:
    """Write the page of what ships: a table for each kind."""
    parts = [
        "# What ships\n\n    rpusim presets          # this list\n"
        "    rpusim presets cards    # one kind, with sources\n\n"
        "Each name can be given wherever one of its kind is asked for.\n"
    ]
    for kind, entries in catalogue.items():
        parts.append(f"\n## {kind.capitalize()}\n\n| name | what it is | source |\n|---|---|---|\n")
        parts += [f"| `{each['name']}` | {_cell(each['title'])} | {_cell(each['source'])} |\n" for each in entries]
    return "".join(parts)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("<", "&lt;")


def linked(markdown: str, page: str) -> str:
    """Turn links of a page as it lies in the repository into those of the site.

    markdown:  text of the page.
    page:      its path on the site, such as tutorials/architect.md.

    Links to pages stay links; those to other files of the repository, which the site does not have, become their words.
    """
    top = next((source for source, name in TOP.items() if name == page), None)
    folder = posixpath.dirname(top or f"docs/{page}")

    def link(found: re.Match[str]) -> str:
        picture, words, target = found.groups()
        path, hash_sign, anchor = target.partition("#")
        if not path or "://" in target:
            return found[0]
        there = posixpath.normpath(posixpath.join(folder, path))
        there = TOP.get(there) or (there.removeprefix("docs/") if there.startswith("docs/") else "")
        if not there:
            return words
        return f"{picture}[{words}]({posixpath.relpath(there, posixpath.dirname(page) or '.')}{hash_sign}{anchor})"

    return _LINK.sub(link, markdown)


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages (called by MkDocs)."""
    from mkdocs.structure.files import File  # only where the site is built

    for name, text in generated().items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn the links of a page (called by MkDocs)."""
    return linked(markdown, page.file.src_uri)

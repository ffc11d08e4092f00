"""The house rules that an import could break."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ALLOWED = {
    "arch": {"rpusim.arch", "rpusim.errors"},
    "kernels": {"rpusim.kernels", "rpusim.errors", "rpusim.arch.activity"},
    "workloads": {"rpusim.workloads", "rpusim.arch", "rpusim.kernels", "rpusim.errors"},
    "reports": {"rpusim.reports", "rpusim.workloads", "rpusim.arch", "rpusim.kernels", "rpusim.errors", "rpusim"},
}
"""Imports point one way: reports -> workloads -> arch and kernels; kernels know only the Activity of arch."""

FORBIDDEN = {
    "arch": {"torch"},
    "kernels": {"simpy", "networkx", "pydantic"},
    "workloads": set(),
    "reports": set(),
}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= (
                {f"{node.module}.{alias.name}" for alias in node.names}
                if node.module == "rpusim"
                else {node.module or ""}
            )
            if node.module in ("rpusim.arch", "rpusim.kernels", "rpusim.workloads"):
                names |= {f"{node.module}.{alias.name}" for alias in node.names}
                names.discard(node.module)
    return names


@pytest.mark.parametrize("folder", ALLOWED)
def test_imports_point_one_way(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        for name in imported(path):
            top = name.split(".")[0]
            assert top not in {"arch", "kernels", "workloads", "reports"}, f"{path} imports {name} without rpusim."
            assert top not in FORBIDDEN[folder], f"{path} imports {name}"
            if top == "rpusim":
                inside = any(name == allowed or name.startswith(f"{allowed}.") for allowed in ALLOWED[folder])
                assert inside, f"{path} imports {name}; {folder} may import {sorted(ALLOWED[folder])}"


def fresh(code: str) -> str:
    """What a new interpreter in another folder prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd="/", check=True)
    return done.stdout.strip()


def test_the_facade_offers_its_names_and_nothing_becomes_a_top_level_module() -> None:
    code = (
        "import sys, rpusim; [getattr(rpusim, name) for name in rpusim.__all__]; "
        "print(sorted({'arch', 'kernels', 'workloads', 'reports'} & set(sys.modules)), len(rpusim.__all__))"
    )
    assert fresh(code).startswith("[] ")


def test_importing_rpusim_does_not_import_torch_or_numba() -> None:
    assert fresh("import sys, rpusim; print('torch' in sys.modules, 'numba' in sys.modules)") == "False False"


def test_arch_runs_without_torch() -> None:
    code = "import sys, rpusim.arch.schedule, rpusim.arch.ledger, rpusim.arch.chip; print('torch' in sys.modules)"
    assert fresh(code) == "False"


def test_kernels_run_without_simpy() -> None:
    assert fresh("import sys, rpusim.kernels; print('simpy' in sys.modules)") == "False"

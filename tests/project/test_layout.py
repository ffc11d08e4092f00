"""The house rules that an import could break: one way between the rooms, and what a room never loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ROOMS: dict[str, str] = {
    "errors": "",
    "arch.contract": "",
    "arch.parts": "arch.contract",
    "arch.network": "arch.contract arch.parts",
    "arch.chips": "arch.contract arch.parts",
    "arch.mapping": "arch.contract arch.network arch.chips",
    "arch.engine": "arch.contract",
    "arch.schedule": "arch.contract arch.parts arch.network arch.chips arch.mapping arch.engine",
    "arch.account": "arch.contract arch.parts arch.chips arch.mapping arch.engine arch.schedule",
    "arch.choice": "arch.contract arch.network arch.chips arch.mapping arch.schedule",
    "arch.analysis": "arch.contract arch.engine arch.schedule arch.account",
    "kernels.base": "arch.contract",
    "kernels.devices": "arch.contract kernels.base",
    "kernels.pulses": "arch.contract kernels.base kernels.devices",
    "kernels.triton": "arch.contract kernels.base kernels.devices kernels.pulses",
    "kernels.mvm": "arch.contract kernels.base kernels.triton",
    "kernels.arrays": "arch.contract kernels.base kernels.devices kernels.pulses kernels.mvm kernels.triton",
    "kernels.cells": "arch.contract kernels.base kernels.devices kernels.pulses kernels.mvm kernels.arrays",
    "kernels.tiles": (
        "arch.contract kernels.base kernels.devices kernels.pulses kernels.mvm kernels.arrays kernels.cells"
    ),
    "kernels.layers": "arch.contract kernels.base kernels.mvm kernels.tiles",
    "kernels.step": (
        "arch.contract kernels.base kernels.devices kernels.pulses kernels.mvm kernels.arrays kernels.cells "
        "kernels.tiles kernels.layers"
    ),
    "kernels.inference": "arch.contract kernels.base kernels.mvm kernels.tiles",
    "workloads.zoo": "arch.contract",
    "workloads.data": "arch.contract",
    "workloads.capture": "arch.parts arch.network kernels.layers",
    "workloads.cells": "arch.contract arch.chips arch.mapping kernels",
    "workloads.results": (
        "arch.contract arch.network arch.chips arch.mapping arch.engine arch.schedule arch.account arch.choice"
    ),
    "workloads.compare": "workloads.results",
    "workloads.clock": "arch kernels workloads.cells workloads.results",
    "workloads.waterfall": "arch.contract kernels workloads.results",
    "workloads.runs": (
        "arch kernels workloads.zoo workloads.data workloads.capture workloads.cells workloads.results workloads.clock "
        "workloads.waterfall"
    ),
    "workloads.explore": "arch workloads.cells workloads.results workloads.runs",
    "workloads.fit": "arch.contract kernels.devices workloads.cells workloads.results",
    "workloads.learn": (
        "arch kernels workloads.zoo workloads.data workloads.cells workloads.results workloads.runs workloads.explore"
    ),
    "workloads.studies": (
        "arch kernels workloads.zoo workloads.data workloads.capture workloads.cells workloads.results "
        "workloads.clock workloads.runs workloads.fit"
    ),
    "workloads.benchmarks": (
        "arch kernels workloads.zoo workloads.data workloads.capture workloads.cells workloads.clock workloads.runs"
    ),
    "reports.words": "",
    "reports.trace": "arch.contract arch.engine arch.analysis reports.words workloads.results",
    "reports.page": "arch.contract reports.words reports.trace workloads.results",
    "reports.study_page": "reports.words reports.page workloads.explore workloads.results",
    "reports.curves": "arch.contract kernels.devices workloads.cells reports.words reports.page",
    "reports.fit_page": "reports.words reports.page workloads.fit workloads.results",
    "reports.learn_page": "reports.words reports.page reports.study_page workloads.learn workloads.results",
    "reports.guide": "arch kernels workloads.cells workloads.results workloads.runs workloads.explore",
    "reports.cli": "arch kernels workloads reports",
}
"""What each room may import beside itself and `rpusim.errors`, rooms or whole floors; none imports a room below it."""

FACADES = {"": "reports workloads arch kernels", "kernels": "kernels", "reports": "reports workloads"}
"""The packages whose ``__init__`` gathers what their rooms offer, for users."""

FORBIDDEN = {
    "arch": {"torch"},
    "kernels": {"simpy", "networkx", "pydantic"},
    "workloads": set(),
    "reports": set(),
}


def modules() -> dict[str, Path]:
    """Every module of the package by its name without ``rpusim.``."""
    found = {}
    for floor in FORBIDDEN:
        for path in (ROOT / floor).rglob("*.py"):
            found[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def imported(path: Path) -> set[str]:
    """Modules that a file imports, anywhere in it; names of the package without ``rpusim.``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: relative import"
            for alias in node.names:
                inside = f"{node.module}.{alias.name}"
                names.add(inside if inside.removeprefix("rpusim.") in MODULES else node.module)
    return names


def room_of(name: str) -> str:
    """The room of a module, such as arch.engine; a floor's own ``__init__`` is the floor."""
    return ".".join(name.split(".")[:2])


def may(room: str, name: str) -> bool:
    allowed = ["errors", room, *ROOMS[room].split()]
    return any(name == each or name.startswith(f"{each}.") for each in allowed)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    for module, path in MODULES.items():
        if room_of(module) != room:
            continue
        for name in imported(path):
            top, _, rest = name.partition(".")
            assert top not in FORBIDDEN, f"{path} imports {name} without rpusim."
            assert top not in FORBIDDEN[room.split(".")[0]], f"{path} imports {name}"
            if top == "rpusim":
                assert may(room, rest), f"{path} imports {rest}; {room} may import {ROOMS[room] or 'nothing'}"


def test_every_module_is_in_a_room_or_is_a_facade() -> None:
    assert {room_of(name) for name in MODULES} == (ROOMS.keys() - {"errors"}) | FORBIDDEN.keys()
    for floor in FORBIDDEN:
        for name in imported(MODULES[floor]):
            if name.startswith("rpusim."):
                inside = name.removeprefix("rpusim.").split(".")[0]
                assert inside in ("errors", *FACADES.get(floor, "").split()), f"{floor}/__init__.py imports {name}"


def test_no_room_imports_one_that_comes_after_it() -> None:
    order = list(ROOMS)
    for room, allowed in ROOMS.items():
        for other in allowed.split():
            first = next(i for i, name in enumerate(order) if name == other or name.startswith(f"{other}."))
            assert first < order.index(room), f"{room} may import {other}, which comes after it"


def test_no_module_is_renamed_when_it_is_imported() -> None:
    """A name that needs an alias is not a good name; numpy, torch's functional and networkx have theirs by custom."""
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rpusim"):
                assert not any(alias.asname for alias in node.names), f"{path}: {ast.unparse(node)}"


def test_modules_import_each_other_in_no_circle() -> None:
    """Imports for types and those inside functions count as well."""
    left = {
        name: {n.removeprefix("rpusim.") for n in imported(path)} & MODULES.keys() - {name}
        for name, path in MODULES.items()
        if path.name != "__init__.py"
    }
    left = {name: others & left.keys() for name, others in left.items()}
    while free := {name for name, others in left.items() if not others & left.keys()}:
        left = {name: others for name, others in left.items() if name not in free}
    assert not left, f"these go in circles: {sorted(left)}"


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


@pytest.mark.parametrize(
    ("floor", "never"), [("arch", "torch"), ("kernels", "simpy")], ids=["arch-without-torch", "kernels-without-simpy"]
)
def test_a_floor_runs_without(floor: str, never: str) -> None:
    # Triton is an extra, without which nobody imports its kernels.
    kernels_of_triton = "kernels.triton." if find_spec("triton") is None else "none"
    inside = ", ".join(
        f"rpusim.{name}" for name in MODULES if name.split(".")[0] == floor and not name.startswith(kernels_of_triton)
    )
    assert fresh(f"import sys, {inside}; print({never!r} in sys.modules)") == "False"


def test_git_ignores_no_module_and_archives_leave_none_out() -> None:
    """Archives leave out what git ignores; `runs/` for the runs of a user once took the room workloads/runs along."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: there is no git to ask")
    inside = [str(path.relative_to(ROOT)) for path in MODULES.values()]
    asked = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        input="\n".join(inside),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (asked.stdout, asked.stderr) == ("", "")

"""Read published figures from ``figures/``: a YAML file per kind of work, groups of rows that share what they can.

A group's own fields are those of `Figure` that all its rows have; ``rows`` has the rest by the name of each row. The
file ``known_misses.yaml`` has the account of every prediction that is known to miss, by "group/row".
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rpusim.arch.contract.configuration import parse, read_yaml
from rpusim.errors import InputError, nearest
from rpusim.workloads.studies.published.case import Figure

FOLDER = Path(__file__).parent / "figures"
MISSES = FOLDER / "known_misses.yaml"


@cache
def figures(folder: Path = FOLDER) -> dict[str, Figure]:
    """Read every published figure of a folder, by "group/row", in the order of the files.

    Raises `InputError` for a figure that lacks a field, or has one in other words than `Figure` accepts.
    """
    found: dict[str, Figure] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name == MISSES.name:
            continue
        for group, fields in read_yaml(path).items():
            common = {name: value for name, value in fields.items() if name != "rows"}
            for row, own in fields["rows"].items():
                name = f"{group}/{row}"
                if name in found:
                    raise InputError(f"{path.name}: {name} is there twice; every row needs a name of its own")
                found[name] = parse(Figure, {**common, **own}, f"{path.name}: {name}")
    return found


def known_misses(path: Path = MISSES, folder: Path = FOLDER) -> dict[str, str]:
    """Read the accounts of predictions that are known to miss, by "group/row".

    Raises `InputError` for a row that is not there, for one that is no prediction, and for an account of less than 20
    characters, which explains nothing.
    """
    known = figures(folder)
    accounts: dict[str, str] = {}
    for name, account in read_yaml(path).items():
        if name not in known:
            raise InputError(f"{path.name}: {name} is no row{nearest(name, known)}")
        if known[name].kind != "prediction":
            raise InputError(f"{path.name}: {name} is {known[name].kind}; only a prediction may be a known miss")
        if not isinstance(account, str) or len(account) < 20:
            raise InputError(f"{path.name}: {name}: got {account!r}, but an account of one or two sentences is needed")
        accounts[name] = account
    return accounts

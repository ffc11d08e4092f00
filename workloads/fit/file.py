"""The YAML file of a fitted device: its model and parameters, with where they come from, and no date."""

from __future__ import annotations

from typing import Any

import yaml

_NUMBER = "{:.6g}"


def fields(document: dict[str, Any]) -> dict[str, Any]:
    """Return what the file of a fitted device holds. document: of `rpusim.workloads.fit.fit.fit`."""
    row = next(each for each in document["models"] if each["model"] == document["model"])
    parameters: dict[str, Any] = {}
    for name, figure in row["parameters"].items():
        if "[" in name:
            parameters.setdefault(name.partition("[")[0], []).append(_round(figure["value"]))
        else:
            parameters[name] = _round(figure["value"])
    file = document["file"]
    devices = f"{document['devices']} device{'s' if document['devices'] > 1 else ''}"
    return {
        "model": row["model"],
        "title": f"{row['model']}, fitted to {document['pulses']:,} pulses of {devices}",
        "source": f"fit of {file['name']} (SHA-256 {file['sha256'][:16]}), {devices}, by rpusim",
        **parameters,
        **row["fixed"],
        "fit": {
            "file": file["name"],
            "sha256": file["sha256"],
            "rows": file["rows"],
            "unit": file["unit"],
            "reference_S": _round(document["mapping"]["reference_S"]),
            "unit_S": _round(document["mapping"]["unit_S"]),
            "mapping": document["mapping"]["sentence"],
            "justified": document["why"],
            "intervals_95": {
                name: [None if figure[end] is None else _round(figure[end]) for end in ("low", "high")]
                for name, figure in row["parameters"].items()
            },
            "not_seen": row["unseen"],
            "versions": document["versions"],
        },
    }


def text(document: dict[str, Any]) -> str:
    """Write the file of a fitted device as YAML."""
    head = (
        "# A device for rpusim: give this file wherever a device is named (--device, model: in a file).\n"
        "# Weights have no unit; what a weight is in siemens stands under fit.\n"
    )
    return head + yaml.safe_dump(fields(document), sort_keys=False, allow_unicode=True, width=110)


def _round(value: float) -> float:
    return float(_NUMBER.format(value))

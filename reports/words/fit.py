"""What a fit has to say, in words and tables, for the terminal and for its page."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]
_UNITS = (("S", 1.0), ("mS", 1e-3), ("uS", 1e-6), ("nS", 1e-9), ("pS", 1e-12), ("fS", 1e-15))


def chosen(document: Document) -> Document:
    """Return the row of the model that was taken."""
    found: Document = next(row for row in document["models"] if row["model"] == document["model"])
    return found


def title(document: Document) -> str:
    """Name the fit."""
    return f"{document['file']['name']}: {document['model']}"


def subtitle(document: Document) -> str:
    """Say what was measured."""
    file = document["file"]
    number = f"{document['devices']} device{'s' if document['devices'] > 1 else ''}"
    return (
        f"{number}, {document['traces']} curves, {document['pulses']:,} pulses, {document['readings']:,} readings in "
        f"{file['unit']} ({file['layout']} table of {file['rows']:,} rows, SHA-256 {file['sha256'][:16]})"
    )


def siemens(value: float) -> str:
    """Write a conductance with a fitting prefix.

    >>> siemens(2.75e-05)
    '27.5 uS'
    """
    unit, scale = next(((u, s) for u, s in _UNITS if abs(value) >= s), _UNITS[-1])
    return f"{value / scale:.4g} {unit}"


def mapping(document: Document) -> str:
    """Say what a weight is in conductance."""
    found = document["mapping"]
    low, high = (found["reference_S"] + sign * found["unit_S"] for sign in (-1, 1))
    return (
        f"Weight 0 is {siemens(found['reference_S'])}, and a weight of 1 is {siemens(found['unit_S'])} more: -1 to 1 "
        f"is {siemens(low)} to {siemens(high)}."
    )


def headlines(document: Document) -> list[tuple[str, str, str]]:
    """Give the key figures as label, value and note."""
    row = chosen(document)
    p, point = row["parameters"], row.get("symmetry_point")
    found = [
        ("states", f"{row['states']:.3g}", "mean steps between the bounds"),
        ("asymmetry", f"{100 * row['asymmetry']:+.0f} %", "(up - down) / (up + down) at weight 0"),
        (
            "noise of a pulse",
            f"{100 * p['dw_min_std']['value']:.3g} %",
            f"of its step; {interval(p['dw_min_std'], 100)}",
        ),
    ]
    if point is None:
        return [*found, ("symmetry point", "none", "up and down steps are nowhere equal")]
    spread = f", spread {point['spread']['value']:.2g}" if point["devices"] > 1 else ""
    return [*found, ("symmetry point", f"{point['value']:+.3f}", f"{interval(point)}{spread}")]


def interval(figure: Document, factor: float = 1.0) -> str:
    """Write a 95 % interval: "0.01 to 0.02"; "not known" where an end is open."""
    if figure["low"] is None or figure["high"] is None:
        return "not known"
    return f"{factor * figure['low']:.4g} to {factor * figure['high']:.4g}"


def parameters(document: Document) -> list[tuple[str, str, str]]:
    """List the parameters of the device that was taken, with their intervals."""
    found = chosen(document)["parameters"]
    return [(name, f"{figure['value']:.4g}", interval(figure)) for name, figure in found.items()]


def models(document: Document) -> Document:
    """Tabulate the models, the one that is justified first."""
    best = document["models"][0]
    rows = [
        (
            row["model"],
            str(row["fitted_parameters"]),
            f"{row['bic'] - best['bic']:+,.0f}",
            "" if row["aicc"] is None or best["aicc"] is None else f"{row['aicc'] - best['aicc']:+,.0f}",
            f"{row['residual']['curve']:.2g}" if "curve" in row["residual"] else "",
            f"{row['correlation']:+.2f}",
            f"{row['states']:.3g}",
            f"{row['symmetry_point']['value']:+.3f}" if "symmetry_point" in row else "none",
        )
        for row in document["models"]
    ]
    headings = ("model", "parameters", "BIC", "AICc", "residual", "correlation", "states", "symmetry point")
    return {"headings": headings, "rows": rows}


def cells(document: Document) -> Document:
    """Tabulate the measured devices."""
    rows = []
    for row in document["cells"]:
        point = "none"
        if "symmetry_point" in row:
            point = f"{row['symmetry_point']:+.3f} ± {row['symmetry_point_error']:.2g}"
        ends = [siemens(row["middle_S"] + sign * row["half_range_S"]) for sign in (-1, 1)]
        rows.append((row["device"], str(row["traces"]), f"{row['pulses']:,}", " to ".join(ends), point))
    return {"headings": ("device", "curves", "pulses", "range", "symmetry point"), "rows": rows}


def notes(document: Document) -> list[str]:
    """Say what the data do not show, and what was left out."""
    found = [f"{sentence[0].upper()}{sentence[1:]}." for sentence in chosen(document)["unseen"]]
    if document["file"]["columns_left_out"]:
        found.append(f"Columns left out: {', '.join(document['file']['columns_left_out'])}.")
    if document["model"] != document["justified"]:
        found.append(f"{document['model']} was asked for; the readings justify {document['justified']}.")
    found += [f"{model} was left out: {why}." for model, why in document["failed"].items()]
    return found

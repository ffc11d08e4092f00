"""What a paper says, beside what the study of it finds: a figure of some runs, or how that of others differs.

A claim is of a figure of one configuration, of that figure less another configuration's (run by run, seed by seed), or
of it over another's. Its interval is Student's over the seeds; at one seed an error has Wilson's, and a difference of
two errors none, so that it is said to be of one seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from rpusim.arch.contract.sourced import Frozen, Several
from rpusim.errors import nearest
from rpusim.workloads.results import intervals
from rpusim.workloads.results.agreement import PASSING, accepted, verdict
from rpusim.workloads.results.measures import MEASURES

_UNITS = {"%": 100.0}
_KEPT = (
    *("case", "provenance", "published", "simulated", "low", "high", "seeds", "unit", "tolerance", "lowest", "highest"),
    *("note", "verdict", "passes"),
)
"""What a row of a validation has of a claim as it is."""


def _known(name: str) -> str:
    if name not in MEASURES:
        raise ValueError(f"got {name!r}{nearest(name, MEASURES)}")
    return name


def _understood(tolerance: str) -> str:
    accepted(1.0, tolerance)
    return tolerance


class Paper(Frozen):
    """The paper that a study is of.

    source:   where it was published.
    did:      what it did, in a sentence or two.
    differs:  what is otherwise here, and why, a sentence each.
    """

    source: str
    did: str
    differs: Annotated[tuple[str, ...], Several] = ()


class Claim(Frozen):
    """A published figure, and which runs give ours.

    case:        what it is of.
    of:          the configuration, by the settings that name it; all others that a study varies may be left out if only
                 one configuration has these.
    minus:       the configuration whose figure is taken off, seed by seed.
    over:        the configuration by whose figure it is divided, seed by seed.
    figure:      which one, of `MEASURES`.
    published:   what the paper has.
    unit:        of it: "%", or "" for the figure in its SI unit, or a ratio.
    tolerance:   what counts as agreement, see `rpusim.workloads.results.agreement.accepted`; from before it was
                 simulated.
    provenance:  how well it is known: "seen" in the paper, "secondary" in a text about it, from "memory", or "derived".
    full_data:   whether it is of the paper's data, so that it is not graded on those that ship.
    note:        what else is to be said.
    miss:        the account of a figure that is known not to agree; empty: it has to.
    """

    case: str
    of: dict[str, Any]
    minus: dict[str, Any] | None = None
    over: dict[str, Any] | None = None
    figure: Annotated[str, AfterValidator(_known)] = "error"
    published: float
    unit: Literal["%", ""] = "%"
    tolerance: Annotated[str, AfterValidator(_understood)]
    provenance: Literal["seen", "secondary", "memory", "derived"]
    full_data: bool = False
    note: str = ""
    miss: str = Field(default="", max_length=600)

    @model_validator(mode="after")
    def _one_of_them(self) -> Claim:
        if self.minus is not None and self.over is not None:
            raise ValueError("got minus and over; give one of the two")
        return self

    def configurations(self) -> list[dict[str, Any]]:
        """List the settings that name configurations, its own first."""
        return [self.of, *(other for other in (self.minus, self.over) if other is not None)]


def found(settings: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any]) -> list[int]:
    """Find the configurations that have some settings; settings: of every configuration. Returns their numbers."""
    return [i for i, each in enumerate(settings) if all(each.get(path) == value for path, value in chosen.items())]


def graded(claims: Mapping[str, Claim], points: Sequence[Mapping[str, Any]], own_data: bool) -> list[dict[str, Any]]:
    """Set every claim beside what was found.

    claims:    by name.
    points:    rows of the study's document: settings, seed, state and metrics of each point.
    own_data:  whether the runs learned from the user's data, and not from those that ship.

    Returns a row for each: the claim's fields, "simulated" with "low", "high" and "seeds" in its unit, "lowest" and
    "highest" that agree, "verdict" and "passes". Without a figure of ours the verdict says why.
    """
    return [_row(name, claim, points, own_data) for name, claim in claims.items()]


def _row(name: str, claim: Claim, points: Sequence[Mapping[str, Any]], own_data: bool) -> dict[str, Any]:
    row = {"name": name, **claim.model_dump()}
    lowest, highest = accepted(claim.published, claim.tolerance)
    row |= {"lowest": lowest if isfinite(lowest) else None, "highest": highest if isfinite(highest) else None}
    values = _values(claim, points)
    if not values:
        return row | {"verdict": "not run", "passes": True}
    mean, low, high = intervals.of_mean(values)
    samples = max((int(point.get("test_samples", 0)) for point in points), default=0)
    scale = _UNITS.get(claim.unit, 1.0)
    if len(values) == 1 and claim.figure.startswith("error") and claim.minus is claim.over is None and samples:
        low, high = intervals.of_share(mean / scale, samples)
        low, high = low * scale, high * scale
    row |= {"simulated": mean, "low": low, "high": high, "seeds": len(values)}
    if claim.full_data and not own_data:
        return row | {"verdict": "needs full data", "passes": True}
    said = verdict(mean, low, high, claim.published, claim.tolerance)
    agrees = said.startswith("holds")
    if claim.miss:
        return row | {"verdict": "known miss that holds" if agrees else "known miss", "passes": not agrees}
    return row | {"verdict": said, "passes": agrees}


def _values(claim: Claim, points: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return a claim's figure of every seed that has it, in its unit."""
    own, scale = _by_seed(points, claim.of, claim.figure), _UNITS.get(claim.unit, 1.0)
    if claim.minus is not None:
        other = _by_seed(points, claim.minus, claim.figure)
        return [scale * (own[seed] - other[seed]) for seed in sorted(own) if seed in other]
    if claim.over is not None:
        other = _by_seed(points, claim.over, claim.figure)
        return [scale * own[seed] / other[seed] for seed in sorted(own) if other.get(seed)]
    return [scale * own[seed] for seed in sorted(own)]


def _by_seed(points: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any], figure: str) -> dict[int, float]:
    of = [points[i] for i in found([point["settings"] for point in points], chosen) if points[i]["state"] == "done"]
    return {point["seed"]: point["metrics"][figure] for point in of if figure in point["metrics"]}


def graded_again(claims: Mapping[str, Claim], document: Mapping[str, Any]) -> dict[str, Any]:
    """Set what was found before beside claims as they are now.

    claims: by name. document: of a study that was run. Returns the document with these claims.
    """
    before = document.get("claims", [])
    own_data = any(row["full_data"] and row["verdict"] != "needs full data" and "simulated" in row for row in before)
    return {**document, "claims": graded(claims, document["points"], own_data)}


def validated(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the claims of a study's document as rows of a validation, see `rpusim.workloads.studies.validate`.

    Each has the ends of its interval, ``low`` and ``high``, and its ``seeds``, too. What was not run has no row.
    """
    rows = []
    for claim in document.get("claims", []):
        if "simulated" not in claim:
            continue
        ours, published = claim["simulated"], claim["published"]
        rows.append(
            {
                "name": f"{document['name']}/{claim['name']}",
                "kind": "prediction",
                "seed": f"study {document['name']}, {claim['seeds']} seeds",
                "source": document["paper"]["source"],
                "difference": ours / published - 1 if published else None,
                "ok": claim["verdict"] in PASSING,
                "known_miss": claim["miss"] or None,
                "slow": True,
                **{key: claim[key] for key in _KEPT},
            }
        )
    return rows

"""A study as data: which question, what varies, what is wanted, and what is not acceptable.

Studies that ship are YAML files in ``studies/``; a user's own has the same fields. `load` reads and checks one.

    name: adc-of-lenet
    title: Which converter does a small convolutional network need?
    run: lenet-digits                  # an experiment; or `time:` with a network and a chip, where nothing is trained
    set: {recipe.epochs: 5}            # for all points
    vary:
      tiles.0.adc.bits: [5, 6, 7]
      device: [reram-sb, agad-reram-sb]
    seeds: 3
    goals: [error, energy]
    constraints: {area: {most: 50 mm2}}
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator

from rpusim.arch.contract.configuration import find_yaml, parse, read_yaml, shipped, shown
from rpusim.arch.contract.sourced import Frozen, Several
from rpusim.arch.schedule.schedules import Schedule
from rpusim.errors import InputError, nearest, written
from rpusim.workloads.explore.claims import Claim, Paper, found
from rpusim.workloads.results.measures import MEASURES
from rpusim.workloads.runs.settings import described, file_name

FOLDER = Path(__file__).parent / "studies"
"""Where the studies that ship lie."""
MOST_POINTS = 100_000
"""More than a study may have is taken for a slip."""

AtMost = Annotated[int, Field(ge=1, le=MOST_POINTS)]


class Timed(Frozen):
    """What is timed where nothing is trained, with the options of `rpusim time`.

    network, chip, samples, batch, schedule, bias, device, replicas, fit: as `rpusim.time_network` takes them.
    training:  whether samples also go back and learn.
    """

    network: str
    chip: str | dict[str, Any]
    training: bool = True
    samples: AtMost = 1
    batch: AtMost = 1
    schedule: Schedule = "sequential"
    bias: Literal["column", "digital"] = "column"
    device: Annotated[str | dict[str, Any] | None, BeforeValidator(described)] = None
    replicas: dict[str, int] = {}
    fit: str | dict[str, Any] = "as-is"


class Range(Frozen):
    """Any number from ``low`` to ``high``, for searches that draw.

    low, high: its ends; whole numbers are drawn if both are whole.
    log:       whether as many are drawn in each decade as in any other.
    """

    low: int | float
    high: int | float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise ValueError(f"got low {self.low} and high {self.high}; low has to be below high, with log above 0")
        return self


class Random(Frozen):
    """Draw points, each value for itself.

    random: how many.
    """

    random: AtMost


class Optimised(Frozen):
    """Have Optuna choose the points.

    optuna:  "nsga2" for several goals, "tpe" for one.
    points:  how many are tried.
    batch:   how many are chosen at a time, before their results are looked at; the points depend on it, and not on how
             many workers there are.
    """

    optuna: Literal["nsga2", "tpe"]
    points: AtMost
    batch: AtMost = 8


class Rungs(Frozen):
    """Stop hopeless points early: after each of these epochs, by the Hyperband of Optuna, by the test error.

    first:   epochs of the first rung; every further one has ``factor`` times as many.
    factor:  of the points that reach a rung, about one in so many goes on.
    """

    first: AtMost = 1
    factor: Annotated[int, Field(ge=2, le=10)] = 3


class Limit(Frozen):
    """Say which points are acceptable by a figure.

    most, least: what it is at most, and at least, each with its unit; null: anything.
    """

    most: Any = None
    least: Any = None


def _values(given: object) -> object:
    if isinstance(given, dict) and not ({"low", "high"} & set(given)):
        if not given or not all(isinstance(one, dict) for one in given.values()):
            raise ValueError(
                f"got {shown(written(given))}; accepted: a list of values, a mapping of labels to the fields that each "
                "sets, or {low: ..., high: ...}"
            )
        return given
    if isinstance(given, list) and not given:
        raise ValueError("got an empty list, but at least one value is needed")
    return given


Values = Annotated[Range | dict[str, dict[str, Any]] | list[Any], BeforeValidator(_values)]
"""What a field takes: a list; a range; or by label several fields at once."""


def _goals(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in MEASURES:
            raise ValueError(f"got {shown(written(name))}{nearest(name, MEASURES)}")
    if len(set(names)) < len(names):
        raise ValueError(f"got {', '.join(names)}, but each goal once")
    return names


class Study(Frozen):
    """Everything that a study needs; the same study gives the same table, byte for byte.

    name:         a plain name, which the study's folder gets.
    title:        a sentence for people.
    question:     what is asked; empty: the title.
    run:          the experiment that all points are variations of; None: nothing is trained.
    time:         what is timed instead.
    set:          fields that all points change, by dotted path (see `rpusim.workloads.runs.settings.changed`).
    vary:         fields that vary, with their values. A label of the user's own stands for several fields at once.
    points:       in place of ``vary``: the points one by one, each a mapping of fields.
    search:       which points of ``vary`` are tried: all ("grid"), some at random, or what Optuna chooses.
    seeds:        how often each point is run, with seeds from 0; 1 where nothing is trained.
    goals:        figures that are wanted, best first; of `MEASURES`.
    constraints:  limits on figures; what is beyond is shown, but on no front.
    stop:         whether hopeless points are stopped early; None: no.
    seed:         of the search.
    paper:        that the study is of; None: it is of none.
    claims:       figures of that paper, beside which ours are set, by name.
    """

    name: Annotated[str, AfterValidator(file_name)]
    title: str
    question: str = ""
    run: str | None = None
    time: Timed | None = None
    set: dict[str, Any] = {}
    vary: dict[str, Values] = {}
    points: Annotated[tuple[dict[str, Any], ...], Several] = ()
    search: Literal["grid"] | Random | Optimised = "grid"
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    goals: Annotated[tuple[str, ...], Several, AfterValidator(_goals)] = ()
    constraints: dict[str, Limit] = {}
    stop: Rungs | None = None
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0
    paper: Paper | None = None
    claims: dict[str, Claim] = {}
    _file: str = PrivateAttr("")

    @model_validator(mode="after")
    def _something_to_do(self) -> Study:
        if (self.run is None) == (self.time is None):
            raise ValueError("run or time is needed, and not both: an experiment to train, or a network to time")
        if bool(self.vary) == bool(self.points):
            raise ValueError("vary or points is needed, and not both")
        if self.points and self.search != "grid":
            raise ValueError("search was given beside points, which are all tried; leave it out")
        if self.time is not None and (self.seeds > 1 or self.stop):
            raise ValueError("seeds and stop are for studies that train; where nothing is trained nothing is random")
        if self.search == "grid" and any(isinstance(values, Range) for values in self.vary.values()):
            raise ValueError("vary: a range has no end of values, so that a grid cannot try them all; give a list")
        if isinstance(self.search, Optimised) and self.search.optuna == "tpe" and len(self.wanted) > 1:
            raise ValueError(f"search.optuna: tpe is for one goal, but goals are {', '.join(self.wanted)}; use nsga2")
        return self

    @model_validator(mode="after")
    def _limits_are_known(self) -> Study:
        for name in self.constraints:
            if name not in MEASURES:
                raise ValueError(f"constraints: {shown(name)} is no figure{nearest(name, MEASURES)}")
        self.limits()
        return self

    @model_validator(mode="after")
    def _claims_are_of_one_configuration(self) -> Study:
        if self.claims and self.search != "grid":
            raise ValueError("claims: are of configurations that are tried in any case; leave out search")
        names, lists = list(self.vary), [[] if isinstance(v, Range) else list(v) for v in self.vary.values()]
        all_of_them = self.points or [dict(zip(names, values, strict=True)) for values in product(*lists)]
        for name, claim in self.claims.items():
            for chosen in claim.configurations():
                if (number := len(found(all_of_them, chosen))) != 1:
                    raise ValueError(
                        f"claims.{name}: {shown(written(chosen))} names {number} configurations of those that are "
                        "tried, but has to name one"
                    )
        return self

    @property
    def kind(self) -> Literal["run", "time"]:
        """Whether its points are trained, or only timed."""
        return "time" if self.run is None else "run"

    @property
    def wanted(self) -> tuple[str, ...]:
        """The names of its goals; without any, those that its kind has."""
        return self.goals or (("error",) if self.run else ()) + ("time", "energy", "area")

    def limits(self) -> list[tuple[str, float, float]]:
        """List the limits of its figures: name, least and most, in SI units."""
        found = []
        for name, limit in self.constraints.items():
            ends = [float("-inf"), float("inf")]
            for i, (end, given) in enumerate((("least", limit.least), ("most", limit.most))):
                if given is not None:
                    try:
                        ends[i] = MEASURES[name].parse(given)
                    except ValueError as error:
                        raise ValueError(f"constraints.{name}.{end}: {error}") from None
            if ends == [float("-inf"), float("inf")]:
                raise ValueError(f"constraints.{name}: most or least is needed")
            found.append((name, ends[0], ends[1]))
        return found


def presets() -> list[str]:
    """List the names of the studies that ship."""
    return shipped(FOLDER)


def papers() -> list[str]:
    """List the names of the studies that ship and set a paper's figures beside ours."""
    return [name for name in presets() if load(name).claims]


def load(name: str | Path) -> Study:
    """Load the study that ships under ``name``, or the one in the YAML file at that path; InputError if it is wrong."""
    path = find_yaml(name, FOLDER, "study: none")
    study = parse(Study, read_yaml(path), path.name)
    study._file = shown(path.name)
    return study


def made(fields: dict[str, Any]) -> Study:
    """Make a study of its fields, as the command line and Python give them; InputError if they are wrong."""
    try:
        return parse(Study, fields, "study")
    except InputError as error:
        raise InputError(str(error).removeprefix("study: study")) from None

"""Whatever a configuration file holds, what is wrong with it is one sentence that names the field."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from rpusim.arch.chips.chip import FOLDER, Chip
from rpusim.arch.contract.configuration import is_yaml, parse, read_yaml, shown
from rpusim.arch.contract.sourced import Frozen, Several
from rpusim.arch.contract.yaml_text import MOST_BYTES
from rpusim.errors import InputError
from rpusim.workloads.clock.sampling import Sampled
from rpusim.workloads.runs.settings import Experiment


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Leaf(Strict):
    width: int = 1


class Sar(Strict):
    kind: Literal["sar"] = "sar"
    bits: int = 1


class Ramp(Strict):
    kind: Literal["ramp"] = "ramp"
    slope: int = 1


class Tree(Strict):
    leaf: Leaf = Leaf()
    perhaps: Leaf | None = None
    named: dict[str, Leaf] = {}
    several: tuple[Leaf, ...] = ()
    either: str | dict[str, int] = ""
    converter: Annotated[Sar | Ramp, Field(discriminator="kind")] = Sar()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"laef": 1}, "laef is not a field; did you mean 'leaf'"),
        ({"leaf": {"widht": 1}}, "leaf.widht is not a field; did you mean 'width'"),
        ({"perhaps": {"widht": 1}}, "perhaps.widht is not a field; did you mean 'width'"),
        ({"named": {"a": {"widht": 1}}}, "named.a.widht is not a field; did you mean 'width'"),
        ({"several": [{}, {"widht": 1}]}, "several.1.widht is not a field; did you mean 'width'"),
        ({"converter": {"kind": "sar", "bist": 1}}, "converter.bist is not a field; did you mean 'bits'"),
        ({"named": {"a": {"width": "x"}}}, "named.a.width: got 'x', but input should be a valid integer"),
        (
            {"either": [1]},
            "either: got [1], but input should be a valid string or input should be a valid dictionary",
        ),
        ({"either": {"a": "b"}}, "either"),
        ({"leaf": [[1] * 10_000]}, "characters), but input should be a valid dictionary"),
    ],
)
def test_every_place_is_named_as_the_user_wrote_it(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(Tree, fields, "tree.yaml")
    said = str(caught.value)
    assert said.startswith("tree.yaml: ") and sentence in said
    assert len(said) < 400


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[" * 3000 + "]" * 3000, "is nested too deeply"),
        ("a: " + "[" * 3000 + "]" * 3000, "is nested too deeply"),
        ("a: " + "9" * 5000, "a: a number of 5000 digits was given"),
        ("a: [", "is not YAML at line"),
        ("- 1", "holds list"),
    ],
)
def test_what_is_no_mapping_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    (tmp_path / "chip.yaml").write_text(text)
    with pytest.raises(InputError) as caught:
        read_yaml(tmp_path / "chip.yaml")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("path", ["a\0b.yaml", "n" * 300 + ".yaml", "nowhere.yaml"])
def test_a_path_that_cannot_be_one_is_refused(path: str) -> None:
    with pytest.raises(InputError, match="cannot be read") as caught:
        read_yaml(Path(path))
    assert str(caught.value).isprintable()


def test_an_unknown_field_of_a_chips_own_card_is_named(tmp_path: Path) -> None:
    chip = yaml.safe_load((FOLDER / "rpu-2016.yaml").read_text())
    from rpusim.arch.chips.library import library

    card = library()["haensch-2018/adc"]
    chip["cards"] = {
        "mine": {"part": card.part, "unit": "x", "node": "14 nm", "basis": "assumption", "power": "1 mW"}
        | {"area": "1 um2", "leakage": "1 uW", "source": "mine", "aera": "1 um2"}
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(chip))
    with pytest.raises(InputError, match=r"cards\.mine\.aera is not a field; did you mean 'area'"):
        Chip.load(tmp_path / "mine.yaml")


def test_the_suffix_of_a_yaml_file_may_be_in_capitals() -> None:
    assert is_yaml(Path("a.YAML")) and is_yaml(Path("a.yml")) and not is_yaml(Path("a.json"))


def test_what_was_given_is_shown_on_one_short_line() -> None:
    assert shown("a\nb\0") == "a\\nb\\x00"
    assert len(shown("x" * 1000)) < 130


class Part(Frozen):
    wide: int
    long: float = 1.0


class Whole(Frozen):
    on: bool = False
    part: Part
    parts: Annotated[tuple[Part, ...], Several] = ()
    name: str


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("name: a\nname: b", "whole.yaml: name is given twice, at lines 1 and 2"),
        ("part: {wide: 1, wide: 2}", "whole.yaml: part.wide is given twice"),
        ("part: {wide: yes}\nname: a", "part.wide: got 'yes', but input should be a valid integer"),
        ("part: {wide: true}\nname: a", "part.wide: got True, but"),
        ("part: {wide: 8:32}\nname: a", "part.wide: got '8:32', but"),
        ("part: {wide: 01000}\nname: a", "part.wide: got '01000', but"),
        ('part: {wide: "512"}\nname: a', "part.wide: got '512', but"),
        ("part: {wide: 1.0}\nname: a", "part.wide: got 1.0, but"),
        ("part: {wide: 1, long: .inf}\nname: a", "part.long: got inf, but input should be a finite number"),
        ("part: {wide: 1, long: .nan}\nname: a", "part.long: got nan, but"),
        ("part: {wide: 1}\nname: 5", "name: got 5, but input should be a valid string"),
        ("part: {wide: 1}\nname: a\non: off", "on: got 'off', but input should be a valid boolean"),
        ("part: {wide: 1}\nname: a\nparts: [{wide: off}]", "parts.0.wide: got 'off', but"),
        ("name: a", "whole.yaml: part (wide) is missing"),
        ("part: {}\nparts: [{}]", "whole.yaml: part.wide, parts.0.wide and name are missing; every number"),
    ],
)
def test_values_are_what_they_look_like(text: str, sentence: str, tmp_path: Path) -> None:
    path = tmp_path / "whole.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        parse(Whole, read_yaml(path), "whole.yaml")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"part": {1: 2}, "name": "a"}, "part: got the key 1, but names of fields are strings"),
        ({"part": {"wide": 1}, "name": "a\ud800b"}, "name: got 'a\\ud800b', half a character of which is missing"),
        ({"part": {"wide": 10**5000}, "name": "a", "tail": 10**9000}, "tail is not a field"),
        ({"part": {"wide": "x" * 10**6}, "name": "a"}, "part.wide: got"),
    ],
)
def test_what_a_program_gives_is_refused_in_short(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        parse(Whole, fields, "here")
    assert str(caught.value).startswith("here: ") and sentence in str(caught.value) and len(str(caught.value)) < 400


def test_large_files_and_things_that_are_no_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "large.yaml").write_text("a: " + "x" * MOST_BYTES)
    with pytest.raises(InputError, match=r"large\.yaml: has more than 128 KB"):
        read_yaml(tmp_path / "large.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InputError, match=r"folder\.yaml: is not a file"):
        read_yaml(tmp_path / "folder.yaml")
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(InputError, match=r"pipe\.yaml: is not a file"):
        read_yaml(tmp_path / "pipe.yaml")


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(InputError, match=r"chip: .* is no UTF-8 name") as caught:
        Chip.load("c\udce9.yaml")
    assert str(caught.value).isprintable()


def every_block(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    """All models of a configuration, each once."""
    seen.add(model)
    yield model
    for field in model.model_fields.values():
        for kind in parts_of(field.annotation):
            if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in seen:
                yield from every_block(kind, seen)


def parts_of(annotation: Any) -> Iterator[Any]:
    yield annotation
    for argument in get_args(annotation):
        yield from parts_of(argument)


@pytest.mark.parametrize("model", [Chip, Experiment, Sampled])
def test_every_count_of_a_file_has_a_largest_value(model: type[BaseModel]) -> None:
    for block in every_block(model, set()):
        properties = block.model_json_schema()["properties"]
        for name, said in properties.items():
            for one in said.get("anyOf", [said]):
                if one.get("type") == "integer":
                    assert "maximum" in one, f"{block.__name__}.{name}"
        assert block.model_config["strict"] and block.model_config["allow_inf_nan"] is False, block.__name__

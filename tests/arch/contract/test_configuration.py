"""Whatever a configuration file holds, what is wrong with it is one sentence that names the field."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from pydantic import BaseModel, ConfigDict, Field

from rpusim.arch.chips.chip import FOLDER, Chip
from rpusim.arch.contract.configuration import is_yaml, parse, read_yaml, shown
from rpusim.errors import InputError


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
        ("when: 2024-99-99", "is not YAML (month must be in 1..12"),
        ("[" * 3000 + "]" * 3000, "is nested too deeply"),
        ("a: " + "[" * 3000 + "]" * 3000, "is nested too deeply"),
        ("a: " + "9" * 5000, "is not YAML"),
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

"""The odd chip, as it is or with some of its blocks changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from rpusim.arch.chips.chip import Chip

FILE = Path(__file__).with_name("odd.yaml")
OF_TILE = ("array", "inputs", "sample_and_hold", "mux", "adc", "pulses", "programming", "digital", "buffer")


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Chip]:
    """Load the chip with fields of its blocks replaced; a block that is None is left out."""
    folder, made = tmp_path_factory.mktemp("odd"), dict[str, Chip]()

    def load(**blocks: dict[str, Any] | None) -> Chip:
        fields = yaml.safe_load(FILE.read_text(encoding="utf-8"))
        for name, block in blocks.items():
            within = fields["tiles"][0] if name in OF_TILE else fields
            if block is None:
                del within[name]
            else:
                within[name] = {**within.get(name, {}), **block}
        path = folder / "odd.yaml"
        path.write_text(yaml.safe_dump(fields), encoding="utf-8")
        return Chip.load(path)

    def load_once(**blocks: dict[str, Any] | None) -> Chip:
        if repr(blocks) not in made:
            made[repr(blocks)] = load(**blocks)
        return made[repr(blocks)]

    return load_once

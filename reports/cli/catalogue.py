"""What ships with rpusim: experiments, studies, networks, chips, devices, ways to infer, cost cards.

The list ships as data, in ``catalogue.json`` beside this module, so that it is there at once; `make shipped` writes it
anew, and a test keeps it equal to what is collected.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpusim.reports.words.readable import area, si

if TYPE_CHECKING:
    from rpusim.arch.parts.part import Card
    from rpusim.kernels.tiles.presets import Preset

Entry = dict[str, str]
FILE = Path(__file__).with_suffix(".json")
KINDS = ("experiments", "studies", "networks", "chips", "devices", "models", "inference", "cards")
"""What is listed, in this order."""


def catalogue() -> dict[str, list[Entry]]:
    """List what `rpusim presets` shows: the kinds, each with its entries of ``name``, ``title`` and ``source``.

    Cost cards also have their ``part``, ``node`` and ``path``.
    """
    found: dict[str, list[Entry]] = json.loads(FILE.read_text(encoding="utf-8"))
    return found


def collected() -> dict[str, list[Entry]]:
    """Put the list together from what ships."""
    from rpusim.arch.chips import chip, library
    from rpusim.kernels.devices import PULSED
    from rpusim.kernels.inference import INFERENCE
    from rpusim.kernels.tiles.presets import CONFIGURATIONS
    from rpusim.workloads.explore import study
    from rpusim.workloads.runs import settings
    from rpusim.workloads.zoo.networks import NETWORKS

    found = {
        "experiments": [_entry(e.name, e.title, e.source) for e in map(settings.load, settings.presets())],
        "studies": [_entry(s.name, s.title, s.question) for s in map(study.load, study.presets())],
        "networks": [_entry(name, each.title, each.source) for name, each in NETWORKS.items()],
        "chips": [_entry(c.name, c.title, c.source) for c in map(chip.Chip.load, chip.presets())],
        "devices": [_entry(name, _device_title(each), each.source) for name, each in CONFIGURATIONS.items()],
        "models": [_entry(name, _first_sentence(each), "") for name, each in PULSED.items()],
        "inference": [_entry(name, each.title, each.source) for name, each in INFERENCE.items()],
        "cards": [_card(each) for each in library.library().values()],
    }
    return {kind: found[kind] for kind in KINDS}


def _entry(name: str, title: str, source: str, **more: str) -> Entry:
    return {"name": name, "title": title, "source": source, **more}


def _device_title(preset: Preset) -> str:
    """Describe a way to train in a line: its cells, its device, and the size and the range of its steps."""
    device = preset.device
    kind = type(device).__name__
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in kind).strip()
    cell = preset.config.cell
    arrays = "" if cell.kind == "single" else f"{cell.kind} cells of {cell.arrays} x "
    return f"{arrays}{words} device, step {device.dw_min:g} between {device.w_min:g} and {device.w_max:g}"


def _first_sentence(of: Any) -> str:
    first = " ".join((of.__doc__ or "").strip().split("\n\n")[0].split())
    return re.split("[;:.]", first)[0]


def _card(card: Card) -> Entry:
    """Describe a cost card in a line: what one unit is, and what it costs."""
    costs = [f"{name} {si(value, 'J')}" for name, value in card.energy.items()]
    costs += [f"{si(card.power, 'W')} while busy"] if card.power is not None else []
    costs += ["energy from its circuit"] if card.electrical or card.cmos else []
    costs += [] if card.cmos else [area(card.area), f"leaks {si(card.leakage, 'W')}"]
    title = f"{card.unit}: {', '.join(costs)}"
    path = f"arch/chips/cards/{card.name.partition('/')[0]}.yaml"
    return _entry(card.name, title, card.source, part=card.part, node=si(card.node, "m"), path=path)


if __name__ == "__main__":
    FILE.write_text(json.dumps(collected(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

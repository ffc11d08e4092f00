"""What ships with rpusim: experiments, studies, networks, chips, devices, ways to infer; each with title and source."""

from __future__ import annotations

from rpusim.arch.chips import chip
from rpusim.kernels.inference import INFERENCE
from rpusim.kernels.tiles.presets import CONFIGURATIONS, Preset
from rpusim.workloads.explore import study
from rpusim.workloads.runs import settings
from rpusim.workloads.zoo import networks

Entry = dict[str, str]


def catalogue() -> dict[str, list[Entry]]:
    """List what `rpusim presets` shows.

    Returns the kinds (experiments, studies, networks, chips, devices, inference), each with its entries of ``name``,
    ``title`` and ``source``.
    """
    studies = [study.load(name) for name in study.presets()]
    experiments = [settings.load(name) for name in settings.presets()]
    chips = [chip.Chip.load(name) for name in chip.presets()]
    return {
        "experiments": [{"name": e.name, "title": e.title, "source": e.source} for e in experiments],
        "studies": [{"name": s.name, "title": s.title, "source": s.question} for s in studies],
        "networks": [
            {"name": name, "title": entry.title, "source": entry.source} for name, entry in networks.NETWORKS.items()
        ],
        "chips": [{"name": c.name, "title": c.title, "source": c.source} for c in chips],
        "devices": [
            {"name": name, "title": _device_title(preset), "source": preset.source}
            for name, preset in CONFIGURATIONS.items()
        ],
        "inference": [
            {"name": name, "title": preset.title, "source": preset.source} for name, preset in INFERENCE.items()
        ],
    }


def _device_title(preset: Preset) -> str:
    """Describe a way to train in a line: its cells, its device, and the size and the range of its steps."""
    device = preset.device
    kind = type(device).__name__
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in kind).strip()
    cell = preset.config.cell
    arrays = "" if cell.kind == "single" else f"{cell.kind} cells of {cell.arrays} x "
    return f"{arrays}{words} device, step {device.dw_min:g} between {device.w_min:g} and {device.w_max:g}"

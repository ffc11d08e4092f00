"""What `rpusim devices` shows, as documents of plain numbers: the presets, and the response of one device to pulses.

`response_text` and `response_svg` draw these documents and compute nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from rpusim.arch.contract import checks
from rpusim.errors import InputError, nearest
from rpusim.kernels.devices import EXACT, PULSED, ConstantStep, PulsedDevice
from rpusim.kernels.devices.presets import DEVICES
from rpusim.kernels.devices.response import respond
from rpusim.reports.words.figures import Document
from rpusim.workloads.cells import own_devices
from rpusim.workloads.cells.training_cells import build, changed_device

MOST_PULSES = 100_000
MOST_CELLS = 200


def describe(
    name: str, pulses: int | None = None, cells: int = 5, changes: Mapping[str, Any] | None = None
) -> Document:
    """Find a device and compute its response to pulses up and then down.

    name:    of a preset, of a device of one's own (a YAML file, or file.py:Class), or of a model, which then has its
             default parameters.
    pulses:  how many pulses up, and as many down again; None: as many as the device has states.
    cells:   how many sampled cells are computed beside the mean one.
    changes: parameters that it has otherwise, by name.

    Returns parameters, key figures (weights in units of the weight, shares of one) and the curves. Raises `InputError`
    for an unknown name, a device without pulses, or numbers that are out of range.
    """
    device, title, source = _find(name)
    if changes:
        device = changed_device("device", name, device, dict(changes))
        listed = ", ".join(f"{parameter} {value}" for parameter, value in changes.items())
        name, source = f"{name} with {listed}", f"{source}; changed by the user: {listed}"
    if pulses is not None:
        checks.integer("pulses", pulses, low=1)
        checks.number("pulses", pulses, high=MOST_PULSES)
    checks.integer("cells", cells, low=0)
    checks.number("cells", cells, high=MOST_CELLS)
    found = respond(device, pulses, cells)
    points = not isinstance(device, ConstantStep)
    return {
        "name": name,
        "model": device.kind,
        "title": title,
        "source": source,
        "states": device.num_states,
        "granularity": device.granularity,
        "up_step": found.up_step,
        "down_step": found.down_step,
        "asymmetry": (found.up_step - found.down_step) / (found.up_step + found.down_step),
        "pulse_noise": device.dw_min_std,
        "write_noise": device.write_noise,
        "bounds": [found.bound_min, found.bound_max],
        "symmetry_point": found.symmetry_point if points else None,
        "symmetry_points": found.symmetry_points.tolist() if points else None,
        "parameters": device.numbers(),
        "pulses": found.pulses,
        "response": {"mean": found.mean.tolist(), "cells": found.cells.tolist()},
    }


def overview() -> list[Document]:
    """Describe every device preset, and then every model with its default parameters, without curves.

    ``kind`` of each is preset or model.
    """
    names = [*((name, "preset") for name in DEVICES), *((name, "model") for name in PULSED if name not in DEVICES)]
    documents = ({"kind": kind} | describe(name, 1, 0) for name, kind in names)
    left_out = ("parameters", "pulses", "response", "symmetry_points")
    return [{key: value for key, value in document.items() if key not in left_out} for document in documents]


def _find(name: str) -> tuple[PulsedDevice, str, str]:
    """Find a preset, or a model with its default parameters, as (device, title, source)."""
    if name in DEVICES:
        return DEVICES[name].device, DEVICES[name].title, DEVICES[name].source
    if name in PULSED:
        lines = (inspect.getdoc(inspect.getmodule(PULSED[name])) or "").partition("\n")
        return PULSED[name](), lines[0].partition(": ")[2].rstrip("."), "the model's default parameters"
    if own_devices.is_own(name):
        cells = build(name)
        if not isinstance(cells.device, PulsedDevice):
            raise InputError(f"device: {name!r} takes exact updates and has no response to pulses")
        return cells.device, own_devices.title(name) or f"a device of your own, {cells.device.kind}", cells.source
    if name in EXACT:
        raise InputError(f"device: {name!r} takes exact updates and has no response to pulses")
    raise InputError(
        f"device: {name!r} is unknown{nearest(name, {*DEVICES, *PULSED})}; or give a .yaml file or file.py:Class"
    )

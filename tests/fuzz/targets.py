"""What is tried: a kind of input each, from a shipped file or a generated value to the end of what can be done with it.

A target returns None if the input was taken, raises `InputError` if it was refused, and `Wrong` if something altered
was taken, or a refusal does not say where.
"""

from __future__ import annotations

import io
import random
import re
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import mutate
import numpy as np
import torch

from rpusim.arch.chips import chip as chips
from rpusim.arch.chips.chip import Chip
from rpusim.errors import InputError
from rpusim.kernels.cells import CELLS
from rpusim.kernels.cells.base import Site
from rpusim.kernels.devices import PulsedDevice
from rpusim.kernels.pulses.trains import UpdateParameters
from rpusim.kernels.tiles.presets import KINDS
from rpusim.reports import save
from rpusim.reports.page.page import page
from rpusim.reports.trace.recorded import Trace
from rpusim.workloads.cells import training_cells
from rpusim.workloads.results import run_folder
from rpusim.workloads.runs import checkpoint, inputs, settings
from rpusim.workloads.runs.estimate import map_network, time_network
from rpusim.workloads.runs.given_network import load_network

NETWORK, CHIP = "fcn-digits", "reram-512"


class Wrong(Exception):
    """An input was not treated as it should be, though nothing crashed."""


class Targets:
    """Every kind of input, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.kinds = {
            "chip": self.chip,
            "experiment": self.experiment,
            "device": self.device,
            "network": self.network,
            "run folder": self.run_folder,
            "checkpoint": self.checkpoint,
        }
        self._chips = [path.read_text(encoding="utf-8") for path in sorted(chips.FOLDER.glob("*.yaml"))]
        self._experiments = [path.read_text(encoding="utf-8") for path in sorted(settings.FOLDER.glob("*.yaml"))]
        self._small = load_network(NETWORK)
        self._chip = Chip.load(CHIP)
        self._whole = folder / "whole"
        save(time_network(self._small, self._chip, 1, True, "sequential"), self._whole)
        self._document = run_folder.read(self._whole)
        state = {"stages": {}, "random": torch.get_rng_state(), "wall": 1.0, "weights": torch.arange(1000.0)}
        checkpoint.Checkpoint(folder / "whole.checkpoint", {"seed": "0"}).save(state)
        self._kept = (folder / "whole.checkpoint").read_bytes()

    # --- files of YAML ------------------------------------------------------------------------------------------------

    def chip(self, chance: random.Random) -> None:
        """A chip that ships, changed; what is taken has a network placed and timed on it."""
        path, field = self._written(chance, "mine.yaml", self._chips)
        with _says(path.name, field):
            chip = Chip.load(path)
        map_network(self._small, chip)
        if chance.random() < 0.5:
            time_network(self._small, chip, 1, chip.trains, "sequential")

    def experiment(self, chance: random.Random) -> None:
        """An experiment that ships, changed; what is taken is loaded up to where training would begin."""
        path, field = self._written(chance, "exp.yaml", self._experiments)
        with _says(path.name, field):
            inputs.load(settings.load(path))

    def _written(self, chance: random.Random, name: str, texts: list[str]) -> tuple[Path, mutate.Field]:
        path = self.folder / name
        changed, field = mutate.text(chance, chance.choice(texts))
        content = changed.encode("utf-8", "surrogatepass")
        if chance.random() < 0.05:
            content, field = mutate.content(chance, content), None
        path.write_bytes(content)
        return path, field

    # --- devices ------------------------------------------------------------------------------------------------------

    def device(self, chance: random.Random) -> None:
        """Parameters of a device and of a cell, as a mapping; what is taken is built and trained a little."""
        given = _device(chance)
        field, changes = None, chance.choice((1, 1, 2)) if _accepted(given, self._chip) else 2
        for _ in range(changes):
            holder, key, field = chance.choice(list(mutate.places(given)))
            holder[key] = mutate.replacement(chance, holder[key])
            if chance.random() < 0.1 and isinstance(holder, dict):
                holder[chance.choice((1, None, "extra", "a\ud800", ("a",)))] = changes = 2
        with _says("device", field if changes == 1 else None):
            cells = training_cells.build(given, self._chip)
        _ = cells.layout, list(cells.provenance())
        if getattr(cells.cell, "zero_shift_pairs", 0) > 100:
            return  # so many pulses take the specification, which is used below, a while
        site = Site(3, 4, cells.device, cells.update or UpdateParameters(desired_bl=7), (0, 0, 0), "torch")
        cell = cells.cell.build(site)
        cell.set_weights(torch.zeros(3, 4))
        x, d = torch.rand(2, 4), torch.rand(2, 3)
        cell.update(x, d, 0.01)
        cell.end_mini_batch()
        cell.elapse(1.0)
        if not torch.isfinite(cell.weights).all():
            raise Wrong(f"weights that are no numbers, of {given!r}"[:300])

    # --- networks -----------------------------------------------------------------------------------------------------

    def network(self, chance: random.Random) -> None:
        """A module and the shape of its input, in a file; what is taken is placed and timed."""
        path = self.folder / "net.py"
        module, shape = _module(chance)
        path.write_text(f"import torch\nfrom torch import nn\ndef build():\n    return {module}, {shape}\n")
        name = (
            f"{path}:build"
            if chance.random() < 0.95
            else chance.choice((f"{path}:bild", f"{path}:", "fcn-digit", "\0.py:f"))
        )
        network = load_network(name, chance.random() < 0.5)
        time_network(network, self._chip, 1, False, "sequential")

    # --- what a run leaves --------------------------------------------------------------------------------------------

    def run_folder(self, chance: random.Random) -> None:
        """A run folder of which a file was altered; nothing altered is taken."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            for path in self._whole.iterdir():
                shutil.copy(path, folder / path.name)
            way = chance.random()
            names = [path.name for path in self._whole.iterdir() if path.suffix != ".html"]
            chosen = folder / chance.choice(names)
            before = chosen.read_bytes()
            if way < 0.1:
                chosen = folder / "events.npz"
                _bomb(chosen)
            elif way < 0.2:  # a folder of an earlier version, without digests
                (folder / run_folder.DIGESTS).unlink()
                chosen = folder / chance.choice(("events.npz", "result.json"))
                chosen.write_bytes(mutate.content(chance, chosen.read_bytes()))
            elif way < 0.25:
                chosen.unlink()
            else:
                chosen.write_bytes(mutate.content(chance, before))
            same = chosen.exists() and chosen.read_bytes() == before
            with _says(folder.name):
                document = run_folder.read(folder)
                trace = Trace.read(folder)
            listed = (folder / run_folder.DIGESTS).exists()
            if listed and not same:
                raise Wrong(f"an altered {chosen.name} was read")
            if listed and document == self._document:
                page(document, trace)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def checkpoint(self, chance: random.Random) -> None:
        """A checkpoint that was altered; nothing altered is taken."""
        path = self.folder / "altered.checkpoint"
        changed = mutate.content(chance, self._kept)
        path.write_bytes(changed)
        with _says(path.name):
            checkpoint.Checkpoint(path, {"seed": "0"}).load()
        if changed != self._kept:
            raise Wrong("an altered checkpoint was read")


class _says:
    """Require that a refusal says where: it has in it the name of what was given, and the field that was changed.

    A field may go by the name of the block that it stands in, as two fields of a block may not fit each other.
    """

    def __init__(self, name: str, field: mutate.Field = None) -> None:
        self._name, self._field = name, field

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, InputError) and self._name not in str(error):
            raise Wrong(f"{self._name} is not named: {error}")
        if isinstance(error, InputError) and self._field and not self._named(str(error)):
            raise Wrong(f"{'.'.join(self._field)} is not named: {error}"[:400])

    def _named(self, said: str) -> bool:
        return ": line " in said or any(name in said for name in (self._field or ())[-2:])


def _accepted(device: dict[str, Any], chip: Chip) -> bool:
    try:
        training_cells.build(device, chip)
    except InputError:
        return False
    return True


def _device(chance: random.Random) -> dict[str, Any]:
    """A device of any kind with some of its parameters, and often a cell."""
    kind = chance.choice(sorted(kind for kind, made in KINDS.items() if issubclass(made, PulsedDevice)))
    numbers = {name: value for name, value in vars(KINDS[kind]()).items() if isinstance(value, int | float | tuple)}
    names = chance.sample(sorted(numbers), min(4, len(numbers)))
    given: dict[str, Any] = {"model": kind} | {n: list(v) if isinstance(v := numbers[n], tuple) else v for n in names}
    if chance.random() < 0.2:
        given["drift"] = {"nu": 0.1, "t_0": 1.0}
    if chance.random() < 0.6:
        cell = chance.choice(sorted(CELLS))
        plain = {n: v for n, v in vars(CELLS[cell]()).items() if isinstance(v, int | float | str)}
        names = chance.sample(sorted(plain), min(3, len(plain)))
        given["cell"] = {"kind": cell} | {name: plain[name] for name in names}
    return given


_ODD = (
    *("0", "-1", "3.5", "None", "'4'", "10**12", "True", "(3, 3)", "10**30", "float('nan')", "'ab'", "44", "()", "7"),
    *("(0,)", "(-1,)", "(10**12,)", "(True,)", "('8',)", "(8,) * 50", "iter([8])", "{8}", "b'8'", "'44'", "range(3)"),
)
"""What stands in place of a number or a shape in a network that would be right without it."""
_ANYWHERE = (
    "nn.ReLU()",
    "nn.Tanh()",
    "nn.Identity()",
    "nn.Dropout(0.5)",
    "nn.Softmax(dim=1)",
    "nn.GELU()",
    "nn.Sigmoid()",
)


def _module(chance: random.Random) -> tuple[str, str]:
    """The text of a module and of the shape that it reads: layers that fit each other, or would but for one number."""
    size = chance.choice((1, 8, 64))
    layers: list[str] = []
    if chance.random() < 0.5:
        width = chance.choice((4, 8, 11))
        shape, channels = f"({size % 7}, {width}, {width})", size % 7
        for _ in range(chance.randrange(1, 4)):
            out, kernel, stride = chance.choice((1, 3, 8)), chance.choice((1, 2, 3)), chance.choice((1, 1, 2, 4))
            padding = chance.choice((0, 0, 1))
            layers.append(f"nn.Conv2d({channels}, {out}, {kernel}, stride={stride}, padding={padding})")
            channels, width = out, (width + 2 * padding - kernel) // stride + 1
            layers.append(chance.choice((*_ANYWHERE, f"nn.BatchNorm2d({channels})", "nn.MaxPool2d(1)")))
        layers.append("nn.Flatten()")
        size = channels * width * width
    else:
        shape = f"({size},)"
    for _ in range(chance.randrange(1, 4)):
        out = chance.choice((1, 8, 64, 600))
        layers += [f"nn.Linear({size}, {out}, bias={chance.random() < 0.7})", chance.choice(_ANYWHERE)]
        size = out
    if chance.random() < 0.1:
        layers = chance.choice((["nn.LSTM(8, 8)"], ["nn.Embedding(8, 8)"], ["nn.ConvTranspose2d(1, 1, 2)"], []))
    module = f"nn.Sequential({', '.join(layers)})"
    way = chance.random()
    if way < 0.3:
        places = [found.span() for found in re.finditer(r"\b[0-9]+\b", module)]
        start, stop = chance.choice(places) if places else (0, 0)
        module = module[:start] + chance.choice(_ODD) + module[stop:]
    elif way < 0.5:
        shape = chance.choice(_ODD)
    elif way < 0.55:
        module = chance.choice(("None", "nn.Linear", "[]", "5"))
    return module, shape


def _bomb(path: Path) -> None:
    """Have the header of an array of an archive claim 2^40 values."""
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist()}
    claimed = io.BytesIO()
    np.lib.format.write_array_header_1_0(claimed, {"descr": "<i8", "fortran_order": False, "shape": (2**40,)})
    kept["op.npy"] = claimed.getvalue()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in kept.items():
            archive.writestr(name, content)

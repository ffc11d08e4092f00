"""Unit cells between the two halves of a chip: as a user names them, as the kernel builds them, as the mapper counts
arrays for them.

A user gives the name of a configuration (`rpusim.kernels.tiles.presets.CONFIGURATIONS`, such as ttv2-reram-sb), or a
mapping with a device ``model``, its parameters and, unless every cross-point is a single device, a ``cell``:

    device: {model: soft-bounds, dw_min: 0.002, cell: {kind: chopped-transfer, in_chop_prob: 0.05}}

``endurance`` is how many pulses a cell takes; without it, that of the device's name, or an assumption.

A mapping with ``like`` in place of ``model`` changes a named configuration: {like: ttv2-reram-sb, dw_min: 0.002}; what
is given in its ``cell`` are parameters of the cell that the configuration has.

A device of the user's own (a YAML file, ``mine.py:Device``, a class or an object, see `own_devices`) stands wherever a
name does: alone, as ``model`` and as ``like``. Every device of every command comes through `build`.

The name, or the model, ``chip`` stands for the cells that the chip has: what follows from their circuit, where the chip
says what it is (`rpusim.arch.parts.cmos_cell`), so that currents and capacitances are written in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, ClassVar, Literal, cast

from rpusim.arch.chips.bill_of_parts import bill_of_parts
from rpusim.arch.chips.chip import Chip
from rpusim.arch.contract.cell_layout import CellLayout
from rpusim.errors import InputError, nearest, shown, written
from rpusim.kernels import CmosRpu, IOParameters, PulsedDevice, Slices, UpdateParameters, device
from rpusim.kernels.cells import CELLS, BitSliced, CellParameters, Single
from rpusim.kernels.devices.drift import Drift
from rpusim.kernels.inference import INFERENCE
from rpusim.kernels.pulses.trains import Execution
from rpusim.kernels.tiles.presets import CONFIGURATIONS
from rpusim.workloads.cells import OF_THE_CHIP, own_devices
from rpusim.workloads.cells.endurance import ASSUMED, CHARGE, OF_DEVICES, Endurance

Given = str | dict[str, Any] | PulsedDevice | type[PulsedDevice]

MOST_PULSES = 1e30
"""An endurance beyond is taken for a slip."""
_SECONDS = ("device.drift.t_0", "device.retention")


@dataclass(frozen=True)
class UnitCells:
    """Say what stands at the cross-points of every array, and how it is trained.

    device:     what the arrays are made of, unless the cell says it itself.
    cell:       how many devices stand at a cross-point, and how they learn.
    update:     how the gradient is pulsed; None: as the chip does by itself.
    source:     where the numbers come from.
    endurance:  how many pulses a cell takes before it is worn out.
    execution:  how pulses are computed: merged where that is the same in distribution, or all one by one.
    """

    device: PulsedDevice
    cell: CellParameters
    update: UpdateParameters | None
    source: str
    endurance: Endurance
    execution: Execution = Execution.MERGED
    learns: ClassVar[Literal[True]] = True
    measures_drift: ClassVar[bool] = False

    @property
    def calibration_pairs(self) -> int:
        """Pairs of pulses by which symmetry points are found before the first sample."""
        return self.cell.calibration_pairs

    @property
    def layout(self) -> CellLayout:
        """How many arrays the mapper has to find for every weight, and what happens to each."""
        return self.cell.layout

    def provenance(self) -> Iterator[dict[str, object]]:
        """List every number with its unit and source, for the provenance of a result."""
        of_device = {f"device.{name}": value for name, value in self.device.numbers().items()}
        for field, value in {**of_device, **_numbers("device.cell", self.cell)}.items():
            unit = "s" if field in _SECONDS else "1"
            yield {"field": field, "value": value, "unit": unit, "source": self.source}
        pulses, source = self.endurance.pulses, self.endurance.source
        yield {"field": "device.endurance", "value": pulses, "unit": "1", "source": source}


def _numbers(where: str, values: Any) -> dict[str, object]:
    """List the numbers in the fields of a dataclass and of those within it; devices of single arrays are left out."""
    found: dict[str, object] = {}
    for field in fields(values):
        value, name = getattr(values, field.name), f"{where}.{field.name}"
        if isinstance(value, CellParameters | UpdateParameters):
            found |= _numbers(name, value)
        elif isinstance(value, int | float):
            found[name] = value
    return found


# --- as a user names them ---------------------------------------------------------------------------------------------


def build(given: Given, chip: Chip | None = None) -> UnitCells:
    """Make unit cells of what a user gives.

    given:  name of a configuration, a device of the user's own, or a mapping (see the module).
    chip:   the chip whose own cells "chip" stands for; None: that name is refused.

    InputError: an unknown name, a parameter that there is not or whose value is out of its range.
    """
    given = cast(Given, own_devices.described(given))
    if own_devices.is_own(given):
        return _own(str(given), chip)
    if isinstance(given, str) and given != OF_THE_CHIP:
        if given in INFERENCE:
            raise InputError(
                f"device: {given!r} only infers, which a training cannot use; accepted in rpusim.place and in an "
                "experiment with inference"
            )
        if given not in CONFIGURATIONS:
            raise InputError(
                f"device: {shown(written(given))} is unknown{nearest(given, [*CONFIGURATIONS, OF_THE_CHIP])}; or give "
                "a .yaml file or file.py:Class"
            )
        found = CONFIGURATIONS[given]
        lasts = OF_DEVICES.get(found.of, ASSUMED)
        return UnitCells(found.device, found.config.cell, found.config.update, found.source, lasts)
    if not isinstance(given, str | dict):
        raise InputError(f"device: got {shown(written(given))}, but a name, or a mapping with 'model', is needed")
    parameters = {"model": given} if isinstance(given, str) else _named("device", given)
    if own_devices.is_object(parameters.get("model")):
        parameters = cast(dict[str, Any], own_devices.described(parameters.pop("model"))) | parameters
    if "like" not in parameters and own_devices.is_own(parameters.get("model")):
        parameters["like"] = parameters.pop("model")
    if "like" in parameters:
        return _alike(parameters, chip)
    cell = parameters.pop("cell", {"kind": Single.kind})
    source = "given in the experiment, or the model's default"
    if chip and parameters.get("model") == OF_THE_CHIP:
        source = f"follows from the circuit of the cells of {chip.name}, or given in the experiment"
    lasts = _endurance(parameters.pop("endurance", None), parameters.get("model"))
    return UnitCells(_device("device", parameters, chip), _cell("device.cell", cell, chip), None, source, lasts)


def _alike(parameters: dict[str, Any], chip: Chip | None) -> UnitCells:
    """Make the cells of the configuration, or of the own device, that ``like`` names, with other parameters.

    A configuration keeps the kind of its cell; a device of the user's own may have any.
    """
    name = parameters.pop("like")
    own = own_devices.is_own(name)
    if not isinstance(name, str) or not (own or name in CONFIGURATIONS):
        raise InputError(f"device.like: got {shown(written(name))}{nearest(name, CONFIGURATIONS)}")
    whole, changed = build(name, chip), sorted(parameters)
    if "model" in parameters:
        raise InputError(f"device.model: got {shown(written(parameters['model']))} beside like; give one of the two")
    lasts = parameters.pop("endurance", None)
    of_cell = _named("device.cell", _mapping("device.cell", parameters.pop("cell", {})))
    kind = of_cell.setdefault("kind", whole.cell.kind)
    if kind != whole.cell.kind and not own:
        raise InputError(
            f"device.cell.kind: got {shown(written(kind))}, but the cell of {name} is a {whole.cell.kind}; a mapping "
            "with model in place of like can have any cell"
        )
    return replace(
        whole,
        device=changed_device("device", name, whole.device, parameters),
        cell=_cell("device.cell", of_cell, chip, whole.cell if kind == whole.cell.kind else None),
        source=f"{whole.source}; changed by the user: {', '.join(changed)}" if changed else whole.source,
        endurance=whole.endurance if lasts is None else _endurance(lasts, None),
    )


def _own(name: str, chip: Chip | None) -> UnitCells:
    """Make the cells of a device of the user's own: a YAML file, or a class in a file or given as such."""
    if not own_devices.is_file(name):
        source = f"given by the user: {name}"
        return UnitCells(own_devices.load(name), Single(), None, source, ASSUMED)
    with own_devices.opened(name) as (fields, about):
        whole = build(fields, chip)
    return replace(whole, source=f"{about.get('source', whole.source)} ({name})")


def _mapping(where: str, given: Any) -> dict[Any, Any]:
    if not isinstance(given, dict):
        raise InputError(f"{where}: got {shown(written(given))}, but a mapping of its parameters is needed")
    return given


def _endurance(given: Any, model: Any) -> Endurance:
    """Take the endurance that is given, or that of the device's name; InputError: it is no number above 0."""
    if given is None:
        return CHARGE if model == OF_THE_CHIP else OF_DEVICES.get(str(model), ASSUMED)
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 < given < MOST_PULSES:
        raise InputError(
            f"device.endurance: got {shown(written(given))}, but a number of pulses above 0 and below {MOST_PULSES:g} "
            "is needed, such as 1.0e+9"
        )
    return Endurance(float(given), "given in the experiment")


def of_the_chip(chip: Chip | None) -> PulsedDevice:
    """Find the device that the chip's cells are, by their circuit.

    InputError: there is no chip, it does not say how its cells learn, or it has several kinds.
    """
    if chip is None:
        raise InputError("device: got 'chip', but there is no chip here; name a device")
    bill = bill_of_parts(chip)
    numbers: list[dict[str, Any] | None] = []
    for kind, parts in zip(chip.tiles, bill.tiles, strict=True):
        circuit = parts["array"].card.cmos
        numbers.append(circuit.of_device(kind.pulses.width) if circuit and kind.pulses else None)
    if numbers[0] is None or any(other != numbers[0] for other in numbers):
        raise InputError(
            f"device: got 'chip', but the cells of {chip.name} are not all of one kind whose circuit (cmos) says how "
            "they learn; name a device"
        )
    return CmosRpu(**numbers[0])


def _device(where: str, given: Any, chip: Chip | None) -> PulsedDevice:
    given = own_devices.described(given)
    if not isinstance(given, dict) or not isinstance(given.get("model"), str):
        raise InputError(
            f"{where}: got {shown(written(given))}, but a mapping needs 'model', such as model: constant-step"
        )
    parameters = _named(where, given)
    name = parameters.pop("model")
    try:
        if own_devices.is_own(name):
            model = _own(name, chip).device
        else:
            model = of_the_chip(chip) if name == OF_THE_CHIP else device(name)
    except InputError as error:
        raise InputError(f"{where}.model: {str(error).removeprefix('device: ')}") from None
    return changed_device(where, name, model, parameters)


def changed_device(where: str, name: str, model: PulsedDevice, parameters: dict[str, Any]) -> PulsedDevice:
    """Give a device other parameters.

    where: what the user calls it, for errors. name: by which the user knows the device. model: the device as it is.
    parameters: by their names. InputError: there is no such parameter, or it is out of its range.
    """
    accepted = [field.name for field in fields(model) if field.init]
    for parameter, value in parameters.items():
        if parameter not in accepted:
            raise InputError(f"{where}.{shown(parameter)}: {name} has no such parameter{nearest(parameter, accepted)}")
        if isinstance(getattr(model, parameter), Drift):
            parameters[parameter] = _drift(f"{where}.{parameter}", value)
    made: PulsedDevice = _made(where, partial(replace, model), parameters)
    if isinstance(made, PulsedDevice) and not made.granularity > 0.0:
        given = ", ".join(f"{parameter} {shown(str(value))}" for parameter, value in parameters.items())
        raise InputError(
            f"{where}: its mean step comes out as {made.granularity:g} (from {given}), but a step above 0 is needed"
        )
    return made


def _drift(where: str, given: Any) -> Drift:
    """Make the drift of a device of a mapping of its parameters."""
    if isinstance(given, Drift):
        return given
    accepted = [field.name for field in fields(Drift)]
    if not isinstance(given, dict):
        raise InputError(f"{where}: got {shown(written(given))}, but a mapping is needed, such as {{nu: 0.1, t_0: 1}}")
    for parameter in _named(where, given):
        if parameter not in accepted:
            raise InputError(f"{where}.{shown(parameter)}: a drift has no such parameter{nearest(parameter, accepted)}")
    found: Drift = _made(where, Drift, given)
    return found


def _named(where: str, given: dict[Any, Any]) -> dict[str, Any]:
    """Return a copy of a mapping whose keys are names."""
    for key in given:
        if not isinstance(key, str):
            raise InputError(f"{where}: got the key {shown(written(key))}, but names of parameters are strings")
    return dict(given)


def _cell(where: str, given: Any, chip: Chip | None, like: CellParameters | None = None) -> CellParameters:
    """Make a cell of its kind and parameters; the periphery of its reads is the chip's, so nobody may state it.

    like: a cell of that kind, from which it has the parameters that are not given; None: the defaults of its kind.
    """
    kind = given.get("kind") if isinstance(given, dict) else None
    if not isinstance(given, dict) or kind is None:
        raise InputError(f"{where}: got {shown(written(given))}, but a mapping needs 'kind'{nearest('', CELLS)}")
    if not isinstance(kind, str) or kind not in CELLS:
        raise InputError(f"{where}.kind: got {shown(written(kind))}{nearest(shown(written(kind)), CELLS)}")
    made = CELLS[kind]
    basis = like or made()
    defaults = {field.name: getattr(basis, field.name) for field in fields(made)}
    accepted = [name for name, value in defaults.items() if not isinstance(value, IOParameters)]
    values = {}
    for name, value in _named(where, given).items():
        if name == "kind":
            continue
        if made is BitSliced and name == "slices":
            raise InputError(
                f"{where}.slices: was given, but they are those of the chip (array.cells_per_weight and cell_bits)"
            )
        if name not in accepted:
            raise InputError(f"{where}.{shown(name)}: {kind} has no such parameter{nearest(name, accepted)}")
        values[name] = _parameter(f"{where}.{name}", value, defaults[name], chip)
    if made is BitSliced and chip is not None:
        values["slices"] = _slices_of(where, chip)
    cell: CellParameters = _made(where, partial(replace, basis), values)
    return cell


def _slices_of(where: str, chip: Chip) -> Slices:
    """Find how the arrays of a chip cut weights; InputError: they do not, or each kind of tile in another way."""
    found = {(kind.array.cells_per_weight, kind.array.cell_bits or 0) for kind in chip.tiles}
    if len(found) > 1 or min(found)[0] == 1:
        said = " and ".join(f"{number} x {bits} bits" if number > 1 else "one cell" for number, bits in sorted(found))
        raise InputError(
            f"{where}: got 'bit-sliced', but {chip.name} holds weights in {said}; a chip of which all arrays cut "
            "weights alike (array.cells_per_weight of 2 or more) is needed"
        )
    return Slices(*found.pop())


def _parameter(where: str, value: Any, default: Any, chip: Chip | None) -> Any:
    """Turn a value of a file into what the cell wants there: a cell, devices, pulse trains, or the value itself."""
    if isinstance(default, CellParameters):
        return _cell(where, value, chip)
    if where.endswith(".devices"):
        if not isinstance(value, list | tuple):
            raise InputError(f"{where}: got {shown(written(value))}, but a list of devices is needed")
        return tuple(_device(f"{where}.{number}", one, chip) for number, one in enumerate(value))
    if isinstance(default, UpdateParameters):
        names = [field.name for field in fields(default)]
        for name in _named(where, _mapping(where, value)):
            if name not in names:
                raise InputError(f"{where}.{shown(name)}: is unknown{nearest(name, names)}")
        return _made(where, lambda **changes: replace(default, **changes), value)
    return value


def _made(where: str, make: Any, values: dict[str, Any]) -> Any:
    try:
        return make(**values)
    except InputError as error:
        said = str(error).removeprefix(f"{where.rpartition('.')[2]}.")
        raise InputError(f"{where}.{said}" if re.match(r"\w+[.:\[]", said) else f"{where}: {said}") from None
    except (ArithmeticError, RuntimeError, TypeError, ValueError) as error:
        raise InputError(f"{where}: got {shown(written(values))}, which cannot be used ({error})") from None


# --- as the kernel builds them ----------------------------------------------------------------------------------------


def read_through(cell: CellParameters, io: IOParameters) -> CellParameters:
    """Let all reads that a cell makes of its arrays go through the periphery ``io``; returns a new cell."""
    changes: dict[str, Any] = {}
    for field in fields(cell):
        value = getattr(cell, field.name)
        if isinstance(value, IOParameters):
            changes[field.name] = io
        elif isinstance(value, CellParameters):
            changes[field.name] = read_through(value, io)
    return replace(cell, **changes)

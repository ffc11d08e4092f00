"""A user's own device: a YAML file, a class in a Python file, or an object of Python.

    fitted.yaml        a mapping as in an experiment's ``device``, with ``title``, ``source`` and ``fit`` (where the
                       numbers come from), as `rpusim fit` writes it
    mine.py:Device     a class of pulsed devices in a file of one's own (docs/add-a-device.md), or an object of one
    Device(dw_min=..)  the class itself, or an object, from Python

Wherever a device is accepted, so are these. An object becomes a mapping of its class and its parameters, so that
experiments, results and records stay plain data: one that ships goes by its kind, another one by ``file.py:Class``. The
file is run as a program, with the user's rights, once for each content.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import MISSING, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from rpusim.arch.contract.configuration import is_yaml, read_yaml
from rpusim.errors import InputError, nearest, shown, written
from rpusim.kernels.devices import KINDS, Device, PulsedDevice
from rpusim.kernels.devices.drift import Drift

ABOUT = ("title", "source", "fit")
"""What a device's file says about itself, besides what makes the device."""
_CLASSES: dict[str, type[PulsedDevice]] = {}
"""Classes that were given as such in this process, by the name that stands for them."""
_MODULES: dict[tuple[str, str], ModuleType] = {}
_LOADING = threading.RLock()
_OPEN: list[Path] = []
"""Files that are being read, as one may be like another one."""


def is_own(given: object) -> bool:
    """Tell whether a name is of a user's own device: a YAML file, ``file.py:Class``, or a class given before."""
    return isinstance(given, str) and (is_file(given) or ".py:" in given or given in _CLASSES)


def is_file(name: str) -> bool:
    """Tell whether a name is of a YAML file."""
    try:
        return is_yaml(Path(name))
    except (OSError, ValueError):
        return False


def is_object(given: object) -> bool:
    """Tell whether this is a pulsed or exact device, or a class of them."""
    return isinstance(given, Device) or (isinstance(given, type) and issubclass(given, Device))


def described(given: object) -> object:
    """Write a device that is given as an object, or as a class, as a mapping of its class and parameters.

    given: what a user gave as a device; anything but a `Device` or a class of them is returned as it is.

    Returns {"model": its kind, or "file.py:Class"} with the parameters that differ from the class's defaults.
    """
    if not is_object(given):
        return given
    kind = given if isinstance(given, type) else type(given)
    found: dict[str, Any] = {"model": _name_of(kind)}
    if isinstance(given, Device):
        for field in fields(given):  # type: ignore[arg-type]
            value = getattr(given, field.name)
            default = field.default if field.default_factory is MISSING else field.default_factory()
            if field.init and value != default:
                found[field.name] = _plain(value)
    return found


@contextmanager
def opened(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Read the YAML file of a device, and begin every InputError within with the file's name.

    Yields what makes it (``model`` or ``like``, parameters, ``cell``), and what the file says about itself: ``title``,
    ``source``, ``fit``. Raises InputError if the file cannot be read, or names no model.
    """
    path = Path(name).expanduser()
    whole = read_yaml(path)
    about = {key: whole.pop(key) for key in ABOUT if key in whole}
    for key in ("title", "source"):
        if not isinstance(about.get(key, ""), str):
            raise InputError(f"{shown(path.name)}: {key}: got {shown(written(about[key]))}, but words are needed")
    if ("model" in whole) == ("like" in whole):
        raise InputError(
            f"{shown(path.name)}: needs model, such as model: soft-bounds, or like, such as like: reram-sb, and not "
            "both"
        )
    if path.resolve() in _OPEN:
        raise InputError(f"{shown(path.name)}: names itself, in {'model' if 'model' in whole else 'like'}")
    _OPEN.append(path.resolve())
    try:
        yield whole, about
    except InputError as error:
        raise InputError(f"{shown(path.name)}: {str(error).removeprefix('device.').removeprefix('device: ')}") from None
    finally:
        _OPEN.pop()


def title(name: str) -> str:
    """Return the title in the YAML file of a device; empty if there is none, or it is no such file."""
    if not is_file(name):
        return ""
    return str(read_yaml(Path(name).expanduser()).get("title", ""))


def load(name: str) -> PulsedDevice:
    """Load ``file.py:Class``: the device with the class's defaults, or the object of that name in the file.

    Raises InputError if there is no such file or class, the file fails, or it is no pulsed device.
    """
    if name in _CLASSES:
        return _made(_CLASSES[name], name)
    path, _, wanted = name.rpartition(":")
    module = _module(path)
    found = getattr(module, wanted, None)
    if not (isinstance(found, PulsedDevice) or (isinstance(found, type) and issubclass(found, PulsedDevice))):
        names = [key for key, value in vars(module).items() if _is_own_class(value, module)]
        what = "has no device" if found is None else "has, but not as a class of PulsedDevice,"
        raise InputError(f"device: {shown(path)} {what} {shown(wanted)!r}{nearest(wanted, names)}")
    return found if isinstance(found, PulsedDevice) else _made(found, name)


def _made(kind: type[PulsedDevice], name: str) -> PulsedDevice:
    try:
        return kind()
    except (InputError, TypeError) as error:
        said = str(error)
        raise InputError(
            f"device: {shown(name)} cannot be made without parameters ({shown(said)}); give defaults to all of them"
        ) from None


def _module(path: str) -> ModuleType:
    """Run a file as a module of its own, once for each content; InputError if there is none, or it fails."""
    file = Path(path).expanduser()
    try:
        content = file.read_bytes()
    except (OSError, ValueError):
        raise InputError(
            f"device: there is no file {shown(path)}; accepted: a preset, a .yaml file, or file.py:Class"
        ) from None
    key = str(file.resolve()), hashlib.sha256(content).hexdigest()
    with _LOADING:
        if key not in _MODULES:
            called = f"rpusim_own_{hashlib.sha256('|'.join(key).encode()).hexdigest()[:16]}"
            spec = importlib.util.spec_from_file_location(called, file.resolve())
            assert spec is not None and spec.loader is not None, "a .py file has a loader"
            module = importlib.util.module_from_spec(spec)
            sys.modules[called] = module  # where dataclasses and numba look for it
            folder = str(file.resolve().parent)
            sys.path.insert(0, folder)  # for what lies beside it
            try:
                spec.loader.exec_module(module)
            except (Exception, SystemExit) as error:
                del sys.modules[called]
                said = next(iter(str(error).splitlines()), "")
                raise InputError(f"device: {shown(path)} cannot be run ({type(error).__name__}: {said})") from error
            finally:
                sys.path.remove(folder)
            _MODULES[key] = module
        return _MODULES[key]


def _is_own_class(value: object, module: ModuleType) -> bool:
    return isinstance(value, type) and issubclass(value, PulsedDevice) and value.__module__ == module.__name__


def _name_of(kind: type[Any]) -> str:
    """Name a class so that `load` finds it: by its kind if it ships, else by its file, remembered for this process."""
    if KINDS.get(getattr(kind, "kind", "")) is kind:
        return str(kind.kind)
    if not issubclass(kind, PulsedDevice) or inspect.isabstract(kind):
        raise InputError(f"device: got the class {kind.__name__}, but a class of PulsedDevice with a step is needed")
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    whole = file is not None and kind.__qualname__ == kind.__name__
    name = f"{file}:{kind.__name__}" if whole else f"{kind.__qualname__} given in Python"
    _CLASSES[name] = kind
    return name


def _plain(value: Any) -> Any:
    """Write a parameter as a file has it."""
    if isinstance(value, Drift):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return list(value) if isinstance(value, tuple) else value

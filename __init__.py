"""rpusim: a cycle-level simulator for deep-learning accelerators made of resistive cross-point arrays.

    import rpusim
    result = rpusim.simulate("fcn-digits")            # train on a chip: accuracy, time, energy, area
    result["accuracy"]["test_error"], result["time"]["per_sample_s"], result["energy"]["per_sample_J"]

``simulate`` runs an experiment and ``save`` writes its run folder; ``study`` runs many and ``best`` finds the best;
``Chip`` is a chip as data; ``AnalogLinear``, ``AnalogConv2d``, ``AnalogSGD``, ``convert`` and ``place`` are the torch
way; ``program`` and ``drift`` are for models that only infer (``InferenceConfig``); ``map_network`` and
``time_network`` train nothing, nor does ``time_language_model``; ``waterfall`` says where accuracy is lost. The
sub-packages: ``arch`` (the chip and its engine), ``kernels`` (the numbers), ``workloads`` (what is run), ``reports``
(what a person sees).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpusim.arch.chips.chip import Chip
    from rpusim.errors import InputError
    from rpusim.kernels import (
        AnalogConfig,
        AnalogConv2d,
        AnalogLinear,
        AnalogSGD,
        array_parameters,
        digital_parameters,
        load_digital,
    )
    from rpusim.kernels.inference import InferenceConfig, drift, program
    from rpusim.kernels.layers.convert import convert
    from rpusim.kernels.layers.low_rank import lora, merge_lora
    from rpusim.kernels.layers.replicated import Replication
    from rpusim.reports import save
    from rpusim.reports.study_page.run import study
    from rpusim.workloads.capture.capture import capture
    from rpusim.workloads.explore.table import best
    from rpusim.workloads.results.result import Result
    from rpusim.workloads.runs.callbacks import TensorBoard, WeightsAndBiases
    from rpusim.workloads.runs.estimate import map_network, time_network
    from rpusim.workloads.runs.language import time_language_model
    from rpusim.workloads.runs.placed import place
    from rpusim.workloads.runs.settings import Experiment
    from rpusim.workloads.runs.simulate import simulate
    from rpusim.workloads.waterfall.given import waterfall

_HOMES = {
    "AnalogConfig": "rpusim.kernels",
    "AnalogConv2d": "rpusim.kernels",
    "AnalogLinear": "rpusim.kernels",
    "AnalogSGD": "rpusim.kernels",
    "Chip": "rpusim.arch.chips.chip",
    "Experiment": "rpusim.workloads.runs.settings",
    "InferenceConfig": "rpusim.kernels.inference",
    "InputError": "rpusim.errors",
    "Replication": "rpusim.kernels.layers.replicated",
    "Result": "rpusim.workloads.results.result",
    "capture": "rpusim.workloads.capture.capture",
    "TensorBoard": "rpusim.workloads.runs.callbacks",
    "WeightsAndBiases": "rpusim.workloads.runs.callbacks",
    "array_parameters": "rpusim.kernels",
    "best": "rpusim.workloads.explore.table",
    "convert": "rpusim.kernels",
    "digital_parameters": "rpusim.kernels",
    "load_digital": "rpusim.kernels",
    "drift": "rpusim.kernels.inference",
    "lora": "rpusim.kernels.layers.low_rank",
    "map_network": "rpusim.workloads.runs.estimate",
    "merge_lora": "rpusim.kernels.layers.low_rank",
    "place": "rpusim.workloads.runs.placed",
    "program": "rpusim.kernels.inference",
    "save": "rpusim.reports",
    "simulate": "rpusim.workloads.runs.simulate",
    "study": "rpusim.reports.study_page.run",
    "time_language_model": "rpusim.workloads.runs.language",
    "time_network": "rpusim.workloads.runs.estimate",
    "waterfall": "rpusim.workloads.waterfall.given",
}

__all__ = [
    "AnalogConfig",
    "AnalogConv2d",
    "AnalogLinear",
    "AnalogSGD",
    "Chip",
    "Experiment",
    "InferenceConfig",
    "InputError",
    "Replication",
    "Result",
    "TensorBoard",
    "WeightsAndBiases",
    "array_parameters",
    "best",
    "capture",
    "convert",
    "digital_parameters",
    "drift",
    "load_digital",
    "lora",
    "map_network",
    "merge_lora",
    "place",
    "program",
    "save",
    "simulate",
    "study",
    "time_language_model",
    "time_network",
    "waterfall",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: torch alone takes two seconds."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rpusim' has no attribute {name!r}")
    if _HOMES[name].startswith("rpusim.workloads"):
        import_module("rpusim.reports.page.views")  # what comes from there shows itself
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__

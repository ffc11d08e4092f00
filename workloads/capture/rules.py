"""What digital units compute for a traced operation, and what of its operands each output has to wait for.

A rule is chosen by the class of an operation: pointwise ones (torch tags them), reductions, norms, products of
activations, tables. What has no rule is priced as so many operations for each number that is read or written, after a
barrier: every output waits for everything; the result says so.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, fx

from rpusim.arch.network.computed import step
from rpusim.arch.parts.digital_operations import FUNCTIONS
from rpusim.workloads.capture.calls import Call, Counts, Rule, likely, without_rule
from rpusim.workloads.capture.layout import Layout
from rpusim.workloads.capture.moving import MixedError
from rpusim.workloads.capture.products import FACTORS, attention, bilinear, einsum, product
from rpusim.workloads.capture.traced import shape_of

# --- value by value ---------------------------------------------------------------------------------------------------


def _named(function: str, names: str) -> dict[str, str]:
    return dict.fromkeys(names.split(), function)


_COMPARISONS = (
    "eq ne lt le gt ge greater less greater_equal less_equal not_equal isnan isinf isfinite sign sgn logical_not "
    "logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_not bitwise_xor heaviside bucketize"
)
_BY_NAME: dict[str, str] = {
    **_named("root", "sqrt"),
    **_named("inverse root", "rsqrt"),
    **_named("inverse", "reciprocal"),
    **_named("logarithm", "log log2 log10 log1p"),
    **_named("exp", "exp2 expm1"),
    **_named("maximum of two", "maximum minimum fmax fmin max min"),
    **_named("selection", "where masked_fill masked_scatter nan_to_num"),
    **_named("comparison", _COMPARISONS),
    **_named("rounding", "floor ceil round trunc frac floor_divide remainder fmod bitwise_left_shift"),
    **_named("divide", "div true_divide"),
    **_named("square", "square"),
    **_named("add", "add sub rsub"),
    **_named("multiply", "mul"),
    **_named("interpolation", "addcmul addcdiv lerp"),
    **_named("leaky_relu", "hardshrink softshrink"),
    **_named("sigmoid", "softsign"),
    **_named("pointwise", "sin cos"),
}
"""Operations value by value, and the function of the digital unit that each takes."""


def pointwise(call: Call) -> Rule:
    """Price what reads operands value by value."""
    name, counts = call.name, Counts()
    if name == "pow" and isinstance(call.given.get("exponent"), int | float):
        power = call.given["exponent"]
        by_power = {2: "square", 0.5: "root", -0.5: "inverse root", -1: "inverse", 1: "offset"}
        function, times = by_power.get(power, "power"), 1
        if function == "power" and power == int(power) and 2 < power < 17:
            function, times = "multiply", int(power).bit_length()
        counts = [(function, times * call.results)]
    elif name == "pow":
        counts = [("power", call.results)]
    elif name in ("addcmul", "addcdiv", "lerp"):
        counts = [("interpolation", call.results)]
    else:
        counts = [(_BY_NAME.get(name) or (name if name in FUNCTIONS else "pointwise"), call.results)]
    for operand in call.node.all_input_nodes:
        counts += call.parameter(operand)
    known = counts[0][0] != "pointwise" or name in ("sin", "cos", "erf")
    return Rule(counts, {}, call.broadcast(), "" if known else f"{name}: a straight line out of a table for each value")


# --- along axes -------------------------------------------------------------------------------------------------------


def _extremes(read: int, results: int) -> Counts:
    bits = max(-(-read // max(results, 1)) - 1, 0).bit_length()
    return [("of a maximum", read - results), ("maximum", results * bits), ("to the maximum", read)]


_REDUCTIONS: dict[str, Callable[[int, int], Counts]] = {
    "sum": lambda n, m: [("of a sum", n - m)],
    "nansum": lambda n, m: [("of a sum", n - m), ("comparison", n)],
    "mean": lambda n, m: [("of a sum", n - m), ("mean", m)],
    **{name: _extremes for name in ("max", "min", "amax", "amin", "aminmax", "median", "mode")},
    "prod": lambda n, m: [("of a product of all", n - m)],
    **{name: lambda n, m: [("of a variance", n), ("statistics", m)] for name in ("var", "var_mean")},
    **{name: lambda n, m: [("of a variance", n), ("statistics", m), ("root", m)] for name in ("std", "std_mean")},
    "logsumexp": lambda n, m: [("of a logarithm of a sum", n), ("logarithm", m)],
    **{
        name: lambda n, m: [("square", n), ("of a sum", n - m), ("root", m)]
        for name in ("norm", "linalg_vector_norm", "frobenius_norm")
    },
    **{name: lambda n, m: [("comparison", n)] for name in ("argmax", "argmin", "any", "all", "count_nonzero")},
}
_RUNNING = ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin")
_SORTED = ("sort", "argsort", "topk", "msort", "kthvalue")


def _listed(dims: Any, dimensions: int) -> list[int]:
    """List the axes that a ``dim`` argument names; all if it names none."""
    named = [dims] if isinstance(dims, int) else list(dims or range(dimensions))
    return [axis % dimensions for axis in named]


def _reduced(layout: Layout, axes: Sequence[int], keep: bool) -> Layout:
    """Return where samples are after some axes were reduced."""
    return layout if keep else Layout(layout.axis - sum(axis < layout.axis for axis in axes), layout.order)


def reduction(call: Call) -> Rule:
    """Price sums, means, maxima and the like over axes, by the size of what they read."""
    operand = next(iter(call.layouts))
    axes = _listed(call.given.get("dim"), len(shape_of(operand)))
    waits = {operand: call.axes(operand, axes)}
    functions = _REDUCTIONS[call.name](call.numbers(operand), call.results)
    return Rule(functions, waits, _reduced(call.layouts[operand], axes, bool(call.given.get("keepdim"))))


def along(call: Call) -> Rule:
    """Price what orders or sums values along an axis."""
    operand = next(iter(call.layouts))
    axis = call.given.get("dim", -1)
    waits = {operand: call.axes(operand, [axis])}
    read, length = call.numbers(operand), shape_of(operand)[axis]
    running = call.name in _RUNNING
    counts = [("of a running sum", read)] if running else [("comparison", read * max(length - 1, 1).bit_length())]
    return Rule(counts, waits, call.layouts[operand])


def softmax(call: Call) -> Rule:
    """Price a softmax, or its logarithm, along an axis."""
    operand = next(iter(call.layouts))
    axes = call.axes(operand, [call.given["dim"]])
    sums = call.results // shape_of(operand)[call.given["dim"]]
    log = "log" in call.name
    of_a_sum = "log_softmax logarithm" if log else "softmax divisor"
    functions = [("log_softmax" if log else "softmax", call.results), (of_a_sum, sums)]
    return Rule(functions, {operand: axes}, call.layouts[operand])


def halves(call: Call) -> Rule:
    """Price a gated linear unit: one half times the sigmoid of the other."""
    operand = next(iter(call.layouts))
    axes = call.axes(operand, [call.given["dim"]])
    return Rule([("sigmoid", call.results), ("multiply", call.results)], {operand: axes}, call.layouts[operand])


def norm(call: Call) -> Rule:
    """Price a norm of each sample by itself, with its scale and offset."""
    operand, given, name = next(iter(call.layouts)), call.given, call.name
    shape, layout = shape_of(operand), call.layouts[operand]
    if name in ("layer_norm", "rms_norm", "native_layer_norm"):
        normalized = len(given["normalized_shape"])
        axes, norms = range(len(shape) - normalized, len(shape)), call.results // math.prod(shape[-normalized:])
    elif name == "group_norm":
        axes, norms = range(1, len(shape)), given["num_groups"]
    else:
        axes, norms = range(2, len(shape)), shape[1]
    if "batch_norm" in name:
        functions = [("batch_norm", call.results), ("batch_norm channel", shape[1])]
        return Rule(functions, {}, layout)
    each = "normalise by root" if name == "rms_norm" else "normalise"
    counts: Counts = [(each, call.results), ("statistics", norms)]
    if isinstance(given.get("weight"), fx.Node):
        counts += [("scale by a parameter", call.results), *call.parameter(given["weight"])]
    if isinstance(given.get("bias"), fx.Node):
        counts += [("offset", call.results), *call.parameter(given["bias"])]
    return Rule(counts, {operand: call.axes(operand, axes)}, layout)


# --- the rest ---------------------------------------------------------------------------------------------------------


def convolution(call: Call) -> Rule:
    """Price a convolution whose weight stays digital: a product for each place of each window."""
    operand, weight = call.given["input"], shape_of(call.given["weight"])
    layout, dimensions = call.layouts[operand], len(shape_of(operand))
    if not layout.first:
        raise MixedError
    each = call.numbers(operand) if "transpose" in call.name else call.results
    counts: Counts = [("product", each * math.prod(weight[1:])), ("operand", call.numbers(operand))]
    if isinstance(call.given["bias"], fx.Node):
        counts += [("offset", call.results), *call.parameter(call.given["bias"])]
    return Rule(counts, {operand: call.axes(operand, range(1, dimensions))}, layout)


def recurrence(call: Call) -> Rule:
    """Price the steps of a recurrent layer whose state's matrix stays digital; each waits for the one before."""
    operand, (_, state) = call.given["input"], shape_of(call.given["weight"])
    gates = step(call.given["rule"], call.results)
    counts: Counts = [("product", call.numbers(operand) * state), ("operand", call.results), *gates]
    if isinstance(call.given["bias"], fx.Node):
        counts += [("offset", call.numbers(operand)), *call.parameter(call.given["bias"])]
    waits = {each: call.everything(each) for each in call.layouts}
    return Rule(counts, waits, call.layouts[operand])


def table(call: Call) -> Rule:
    """Price rows that are read of a table by numbers of the sample."""
    operand = next(iter(call.layouts))
    trained = any(each in call.trained for each in call.node.all_input_nodes)
    counts: Counts = [("table" if trained else "row", call.results)]
    if call.name == "embedding_bag":
        counts.append(("of a sum", call.results))
    return Rule(counts, {operand: call.everything(operand)}, call.layouts[operand])


def by_data(call: Call) -> Rule:
    """Price values that are found by numbers of the sample: everything has to be there."""
    waits = {each: call.everything(each) for each in call.layouts}
    return Rule([("look up", call.results)], waits, likely(call))


def interpolation(call: Call) -> Rule:
    """Price values between neighbours, along one to three axes."""
    operand = next(iter(call.layouts))
    axes = range(2, len(shape_of(operand)))
    counts: Counts = [("interpolation", call.results * (2 ** len(axes) - 1))]
    return Rule(counts, {operand: call.axes(operand, axes)}, call.layouts[operand])


_RULES: dict[str, Callable[[Call], Rule]] = {
    **dict.fromkeys(_REDUCTIONS, reduction),
    **dict.fromkeys((*_RUNNING, *_SORTED), along),
    **dict.fromkeys(("softmax", "_softmax", "log_softmax", "_log_softmax", "special_softmax"), softmax),
    **dict.fromkeys(("layer_norm", "rms_norm", "group_norm", "instance_norm", "batch_norm"), norm),
    "_native_batch_norm_legit_functional": norm,
    "native_dropout": lambda call: Rule([("dropout", call.results)], {}, call.broadcast()),
    **dict.fromkeys(FACTORS, product),
    **dict.fromkeys(("embedding", "embedding_bag"), table),
    **{f"upsample_{way}": interpolation for way in ("linear1d", "bilinear2d", "bicubic2d", "trilinear3d")},
    **{f"_upsample_{way}_aa": interpolation for way in ("bilinear2d", "bicubic2d")},
    "scaled_dot_product_attention": attention,
    "einsum": einsum,
    **{f"conv{way}{axes}d": convolution for way in ("", "_transpose") for axes in (1, 2, 3)},
    "recurrent": recurrence,
    "bilinear": bilinear,
    "glu": halves,
}


def rule(call: Call) -> Rule:
    """Find what an operation takes. Raises `MixedError` if it mixes samples."""
    of_two = call.given.get("other") is not None and call.name in ("max", "min")
    target = call.node.target
    tagged = isinstance(target, torch._ops.OpOverload) and torch.Tag.pointwise in target.tags
    if call.name in _RULES and not of_two:
        return _RULES[call.name](call)
    if call.name in ("index", "gather", "index_select", "take", "take_along_dim"):
        read = call.given.get("self")
        return by_data(call) if read in call.layouts else table(call)
    if tagged or call.name in _BY_NAME:
        value = call.node.meta["val"]
        assert isinstance(value, Tensor), "an operation value by value gives one tensor"
        return pointwise(call)
    return without_rule(call)

"""Products of activations with activations: matrix products, attention, and sums over products with letters."""

from __future__ import annotations

import math
from typing import Any

from torch import fx

from rpusim.workloads.capture.calls import Call, Counts, Rule, without_rule
from rpusim.workloads.capture.layout import BATCH, Layout
from rpusim.workloads.capture.moving import MixedError
from rpusim.workloads.capture.traced import shape_of

FACTORS = {
    "addmm": ("mat1", "mat2"),
    "addmv": ("mat", "vec"),
    "baddbmm": ("batch1", "batch2"),
    "mm": ("self", "mat2"),
    "bmm": ("self", "mat2"),
    "mv": ("self", "vec"),
    "dot": ("self", "tensor"),
    "matmul": ("self", "other"),
    "linear": ("input", "weight"),
}


def factors(call_name: str, given: dict[str, Any]) -> tuple[fx.Node, fx.Node] | None:
    """Return the two factors of a matrix product; None if the call is none."""
    names = FACTORS.get(call_name)
    return None if names is None else (given[names[0]], given[names[1]])


def product(call: Call) -> Rule:
    """Price a matrix product whose factors both depend on the sample, or one of which is a constant."""
    pair = factors(call.name, call.given)
    assert pair is not None
    left, right = pair
    turned = call.name == "linear"  # the weight stands transposed
    rows, columns = len(shape_of(left)), len(shape_of(right))
    along = -1 if turned or columns == 1 else -2
    waits: dict[fx.Node, tuple[int, ...]] = {}
    axis, order = set[int](), set[tuple[int, ...]]()
    for factor, contracted, kept in ((left, -1, -2), (right, along, -2 if turned else -1)):
        if (layout := call.layouts.get(factor)) is None:
            continue
        dimensions = len(shape_of(factor))
        waits[factor] = tuple(sorted({*waits.get(factor, ()), *call.axes(factor, [contracted])}))
        from_end = layout.axis - dimensions
        if from_end == kept and dimensions > 1:  # samples are the rows or columns of the result
            of_result = -1 if (rows == 1 or columns == 1) else (-2 if factor is left else -1)
            if len([each for each in pair if each in call.layouts]) > 1 and left is not right:
                raise MixedError
        else:
            of_result = from_end + (1 if min(rows, columns) == 1 else 0)
        axis.add(of_result)
        order.add(layout.order)
    if len(axis) != 1 or len(order) != 1:
        raise MixedError
    macs = call.results * shape_of(left)[-1]
    counts: Counts = [("product", macs)]
    counts += [("operand", call.numbers(factor)) for factor in dict.fromkeys(pair) if factor in call.layouts]
    if "beta" in call.given:
        counts.append(("add", call.results))
    for operand in call.node.all_input_nodes:
        counts += call.parameter(operand) if operand not in pair else []
    return Rule(counts, waits, Layout(axis.pop() + len(call.out), order.pop()))


def attention(call: Call) -> Rule:
    """Price scaled dot-product attention: m n k multiply-accumulates of both products, and the softmax between."""
    query, key, value = (call.given[name] for name in ("query", "key", "value"))
    (positions, width), (sources, given_width) = shape_of(query)[-2:], shape_of(value)[-2:]
    heads = math.prod(shape_of(query)[:-2]) // BATCH
    scores = heads * positions * sources
    counts: Counts = [("product", scores * (width + given_width)), ("scale", scores)]
    counts += [("softmax", scores), ("softmax divisor", heads * positions)]
    mask = call.given.get("attn_mask")
    if mask is not None or call.given.get("is_causal"):
        counts.append(("offset", scores))
    if call.given.get("dropout_p"):
        counts.append(("dropout", scores))
    waits: dict[fx.Node, tuple[int, ...]] = {}
    for operand in (query, key, value):
        if operand in call.layouts:
            shared = [-3] if len(shape_of(operand)) > 3 and shape_of(operand)[-3] != shape_of(query)[-3] else []
            of_rows = [] if operand is query and operand not in (key, value) else [-2]
            counts.append(("operand", call.numbers(operand)))
            waits[operand] = call.axes(operand, [*shared, *of_rows, -1])
    if isinstance(mask, fx.Node) and mask in call.layouts:
        waits[mask] = call.everything(mask)
    places = {(call.layouts[each].axis, call.layouts[each].order) for each in waits if each is not mask}
    if len(places) != 1:
        raise MixedError
    return Rule(counts, waits, Layout(*places.pop()))


def bilinear(call: Call) -> Rule:
    """Price x W y for each result: over one factor first, then over the other; its matrices stay digital."""
    first, second = call.given["input1"], call.given["input2"]
    macs = call.results * shape_of(second)[-1] * (shape_of(first)[-1] + 1)
    waits = {each: call.axes(each, [-1]) for each in (first, second) if each in call.layouts}
    counts: Counts = [("product", macs), *(("operand", call.numbers(each)) for each in waits)]
    counts += call.parameter(call.given["weight"]) + call.parameter(call.given["bias"])
    said = "bilinear: its matrices are in the digital unit, not on arrays"
    return Rule(counts, waits, call.layouts[next(iter(waits))], said)


def einsum(call: Call) -> Rule:
    """Price a sum over products of operands whose axes have letters, two at a time from the left."""
    inputs, _, output = call.given["equation"].replace(" ", "").partition("->")
    terms, operands = inputs.split(","), call.given["tensors"]
    if "." in inputs or not output:
        return without_rule(call)
    sizes = {
        letter: size
        for term, each in zip(terms, operands, strict=True)
        for letter, size in zip(term, shape_of(each), strict=True)
    }
    samples = {
        term[call.layouts[each].axis] for term, each in zip(terms, operands, strict=True) if each in call.layouts
    }
    orders = {layout.order for layout in call.layouts.values()}
    if len(samples) != 1 or len(orders) != 1 or not samples <= set(output):
        raise MixedError
    macs, met = 0, set(terms[0])
    for number, term in enumerate(terms[1:], 1):
        later = set(output).union(*terms[number + 1 :])
        macs += math.prod(sizes[letter] for letter in met | set(term)) // BATCH
        met = (met | set(term)) & later
    if len(terms) == 1:
        counts: Counts = [("of a sum", call.numbers(operands[0]))]
    else:
        counts = [("product", macs), *(("operand", call.numbers(each)) for each in dict.fromkeys(operands))]
    waits = {each: call.everything(each) for each in call.layouts}
    return Rule(counts, waits, Layout(output.index(samples.pop()), orders.pop()))

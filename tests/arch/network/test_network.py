"""The network graph: what each vector waits for, what it completes, and what the digital units do in between."""

from __future__ import annotations

import itertools

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rpusim.arch.network.network import INPUT, Network, connect
from rpusim.arch.network.operations import Operation, WeightLayer, Window
from rpusim.errors import InputError

SAME_3X3 = Window((3, 3), padding=(1, 1))
HALVING = Window((2, 2), stride=(2, 2))


def conv(name, shape, rows, window=SAME_3X3):
    return WeightLayer.convolution(name, shape, rows, window)


def edge(network, producer, consumer):
    (found,) = [e for e in network.edges if (e.producer, e.consumer) == (producer, consumer)]
    return found


# ---------------------------------------------------------------- weight layers


def test_linear_on_a_time_series_sends_one_vector_per_time_step():
    layer = WeightLayer.linear("fc", (7, 20), rows=5)
    assert (layer.rows, layer.columns, layer.vectors, layer.shape) == (5, 20, 7, (7, 5))
    assert layer.weights == 5 * 21
    assert layer.macs == 5 * 21 * 7


def test_strided_dilated_convolution_has_the_size_torch_documents():
    window = Window((3, 5), stride=(2, 3), padding=(1, 2), dilation=(2, 1))
    assert window.output_size(11, 14) == ((11 + 2 - 2 * 2 - 1) // 2 + 1, (14 + 4 - 4 - 1) // 3 + 1)


# ---------------------------------------------------------------- what waits for what, by hand


def test_3x3_convolution_waits_for_its_lower_right_neighbour():
    network = connect("two", (1, 4, 4), [(conv("a", (1, 4, 4), 2), ("input",)), (conv("b", (2, 4, 4), 3), ("a",))])
    by_hand = [[5, 6, 7, 7], [9, 10, 11, 11], [13, 14, 15, 15], [13, 14, 15, 15]]
    assert edge(network, 0, 1).needs.reshape(4, 4).tolist() == by_hand
    assert edge(network, 0, 1).emits.tolist() == [1] * 16


def test_the_sample_is_there_from_the_start():
    network = connect("one", (1, 4, 4), [(conv("a", (1, 4, 4), 2), ("input",))])
    (only,) = network.edges
    assert only.producer == INPUT
    assert only.needs.tolist() == [-1] * 16
    assert only.emits.size == 0


def test_stride_2_skips_the_last_position_where_it_does_not_reach():
    window = Window((1, 1), stride=(2, 2))
    network = connect(
        "strided", (1, 4, 4), [(conv("a", (1, 4, 4), 2), ("input",)), (conv("b", (2, 4, 4), 1, window), ("a",))]
    )
    assert edge(network, 0, 1).needs.tolist() == [0, 2, 8, 10]


def test_pooling_reduces_what_is_sent_to_one_position_in_four():
    network = connect(
        "conv-pool-conv",
        (1, 4, 4),
        [
            (conv("a", (1, 4, 4), 2), ("input",)),
            (Operation.digital("pool", "pool", (2, 4, 4), (2, 2, 2), "max", HALVING), ("a",)),
            (conv("b", (2, 2, 2), 3, Window((2, 2), padding=(1, 1))), ("pool",)),
        ],
    )
    between = edge(network, 0, 1)
    assert np.flatnonzero(between.emits).tolist() == [5, 7, 13, 15]
    assert between.emits.sum() == 4
    assert between.needs.tolist() == [5, 7, 7, 13, 15, 15, 13, 15, 15]


def test_flatten_makes_a_linear_layer_wait_for_everything():
    network = connect(
        "conv-fc",
        (1, 4, 4),
        [
            (conv("a", (1, 4, 4), 2), ("input",)),
            (Operation.digital("flat", "flatten", (2, 4, 4), (32,)), ("a",)),
            (WeightLayer.linear("fc", (32,), 10), ("flat",)),
        ],
    )
    assert edge(network, 0, 1).needs.tolist() == [15]
    assert edge(network, 0, 1).emits.tolist() == [1] * 16


def test_global_pooling_sends_one_position_when_the_last_vector_is_done():
    for pool in (
        Operation.digital("pool", "pool", (2, 4, 4), (2, 1, 1), "average"),
        Operation.digital("pool", "pool", (2, 4, 4), (2, 1, 1), "average", axes=(1, 2)),
    ):
        network = connect(
            "global",
            (1, 4, 4),
            [
                (conv("a", (1, 4, 4), 2), ("input",)),
                (pool, ("a",)),
                (Operation.digital("flat", "flatten", (2, 1, 1), (2,)), ("pool",)),
                (WeightLayer.linear("fc", (2,), 10), ("flat",)),
            ],
        )
        assert edge(network, 0, 1).needs.tolist() == [15]
        assert edge(network, 0, 1).emits.tolist() == [0] * 15 + [1]
        assert network.digital_ops(0) == 2 * 16


def residual():
    shape = (2, 2, 2)
    return connect(
        "residual",
        (1, 2, 2),
        [
            (conv("a", (1, 2, 2), 2), ("input",)),
            (Operation.digital("relu_a", "activation", shape, detail="relu"), ("a",)),
            (conv("b", shape, 2, Window((1, 1))), ("relu_a",)),
            (Operation.digital("sum", "add", shape, inputs=2), ("b", "relu_a")),
            (conv("c", shape, 2, Window((1, 1))), ("sum",)),
        ],
    )


def test_residual_sum_waits_for_both_branches():
    network = residual()
    assert [layer.name for layer in network.layers] == ["a", "b", "c"]
    (made,) = network.sums
    assert (made.name, made.number, made.home) == ("sum", 3, 1)
    assert network.predecessors(2) == (3,) and network.predecessors(3) == (0, 1)
    assert network.successors(0) == (1, 3) and network.successors(1) == (3,)
    assert edge(network, 0, 3).needs.tolist() == edge(network, 1, 3).needs.tolist() == [0, 1, 2, 3]
    assert edge(network, 3, 2).needs.tolist() == [0, 1, 2, 3]


def residual_blocks(depth: int) -> Network:
    """x = tanh(x + Linear(x)), 16 positions of 8 values, so often."""
    steps, x = [], "input"
    for block in range(depth):
        steps.append((WeightLayer.linear(f"linear{block}", (16, 8), 8), (x,)))
        steps.append((Operation.digital(f"sum{block}", "add", (16, 8), inputs=2), (f"linear{block}", x)))
        steps.append((Operation.digital(x := f"tanh{block}", "activation", (16, 8), detail="tanh"), (f"sum{block}",)))
    return connect("residual blocks", (16, 8), steps)


@pytest.mark.parametrize("depth", [1, 2, 7, 30])
def test_residual_blocks_wait_for_as_many_things_as_there_are_blocks(depth):
    """Each layer reads one stage, each sum two."""
    network = residual_blocks(depth)
    assert len(network.layers) == len(network.sums) == depth
    assert len(network.edges) == 3 * depth


def test_a_gate_is_sent_once_and_not_once_for_each_position():
    """x * sigmoid(g(mean of x)): 16 positions of x meet one of the gate, at the home of g."""
    shape = (3, 4, 4)
    network = connect(
        "gated",
        (1, 4, 4),
        [
            (conv("x", (1, 4, 4), 3), ("input",)),
            (Operation.digital("mean", "pool", shape, (3, 1, 1), "average", axes=(1, 2)), ("x",)),
            (conv("g", (3, 1, 1), 3, Window((1, 1))), ("mean",)),
            (Operation.digital("product", "multiply", shape, inputs=2), ("x", "g")),
            (conv("y", shape, 2), ("product",)),
        ],
    )
    (made,) = network.sums
    assert made.home == network.layer_index("g")
    assert edge(network, 0, made.number).needs.tolist() == [15]
    assert edge(network, 0, made.number).emits.tolist() == [1] * 16
    assert edge(network, 1, made.number).emits.tolist() == [1]
    assert edge(network, made.number, 2).emits.tolist() == [16]


def test_a_stage_that_is_two_parts_of_a_sum_sends_both():
    """a + tanh(a) + b at the home of b: four positions of a go there twice, and each is needed with its own of b."""
    steps = [
        (WeightLayer.linear("a", (4, 3), 3), ("input",)),
        (WeightLayer.linear("b", (4, 3), 3), ("input",)),
        (Operation.digital("tanh", "activation", (4, 3), detail="tanh"), ("a",)),
        (Operation.digital("sum", "add", (4, 3), inputs=3), ("a", "tanh", "b")),
        (WeightLayer.linear("c", (4, 3), 2), ("sum",)),
    ]
    network = connect("two parts", (4, 3), steps)
    (made,) = network.sums
    assert made.sources == (0, 1)
    assert edge(network, 0, made.number).emits.tolist() == [2] * 4
    assert edge(network, 0, made.number).needs.tolist() == [0, 1, 2, 3]
    completes, taken = made.taken(0, turns=2)
    assert completes.shape == taken.shape[1:] == (24,)
    assert np.array_equal(taken[0], completes % 2 == 0) and np.array_equal(taken[1], completes % 2 == 1)


def test_what_is_merged_of_one_stage_alone_is_no_sum():
    steps = [
        (WeightLayer.linear("x", (4,), 4), ("input",)),
        (Operation.digital("gate", "activation", (4,), detail="sigmoid"), ("x",)),
        (Operation.digital("swish", "multiply", (4,), inputs=2), ("x", "gate")),
        (WeightLayer.linear("y", (4,), 2), ("swish",)),
    ]
    network = connect("swish", (4,), steps)
    assert network.sums == () and network.predecessors(1) == (0,)


def test_an_addition_belongs_to_the_later_of_its_producers():
    network = residual()
    assert network.digital_ops(0) == 8
    assert network.digital_ops(1) == 8
    assert network.digital_ops(2) == 0


@pytest.mark.parametrize("order", [("a", "blur"), ("blur", "a")])
def test_two_ways_from_the_same_producer_wait_for_the_slower_one(order):
    shape = (1, 2, 2)
    network = connect(
        "two ways",
        shape,
        [
            (conv("a", shape, 1), ("input",)),
            (Operation.digital("blur", "pool", shape, shape, "average", SAME_3X3), ("a",)),
            (Operation.digital("sum", "add", shape, inputs=2), order),
            (conv("b", shape, 1, Window((1, 1))), ("sum",)),
        ],
    )
    assert edge(network, 0, 1).needs.tolist() == [3, 3, 3, 3]
    assert edge(network, 0, 1).emits.tolist() == [0, 0, 0, 4]


def test_channels_that_are_not_complete_together_are_kept_apart():
    network = connect(
        "time as channels",
        (3, 5),
        [
            (WeightLayer.linear("a", (3, 5), 4), ("input",)),
            (Operation.digital("image", "flatten", (3, 4), (3, 2, 2)), ("a",)),
            (Operation.digital("pool", "pool", (3, 2, 2), (3, 1, 1), "max", HALVING), ("image",)),
            (WeightLayer.linear("b", (3, 1, 1), 2), ("pool",)),
        ],
    )
    assert edge(network, 0, 1).needs.tolist() == [0, 1, 2]


def test_a_window_that_sees_only_padding_waits_for_nothing():
    window = Window((1, 1), stride=(1, 1), padding=(1, 1))
    network = connect(
        "padded", (1, 2, 2), [(conv("a", (1, 2, 2), 1), ("input",)), (conv("b", (1, 2, 2), 1, window), ("a",))]
    )
    assert edge(network, 0, 1).needs.reshape(4, 4).tolist() == [
        [-1, -1, -1, -1],
        [-1, 0, 1, -1],
        [-1, 2, 3, -1],
        [-1, -1, -1, -1],
    ]


def test_softmax_over_time_makes_every_step_wait_for_the_last():
    network = connect(
        "mixing",
        (3, 4),
        [
            (WeightLayer.linear("a", (3, 4), 2), ("input",)),
            (Operation.digital("softmax", "softmax", (3, 2), axes=(0,)), ("a",)),
            (WeightLayer.linear("b", (3, 2), 2), ("softmax",)),
        ],
    )
    assert edge(network, 0, 1).needs.tolist() == [2, 2, 2]
    assert network.digital_ops(0) == 6 * 5 + 2  # of each number, and of each of two sums


def test_digital_operations_before_the_first_layer_belong_to_the_input():
    network = connect(
        "normalised",
        (4,),
        [
            (Operation.digital("norm", "batch_norm", (4,)), ("input",)),
            (WeightLayer.linear("fc", (4,), 2), ("norm",)),
        ],
    )
    assert network.digital_ops(INPUT) == 8


def test_adaptive_windows_share_the_axis_as_torch_does():
    pool = Operation.digital("pool", "pool", (1, 5, 5), (1, 3, 3), "average")
    assert pool.digital_ops == (2 + 3 + 2) ** 2 - 9 + 9  # additions less one for each result, and its factor


# ---------------------------------------------------------------- what waits for what, by brute force


@st.composite
def random_networks(draw):
    """Chains of small convolutions, poolings and activations, with residual sums where shapes allow."""
    height, width = draw(st.integers(2, 6)), draw(st.integers(2, 6))
    shape, names = (1, height, width), ["input"]
    shapes = {"input": shape}
    steps = []
    for number in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["conv2d", "conv2d", "pool", "adaptive", "activation", "add"]))
        source, name = names[-1], f"{kind}{number}"
        shape = shapes[source]
        pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
        window = Window(draw(pairs), draw(pairs), draw(st.tuples(st.integers(0, 1), st.integers(0, 1))), draw(pairs))
        sources = (source,)
        if kind == "conv2d" and min(window.output_size(*shape[1:])) >= 1:
            operation = WeightLayer.convolution(name, shape, draw(st.integers(1, 2)), window)
        elif kind == "pool" and min(window.output_size(*shape[1:])) >= 1:
            operation = Operation.digital(
                name, "pool", shape, (shape[0], *window.output_size(*shape[1:])), "max", window
            )
        elif kind == "adaptive":
            size = (draw(st.integers(1, shape[1])), draw(st.integers(1, shape[2])))
            operation = Operation.digital(name, "pool", shape, (shape[0], *size), "average")
        elif kind == "add":
            partner = draw(st.sampled_from([n for n in names if shapes[n] == shape]))
            sources = (source, partner)
            operation = Operation.digital(name, "add", shape, inputs=2)
        else:
            operation = Operation.digital(name, "activation", shape, detail="tanh")
        steps.append((operation, sources))
        names.append(name)
        shapes[name] = operation.shape
    flat = int(np.prod(shape := shapes[names[-1]]))
    steps.append((Operation.digital("flat", "flatten", shape, (flat,)), (names[-1],)))
    steps.append((WeightLayer.linear("fc", (flat,), 2), ("flat",)))
    return connect("random", (1, height, width), steps)


def window_values(operation, values, position):
    """All (channel, value set) under the window of one output position, by walking over it."""
    height, width = values.shape[1:]
    y, x = position
    if operation.window is None:
        rows, columns = operation.shape[1:]
        places = itertools.product(
            range(y * height // rows, -(-(y + 1) * height // rows)),
            range(x * width // columns, -(-(x + 1) * width // columns)),
        )
    else:
        w = operation.window
        places = (
            (y * w.stride[0] - w.padding[0] + i * w.dilation[0], x * w.stride[1] - w.padding[1] + j * w.dilation[1])
            for i in range(w.kernel[0])
            for j in range(w.kernel[1])
        )
    return [(c, values[c, i, j]) for i, j in places if 0 <= i < height and 0 <= j < width for c in range(len(values))]


def brute_force(network: Network):
    """Push through the network, in place of every value, the set of (stage, vector) that it is made of."""
    sets, waits, reads, stages, homes = {}, {}, {}, {}, {INPUT: INPUT}
    homes |= {index: index for index in range(len(network.layers))}
    for operation in network.operations:
        sources = list(network.graph.predecessors(operation.name))
        arriving = [sets[name] for name in sources]
        stages[operation.name] = stages[sources[0]] if sources else INPUT
        out = np.empty(operation.shape, dtype=object)
        if operation.kind == "input":
            for place in np.ndindex(operation.shape):
                out[place] = frozenset()
        elif operation.kind in ("conv2d", "linear"):
            index = stages[operation.name] = network.layer_index(operation.name)
            (values,) = arriving
            places = np.empty(values.shape, dtype=object)
            for place in np.ndindex(values.shape):
                places[place] = place
            reads[index] = set()
            positions = list(np.ndindex(operation.shape[1:])) if operation.kind == "conv2d" else [()]
            for vector, position in enumerate(positions):
                seen = window_values(operation, values, position) if position else list(enumerate(values))
                under = window_values(operation, places, position) if position else list(enumerate(places))
                reads[index] |= {place for _, place in under}
                waits[index, vector] = frozenset().union(*(value for _, value in seen))
                for row in range(operation.rows):
                    out[(row, *position)] = frozenset([(index, vector)])
        elif operation.kind == "pool":
            for channel, *position in np.ndindex(operation.shape):
                seen = window_values(operation, arriving[0], tuple(position))
                out[(channel, *position)] = frozenset().union(*(value for c, value in seen if c == channel))
        elif operation.kind == "flatten":
            out[:] = arriving[0].reshape(-1)
        elif len({stages[name] for name in sources}) > 1:
            number = stages[operation.name] = len(homes) - 1
            home = homes[number] = max(homes[stages[name]] for name in sources)
            reads[number] = [value for values in arriving for value in values.flat]
            for vector in range(network.layers[home].vectors):
                waits[number, vector] = frozenset()
            for place in np.ndindex(operation.shape):
                given = frozenset().union(*(values[place] for values in arriving))
                made = max((v for stage, v in given if homes[stage] == home), default=0)
                out[place] = frozenset([(number, made)])
                for vector in range(made, network.layers[home].vectors):  # they come in order
                    waits[number, vector] |= given
        else:
            for place in np.ndindex(operation.shape):
                out[place] = frozenset().union(*(values[place] for values in arriving))
        if operation.kind in ("conv2d", "linear"):
            reads[index] = [values[place] for place in reads[index]]
        sets[operation.name] = out
    return waits, reads, homes


@settings(max_examples=150, deadline=None)
@given(random_networks())
def test_needs_and_emits_agree_with_pushing_sets_of_vectors_through(network):
    waits, reads, homes = brute_force(network)
    for e in network.edges:
        consumer = network.layers[homes[e.consumer]]
        last = [
            max((v for stage, v in waits[e.consumer, vector] if stage == e.producer), default=-1)
            for vector in range(consumer.vectors)
        ]
        assert e.needs.tolist() == last
        if e.producer != INPUT:
            producer = network.layers[homes[e.producer]]
            complete = np.zeros(producer.vectors, int)
            for value in reads[e.consumer]:
                vectors = [v for stage, v in value if stage == e.producer]
                if vectors:
                    complete[max(vectors)] += 1
            assert e.emits.tolist() == (-(-complete // producer.rows)).tolist()
            assert e.emits.sum() == e.frees.sum()
            # nothing is freed before it is there
            held = np.append(0, np.cumsum(e.emits))[e.needs + 1]
            assert np.all(np.cumsum(e.frees) <= np.maximum.accumulate(held))
    found = {(e.producer, e.consumer) for e in network.edges}
    missing = {(stage, consumer) for (consumer, _), value in waits.items() for stage, _ in value} - found
    assert not missing
    assert len(found) == len(network.layers) + 2 * len(network.sums)


@settings(max_examples=50, deadline=None)
@given(random_networks())
def test_all_digital_operations_are_owned_by_exactly_one_layer(network):
    owned = sum(network.digital_ops(index) for index in range(INPUT, len(network.layers)))
    assert owned == sum(operation.digital_ops for operation in network.operations)


# ---------------------------------------------------------------- bad input


def graph_of(*operations, edges=()):
    graph = nx.DiGraph()
    for operation in operations:
        graph.add_node(operation.name, operation=operation)
    graph.add_edges_from(edges)
    return graph


IN = Operation("input", "input", (4,))
FC = WeightLayer.linear("fc", (4,), 4)


def test_a_cycle_is_refused_in_one_sentence():
    relu = Operation.digital("relu", "activation", (4,), detail="relu")
    graph = graph_of(IN, FC, relu, edges=[("fc", "relu"), ("relu", "fc")])
    with pytest.raises(InputError, match="network 'loop' has a cycle through fc, relu, accepted: a graph without"):
        Network("loop", (4,), graph)


def test_an_unknown_kind_is_refused_with_the_accepted_ones_and_no_suggestion():
    graph = graph_of(IN, Operation("drop", "droput", (4,)), edges=[("input", "drop")])
    with pytest.raises(InputError, match=r"'drop' is of unknown kind 'droput'; accepted are input, linear, .*softmax$"):
        Network("odd", (4,), graph)
    with pytest.raises(InputError, match="unknown kind 'convolve3d'"):
        Operation.digital("c", "convolve3d", (4,))


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ([(WeightLayer.linear("fc", (5,), 2), ("input",))], r"'fc' \(linear\) of shape \(2,\) cannot read \(4,\)"),
        ([(FC, ("inptu",))], "'fc' reads 'inptu', which is not there; did you mean 'input'"),
        ([(FC, ("input",)), (FC, ("input",))], "two operations named 'fc'"),
        ([(Operation.digital("r", "activation", (4,)), ("input",))], "no weight layer to put on an array"),
        ([(FC, ())], r"'fc' \(linear\) reads 0 operations, accepted: 1"),
        (
            [(FC, ("input",)), (Operation.digital("s", "add", (3,)), ("fc", "input"))],
            r"'s' \(add\) of shape \(3,\) cannot read \(4,\) and \(4,\)",
        ),
    ],
)
def test_networks_that_do_not_fit_together_are_refused(steps, sentence):
    with pytest.raises(InputError, match=sentence):
        connect("bad", (4,), steps)


def test_an_unknown_layer_name_gets_the_nearest_one():
    with pytest.raises(InputError, match="no weight layer 'fc1'; did you mean 'fc'"):
        connect("one", (4,), [(FC, ("input",))]).layer_index("fc1")


def test_a_network_cannot_be_changed():
    network = residual()
    with pytest.raises(nx.NetworkXError):
        network.graph.add_node("more")
    with pytest.raises(ValueError, match="read-only"):
        network.edges[1].needs[0] = 5

"""The zoo against the papers: arrays, vectors, weights."""

from __future__ import annotations

import pytest
import torch

from rpusim.errors import InputError
from rpusim.workloads.capture.capture import capture
from rpusim.workloads.capture.samples import Samples
from rpusim.workloads.zoo.networks import NETWORKS, build
from rpusim.workloads.zoo.perceptrons import fcn


def captured(name):
    with torch.device("meta"):
        module, input_shape = build(name)
    return capture(module, input_shape, name)


def test_fcn_of_2016_has_235146_weights():
    network = captured("fcn")
    assert [(layer.rows, layer.columns + layer.bias) for layer in network.layers] == [(256, 785), (128, 257), (10, 129)]
    assert network.weights == network.macs == 235_146


def test_fcn_hidden_layers_cost_sigmoids_and_the_last_a_log_softmax():
    network = captured("fcn-digits")
    assert network.input_shape == (64,)
    assert [network.digital_ops(index) for index in range(3)] == [4 * 256, 4 * 128, 5 * 10 + 1]


def test_lenet_of_2017_has_the_published_arrays_and_vectors():
    network = captured("lenet-2017")
    arrays = [(layer.rows, layer.columns + layer.bias) for layer in network.layers]
    assert arrays == [(16, 26), (32, 401), (128, 513), (10, 129)]
    assert [layer.vectors for layer in network.layers] == [576, 64, 1, 1]
    assert network.weights == 80_202
    assert network.macs == pytest.approx(1.128e6, rel=5e-4)


def test_lenet_pooling_sends_one_position_in_four():
    edges = captured("lenet-2017").edges
    assert [(edge.producer, edge.consumer) for edge in edges] == [(-1, 0), (0, 1), (1, 2), (2, 3)]
    assert [int(edge.emits.sum()) for edge in edges[1:]] == [144, 16, 1]
    first = edges[1].needs[0]  # 5 x 5 pooled positions are 10 x 10 outputs of the 24 x 24
    assert first == 9 * 24 + 9


def test_lenet_digits_fits_8x8_images():
    network = captured("lenet-digits")
    assert network.input_shape == (1, 8, 8)
    assert [layer.kind for layer in network.layers] == ["conv2d", "conv2d", "linear", "linear"]
    assert network.weights == 13_706
    assert [layer.vectors for layer in network.layers] == [64, 16, 1, 1]


def test_alexnet_has_the_published_arrays_vectors_and_macs():
    network = captured("alexnet")
    assert [(layer.rows, layer.columns) for layer in network.layers] == [
        *((96, 363), (256, 2400), (384, 2304), (384, 3456), (256, 3456)),
        *((4096, 9216), (4096, 4096), (1000, 4096)),
    ]
    assert [layer.vectors for layer in network.layers] == [3025, 729, 169, 169, 169, 1, 1, 1]
    millions = [layer.rows * layer.columns * layer.vectors / 1e6 for layer in network.layers]
    assert millions == pytest.approx([105.4, 447.9, 149.5, 224.3, 149.5, 37.7, 16.8, 4.1], abs=0.05)
    assert sum(millions) == pytest.approx(1135.3, abs=0.05)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_is_built_on_meta_without_storage_and_says_where_it_comes_from(name):
    with torch.device("meta"):
        module, input_shape = build(name)
        given = Samples.of(input_shape)
        positional, _ = given.tensors(torch.float32, [False] * len(given.all))
        output = module(*(each[:1] for each in positional))
    assert all(p.is_meta for p in module.parameters())
    assert len(output[0] if isinstance(output, tuple) else output) == 1
    assert NETWORKS[name].source


@pytest.mark.parametrize("name", ["fcn-digits", "lenet-digits"])
def test_outputs_are_log_probabilities(name):
    module, input_shape = build(name)
    assert torch.allclose(module(torch.rand(3, *input_shape)).exp().sum(1), torch.ones(3), atol=1e-5)


def test_fcn_takes_images_as_well_as_flat_samples():
    module = fcn(64)
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(module(images), module(images.reshape(2, 64)))


def test_an_unknown_network_gets_the_nearest_name():
    with pytest.raises(InputError, match=r"no network 'lenet-digit'; did you mean 'lenet-digits'"):
        build("lenet-digit")


class TestANetworkOfTheUsersOwn:
    def test_is_built_by_a_function_in_a_file(self, tmp_path):
        path = tmp_path / "mine.py"
        path.write_text("import torch\ndef small():\n    return torch.nn.Linear(3, 2), (3,)\n")
        module, input_shape = build(f"{path}:small")
        assert (module.in_features, input_shape) == (3, (3,))

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            (None, r"there is no file .*mine.py; accepted"),
            ("def smal(): pass", r"has no function 'small'; did you mean 'smal'"),
            ("1 / 0", r"cannot be run \(ZeroDivisionError: division by zero\)"),
            ("def small(): return 3", r"did not return \(module, input_shape\)"),
            ("def small(): return 3, (4,)", r"returned int; a torch module is needed"),
        ],
    )
    def test_gets_one_sentence_if_it_cannot_be(self, tmp_path, text, sentence):
        path = tmp_path / "mine.py"
        if text is not None:
            path.write_text(text)
        with pytest.raises(InputError, match=sentence) as caught:
            build(f"{path}:small")
        assert "\n" not in str(caught.value)

"""Networks as a list of layers, of ONNX files, and by a configuration of another library."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import rpusim
from rpusim.errors import InputError
from rpusim.workloads.zoo import networks
from rpusim.workloads.zoo.given import hugging_face, layers_file
from rpusim.workloads.zoo.given.onnx_file import OnnxModule

LAYERS = """
input: [1, 8, 8]
layers:
  - conv: {channels: 4, kernel: 3, padding: 1}
  - tanh
  - max_pool: 2
  - repeat:
      times: 2
      layers:
        - residual: [{conv: {channels: 4, kernel: 3, padding: 1}}, batch_norm, relu]
  - flatten
  - linear: 10
  - log_softmax
"""


def test_a_list_of_layers_is_the_network_of_torch(tmp_path: Path) -> None:
    (tmp_path / "net.yaml").write_text(LAYERS)
    module, shape = networks.build(str(tmp_path / "net.yaml"))
    assert shape == (1, 8, 8) and module(torch.rand(3, 1, 8, 8)).shape == (3, 10)
    found = rpusim.map_network(str(tmp_path / "net.yaml"), "reram-512")
    sizes = [(layer["rows"], layer["columns"]) for layer in found["layers"]]
    assert sizes == [(4, 10), (4, 37), (4, 37), (10, 65)]


def test_sequences_and_tables_are_layers_like_others() -> None:
    listed = [{"embedding": {"rows": 20, "width": 8}}, {"attention": {"heads": 2, "causal": True}}, "layer_norm"]
    listed += [{"lstm": 6}, "last", {"linear": 5}]
    module, shape = layers_file.of({"input": [7], "layers": listed}, "network")
    assert shape == ((7,), torch.int64) and module(torch.randint(0, 20, (2, 7))).shape == (2, 5)
    assert rpusim.map_network((module, shape), "reram-512")["totals"]["products"] == 2 * 2 * 7 * 7 * 4


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"input": [4]}, r"network: got input; accepted: input and layers"),
        ({"input": [0], "layers": ["relu"]}, r"network: input: got \[0\]; accepted: a list of one to four positive"),
        ({"input": [4], "layers": []}, r"network: layers: got \[\]; accepted: a list of layers"),
        ({"input": [4], "layers": ["relo"]}, r"network: layers.0: got 'relo'; did you mean 'relu'\?"),
        ({"input": [4], "layers": [{"linear": 0}]}, r"layers.0.linear.outputs: got 0; accepted: a whole number from 1"),
        ({"input": [4], "layers": [{"linear": {"output": 3}}]}, r"'output' is not a field|output is not a field"),
        ({"input": [4], "layers": [{"conv": {"channels": 2}}]}, r"layers.0.conv.kernel: is missing"),
        (
            {"input": [3, 4, 4], "layers": [{"conv": {"channels": 2, "kernel": 9}}]},
            r"conv: cannot read samples of shape",
        ),
        ({"input": [4], "layers": [{"residual": [{"linear": 3}]}]}, r"its layers turn \(4,\) into \(3,\)"),
    ],
)
def test_what_is_wrong_with_a_layer_is_one_sentence(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said) as refusal:
        layers_file.of(given, "network")
    assert "\n" not in str(refusal.value)


def test_nodes_of_a_graph_compute_what_torch_does() -> None:
    """A convolution, a pooling and two ways to multiply, as ONNX has them; the package itself is not needed."""
    rng = torch.Generator().manual_seed(0)
    weights = {"conv.w": torch.randn(4, 1, 3, 3, generator=rng), "fc/w": torch.randn(5, 64, generator=rng)}
    weights |= {"b": torch.randn(5, generator=rng), "2": torch.randn(5, 3, generator=rng)}
    nodes = [
        ("Conv", {"pads": [1, 1, 1, 1]}, ["x", "conv.w"], ["a"]),
        ("Relu", {}, ["a"], ["r"]),
        ("MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}, ["r"], ["p"]),
        ("Reshape", {}, ["p", "sizes"], ["f"]),
        ("Gemm", {"transB": 1}, ["f", "fc/w", "b"], ["g"]),
        ("MatMul", {}, ["g", "2"], ["y"]),
    ]
    module = OnnxModule(nodes, weights, {"sizes": torch.tensor([1, -1])}, "x", "y")
    x = torch.rand(2, 1, 8, 8)
    features = nn.functional.max_pool2d(torch.relu(nn.functional.conv2d(x, weights["conv.w"], padding=1)), 2).flatten(1)
    expected = nn.functional.linear(features, weights["fc/w"], weights["b"]) @ weights["2"]
    torch.testing.assert_close(module(x), expected)
    placed = rpusim.place(module, "reram-512", (1, 8, 8))
    placed(x).square().sum().backward()
    rpusim.AnalogSGD(placed, 0.01).step()
    assert placed.chip.report()["tiles"]["arrays"] == 3


def test_an_onnx_file_is_a_network(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    weight = onnx.numpy_helper.from_array(np.eye(4, dtype=np.float32)[:3], "w")
    graph = helper.make_graph(
        [helper.make_node("Gemm", ["x", "w"], ["y"], transB=1)],
        "g",
        [helper.make_tensor_value_info("x", kinds.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", kinds.FLOAT, ["N", 3])],
        [weight],
    )
    onnx.save(helper.make_model(graph), tmp_path / "n.onnx")
    module, shape = networks.build(str(tmp_path / "n.onnx"))
    assert shape == (4,) and module(torch.tensor([[1.0, 2.0, 3.0, 4.0]])).tolist() == [[1.0, 2.0, 3.0]]


def test_without_its_package_a_file_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"package onnx, which is not installed.*pip install rpusim\[onnx\]"):
        networks.build("net.onnx")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(InputError, match=r"package transformers, which is not installed.*pip install transformers"):
        networks.build("hf:gpt2")


class _Config:
    """Stands in for a configuration of transformers."""

    def __init__(self) -> None:
        self.vocab_size, self.n_embd, self.n_positions, self.is_decoder = 20, 8, 64, True


class _Model(nn.Module):
    """Stands in for a model of transformers, whose readout is its table."""

    def __init__(self, config: _Config) -> None:
        super().__init__()
        self.table = nn.Embedding(config.vocab_size, config.n_embd)
        self.readout = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.readout.weight = self.table.weight

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> tuple[torch.Tensor]:
        return (self.readout(torch.tanh(self.table(input_ids))),)


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A stand-in for the package, with what is asked of it."""
    library: Any = ModuleType("transformers")
    known = {"gpt2": _Config}

    def for_model(name: str) -> _Config:
        if name not in known:
            raise ValueError(f"Unrecognized model identifier: {name}")
        return known[name]()

    library.AutoConfig = SimpleNamespace(for_model=for_model)
    library.AutoModelForCausalLM = SimpleNamespace(from_config=_Model)
    library.CONFIG_MAPPING = library.MODEL_FOR_CAUSAL_LM_MAPPING = {**known, _Config: _Model}
    monkeypatch.setitem(sys.modules, "transformers", library)
    return library


def test_a_configuration_is_a_network_without_weights(transformers: Any) -> None:
    module, shape = networks.build("hf:gpt2?tokens=6&n_embd=4")
    assert shape == ((6,), torch.int64) and module(torch.zeros(2, 6, dtype=torch.int64)).shape == (2, 6, 20)
    found = rpusim.time_network("hf:gpt2?tokens=6", "reram-512", samples=2, training=False, schedule="sequential")
    assert found["time"]["per_sample_s"] > 0
    transformers.CONFIG_MAPPING = {"gpt2": _Config}
    for name, said in (
        ("hf:gpt3", "no type 'gpt3'; did you mean 'gpt2'"),
        ("hf:gpt2?layers=3", "layers'? is no field of this configuration"),
        ("hf:gpt2?tokens=65", "tokens: got '?65'?; accepted: a whole number from 1 to 64"),
    ):
        with pytest.raises(InputError, match=said):
            hugging_face.build(name)

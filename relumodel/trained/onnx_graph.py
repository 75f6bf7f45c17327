"""Networks as ONNX graphs, written down operator by operator: no torch is needed.

One input "X" (n, d) of the raw features and one output "f" (n,), the score, or (n, c) of several; n is free. Only operators that runtimes have for both
precisions are used, in a version of the operator set from 2021.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..declare.networks import Polynomial, ReLU
from ..errors import MissingPackageError
from ..files import replace_file
from ..robustness.neurons import TwoLayers
from .conversion import ThreeLayers, checked_precision, with_a_neuron, with_a_sub_network

#: Of the operators, and of the file.
OPERATORS, FORMAT = 15, 8


class Graph:
    """Nodes and constants in the order they are made; every method returns the name of what it computes."""

    def __init__(self, dtype: str) -> None:
        checked_precision(dtype)
        try:
            import onnx
        except ImportError as error:
            raise MissingPackageError("to_onnx() needs the package onnx; install it with pip install 'relumodel[onnx]'.") from error
        self.onnx, self.dtype = onnx, dtype
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any, kind: str | None = None) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.array(values, dtype=kind or self.dtype, order="C"), name))
        return name

    def node(self, operator: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        name = to or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def linear(self, x: str, weights: np.ndarray, bias: bool) -> str:
        """x weights, the last row of the weights being the bias if there is one."""
        product = self.node("MatMul", x, self.constant(weights[:-1] if bias else weights))
        return self.node("Add", product, self.constant(weights[-1])) if bias else product

    def activation(self, t: str, activation: Any) -> str:
        if isinstance(activation, Polynomial):
            inner = self.node("Add", self.node("Mul", t, self.constant(activation.a)), self.constant(activation.b))
            return self.node("Add", self.node("Mul", inner, t), self.constant(activation.c))
        if isinstance(activation, ReLU):
            return self.node("Relu", t)
        return self.node(
            "Max", t, self.node("Mul", t, self.constant(activation.inactive))
        )  # slope < 1; runtimes' LeakyRelu is float32

    def write(self, path: str | Path, network: TwoLayers | ThreeLayers) -> Path:
        """Check the graph, then put it at `path`, atomically."""
        helper, kind = self.onnx.helper, getattr(self.onnx.TensorProto, "DOUBLE" if self.dtype == "float64" else "FLOAT")
        graph = helper.make_graph(
            self.nodes,
            "relumodel",
            [helper.make_tensor_value_info("X", kind, ["n", network.n_features])],
            [helper.make_tensor_value_info("f", kind, ["n", *network.output_weights.shape[1:]])],
            self.constants,
            doc_string=repr(network),
        )
        operators = [helper.make_opsetid("", OPERATORS)]
        model = helper.make_model(graph, producer_name="relumodel", opset_imports=operators, ir_version=FORMAT)
        self.onnx.checker.check_model(model, full_check=True)
        return replace_file(path, lambda file: file.write(model.SerializeToString()))


def write_two_layers(network: TwoLayers, path: str | Path, dtype: str) -> Path:
    """sum_j sigma(x.u_j) a_j."""
    graph, network = Graph(dtype), with_a_neuron(network)
    t = graph.linear("X", network.hidden_weights, network.bias)
    if network.gates is None:
        active = graph.activation(t, network.activation)
    else:
        on = graph.node("GreaterOrEqual", graph.linear("X", network.gates, network.bias), graph.constant(0.0))
        active = graph.node("Where", on, t, graph.constant(0.0))
    graph.node("MatMul", active, graph.constant(network.output_weights), to="f")
    return graph.write(path, network)


def write_three_layers(network: ThreeLayers, path: str | Path, dtype: str) -> Path:
    """sum_g ((x W1_g)_+ w2_g)_+ w3_g."""
    graph, network = Graph(dtype), with_a_sub_network(network)
    W1, w2, w3 = network.hidden_weights, network.second_weights, network.output_weights
    G, width, m = W1.shape
    hidden = graph.node("Relu", graph.linear("X", W1.transpose(1, 0, 2).reshape(width, G * m), network.bias))
    apart = graph.node("Reshape", hidden, graph.constant([-1, G, m], "int64"))
    second = graph.node("ReduceSum", graph.node("Mul", apart, graph.constant(w2)), graph.constant([2], "int64"), keepdims=0)
    graph.node("MatMul", graph.node("Relu", second), graph.constant(w3), to="f")
    return graph.write(path, network)

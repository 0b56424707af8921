"""Cuts a slice out of an ONNX graph by the names of its tensors, without copying a weight.

`onnx.utils.Extractor` copies the weights and misses values that the body of an If or Loop captures from outside; this
walk follows them. Shapes are no data: a slice makes the numbers that depend on the batch from a tensor that it has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

from partitioner.graph import Dimension
from partitioner.onnx_form import ELEMENT_TYPES, OnnxForm, reads
from partitioner.pseudo_names import RESERVED

__all__ = ["OnnxSlice", "slice_form"]


@dataclass(frozen=True, slots=True, eq=False)
class OnnxSlice:
    """A runnable model whose large weights are named, not held.

    fed: the position, among the inputs, of what goes in under each name. passed: that of each output that is an input.
    made: under which name each other output comes out; two may be one value. weights: the names it needs.
    """

    model: onnx.ModelProto
    fed: Mapping[str, int]
    passed: Mapping[str, int]
    made: Mapping[str, str]
    weights: tuple[str, ...]


def slice_form(form: OnnxForm, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> OnnxSlice:
    """What makes the tensors `outputs` out of the tensors `inputs`, as a model of its own. Linear in the graph.

    Raises KeyError for a tensor that the form does not know.
    """
    given = {form.values[name]: at for at, name in reversed(list(enumerate(inputs)))}  # the first of equals wins
    passed = {name: given[form.values[name]] for name in outputs if form.values[name] in given}
    wanted = {form.values[name]: name for name in outputs if name not in passed}
    # A constant that is also an output comes along, but ops read their own, which onnxruntime lays out.
    constants = {i.name for i in form.model.graph.initializer} | form.weights.keys()
    walk = _Walk(form, given.keys() - constants)
    walk.run(wanted)
    fed = {value: at for value, at in given.items() if value in walk.used and value not in constants}
    large = tuple(sorted(name for name in walk.used if name in form.weights))
    graph = helper.make_graph(
        [*walk.node_protos(), *_given_away(form, wanted)],
        "slice",
        [_typed(form, value, value, inputs[at]) for value, at in fed.items()],
        [_typed(form, _place(form, value), value, name) for value, name in wanted.items()],
        [*walk.small_initializers(), *(_placeholder(form, name) for name in large)],
    )
    model = helper.make_model(graph, opset_imports=form.model.opset_import, ir_version=form.model.ir_version)
    made = {name: _place(form, form.values[name]) for name in outputs if name not in passed}
    return OnnxSlice(model, fed, passed, made, large)


def _place(form: OnnxForm, value: str) -> str:
    """Under which name a value comes out: one that no node makes (a weight, a constant) gets a name of its own."""
    return value if value in form.producers else f"{RESERVED}output/{value}"


def _given_away(form: OnnxForm, wanted: Iterable[str]) -> list[onnx.NodeProto]:
    """The nodes that hand out weights and constants."""
    loose = [value for value in wanted if value not in form.producers]
    return [helper.make_node("Identity", [value], [_place(form, value)]) for value in loose]


class _Walk:
    """Backwards from what is wanted to what is given: `nodes` are positions, `used` all values that are read."""

    def __init__(self, form: OnnxForm, given: set[str]) -> None:
        self.form, self.given = form, given
        self.nodes, self.used = set[int](), set[str]()
        self.batch_nodes: list[onnx.NodeProto] = []
        self._remade: dict[int, onnx.NodeProto] = {}

    def run(self, wanted: Iterable[str]) -> None:
        stack = list(wanted)
        while stack:
            value = stack.pop()
            at = self.form.producers.get(value)
            self.used.add(value)
            if value in self.given or at is None or at in self.nodes:
                continue
            self.nodes.add(at)
            node = self.form.model.graph.node[at]
            if node.op_type == "Shape" and self._remake(at, node):
                continue
            stack += reads(node)

    def node_protos(self) -> list[onnx.NodeProto]:
        """All nodes in order: first what the batch is made by."""
        nodes = self.form.model.graph.node
        return [*self.batch_nodes, *(self._remade.get(at, nodes[at]) for at in sorted(self.nodes))]

    def small_initializers(self) -> list[TensorProto]:
        """The constants in the graph that are read."""
        return [i for i in self.form.model.graph.initializer if i.name in self.used]

    def _remake(self, at: int, node: onnx.NodeProto) -> bool:
        """Whether a Shape can be told from the batch alone, so that its tensor need not be here."""
        dimensions = self.form.shapes.get(node.input[0])
        if dimensions is None:
            return False
        bounds = {a.name: a.i for a in node.attribute}
        dimensions = dimensions[bounds.get("start", 0) : bounds.get("end", len(dimensions))]
        if all(d.per_item == 0 for d in dimensions):
            self._remade[at] = _constant(node.output[0], [d.fixed for d in dimensions])
            return True
        batch = self._batch()
        if batch:
            scaled = self._arithmetic("Mul", batch, [d.per_item for d in dimensions], f"{node.output[0]}/scaled")
            fixed = self._constant([d.fixed for d in dimensions], f"{node.output[0]}/fixed")
            self._remade[at] = helper.make_node("Add", [scaled, fixed], [node.output[0]])
        return bool(batch)

    def _batch(self) -> str:
        """The name of an int64 [1] that holds the batch size; empty when nothing given tells it."""
        name = f"{RESERVED}batch"
        if self.batch_nodes:
            return name
        for value in self.given:
            for index, dimension in enumerate(self.form.shapes.get(value, ())):
                if dimension.per_item:
                    self.used.add(value)
                    self._read_batch(value, index, dimension, name)
                    return name
        return ""

    def _read_batch(self, value: str, index: int, dimension: Dimension, name: str) -> None:
        """The batch out of a dimension that is per_item * batch + fixed."""
        shape, length = f"{RESERVED}shape", f"{RESERVED}length"
        self.batch_nodes.append(helper.make_node("Shape", [value], [shape]))
        position = self._constant([index], f"{RESERVED}position")
        self.batch_nodes.append(helper.make_node("Gather", [shape, position], [length], axis=0))
        rest = self._arithmetic("Sub", length, [dimension.fixed], f"{RESERVED}rest")
        quotient = self._constant([dimension.per_item], f"{RESERVED}per_item")
        self.batch_nodes.append(helper.make_node("Div", [rest, quotient], [name]))

    def _arithmetic(self, operator: str, left: str, right: list[int], name: str) -> str:
        constant = self._constant(right, f"{name}/by")
        self.batch_nodes.append(helper.make_node(operator, [left, constant], [name]))
        return name

    def _constant(self, numbers: list[int], name: str) -> str:
        self.batch_nodes.append(_constant(name, numbers))
        return name


def _constant(name: str, numbers: list[int]) -> onnx.NodeProto:
    value = helper.make_tensor(f"{name}/value", TensorProto.INT64, [len(numbers)], numbers)
    return helper.make_node("Constant", [], [name], value=value)


def _typed(form: OnnxForm, name: str, value: str, tensor: str) -> onnx.ValueInfoProto:
    """`value`, which holds our `tensor`, under the name that it has in the slice."""
    shape = [d.fixed if d.per_item == 0 else None for d in form.shapes[value]]
    return helper.make_tensor_value_info(name, ELEMENT_TYPES[form.graph.tensors[tensor].dtype], shape)


def _placeholder(form: OnnxForm, name: str) -> TensorProto:
    """An initializer without data: the session is handed the tensor itself."""
    tensor = form.weights[name]
    kind = ELEMENT_TYPES[str(tensor.dtype).removeprefix("torch.")]
    made = TensorProto(name=name, data_type=kind, dims=tensor.shape, data_location=TensorProto.EXTERNAL)
    location = made.external_data.add()
    location.key, location.value = "location", "handed-over"
    return made

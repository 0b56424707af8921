"""Every node of an ONNX graph, however deep it stands in bodies of others; those of an untrusted file too."""

from __future__ import annotations

from collections.abc import Iterator

import onnx

from isthmus.errors import InvalidModel

__all__ = ["nested_nodes"]

_MOST_NESTING = 16


def nested_nodes(graph: onnx.GraphProto | onnx.FunctionProto, depth: int = 0) -> Iterator[onnx.NodeProto]:
    """All nodes, those of bodies included. Raises InvalidModel where bodies stand in each other too deeply."""
    if depth > _MOST_NESTING:
        raise InvalidModel("graph", "is nested too deeply", remedy="simplify the model")
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for body in (attribute.g, *attribute.graphs):
                if body.node:
                    yield from nested_nodes(body, depth + 1)

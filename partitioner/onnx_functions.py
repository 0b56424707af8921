"""How much the functions of an ONNX file become once they stand in place of their calls: in a few kB, functions that
each call the next one twice stand for more nodes than any memory holds. Counted before any is put in place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import onnx

from isthmus.errors import InvalidModel
from partitioner.onnx_nesting import nested_nodes

__all__ = ["check_functions"]

_MOST_CALLS_DEEP = 100
_REMEDY = "simplify the model"
_Name = tuple[str, str, str]


def check_functions(proto: onnx.ModelProto, *, most_nodes: int, most_bytes: int) -> None:
    """Raise InvalidModel where the functions that the graph calls call themselves, or stand for more than that.

    Each function is counted once, so it takes no longer than reading the file.
    """
    functions = {_name(one.domain, one.name, one.overload): one for one in proto.functions}
    whole = _Sizes(functions).calls(nested_nodes(proto.graph))
    if whole.nodes > most_nodes:
        raise InvalidModel("graph", f"has over {most_nodes} nodes in its functions", remedy=_REMEDY)
    if whole.size_bytes > most_bytes:
        raise InvalidModel("graph", f"has over {most_bytes} bytes in its functions", remedy=_REMEDY)


@dataclass(frozen=True, slots=True)
class _Size:
    """filled: attributes whose values the call gives. deep: the longest chain of calls."""

    nodes: int = 0
    size_bytes: int = 0
    filled: int = 0
    deep: int = 0

    def plus(self, other: _Size) -> _Size:
        return _Size(
            self.nodes + other.nodes,
            self.size_bytes + other.size_bytes,
            self.filled + other.filled,
            max(self.deep, other.deep),
        )

    def called(self, call: onnx.NodeProto) -> _Size:
        """In place of `call`: a call of nothing takes its time, too, and every filled attribute may be a large one."""
        size_bytes = self.size_bytes + self.filled * call.ByteSize()
        return _Size(max(1, self.nodes), size_bytes, self.filled * _filled(call), self.deep + 1)


class _Sizes:
    """Those of functions with all that they call, each worked out once."""

    def __init__(self, functions: dict[_Name, onnx.FunctionProto]) -> None:
        self._functions = functions
        self._known: dict[_Name, _Size] = {}
        self._open: set[_Name] = set()

    def calls(self, nodes: Iterable[onnx.NodeProto]) -> _Size:
        """Of all functions that these nodes call."""
        found = _Size()
        for node in nodes:
            if (name := _called(node)) in self._functions:
                found = found.plus(self._of(name).called(node))
        return found

    def _of(self, name: _Name) -> _Size:
        if name in self._open:
            raise InvalidModel(f"function {name[1]!r}", "calls itself", remedy=_REMEDY)
        if name not in self._known:
            self._check_deep(len(self._open))  # this calls itself for every function that is open
            self._open.add(name)
            self._known[name] = self._made(self._functions[name])
            self._open.remove(name)
        self._check_deep(self._known[name].deep)
        return self._known[name]

    def _check_deep(self, calls: int) -> None:
        if calls >= _MOST_CALLS_DEEP:
            raise InvalidModel("graph", f"has functions over {_MOST_CALLS_DEEP} calls deep", remedy=_REMEDY)

    def _made(self, function: onnx.FunctionProto) -> _Size:
        own = [node for node in nested_nodes(function) if _called(node) not in self._functions]
        size_bytes = sum(node.ByteSize() for node in function.node)  # bodies are within
        return self.calls(nested_nodes(function)).plus(_Size(len(own), size_bytes, sum(map(_filled, own))))


def _called(node: onnx.NodeProto) -> _Name:
    return _name(node.domain, node.op_type, node.overload)


def _name(domain: str, name: str, overload: str) -> _Name:
    return "" if domain == "ai.onnx" else domain, name, overload  # two names of the standard's domain


def _filled(node: onnx.NodeProto) -> int:
    return sum(bool(attribute.ref_attr_name) for attribute in node.attribute)

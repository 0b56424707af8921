"""The plan of a cut with given codecs, before anything is measured: what both a node and a tool can name it by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from partitioner.model import Model
from partitioner.plan import InputForm, Plan, TensorCodec

__all__ = ["cut_plan"]


def cut_plan(
    model: Model,
    edge_ops: tuple[str, ...],
    codecs: Mapping[str, str | TensorCodec],
    default: str = "raw",
    form: InputForm = "tensor",
    engines: tuple[str, str] = ("eager", "eager"),
) -> Plan:
    """The plan of `edge_ops` with `codecs` by tensor and `default` for the others; outputs come back raw.

    codecs: names, or for one with parameters what a plan holds. engines: of the edge and of the cloud. int8 as the
    default leaves what is not floating (integers, masks) to zstd.
    Raises InvalidPlan where it is no cut.
    """
    graph = model.graph
    kept = graph.kept(edge_ops)
    made = (name for name in dict.fromkeys(graph.outputs) if name not in kept)
    return Plan(
        model=model.name,
        model_digest=model.digest,
        form=form,
        edge_ops=edge_ops,
        boundary=tuple(
            _tensor_codec(name, codecs.get(name) or _default_codec(graph.tensors[name].dtype, default))
            for name in graph.boundary(edge_ops)
        ),
        downlink=tuple(TensorCodec(name, "raw") for name in made),
        kept=kept,
        edge_engine=engines[0],
        cloud_engine=engines[1],
    )


def _tensor_codec(tensor: str, given: str | TensorCodec) -> TensorCodec:
    return TensorCodec(tensor, given) if isinstance(given, str) else replace(given, tensor=tensor)


def _default_codec(dtype: str, wanted: str) -> str:
    return "zstd" if wanted == "int8" and not dtype.startswith(("float", "bfloat")) else wanted

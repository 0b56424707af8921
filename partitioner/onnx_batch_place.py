"""Which dimension of an ONNX input is the batch: files name their open dimensions, or do not, but never say that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import onnx

from isthmus.errors import InvalidModel

__all__ = ["BatchPlace", "OpenNames", "batch_places", "is_open", "joint_places", "written_shape"]

_BATCH_NAME = re.compile(r"(?:\w*_)?batch(?:_?(?:size|dim|axis|\d+))?|n|b|bs", re.IGNORECASE)
_MOST_TRIED = 8

Dimensions = Sequence[onnx.TensorShapeProto.Dimension]


@dataclass(frozen=True, slots=True)
class OpenNames:
    """What open dimensions are called. first: those that come first in some input, the batch by all appearance; "" is
    one without a name. sure: of those, what is called a batch, or is the first of an input without any other that may
    be it. other: those in other places of such inputs."""

    first: frozenset[str]
    sure: frozenset[str]
    other: frozenset[str]

    @classmethod
    def of(cls, infos: Sequence[onnx.ValueInfoProto]) -> OpenNames:
        """Those of all inputs of a model."""
        led = [dims for dims in map(_dimensions, infos) if dims and is_open(dims[0])]
        sure = (d[0].dim_param for d in led if _is_called_batch(d[0]) or not (_opened(d)[1:] or _ones(d)))
        others = (d.dim_param for dims in led for d in dims[1:] if is_open(d))
        return cls(frozenset(dims[0].dim_param for dims in led), frozenset(sure) - {""}, frozenset(others) - {""})


@dataclass(frozen=True, slots=True)
class BatchPlace:
    """Which dimension is an input's batch. is_fixed: the file says 1 there. is_guessed: another may be it as well."""

    at: int
    is_fixed: bool = False
    is_guessed: bool = False


def batch_places(
    info: onnx.ValueInfoProto, names: OpenNames, example: Sequence[int] | None = None
) -> tuple[BatchPlace, ...]:
    """The dimensions that may be an input's batch, the likeliest first; a single one where the file says it.

    What is called so comes first, then a first dimension that is open, then a first one of 1 beside open ones (they are
    a length, a height), unless the file has an open batch elsewhere: then it may be the one layer of a recurrent
    network's state. example: the shape of the input's example: an open dimension behind a first one of 1 that has
    another size than 1 there is a length. Raises InvalidModel naming the input where no dimension can be it.
    """
    dims = _dimensions(info)
    _check_possible(info, dims)
    opened, ones = _opened(dims), _ones(dims)
    sure = [at for at in opened if dims[at].dim_param in names.sure]
    if sure or (opened == [0] and not ones):
        return (BatchPlace(sure[0] if sure else 0),)
    called = [at for at in opened if _is_called_batch(dims[at])]
    lengths = [at for at in opened if 0 in ones and example is not None and list(example)[at : at + 1] != [1]]
    order = [*called, _usual(dims, names), *ones, *(at for at in opened if at not in lengths)]
    return tuple(BatchPlace(at, is_fixed=at in ones, is_guessed=at in opened) for at in dict.fromkeys(order))


def joint_places(places: Sequence[Sequence[BatchPlace]]) -> Iterator[tuple[BatchPlace, ...]]:
    """One place for each input, the likeliest together first. places: of each input, the likeliest first.

    All first ones, all second ones, ..., then one input alone in another place than its first: what is written one way
    for one input is mostly written so for all. Not more than are bearable to try.
    """
    return islice(dict.fromkeys(_joint(places)), _MOST_TRIED)


def _joint(places: Sequence[Sequence[BatchPlace]]) -> Iterator[tuple[BatchPlace, ...]]:
    for rank in range(max(map(len, places), default=0)):
        yield tuple(each[min(rank, len(each) - 1)] for each in places)
    firsts = tuple(each[0] for each in places)
    for at, each in enumerate(places):
        yield from ((*firsts[:at], other, *firsts[at + 1 :]) for other in each[1:])


def _check_possible(info: onnx.ValueInfoProto, dims: Dimensions) -> None:
    what = f"input {info.name!r}"
    if not dims:
        remedy = "pin it with an example without dimensions (--example =16000:int64), or give it a batch dimension"
        raise InvalidModel(what, "has no batch dimension", remedy=remedy)
    if not _opened(dims) and not _ones(dims):
        remedy = "export it with a dynamic batch dimension"
        raise InvalidModel(
            what, f"has its batch fixed to {dims[0].dim_value}", value=written_shape(dims), remedy=remedy
        )


def _usual(dims: Dimensions, names: OpenNames) -> int:
    """The likeliest one where none is called a batch."""
    opened, ones = _opened(dims), _ones(dims)
    if not opened:
        return ones[0]
    shared = [at for at in opened if dims[at].dim_param in names.first - {""}]
    if 0 in opened or shared:
        return 0 if 0 in opened else shared[0]
    if 0 in ones and (not names.first or dims[opened[0]].dim_param in names.other):
        return 0
    return opened[0]


def _dimensions(info: onnx.ValueInfoProto) -> Dimensions:
    return list(info.type.tensor_type.shape.dim)


def _opened(dims: Dimensions) -> list[int]:
    return [at for at, d in enumerate(dims) if is_open(d)]


def _ones(dims: Dimensions) -> list[int]:
    return [at for at, d in enumerate(dims) if d.dim_value == 1]


def _is_called_batch(dimension: onnx.TensorShapeProto.Dimension) -> bool:
    return _BATCH_NAME.fullmatch(dimension.dim_param) is not None


def is_open(dimension: onnx.TensorShapeProto.Dimension) -> bool:
    """Whether the file leaves its size to whoever runs the model."""
    return dimension.dim_value <= 0


def written_shape(dims: Dimensions) -> list[int | str]:
    """The sizes as the file has them, open ones by name."""
    return [d.dim_param or "?" if is_open(d) else d.dim_value for d in dims]

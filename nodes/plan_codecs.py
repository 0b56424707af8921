"""The codecs of the tensors that cross in one direction of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch

from isthmus.errors import InvalidRequest
from nodes.codecs.base import EncodedTensor, ImageCodec, PiecewiseCodec
from nodes.codecs.factory import codec, encodes_images, image_codec
from nodes.codecs.layout import checked_size
from nodes.codecs.pieces import PIECES, pieces_of
from nodes.limits import NodeLimits
from nodes.preprocessing import ImageBatch
from nodes.protocol.events import WireCodec
from nodes.protocol.limits import DEFAULT_LIMITS
from partitioner.graph import TensorInfo
from partitioner.model import Model

__all__ = ["PlanCodecs"]

UNBOUNDED = 1 << 62
MOST_IN_PIECES = DEFAULT_LIMITS.tensors // PIECES // 2
"""Tensors that are encoded in pieces: the headers of them all have room in one message, twice."""


class PlanCodecs:
    """The codecs of one direction of a plan, made once. names: of its tensors, in order. files: those that cross as
    files."""

    def __init__(self, model: Model, codecs: Sequence[WireCodec], limits: NodeLimits) -> None:
        self._limits, self._tensors = limits, model.graph.tensors
        self._preprocessing = {spec.name: spec.preprocessing for spec in model.interface.inputs}
        self.names = tuple(wire.tensor for wire in codecs)
        self._codec_names = {wire.tensor: wire.codec for wire in codecs}
        self.files = frozenset(wire.tensor for wire in codecs if encodes_images(wire.codec))
        self._tensor = {w.tensor: codec(w.codec, w.parameters) for w in codecs if w.tensor not in self.files}
        self._image = {w.tensor: self._image_codec(w) for w in codecs if w.tensor in self.files}
        self._decoders = self._tensor | self._image
        in_pieces = self._tensor if len(codecs) <= MOST_IN_PIECES else {}
        self._piecewise = {name: one for name, one in in_pieces.items() if isinstance(one, PiecewiseCodec)}

    def _image_codec(self, wire: WireCodec) -> ImageCodec:
        preprocessing = self._preprocessing.get(wire.tensor)
        if preprocessing is None:
            raise InvalidRequest(f"codec {wire.codec}", "needs an input that declares preprocessing", value=wire.tensor)
        return image_codec(wire.codec, preprocessing, wire.parameters)

    def encode(self, values: Mapping[str, torch.Tensor | ImageBatch]) -> tuple[EncodedTensor, ...]:
        """All of them, from values by name. Raises InvalidRequest for an image that is not one."""
        return tuple([self.encode_one(name, values[name]) for name in self.names])

    def encode_one(self, name: str, value: torch.Tensor | ImageBatch) -> EncodedTensor:
        """One of them, likewise."""
        if isinstance(value, ImageBatch):
            return self._image[name].encode_images(name, value)
        return self._tensor[name].encode(name, value)

    def pieces(self, name: str, batch: int) -> int:
        """How many `encode_pieces` makes of a tensor, not of files, at that batch."""
        return pieces_of(self._tensors[name].bytes_at(batch)) if name in self._piecewise else 1

    def encode_pieces(self, name: str, value: torch.Tensor, batch: int) -> Iterator[EncodedTensor]:
        """The same in pieces, each made when it is asked for."""
        count = self.pieces(name, batch)
        if count > 1:
            yield from self._piecewise[name].encode_pieces(name, value, count)
        else:
            yield self._tensor[name].encode(name, value)

    def decode(self, encoded: Sequence[EncodedTensor], batch: int) -> dict[str, torch.Tensor]:
        """Raises InvalidRequest unless exactly the plan's tensors came, each in the plan's codec and as the model has
        it at that batch: what is neither is not decoded, which a few bytes may ask a lot of memory for; TooLarge."""
        if tuple([tensor.name for tensor in encoded]) != self.names:
            raise InvalidRequest(
                "tensors", f"the plan sends {list(self.names)}", value=[tensor.name for tensor in encoded]
            )
        for tensor in encoded:
            if tensor.codec != self._codec_names[tensor.name]:
                wanted = f"the plan sends it in the codec {self._codec_names[tensor.name]}"
                raise InvalidRequest(f"tensor {tensor.name}", wanted, value=tensor.codec)
            _check_header(self._tensors[tensor.name], tensor, batch)
            self._limits.check_tensor(tensor.name, checked_size(tensor, UNBOUNDED))
        return {
            tensor.name: self._decoders[tensor.name].decode(tensor, self._limits.tensor_bytes) for tensor in encoded
        }


def _check_header(info: TensorInfo, tensor: EncodedTensor, batch: int) -> None:
    """Raises InvalidRequest where a tensor that came over the wire says to be other than what the model has there."""
    expected = info.shape_at(batch)
    if tensor.shape != expected or tensor.dtype != info.dtype:
        must = f"must be {info.dtype} {list(expected)} at batch {batch}"
        raise InvalidRequest(f"tensor {tensor.name}", must, value=f"{tensor.dtype} {list(tensor.shape)}")

"""What every codec keeps: tensors and images in, `EncodedTensor` out, and back without trusting a byte of it.

Two kinds of codec, told apart by what they encode; both decode to the tensor that the model takes:

- `Codec` encodes any tensor (raw, zstd, lz4, int8 to int3), or the one that its parameters were made for (transform).
- `ImageCodec` encodes the files of an input that declares preprocessing (file, png, webp).

Decoding never trusts its input: sizes are derived from shape and dtype and refused above `max_bytes` before anything
is allocated, and every fault raises `InvalidRequest` naming the tensor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import torch

    from nodes.preprocessing import ImageBatch

__all__ = [
    "DEFAULT_MAX_BYTES", "Codec", "Decoder", "EncodedTensor", "ImageCodec", "PiecewiseCodec", "encoded_bytes",
]  # fmt: skip

DEFAULT_MAX_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class EncodedTensor:
    """One tensor as it travels, or a piece of one.

    dtype and shape are those of the decoded tensor ("float32", (1, 3, 224, 224)). stride_order lists its dimensions
    from outermost to innermost in memory; empty means C order. data is what the codec made of it, a bytearray where it
    arrived in several pieces. continues: it is the next piece of the tensor before, see `nodes/codecs/pieces.py`.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    stride_order: tuple[int, ...]
    codec: str
    parameters: Mapping[str, str]
    data: bytes | bytearray
    continues: bool = False

    @property
    def content(self) -> bytes:
        """data, for coders that take bytes alone: copied where it arrived in several pieces."""
        return bytes(self.data)


def encoded_bytes(tensors: Iterable[EncodedTensor]) -> int:
    """What they take on the wire together, headers left out."""
    return sum(len(tensor.data) for tensor in tensors)


class Decoder(Protocol):
    """The half that both kinds of codec share."""

    @property
    def name(self) -> str:
        """What plans and headers call it."""

    @property
    def lossless(self) -> bool:
        """Whether the decoded tensor equals the encoded one bit for bit."""

    @property
    def parameters(self) -> Mapping[str, str]:
        """What both sides must agree on beyond the name; part of the plan's wire digest."""

    def decode(self, encoded: EncodedTensor, max_bytes: int = DEFAULT_MAX_BYTES) -> torch.Tensor:
        """The tensor on the CPU, dense, with the strides that `stride_order` says. May share memory with the data.

        Raises InvalidRequest naming the tensor when the data does not decode to exactly that shape and dtype, or
        would take more than `max_bytes`.
        """


class Codec(Decoder, Protocol):
    """Puts any tensor on the wire. Stateless: one object serves every thread and request."""

    def encode(self, name: str, tensor: torch.Tensor) -> EncodedTensor:
        """`tensor` (any device, any strides) under `name`. Raises InvalidRequest for a dtype that cannot travel."""


@runtime_checkable
class PiecewiseCodec(Codec, Protocol):
    """Can hand over what it makes of a tensor piece by piece."""

    def encode_pieces(self, name: str, tensor: torch.Tensor, count: int) -> Iterator[EncodedTensor]:
        """So many pieces, each when it is asked for: together they decode to what `encode` makes does. One that
        continues may be empty."""


class ImageCodec(Decoder, Protocol):
    """Puts the images of an input that declares preprocessing on the wire. Decodes to the preprocessed batch."""

    def encode_images(self, name: str, images: ImageBatch) -> EncodedTensor:
        """One item a file. Raises InvalidRequest naming the image that is not one."""

"""What the cloud's end of a stream looks at before it looks closer: how many parts a frame has, how long they are."""

from __future__ import annotations

from collections.abc import Sequence

from isthmus.errors import RemoteProtocolError
from isthmus.v1 import segment_pb2 as pb
from nodes.protocol.limits import MOST_DIGEST_CHARACTERS, MOST_OFFER_PARTS

__all__ = ["MOST_FRAME_TENSORS", "announced_bytes", "check_counts", "check_digest_length", "offer_parts"]

MOST_FRAME_TENSORS = 4096


def announced_bytes(message: pb.RequestHeader | pb.MoreTensors) -> int:
    """Of the tensors that it names, encoded."""
    return sum(tensor.encoded_bytes for tensor in message.tensors)


def offer_parts(offer: pb.PlanOffer) -> int:
    """Ops, codecs and parameters; where there are too many already, those of which are not looked at."""
    parts = len(offer.edge_ops) + len(offer.uplink) + len(offer.downlink)
    if parts > MOST_OFFER_PARTS:
        return parts
    return parts + sum(len(codec.parameters) for codec in (*offer.uplink, *offer.downlink))


def check_digest_length(digest: str) -> None:
    """Raise RemoteProtocolError for a wire digest that is none: answers and errors repeat it."""
    if len(digest) > MOST_DIGEST_CHARACTERS:
        raise RemoteProtocolError(f"a wire digest of {len(digest)} characters, {MOST_DIGEST_CHARACTERS} may be")


def check_counts(tensors: Sequence[pb.TensorHeader], chunks: Sequence[pb.Chunk]) -> None:
    """Raise RemoteProtocolError for more than any edge sends, before they are looked at one by one: a frame has room
    for millions of empty ones. Of a tensor no more than its first chunk comes with its header."""
    if len(tensors) > MOST_FRAME_TENSORS or len(chunks) > len(tensors):
        most = f"{MOST_FRAME_TENSORS} tensors and a chunk of each may be"
        raise RemoteProtocolError(f"a frame of {len(tensors)} tensors and {len(chunks)} chunks, {most}")

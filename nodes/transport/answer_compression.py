"""Answers are compressed where the client asks for it.

gRPC tells a server neither whether a message came compressed nor, in a way that means anything, what its client would
like: every client says that it accepts gzip. So a client asks in the call's metadata with HTTP's own word,
`accept-encoding: gzip` or `deflate`; the first of them that is known here is taken. Clients of older gRPC say
`identity,gzip` with every call, of what they can read: for them answers stay as they are.

gRPC compresses on the event loop's thread, where all other requests wait for it: long answers go as they are.
"""

from __future__ import annotations

import re

import grpc
from google.protobuf.message import Message

__all__ = ["MOST_COMPRESSED_BYTES", "compress_as_asked", "leave_long_as_it_is"]

MOST_COMPRESSED_BYTES = 1 << 18
"""A quarter of a mebibyte of numbers takes some milliseconds, of which a second would hold up everybody."""

_NEVER = re.compile(r"q=0(\.0{0,3})?")
_KNOWN = {
    "identity": grpc.Compression.NoCompression,
    "gzip": grpc.Compression.Gzip,
    "deflate": grpc.Compression.Deflate,
}


async def compress_as_asked(context: grpc.aio.ServicerContext[object, object]) -> bool:
    """Set how this call's answers travel, and say whether they are compressed. Call it before the first of them."""
    for key, value in context.invocation_metadata() or ():
        if key == "accept-encoding" and isinstance(value, str):
            asked = [word.replace(" ", "").lower().partition(";") for word in value.split(",")]
            known = [_KNOWN[word] for word, _, weight in asked if word in _KNOWN and not _NEVER.fullmatch(weight)]
            if known and known[0] is not grpc.Compression.NoCompression:
                context.set_compression(known[0])
                # Said now: grpc.aio leaves the encoding out of the headers that it sends together with a unary answer,
                # which then goes out as it is (grpcio 1.85).
                await context.send_initial_metadata(())
                return True
    return False


def leave_long_as_it_is(context: grpc.aio.ServicerContext[object, object], answer: Message) -> None:
    """Of a call that is compressed: not this answer, the next one, where it is long."""
    if answer.ByteSize() > MOST_COMPRESSED_BYTES:
        context.disable_next_message_compression()

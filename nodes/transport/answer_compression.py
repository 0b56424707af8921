"""Answers are compressed where the client asks for it.

gRPC tells a server neither whether a message came compressed nor, in a way that means anything, what its client would
like: every client says that it accepts gzip. So a client asks in the call's metadata with HTTP's own word,
`accept-encoding: gzip` or `deflate`; the first of them that is known here is taken.
"""

from __future__ import annotations

import grpc

__all__ = ["compress_as_asked"]

_KNOWN = {"gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}


async def compress_as_asked(context: grpc.aio.ServicerContext[object, object]) -> None:
    """Set how this call's answers travel. Call it before the first of them."""
    for key, value in context.invocation_metadata() or ():
        if key == "accept-encoding" and isinstance(value, str):
            asked = [word.partition(";")[0].strip().lower() for word in value.split(",")]
            known = [_KNOWN[word] for word in asked if word in _KNOWN]
            if known:
                context.set_compression(known[0])
                # Said now: grpc.aio leaves the encoding out of the headers that it sends together with a unary answer,
                # which then goes out as it is (grpcio 1.85).
                await context.send_initial_metadata(())
                return

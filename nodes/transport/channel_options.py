"""How every gRPC channel and server of the project is set, and why."""

from __future__ import annotations

__all__ = ["CHANNEL_OPTIONS", "MAX_MESSAGE_BYTES", "OWN_CONNECTION", "SERVER_OPTIONS", "any_length"]

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Upper bound of one message, either way, where nothing else is configured: any frame of a segment stream fits."""

# The receiver's HTTP/2 window must hold bandwidth x RTT, or each message waits for the receiver's consent: over
# 200 Mbit/s and 200 ms (5 MB) a window of 64 kB makes 3 MB take 3.4 times as long as the link needs. 16 MiB serves
# 640 Mbit/s at 200 ms. It is fixed, because probing starts small after each connect and a link
# is idle between requests.
_WINDOW_BYTES = 16 * 1024 * 1024

# A peer that died without a word (power, a cut cable): after 5 s of silence a ping goes out, and where TCP gets no
# acknowledgement for 5 s (gRPC sets TCP_USER_TIMEOUT to this) the kernel ends the connection: 10 s together.
_KEEPALIVE_EVERY_MS = 5_000
_KEEPALIVE_ANSWER_MS = 5_000
# A peer whose kernel lives while its program or a relay stands still is noticed by the missing ping alone. gRPC counts
# no other bytes as life here, and a ping waits behind what is queued, so this must exceed the longest queue: 30 s are
# 3.7 MB at 1 Mbit/s. (5 s closed healthy connections that sent 2.5 MB over such a link.)
_PING_ANSWER_MS = 30_000

_BOTH: tuple[tuple[str, int], ...] = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.http2.lookahead_bytes", _WINDOW_BYTES),
    ("grpc.http2.bdp_probe", 0),
    ("grpc.keepalive_time_ms", _KEEPALIVE_EVERY_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_ANSWER_MS),
    ("grpc.http2.ping_timeout_ms", _PING_ANSWER_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),  # keepalives of a long silent stream are wanted, without end
)

CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    *_BOTH,
    # The default grows to two minutes: an edge would miss a cloud that has long been back.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)
"""For `grpc.aio.insecure_channel` and `secure_channel`."""

OWN_CONNECTION: tuple[tuple[str, int], ...] = (*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1))
"""For a channel that shares no connection with others to the same target: a balancer there may pick another replica."""

SERVER_OPTIONS: tuple[tuple[str, int], ...] = (
    *_BOTH,
    # With the default two servers share a port and each gets some of the connections: a port in use must be an error.
    ("grpc.so_reuseport", 0),
    # Without these a server takes a client's keepalives for an attack and closes the connection ("too_many_pings").
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1_000),
)
"""For `grpc.aio.server`."""


def any_length(options: tuple[tuple[str, int], ...], receive_bytes: int = -1) -> tuple[tuple[str, int], ...]:
    """The options for messages of any length, or of a length that is checked elsewhere. receive_bytes: -1 for any."""
    lengths = {"grpc.max_receive_message_length": receive_bytes, "grpc.max_send_message_length": -1}
    return (*(option for option in options if option[0] not in lengths), *lengths.items())

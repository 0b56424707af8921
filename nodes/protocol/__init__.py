"""The segment stream as state machines without sockets, clocks or threads: frames in, events out, frames to send."""

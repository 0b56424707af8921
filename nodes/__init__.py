"""What runs on a machine: engines, codecs, measuring, the stream, the edge and cloud nodes, the gateway. No Ray."""

"""What runs on a machine: engines, codecs, measuring, the segment stream, the edge node, the cloud node, the gateway. No Ray."""

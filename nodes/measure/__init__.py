"""Makes the profiles that the partitioner reads: roofline, op times, segment times, codec rates, accuracy."""

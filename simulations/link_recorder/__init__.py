"""A link recorder: two ends that send bursts to each other now and then, and a recording of what they saw."""

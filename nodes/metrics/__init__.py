"""What a node tells Prometheus: facts in, metric families out, and the port that hands them over."""

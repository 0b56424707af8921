"""The only place that imports grpc: thin shells that move frames and messages, and nothing else."""

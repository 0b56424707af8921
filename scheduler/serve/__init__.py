"""Nodes as Ray Serve applications: the only place that imports ray."""

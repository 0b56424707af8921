"""Spans of requests, for OpenTelemetry; off unless the environment says where they go."""

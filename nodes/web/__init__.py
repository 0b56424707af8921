"""The small HTTP server that a node shows itself with: the metrics' port, and the page's."""

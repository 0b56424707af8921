"""The cheapest fleet that keeps a promise, found by simulation; what limits it, and how far it goes."""

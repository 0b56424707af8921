"""Load from outside on a running edge: what a scenario's clients ask, over the Open Inference Protocol, by locust."""

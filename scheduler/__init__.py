"""The control plane: policies, estimators, the fleet registry, and `serve/`, the only place that imports Ray."""

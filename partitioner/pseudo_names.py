"""Names of what is in a cut problem but not in the model. Front ends refuse a model that has names like these."""

from __future__ import annotations

__all__ = ["CLOUD_WEIGHT", "EDGE_WEIGHT", "FILE", "PREPROCESS", "RESERVED"]

RESERVED = "isthmus/"
"""No op and no tensor of a model begins so."""
PREPROCESS = f"{RESERVED}preprocess:"
"""The op that makes an input of its file, before the input's name."""
FILE = f"{RESERVED}file:"
"""The file of an input."""
EDGE_WEIGHT = f"{RESERVED}edge:"
"""Before a weight that several ops read: that the edge has it."""
CLOUD_WEIGHT = f"{RESERVED}cloud:"
"""The same of the cloud."""

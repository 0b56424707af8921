"""The small picture classifier and the devices that planning is tested with."""

from tests.partitioner.planning.conftest import edge, model

__all__ = ["edge", "model"]

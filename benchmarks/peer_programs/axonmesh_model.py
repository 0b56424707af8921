"""The model as axonmesh's torch.fx adapter reads it, and which cuts it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from axonmesh import SplitRunner, budget_bytes_per_frame, enumerate_cuts, plan_cut
from axonmesh.adapters.fx import FxAdapter
from torch import fx, nn

from isthmus.zoo import efficientnet_lite0
from nodes.engines.allocator import keep_freed_memory
from partitioner.spec import ImagePreprocessing

__all__ = ["FRAMES_PER_S", "axonmesh_cuts", "axonmesh_model", "set_up"]

FRAMES_PER_S = 10.0
"""What its planner is told to fit into a link."""


class _FromPixels(nn.Module):
    """axonmesh brings pictures as 0 to 1. The network's own forward reads the batch's size, an integer that the wire of
    axonmesh cannot carry; flattening does the same without."""

    def __init__(self, network: Any, how: ImagePreprocessing) -> None:
        super().__init__()
        self.network = network
        self.mean, self.std = how.mean[0], how.std[0]  # the same for all three channels

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        features = self.network.extract_features((pixels - self.mean) / self.std)
        pooled = torch.flatten(self.network._avg_pooling(features), 1)
        logits: torch.Tensor = self.network._fc(self.network._dropout(pooled))
        return logits


class _WholeConvolutions(fx.Tracer):
    """Keeps padded convolutions in one piece, so that the adapter sees their parameters: without, it finds no balanced
    cut and takes the middle of the list."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, nn.Conv2d) or super().is_leaf_module(module, name)


def set_up() -> None:
    """As the other peers' processes are."""
    keep_freed_memory()
    torch.set_num_threads(1)


def axonmesh_model() -> tuple[fx.GraphModule, ImagePreprocessing]:
    """The traced model, and the preprocessing whose geometric stage comes before it."""
    made = efficientnet_lite0()
    how = made.preprocessing["image"]
    module = _FromPixels(made.module, how).eval()
    return fx.GraphModule(module, _WholeConvolutions().trace(module)), how


def axonmesh_cuts(model: fx.GraphModule, side: int, links_mbps: Sequence[float]) -> dict[str, int]:
    """Its default cut, and what its planner takes on each link that anything fits into, by the way's name."""
    adapter = FxAdapter(model, torch.zeros(1, 3, side, side))
    options = enumerate_cuts(adapter, imgsz=side)
    cuts = {"default": int(SplitRunner(adapter).cut)}
    for mbps in links_mbps:
        if (found := plan_cut(options, budget_bytes_per_frame(mbps, FRAMES_PER_S))) is not None:
            cuts[f"planned {mbps:g}"] = int(found.cut)
    return cuts

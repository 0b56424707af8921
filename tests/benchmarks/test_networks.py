"""The published networks are of the published sizes."""

from __future__ import annotations

import pytest
import torch

from benchmarks.networks import NETWORKS

# Millions of parameters as their papers or reference implementations state them.
MILLIONS = {"alexnet": 61.1, "vgg16": 138.4, "resnet18": 11.7, "inception": 7.0, "densenet121": 8.0}


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_as_many_parameters_as_published(name: str) -> None:
    with torch.device("meta"):
        module = NETWORKS[name]()
    assert sum(p.numel() for p in module.parameters()) / 1e6 == pytest.approx(MILLIONS[name], rel=0.02)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_makes_logits_of_pictures(name: str) -> None:
    with torch.device("meta"):
        module = NETWORKS[name]().eval()
        assert module(torch.empty(2, 3, 224, 224)).shape == (2, 1000)

"""What two papers say of their links, devices and gains, and how each number got here.

The full texts could not be opened where this was written. The gains are those of the abstracts, checked; links and
devices are from memory, not checked. `source` says which is which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DADS", "NEUROSURGEON", "RAW_PICTURE_BYTES", "Study"]

# 224 x 224 pixels of three bytes: the 152 KB image whose upload Neurosurgeon times.
RAW_PICTURE_BYTES = 224 * 224 * 3
_TIMED_BYTES = 152_000


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """uplinks_bps: by name of the link. edges: AlexNet's seconds on each edge device; cloud_s: on the cloud.

    All ops of the machine at hand are scaled by what its own AlexNet takes: that is what "a device of the paper" means
    here. networks: those of it, or like it, that are re-made. The round trip is 0: the papers' models know only bytes
    over bandwidth (and Neurosurgeon's upload times, of which its bandwidths are made here, hold their round trips).
    """

    name: str
    uplinks_bps: Mapping[str, float]
    edges: Mapping[str, float]
    cloud_s: float
    networks: tuple[str, ...]
    published: Mapping[str, float]
    source: str


NEUROSURGEON = Study(
    "neurosurgeon",
    {"wi-fi": 8 * _TIMED_BYTES / 0.095, "lte": 8 * _TIMED_BYTES / 0.180, "3g": 8 * _TIMED_BYTES / 0.870},
    {"mobile cpu": 0.382, "mobile gpu": 0.081},
    0.006,
    ("alexnet", "vgg16", "resnet18", "inception", "densenet121"),
    {"latency over cloud-only, mean": 3.1, "latency over cloud-only, max": 40.7},
    "Kang et al., ASPLOS 2017. Gains: abstract, checked. Upload of a 152 KB image (95, 180, 870 ms by Wi-Fi, LTE, 3G) "
    "and AlexNet's times (382 ms mobile CPU, 81 ms mobile GPU, 6 ms server): section 3, from memory, not checked. Of "
    "its eight networks AlexNet and VGG are re-made (VGG-16 for its 19 layers); faces, digits, speech and language "
    "are not, where its largest gains may lie; the three branching networks are added here.",
)

DADS = Study(
    "dads",
    {"wi-fi": 18.88e6, "lte": 5.85e6, "3g": 1.1e6},
    {"alexnet in 0.1 s": 0.1, "alexnet in 0.3 s": 0.3, "alexnet in 1 s": 1.0},
    0.006,
    ("alexnet", "vgg16", "resnet18", "inception"),
    {
        "latency over edge-only, max": 6.45,
        "latency over cloud-only, max": 8.08,
        "throughput over edge-only, max": 8.31,
        "throughput over cloud-only, max": 14.0,
    },
    "Hu et al., INFOCOM 2019. Gains: abstract, checked (the last is cut off at 14 in what could be read). Average "
    "uplinks of Wi-Fi, 4G and 3G: its table of networks, from memory, not checked. Its devices' times are not known "
    "here: three edges are assumed, and the cloud is Neurosurgeon's. Nor is the size of its raw input.",
)

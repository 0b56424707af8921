"""Which execution provider runs a session, out of those that an onnxruntime offers."""

from __future__ import annotations

import pytest

from isthmus.errors import DeviceUnavailable
from partitioner.onnx_providers import best_device, check_started, session_providers

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
OTHER = "AzureExecutionProvider"


@pytest.mark.parametrize(
    ("device", "offered", "chosen"),
    [
        ("cpu", (OTHER, CPU), [CPU]),
        ("cpu", (CUDA, CPU), [CPU]),
        ("cuda", (CPU, OTHER, CUDA), [CUDA, CPU]),
        ("cuda", (CUDA,), [CUDA]),
    ],
)
def test_the_devices_own_comes_first(device: str, offered: tuple[str, ...], chosen: list[str]) -> None:
    assert session_providers(device, offered) == chosen


@pytest.mark.parametrize(
    ("device", "offered", "remedy"),
    [("cuda", (OTHER, CPU), "onnxruntime-gpu"), ("cpu", (CUDA,), "install onnxruntime"), ("cpu", (), "among none")],
)
def test_nothing_runs_elsewhere_than_was_asked_for(device: str, offered: tuple[str, ...], remedy: str) -> None:
    with pytest.raises(DeviceUnavailable, match=remedy):
        session_providers(device, offered)


def test_a_provider_that_did_not_start_is_said() -> None:
    check_started([CUDA, CPU], [CUDA, CPU])
    with pytest.raises(DeviceUnavailable, match=f"could not start its {CUDA}"):
        check_started([CUDA, CPU], [CPU])


def test_a_gpu_is_best_where_one_can_be_used() -> None:
    assert [best_device(offered) for offered in ((CPU,), (CPU, CUDA))] == ["cpu", "cuda"]

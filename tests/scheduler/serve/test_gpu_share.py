"""GPUs a replica: two versions fit where there is one, and where they do not fit it is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from isthmus.autoscaling_configuration import MOST_REPLICAS
from isthmus.errors import DeviceUnavailable
from scheduler.serve.gpu_share import gpu_share, wait_free


@pytest.mark.parametrize(
    ("device", "there", "most", "share"),
    [
        ("cpu", 2, 1, 0.0),
        ("auto", 0, 1, 0.0),
        ("auto", 2, 1, 1.0),
        ("cuda", 2, 1, 1.0),
        ("cuda", 2, 4, 0.5),
        ("cuda", 3, 4, 0.5),
    ],
)
@pytest.mark.parametrize("own", [True, False])
def test_several_gpus_are_shared_by_a_version(device: str, there: int, most: int, share: float, own: bool) -> None:
    assert gpu_share(device, there, most, own=own) == share


@given(there=st.integers(2, 16), most=st.integers(1, MOST_REPLICAS), own=st.booleans())
def test_as_many_as_there_may_be_have_a_place_where_each_is_on_one_gpu(there: int, most: int, own: bool) -> None:
    parts = round(gpu_share("cuda", there, most, own=own) * 10_000)  # as Ray counts, which rounds to the nearest
    on_one = 10_000 // parts
    assert there * on_one >= most > there * (on_one - 1)


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_an_edge_and_two_versions_fit_on_the_only_gpu_of_an_own_ray(device: str) -> None:
    share = gpu_share(device, 1, MOST_REPLICAS, own=True)
    assert share > 0
    assert gpu_share(device, 1, 1, own=True) + 2 * MOST_REPLICAS * share <= 1
    wait_free(share, MOST_REPLICAS, 1, lambda: 1 - (MOST_REPLICAS + 1) * share, within_s=0.0)


def test_on_a_cluster_of_others_a_version_takes_what_it_computes_on() -> None:
    assert gpu_share("cuda", 1, 1, own=False) == 1.0


def test_a_gpu_that_is_not_there_is_an_error() -> None:
    with pytest.raises(DeviceUnavailable, match="Ray sees no GPU here; set device: cpu"):
        gpu_share("cuda", 0, 1, own=True)


def test_a_next_version_without_a_place_is_an_error() -> None:
    words = r"2 replica\(s\) with 1 GPU each, and 1 of 3 are free beside those that serve; have at most half"
    with pytest.raises(DeviceUnavailable, match=words):
        wait_free(1.0, 2, 3, lambda: 1.0, within_s=0.0)


@pytest.mark.parametrize(("share", "replicas", "free"), [(1.0, 2, 2.0), (0.1, 3, 0.3), (0.0, 64, 0.0), (1.0, 0, 0.0)])
def test_what_has_a_place_is_none(share: float, replicas: int, free: float) -> None:
    wait_free(share, replicas, 2, lambda: free, within_s=0.0)


def test_what_the_version_before_had_is_waited_for() -> None:
    free = [0.0, 0.0, 1.0]
    wait_free(1.0, 1, 2, lambda: free.pop(0))
    assert free == []

"""A launcher knows the applications of its own cloud, and leaves all others alone."""

from __future__ import annotations

import pytest

from scheduler.serve.application_names import ApplicationNames

ID = "10.0.0.7:8100"


def test_versions_of_one_cloud_are_numbered() -> None:
    names = ApplicationNames(ID, [])
    assert [names.next(), names.next()] == [f"isthmus-cloud@{ID}", f"isthmus-cloud-2@{ID}"]
    assert names.left == ()


def test_on_a_ray_of_its_own_a_cloud_needs_no_identity() -> None:
    names = ApplicationNames("", [])
    assert [names.next(), names.next()] == ["cloud", "cloud-2"]


def test_what_a_launcher_of_the_same_cloud_left_are_versions_before() -> None:
    names = ApplicationNames(ID, [f"isthmus-cloud-10@{ID}", "theirs", f"isthmus-cloud@{ID}", f"isthmus-cloud-9@{ID}"])
    assert names.left == (f"isthmus-cloud@{ID}", f"isthmus-cloud-9@{ID}", f"isthmus-cloud-10@{ID}")
    assert names.next() == f"isthmus-cloud-11@{ID}"


@pytest.mark.parametrize(
    "other",
    [
        "isthmus-cloud@10.0.0.8:8100",  # another machine
        "isthmus-cloud@10.0.0.7:8101",  # another registry of this one
        "isthmus-cloud-2@shop",
        f"isthmus-cloud@{ID}0",
        f"isthmus-cloud-x@{ID}",
        f"my-isthmus-cloud@{ID}",
        "isthmus-cloud@10x0.0.7:8100",
        "isthmus-cloud",
        "cloud",
    ],
)
def test_another_clouds_applications_are_not_its_own(other: str) -> None:
    names = ApplicationNames(ID, [other])
    assert names.left == ()
    assert names.next() == f"isthmus-cloud@{ID}"

"""A Ray of our own is none that lets strangers in."""

from __future__ import annotations

import pytest

from isthmus.errors import InvalidConfiguration
from scheduler.serve.ray_authentication import check_authenticated
from scheduler.serve.ray_runtime import RayRuntime


@pytest.mark.parametrize("mode", ["disabled", "DISABLED", ""])
def test_one_without_tokens_is_refused(mode: str) -> None:
    with pytest.raises(InvalidConfiguration, match="RAY_AUTH_MODE: lets whoever reaches this machine run code"):
        check_authenticated({"RAY_AUTH_MODE": mode}, "")


@pytest.mark.parametrize("environment", [{}, {"RAY_AUTH_MODE": "token"}, {"RAY_AUTH_MODE": "Token"}])
def test_one_with_tokens_is_none_of_our_business(environment: dict[str, str]) -> None:
    check_authenticated(environment, "")


async def test_it_is_refused_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(InvalidConfiguration, match="RAY_AUTH_MODE"):
        await RayRuntime().start()


def test_a_cluster_of_others_is_for_them_to_guard() -> None:
    check_authenticated({"RAY_AUTH_MODE": "disabled"}, "auto")

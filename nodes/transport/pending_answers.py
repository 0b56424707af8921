"""Answers that somebody waits for: set once, and only where somebody still waits."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from isthmus.errors import IsthmusError, Overloaded, PlanAway, TooLarge, UnknownPlan, error_from_status
from nodes.protocol.events import RequestFailed

__all__ = ["error_of_frame", "reject", "resolve"]

T = TypeVar("T")


def resolve(future: asyncio.Future[T] | None, value: T) -> None:
    """Hand the value to whoever waits."""
    if future is not None and not future.done():
        future.set_result(value)


def reject(future: asyncio.Future[T] | None, error: IsthmusError) -> None:
    """Raise the error where somebody waits."""
    if future is not None and not future.done():
        future.set_exception(error)


def error_of_frame(failed: RequestFailed) -> IsthmusError:
    """The error that a replica's error frame stands for."""
    message = f"{failed.reason}: {failed.message}"
    if failed.reason == "UNKNOWN_PLAN":
        return PlanAway(message) if failed.code == "UNAVAILABLE" else UnknownPlan(message)
    if failed.reason == "TOO_LARGE":
        field, _, problem = failed.message.partition(": ")  # as TooLarge writes it: the limit's name comes first
        return TooLarge(field, problem)
    if failed.code == "RESOURCE_EXHAUSTED" and failed.retry_after_s is not None:
        return Overloaded(message, retry_after_s=failed.retry_after_s)
    return error_from_status(failed.code, message)

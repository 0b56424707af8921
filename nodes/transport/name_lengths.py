"""How long the names may be that clients make up, so that nothing which is kept, counted or quoted of a request grows
with what somebody sends: a message holds strings of any length up to its own."""

from __future__ import annotations

from isthmus.errors import InvalidRequest

__all__ = ["LONGEST_ID", "LONGEST_NAME", "check_id", "check_name"]

LONGEST_NAME = 256
"""Characters of a policy, a plan, a class and a client: what names are for, not what they could carry. Decisions and
refusals are kept by the thousand with them. Of a model that is not served the name is not kept, and of its name in an
error only so much goes back."""

LONGEST_ID = 65536
"""Characters of a request's own id. The protocol gives it no form, and clients may put a token of theirs there; nobody
here reads it, nor keeps it once the answer has taken it back."""


def check_name(field: str, name: str) -> None:
    """Raises InvalidRequest for a name that is none by its length."""
    _check_length(field, name, LONGEST_NAME)


def check_id(request_id: str) -> None:
    """Raises InvalidRequest for what is too long to go back with the answer."""
    _check_length("id", request_id, LONGEST_ID)


def _check_length(field: str, text: str, longest: int) -> None:
    if len(text) > longest:
        raise InvalidRequest(
            field, f"may have {longest} characters", value=len(text), remedy=f"send {longest} characters or fewer"
        )

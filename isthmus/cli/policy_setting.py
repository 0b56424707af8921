"""A policy with its options as people write them on a command line: KEY=VALUE."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isthmus.errors import InvalidRequest

if TYPE_CHECKING:
    from nodes.steering import PolicySetting

__all__ = ["policy_options", "policy_setting"]


def policy_setting(name: str, options: Sequence[str] | None, option: str = "--option") -> PolicySetting:
    """See `policy_options`. Options of a policy that is built in are checked here, and files that they name are read
    here, where the one who names them is: an edge would look them up where it runs. Raises as `checked_options`."""
    from nodes.steering import PolicySetting
    from scheduler.policies.factory import BUILT_IN, checked_options

    given = policy_options(options, option)
    if name not in BUILT_IN:  # whatever is installed here, the edge may have another version
        return PolicySetting(name, given)
    checked = checked_options(name, given, str(Path.cwd()))
    # Not what was left out: an edge of another version may have other defaults, or no such option.
    told = checked if "profile" in given else {key: value for key, value in checked.items() if key in given}
    return PolicySetting(name, told)


def policy_options(options: Sequence[str] | None, option: str = "--option") -> dict[str, Any]:
    """A value is JSON where it can be, a word elsewhere. option: its name on the command line.

    Raises InvalidRequest.
    """
    return dict(_option(text, option) for text in options or ())


def _option(text: str, option: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise InvalidRequest(option, "is not KEY=VALUE", value=text, remedy="write it like probability=0.99")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value

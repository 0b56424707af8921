"""A YAML file that people write, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from isthmus.errors import InvalidConfiguration

__all__ = ["read_mapping"]


def read_mapping(path: Path, first_key: str) -> dict[str, Any]:
    """The mapping in that file. first_key: named to whoever wrote something else.

    Raises InvalidConfiguration naming the file.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfiguration(str(path), f"cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, or no date of a calendar
        raise InvalidConfiguration(str(path), "is not YAML: " + " ".join(str(error).split())) from error
    if not isinstance(data, dict):
        raise InvalidConfiguration(str(path), "is not a mapping", remedy=f"start with `{first_key}:`")
    return data

"""What a load needs to know besides locust's own options: told by the environment, which reaches every process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from isthmus.errors import InvalidConfiguration

__all__ = ["LOCUST_FILE", "LoadSettings"]

LOCUST_FILE = Path(__file__).with_name("locustfile.py")

_SCENARIO, _EDGE, _INPUT = "ISTHMUS_SCENARIO", "ISTHMUS_EDGE", "ISTHMUS_INPUT"
_TLS = ("ISTHMUS_TLS_AUTHORITY", "ISTHMUS_TLS_CERTIFICATE", "ISTHMUS_TLS_KEY")


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """scenario: its file. edge: the group whose clients ask; "" for the only one. inputs: files and folders to send, as
    `load_inputs.input_files` takes them. tls: PEM files, of the authority, the certificate to show and its key; "" for
    none."""

    scenario: str
    edge: str = ""
    inputs: tuple[str, ...] = ()
    tls: tuple[str, str, str] = ("", "", "")

    def to_environment(self) -> dict[str, str]:
        """The variables that `from_environment` reads: all of them, so that none that a caller exported stays."""
        paths = os.pathsep.join(self.inputs)
        return {_SCENARIO: self.scenario, _EDGE: self.edge, _INPUT: paths, **dict(zip(_TLS, self.tls, strict=True))}

    @staticmethod
    def from_environment(environment: Mapping[str, str]) -> LoadSettings:
        """Raises InvalidConfiguration where no scenario is named."""
        scenario = environment.get(_SCENARIO, "")
        if not scenario:
            raise InvalidConfiguration(_SCENARIO, "is not set", remedy="set it to a scenario file")
        inputs = tuple(path for path in environment.get(_INPUT, "").split(os.pathsep) if path)
        authority, certificate, key = (environment.get(name, "") for name in _TLS)
        return LoadSettings(scenario, environment.get(_EDGE, ""), inputs, (authority, certificate, key))

    def to_json(self) -> dict[str, object]:
        """For a pipe."""
        return asdict(self)

"""A running edge follows its configuration file: policies at once, other keys are named as needing a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from isthmus.checked_policies import checked_policies
from isthmus.configuration import Configuration, read_configuration
from isthmus.configuration_changes import needing_restart, policies_changed
from isthmus.errors import IsthmusError
from isthmus.file_stamp import FileStamp
from nodes.background import run_apart
from nodes.configured_policies import ConfiguredPolicies

__all__ = ["ConfigurationFollower", "FollowedFile"]

LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class FollowedFile:
    """path: of the file. stamp: from before it was read, so that no later change is missed. sections: see
    `needing_restart`."""

    path: Path
    stamp: FileStamp | None
    sections: Collection[str]


class ConfigurationFollower:
    """Looks at the file once a second. What it says wrong is told and changes nothing."""

    def __init__(
        self, file: FollowedFile, started: Configuration, policies: ConfiguredPolicies,
        configure: Callable[[ConfiguredPolicies], Awaitable[None]], say: Callable[[str], None],
    ) -> None:  # fmt: skip
        """started: what runs. policies: those of it. configure: see `Runtime.configure`. say: gets a line to print."""
        self._file = file
        self._started = started
        self._policies = policies
        self._configure = configure
        self._say = say
        self._followed = self._seen = file.stamp

    async def follow(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self.look()

    async def look(self) -> None:
        """Follow a change that the look before saw already: at the first look it may be half written."""
        stamp = FileStamp.of(self._file.path)
        if stamp != self._seen:
            self._seen = stamp
        elif stamp != self._followed:
            self._followed = stamp
            await self._take_over()

    async def _take_over(self) -> None:
        try:
            configuration, policies = await run_apart(self._read)
            await self._configure(policies)
        except IsthmusError as error:
            self._tell(f"not followed: {error}")
            return
        except Exception as error:  # of a policy's own code: following goes on, whatever was saved
            self._tell(f"not followed: {type(error).__name__}: {error}")
            return
        changed = policies_changed(self._policies, policies)
        self._policies = policies
        self._tell(f"policy for {changed}" if changed else "policies in force as they were in it")
        if restart := needing_restart(self._started, configuration, self._file.sections):
            self._tell(f"in force after a restart only: {', '.join(restart)}")

    def _read(self) -> tuple[Configuration, ConfiguredPolicies]:
        configuration = read_configuration(self._file.path)
        return configuration, checked_policies(configuration, self._file.path.resolve().parent)

    def _tell(self, line: str) -> None:
        """One line, whatever is quoted in it."""
        self._say(" ".join(f"{self._file.path.name}: {line}".split()))

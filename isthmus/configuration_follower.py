"""What runs follows its configuration file: policies at once, models and replicas by a roll-out; of other keys it says
that they need a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from isthmus.checked_policies import checked_policies
from isthmus.configuration import Configuration, read_configuration
from isthmus.configuration_changes import needing_restart, policies_changed, rolled_out
from isthmus.errors import IsthmusError
from isthmus.file_stamp import FileStamp
from nodes.background import run_apart
from nodes.configured_policies import ConfiguredPolicies
from scheduler.roll_out import Moved

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
        configure: Callable[[ConfiguredPolicies], Awaitable[None]] | None, say: Callable[[str], None],
        roll_out: Callable[[Configuration], Awaitable[Moved]] | None = None,
    ) -> None:  # fmt: skip
        """started: what runs. policies: those of it. configure: see `Runtime.configure`; None without an edge. say:
        gets a line to print. roll_out: see `Deployment.roll_out`; without it such keys need a restart, too."""
        self._file = file
        self._running = started
        self._roll_out = roll_out
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
            if self._configure is not None:
                await self._configure(policies)
        except IsthmusError as error:
            self._tell(f"not followed: {error}")
            return
        except Exception as error:  # of a policy's own code: following goes on, whatever was saved
            self._tell(f"not followed: {type(error).__name__}: {error}")
            return
        changed = policies_changed(self._policies, policies)
        self._policies = policies
        if self._configure is not None:
            self._tell(f"policy for {changed}" if changed else "policies in force as they were in it")
        keys, sections = needing_restart(self._running, configuration, self._file.sections), self._file.sections
        rolled = rolled_out(keys, cloud="cloud" in sections, edge="edge" in sections) if self._roll_out else ()
        restart = [key for key in keys if key not in rolled]
        if restart:
            self._tell(f"in force after a restart only: {', '.join(restart)}")
        if rolled and any(key.startswith(("cloud", "models")) for key in restart):
            self._tell(f"not rolled out, as some of it needs a restart: {', '.join(rolled)}")
        elif rolled:
            await self._rolled_out(configuration, rolled)

    async def _rolled_out(self, configuration: Configuration, keys: Collection[str]) -> None:
        assert self._roll_out is not None
        self._tell(f"rolling out: {', '.join(keys)}")
        telling = asyncio.create_task(self._tell_of_saving())
        try:
            moved = await self._roll_out(configuration)
        except Exception as error:  # one of ours, or what a model's own code raises
            kind = "" if isinstance(error, IsthmusError) else f"{type(error).__name__}: "
            self._tell(f"not rolled out, what served before goes on: {kind}{error}")
        else:
            self._running = self._running.model_copy(
                update={"models": configuration.models, "cloud": configuration.cloud}
            )
            said = f"; {moved}" if moved.left else ""
            self._tell(f"rolled out: {', '.join(keys)}{said}")
        finally:
            telling.cancel()
            await asyncio.wait([telling])

    async def _tell_of_saving(self) -> None:
        """A roll-out takes minutes, in which nothing is followed: who saves the file hears so, once."""
        while True:
            await asyncio.sleep(LOOK_S)
            if FileStamp.of(self._file.path) != self._followed:
                now = "" if self._configure is None else "; `isthmus policy set` acts now"
                self._tell(f"saved meanwhile: followed when the roll-out is over{now}")
                return

    def _read(self) -> tuple[Configuration, ConfiguredPolicies]:
        configuration = read_configuration(self._file.path)
        if self._configure is None:
            return configuration, self._policies
        return configuration, checked_policies(configuration, self._file.path.resolve().parent)

    def _tell(self, line: str) -> None:
        """One line, whatever is quoted in it."""
        self._say(" ".join(f"{self._file.path.name}: {line}".split()))

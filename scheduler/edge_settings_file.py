"""What an edge is started with, in a file that follows the orders it has accepted: who starts it again from that file
starts it as it last was."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from isthmus.cache_folder import cache_folder
from isthmus.errors import Unavailable
from isthmus.whole_file import whole_file
from nodes.configured_policies import ConfiguredPolicies
from nodes.settings import EdgeSettings, ModelArtifact

__all__ = ["EdgeSettingsFile"]


class EdgeSettingsFile:
    """`path` always holds a whole version, JSON of EdgeSettings, in a folder of its own that no other user gets into,
    below the cache folder: systems empty those for temporary files while an edge runs on. `close` takes both away.
    Where it cannot be written this raises Unavailable, and the version before stays."""

    def __init__(self, settings: EdgeSettings) -> None:
        self._settings = settings
        run = cache_folder("run")
        try:
            run.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix="edge-", dir=run))
        except OSError as error:
            raise _not_kept(str(run), error) from error
        self.path = self._folder / "settings.json"
        self._keep(settings)

    def configured(self, policies: ConfiguredPolicies) -> None:
        """These policies are in force."""
        self._keep(replace(self._settings, policies=policies))

    def switched(self, models: Sequence[ModelArtifact]) -> None:
        """These versions of its models are served."""
        now = {model.name: model for model in models}
        self._keep(replace(self._settings, models=tuple(now.get(one.name, one) for one in self._settings.models)))

    def close(self) -> None:
        """It is of no use any more."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _keep(self, settings: EdgeSettings) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # whoever tidies up may have taken it
            with whole_file(self.path, self.path.with_suffix(".next")) as fresh:
                fresh.touch(mode=0o600)
                fresh.write_text(settings.to_json())
        except OSError as error:
            raise _not_kept(str(self.path), error) from error
        self._settings = settings


def _not_kept(path: str, error: OSError) -> Unavailable:
    remedy = "make room, or set XDG_CACHE_HOME"
    return Unavailable(f"settings of the edge: cannot be kept in {path}: {error.strerror}; {remedy}")

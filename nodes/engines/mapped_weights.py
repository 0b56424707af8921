"""Where models' weights lie on disk for onnxruntime to map, kept for the next start and shared by all processes."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from isthmus.cache_folder import cache_folder
from isthmus.errors import InvalidConfiguration
from nodes.engines.private_folder import private_folder, shed_oldest
from partitioner.onnx_form import OnnxForm
from partitioner.onnx_weight_file import WeightFile, write_weights

__all__ = ["MappedWeights"]

_MOST_BYTES = 4 << 30
"""Of all files together, but for those of the last hour; those used longest ago go first. Who maps one that went keeps
it."""


class MappedWeights:
    """The weight file of each model, written when it is first asked for. Thread-safe."""

    def __init__(self, folder: Path | None = None) -> None:
        """folder: private to this user; isthmus/weights below $XDG_CACHE_HOME, else below ~/.cache, by default."""
        self._folder = folder or cache_folder("weights")
        self._files: dict[str, WeightFile | None] = {}
        self._lock = threading.Lock()

    def of(self, model_digest: str, form: OnnxForm) -> WeightFile | None:
        """The file of that model's weights; None where nothing can be written: weights are then copied, as they can be
        anywhere."""
        if not form.weights:
            return None
        with self._lock:
            known = self._files.get(model_digest)
            if model_digest in self._files and (known is None or known.is_there):
                return known
            try:
                self._files[model_digest] = self._written(form)
            except FileNotFoundError:  # another process has shed it meanwhile: the next one tries again
                return None
            except (OSError, InvalidConfiguration):  # not tried again: that takes seconds each time
                self._files[model_digest] = None
            return self._files[model_digest]

    def _written(self, form: OnnxForm) -> WeightFile:
        folder = private_folder(self._folder)
        made = write_weights(form.weights, folder)
        os.utime(made.path)  # it was used: others go first
        shed_oldest(folder, _MOST_BYTES)
        return made

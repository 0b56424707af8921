"""How much memory a model's activations hold at once, watched while it runs on eager."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["peak_activation_bytes"]


def peak_activation_bytes(run: Any, inputs: tuple[torch.Tensor, ...], parameters: Iterable[torch.Tensor] = ()) -> int:
    """The most bytes that inputs and everything made from them held at once during `run(*inputs)`.

    Storages count once, however many views they have; those of `parameters` do not. What an op allocates inside itself
    and frees before it returns is not seen.
    """
    watch = _Watch({tensor.untyped_storage()._cdata for tensor in parameters})
    watch.see(inputs)
    with torch.inference_mode(), watch:
        run(*inputs)
    return watch.peak_bytes


class _Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Keeps a weak reference to each storage that an op made, and the largest sum of those alive."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known = known
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self.peak_bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        self.see(made)
        return made

    def see(self, values: Any) -> None:
        """New storages are alive from now on."""
        for value in tree_leaves(values):
            if isinstance(value, torch.Tensor):
                storage = value.untyped_storage()
                if storage._cdata not in self._known and storage._cdata not in self._alive:
                    self._alive[storage._cdata] = (StorageWeakRef(storage), storage.nbytes())  # type: ignore[no-untyped-call]
        self._alive = {key: one for key, one in self._alive.items() if not one[0].expired()}  # type: ignore[no-untyped-call]
        self.peak_bytes = max(self.peak_bytes, sum(size for _, size in self._alive.values()))

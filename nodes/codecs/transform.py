"""A transform codec for activations: rotate channels, transform positions, quantise, code by context.

The steps of a picture codec, with everything learned from calibration activations and none of it from gradient
descent: subtract the mean; rotate the channels (Karhunen-Loeve, in the metric of what the model's answer is sensitive
to); a two-dimensional DCT over positions where there are some; round to steps; range coding with probabilities by
expected magnitude (`nodes.codecs.activity`). The table that holds all this is a parameter of the plan.

Every item is quantised alone, so that it decodes to the same values in every batch. The coded levels of all items
share one message. Data: a mode byte; for mode 1 the message of `nodes.codecs.level_coder`. Mode 0 is a packed lossless
frame, for values that are not finite or far outside what the steps can count.

Lossy. Encoding and decoding 80 x 14 x 14 takes about 2 ms together on one core.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from isthmus.errors import InvalidPlan, InvalidRequest
from nodes.codecs.activity import ScaleModel
from nodes.codecs.base import DEFAULT_MAX_BYTES, EncodedTensor
from nodes.codecs.coefficient_grid import CoefficientGrid
from nodes.codecs.dtypes import dtype_name, dtype_named
from nodes.codecs.frame import pack, unpack
from nodes.codecs.layout import checked_size, from_memory, in_stride_order, memory_bytes, stride_order
from nodes.codecs.level_coder import LARGEST_LEVEL, LevelDecoder, LevelEncoder, LevelModels
from nodes.codecs.transform_table import TransformTable

__all__ = ["TransformCodec"]

_EXACT, _CODED = b"\0", b"\1"
Integers = npt.NDArray[np.int64]


class TransformCodec:
    """Carries the one tensor that its table was made for. Everything derived from the table is made once."""

    name = "transform"
    lossless = False

    def __init__(self, parameters: Mapping[str, str]) -> None:
        """Raises InvalidPlan without the parameter "table" or for one that is no table."""
        if set(parameters) != {"table"}:
            remedy = 'give "table" and nothing else; nodes.measure.transform_fit makes one'
            raise InvalidPlan("codec transform", "has other parameters", value=sorted(parameters), remedy=remedy)
        self.parameters = dict(parameters)
        self._table = TransformTable.from_text(parameters["table"])
        try:
            self._grid = CoefficientGrid(self._table)
        except np.linalg.LinAlgError as fault:
            raise InvalidPlan("codec transform", f"has a table that cannot be inverted: {fault}") from None
        self._scales, self._models = ScaleModel(self._table), LevelModels(self._table.classes)
        self._shrink = np.array([one.shrink / 256 for one in self._table.classes], np.float32)

    def encode(self, name: str, tensor: torch.Tensor) -> EncodedTensor:
        """See `Codec`. Raises InvalidRequest for a tensor of another shape than the table's."""
        order, dtype = stride_order(tensor, name), dtype_name(tensor.dtype, name)
        if tensor.dim() == 0 or tuple(tensor.shape[1:]) != self._table.item_shape:
            raise InvalidRequest(name, f"must be items of {self._table.item_shape}", value=tuple(tensor.shape))
        levels = self._levels(tensor)
        if levels is None:
            data = _EXACT + pack(memory_bytes(name, tensor, order), tensor.element_size())
        else:
            data = _CODED + self._coded(levels)
        return EncodedTensor(name, dtype, tuple(tensor.shape), order, self.name, {}, data)

    def decode(self, encoded: EncodedTensor, max_bytes: int = DEFAULT_MAX_BYTES) -> torch.Tensor:
        """See `Decoder`."""
        size, dtype = checked_size(encoded, max_bytes), dtype_named(encoded.dtype)
        if encoded.shape[1:] != self._table.item_shape or not encoded.shape:
            raise InvalidRequest(encoded.name, f"must be items of {self._table.item_shape}", value=encoded.shape)
        content = encoded.content
        mode, body = content[:1], content[1:]
        if mode == _EXACT:
            return from_memory(encoded, unpack(encoded.name, body, dtype.itemsize, size), max_bytes)
        if mode != _CODED or not dtype.is_floating_point:
            raise InvalidRequest(encoded.name, "has an unknown transform mode", value=mode)
        # Levels are wider than what they decode to: bound them too, before they are made.
        if 8 * math.prod(self._grid.shape) * encoded.shape[0] > 4 * max_bytes:
            raise InvalidRequest(encoded.name, f"decodes to more than {max_bytes} bytes", value=encoded.shape)
        try:
            values = self._decoded(body, encoded.shape[0])
        except ValueError as fault:
            raise InvalidRequest(encoded.name, f"is not a transform message: {fault}") from None
        return in_stride_order(self._grid.values(values), encoded, dtype)

    def _levels(self, tensor: torch.Tensor) -> Integers | None:
        """int64 (items, K, H, W); None where the values are no floats or cannot be quantised."""
        if not tensor.is_floating_point() or tensor.shape[0] == 0:
            return None
        coefficients = self._grid.coefficients(tensor.detach().to("cpu", torch.float32))
        largest = float(coefficients.abs().max())
        if not largest < LARGEST_LEVEL / 2:  # not finite, too
            return None
        return coefficients.round_().to(torch.int64).numpy()

    def _coded(self, levels: Integers) -> bytes:
        coder, activity = LevelEncoder(self._models), self._scales.start(len(levels))
        for group in self._scales.groups:
            own = levels[:, group[0] : group[1]]
            coder.add(own, self._scales.classes(activity, group))
            activity = self._scales.add(activity, group, own)
        return coder.finish()

    def _decoded(self, message: bytes, items: int) -> torch.Tensor:
        """The levels as the values they stand for, in steps: float32 (items, K, H, W)."""
        coder, activity = LevelDecoder(self._models, message), self._scales.start(items)
        values = torch.empty((items, *self._grid.shape))
        for group in self._scales.groups:
            classes = self._scales.classes(activity, group)
            levels = coder.take(classes)
            activity = self._scales.add(activity, group, levels)
            values[:, group[0] : group[1]] = torch.from_numpy(self._centred(levels, classes))
        coder.finish()
        return values

    def _centred(self, levels: Integers, classes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Levels moved to where the values that round to them lie on average: a little towards zero."""
        return levels.astype(np.float32) - np.sign(levels).astype(np.float32) * self._shrink[classes]

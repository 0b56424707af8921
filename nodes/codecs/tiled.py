"""Channels as tiles of one grey picture in a picture format: what an ordinary image codec makes of activations.

Each channel is quantised to eight bits between calibrated ends and becomes a tile; the tiles lie in rows, as square as
may be. Parameters: "format" ("jpeg", "webp-lossy" or "avif"), "quality" (1 to 100), "ranges" as of
`nodes.codecs.linear`. It is a competitor for the transform codec, and loses: a picture codec knows nothing of what
channels share, and AVIF takes ten times as long.

Data: one mode byte; for mode 1 for each item its length as a little-endian uint32, then its picture. Mode 0 is a packed
lossless frame: for tensors that hold NaN or infinity, and for tiles that make no picture that every format holds. Only
for float tensors of four dimensions; values outside the ranges are clipped.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from isthmus.errors import InvalidPlan, InvalidRequest
from nodes.codecs.base import DEFAULT_MAX_BYTES, EncodedTensor
from nodes.codecs.dtypes import dtype_name, dtype_named
from nodes.codecs.frame import pack, unpack
from nodes.codecs.items import join_items, split_items
from nodes.codecs.layout import checked_size, from_memory, in_stride_order, memory_bytes, stride_order
from nodes.codecs.linear import read_ranges
from nodes.codecs.lossy_image import LOSSY_FORMATS, save_options
from nodes.image_files import open_image

__all__ = ["TiledCodec", "takes_tiles"]

_EXACT, _PICTURES = b"\0", b"\1"
_TOP = 255
_LONGEST_SIDE = 16383  # of WebP, which holds the smallest pictures of the three
_PARAMETERS = {"format", "quality", "ranges"}
Bytes = npt.NDArray[np.uint8]


class TiledCodec:
    """See the module."""

    name = "tiled"
    lossless = False

    def __init__(self, parameters: Mapping[str, str]) -> None:
        """Raises InvalidPlan for parameters other than "format", "quality" and "ranges", or a value that is none."""
        if set(parameters) != _PARAMETERS or parameters["format"] not in LOSSY_FORMATS:
            remedy = f"give {sorted(_PARAMETERS)}, the format one of {sorted(LOSSY_FORMATS)}"
            raise InvalidPlan("codec tiled", "has other parameters", value=sorted(parameters), remedy=remedy)
        self.parameters: Mapping[str, str] = dict(parameters)
        self._format = LOSSY_FORMATS[parameters["format"]]
        self._options = save_options(self._format, parameters["quality"])
        ranges = read_ranges(parameters["ranges"])
        self._low = ranges[:, 0].view(-1, 1, 1)
        self._steps = (ranges[:, 1].view(-1, 1, 1) - self._low) / _TOP

    def encode(self, name: str, tensor: torch.Tensor) -> EncodedTensor:
        """See `Codec`. Raises InvalidRequest for a tensor that has not the ranges' channels, or is no float."""
        self._check(name, tuple(tensor.shape), tensor.is_floating_point())
        order, dtype = stride_order(tensor, name), dtype_name(tensor.dtype, name)
        values = tensor.detach().to("cpu", torch.float32)
        if takes_tiles(tuple(tensor.shape)) and bool(torch.isfinite(values).all()):
            data = _PICTURES + join_items([self._picture(item) for item in self._levels(values)])
        else:
            data = _EXACT + pack(memory_bytes(name, tensor, order), tensor.element_size())
        return EncodedTensor(name, dtype, tuple(tensor.shape), order, self.name, {}, data)

    def decode(self, encoded: EncodedTensor, max_bytes: int = DEFAULT_MAX_BYTES) -> torch.Tensor:
        """See `Decoder`."""
        size, dtype = checked_size(encoded, max_bytes), dtype_named(encoded.dtype)
        self._check(encoded.name, encoded.shape, dtype.is_floating_point)
        content = encoded.content
        mode, body = content[:1], content[1:]
        if mode == _EXACT:
            return from_memory(encoded, unpack(encoded.name, body, dtype.itemsize, size), max_bytes)
        if mode != _PICTURES:
            raise InvalidRequest(encoded.name, "has an unknown tiled mode", value=mode)
        levels = np.empty(encoded.shape, np.uint8)
        for index, item in enumerate(split_items(replace(encoded, data=body))):
            levels[index] = self._channels(item, f"{encoded.name}[{index}]", encoded.shape[1:])
        return in_stride_order(torch.from_numpy(levels).float().mul_(self._steps).add_(self._low), encoded, dtype)

    def _check(self, name: str, shape: tuple[int, ...], floating: bool) -> None:
        channels = len(self._low)
        if not floating or len(shape) != 4 or (channels > 1 and shape[1] != channels) or 0 in shape[1:]:
            raise InvalidRequest(name, f"must be floats of items x {channels} channels x height x width", value=shape)

    def _levels(self, values: torch.Tensor) -> Bytes:
        """(items, C, H, W)."""
        divisors = torch.where(self._steps > 0, self._steps, 1.0)
        levels: Bytes = ((values - self._low) / divisors).round_().clamp_(0, _TOP).to(torch.uint8).numpy()
        return levels

    def _picture(self, levels: Bytes) -> bytes:
        """levels: (C, H, W)."""
        channels, height, width = levels.shape
        rows, columns = _tiling(channels, height, width)
        tiles = np.zeros((rows * columns, height, width), np.uint8)
        tiles[:channels] = levels
        picture = tiles.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, self._format, **self._grey_options())
        return buffer.getvalue()

    def _grey_options(self) -> Mapping[str, object]:
        """Grey has no colour to subsample: JPEG would refuse the option."""
        return {key: value for key, value in self._options.items() if key != "subsampling"}

    def _channels(self, data: bytes, field: str, shape: tuple[int, ...]) -> Bytes:
        channels, height, width = shape
        rows, columns = _tiling(channels, height, width)
        image = open_image(data, field, (self._format,))
        if image.size != (columns * width, rows * height):
            raise InvalidRequest(field, f"must be {columns * width} x {rows * height}", value=image.size)
        try:
            picture = np.asarray(image.convert("L"))
        except Exception as error:  # Pillow's plug-ins raise whatever their decoders meet
            raise InvalidRequest(field, f"is a broken {self._format} picture: {error}") from error
        tiles = picture.reshape(rows, height, columns, width).swapaxes(1, 2).reshape(rows * columns, height, width)
        return tiles[:channels]


def takes_tiles(shape: tuple[int, ...]) -> bool:
    """Whether items x channels x height x width of that shape make a picture that every format holds."""
    if len(shape) != 4 or 0 in shape[1:]:
        return False
    rows, columns = _tiling(*shape[1:])
    return max(rows * shape[2], columns * shape[3]) <= _LONGEST_SIDE


def _tiling(channels: int, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of tiles of a picture that is about square."""
    columns = min(channels, max(1, round(math.sqrt(channels * height / width))))
    return -(-channels // columns), columns

"""Inputs to warm up and measure a model with: its calibration inputs where it has some, plausible values otherwise."""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator
from typing import cast

import numpy as np
import torch
from PIL import Image

from nodes.inputs import ModelInputs
from nodes.preprocessing import ImageBatch
from partitioner.model import Model, has_items

__all__ = ["calibration_batches", "sample_file", "sample_inputs", "sample_tensors"]

SAMPLE_WIDTH, SAMPLE_HEIGHT = 640, 480


def sample_file() -> bytes:
    """A JPEG of 640 x 480 with detail at every scale, as a photo has: decoding and resizing are measured on it."""
    noise = np.random.default_rng(0)
    picture = np.zeros((SAMPLE_HEIGHT, SAMPLE_WIDTH, 3))
    for cells in (4, 16, 64, 256):
        coarse = Image.fromarray(noise.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        picture += np.asarray(coarse.resize((SAMPLE_WIDTH, SAMPLE_HEIGHT), Image.Resampling.BICUBIC)) / cells
    scaled = (255 * (picture - picture.min()) / np.ptp(picture)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(scaled).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def sample_inputs(model: Model, batch: int, files: Collection[str] = ()) -> ModelInputs:
    """Inputs for `batch` items, the same at every call. files: the inputs that come as encoded files.

    Integers are ones: a valid token and a valid mask for the embeddings and masks that integers usually are.
    """
    generator = torch.Generator().manual_seed(0)
    values: dict[str, torch.Tensor | ImageBatch] = {}
    for position, name in enumerate(model.graph.inputs):
        info = model.graph.tensors[name]
        dtype = getattr(torch, info.dtype)
        if name in files:
            values[name] = ImageBatch((sample_file(),) * batch)
        elif position == 0 and has_items(model):
            items = torch.cat([model.calibration[0]] * (batch // len(model.calibration[0]) + 1))
            values[name] = items[:batch].clone()
        elif dtype.is_floating_point:
            values[name] = torch.randn(info.shape_at(batch), generator=generator).to(dtype)
        else:
            values[name] = torch.ones(info.shape_at(batch), dtype=dtype)
    return ModelInputs(values, batch)


def sample_tensors(model: Model, batch: int) -> tuple[torch.Tensor, ...]:
    """The same as tensors alone, one an input in the model's order."""
    return tuple(cast(torch.Tensor, value) for value in sample_inputs(model, batch).values.values())


def calibration_batches(inputs: tuple[torch.Tensor, ...], size: int) -> Iterator[tuple[torch.Tensor, ...]]:
    """Calibration inputs, `size` items at a time."""
    for start in range(0, len(inputs[0]), size):
        yield tuple(tensor[start : start + size] for tensor in inputs)

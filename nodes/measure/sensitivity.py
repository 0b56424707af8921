"""What a model's answer is sensitive to at a cut: gradients of the answer with respect to a boundary tensor.

For a classifier the gradients are of log p(c) for a class c drawn from the answer itself; the mean of g g^T over draws
is the Fisher information, and d^T E[g g^T] d / 2 is the Kullback-Leibler divergence that a small change d causes (Amari
1998). Uncertain answers weigh more, as they should: they change first. For any other output the gradients are of its
projections on random directions of length 1, so that d^T E[g g^T] d is the squared change of the output over its size;
for one of one number over the size of the largest, since small ones may be off by no less than large ones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import torch

from isthmus.errors import InvalidInput
from partitioner.model import Model, has_classes
from partitioner.segments import Segments

__all__ = ["Boundary", "boundary_gradients", "boundary_tensors"]

_BATCH = 8

Boundary = tuple[torch.Tensor, ...]
"""What the prefix made of some items: the boundary tensors, then what is kept."""


def boundary_tensors(
    segments: Segments, inputs: tuple[torch.Tensor, ...], batch: int = _BATCH, apart: Collection[int] = ()
) -> Boundary:
    """The prefix over all items of `inputs`, so many at a time. apart: positions of those whose rows are no items: of
    them, one item at a time, what each item gives is put behind the others in a new first dimension.
    """
    parts = []
    for start in range(0, len(inputs[0]), batch):
        with torch.inference_mode():
            parts.append(segments.prefix(*(tensor[start : start + batch] for tensor in inputs)))
    together = enumerate(zip(*parts, strict=True))
    return tuple(torch.stack(made) if at in apart else torch.cat(made) for at, made in together)


def boundary_gradients(
    model: Model, segments: Segments, boundary: Boundary, tensor: str, *, draws: int = 2
) -> torch.Tensor:
    """Gradients of the first output at every item, `draws` for each: (items * draws, ...) as `tensor` is shaped.

    Deterministic; zeros where the answer is no number (NaN, infinity), of which there is nothing to learn. Raises
    InvalidInput for a tensor that does not cross, is no float, or lies before something that cannot be differentiated
    (the ops of an ONNX model).
    """
    if tensor not in segments.boundary:
        raise InvalidInput("tensor", "does not cross", value=tensor, remedy=f"use one of {list(segments.boundary)}")
    position = segments.boundary.index(tensor)
    if not boundary[position].is_floating_point():
        raise InvalidInput("tensor", "has no gradient", value=tensor, remedy="quantise floating point tensors only")
    generator = torch.Generator().manual_seed(0)
    classes = has_classes(model)
    found: list[torch.Tensor] = []
    for items in _batches(boundary):
        items[position].requires_grad_(True)
        output = segments.suffix(*items)[0]
        output = output.reshape(len(output), -1)
        if not output.requires_grad:
            raise InvalidInput("tensor", "has no gradient", value=tensor, remedy="treat all directions alike")
        for _ in range(draws):
            answer = _log_likelihood(output, generator) if classes else _projection(output, generator)
            (gradient,) = torch.autograd.grad(answer, items[position], retain_graph=True)
            found.append(gradient)
    return torch.cat(found).nan_to_num(0.0, 0.0, 0.0)


def _batches(boundary: Boundary) -> Iterator[list[torch.Tensor]]:
    for start in range(0, len(boundary[0]), _BATCH):
        with torch.inference_mode(False):  # clones made inside would be inference tensors, which take no gradients
            yield [tensor[start : start + _BATCH].clone() for tensor in boundary]


def _log_likelihood(logits: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    known = logits.detach().float().softmax(1).nan_to_num(0.0)
    known = torch.where(known.sum(1, keepdim=True) > 0, known, 1.0)  # of an answer that is none any class will do
    drawn = torch.multinomial(known, 1, generator=generator)
    likelihood: torch.Tensor = logits.log_softmax(1).gather(1, drawn).sum()
    return likelihood


def _projection(output: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    directions = torch.randn(output.shape, generator=generator)
    size = output.detach().norm(dim=1, keepdim=True)
    size = size if output.shape[1] > 1 else size.amax(0, keepdim=True)
    projected: torch.Tensor = (output * directions / size.clamp_min(1e-12)).sum()
    return projected

"""What a model says about itself beside its graph: names, preprocessing, labels. Plain data, no torch at import."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from isthmus.errors import InvalidModel

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["ImagePreprocessing", "InputSpec", "Interface", "ModelSpec", "OutputSpec"]

Autonomy = Literal["full", "cloud-required"]

_MAX_PIXELS_PER_SIDE = 16_384


@dataclass(frozen=True, slots=True)
class ImagePreprocessing:
    """How an encoded picture becomes a float32 tensor.

    Decode, to RGB, shorter side resized to `resize_shorter` pixels by `resample`, crop the `height` x `width` centre,
    multiply by `scale`, subtract `mean` and divide by `std` (per channel, after scaling), lay out as `layout`.
    Raises InvalidModel for values that no picture can meet.
    """

    height: int
    width: int
    resize_shorter: int
    resample: Literal["bicubic", "bilinear"] = "bicubic"
    crop: Literal["center"] = "center"
    scale: float = 1 / 255
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    layout: Literal["NCHW"] = "NCHW"

    def __post_init__(self) -> None:
        for name in ("height", "width", "resize_shorter"):
            _check(_is_count(getattr(self, name), _MAX_PIXELS_PER_SIDE), f"preprocessing.{name}", getattr(self, name))
        _check(max(self.height, self.width) <= self.resize_shorter, "preprocessing.resize_shorter", self.resize_shorter)
        _check(self.resample in ("bicubic", "bilinear"), "preprocessing.resample", self.resample)
        _check(self.crop == "center", "preprocessing.crop", self.crop)
        _check(self.layout == "NCHW", "preprocessing.layout", self.layout)
        _check(_is_finite(self.scale) and self.scale > 0, "preprocessing.scale", self.scale)
        _check(len(self.mean) == 3 and all(map(_is_finite, self.mean)), "preprocessing.mean", self.mean)
        _check(len(self.std) == 3 and all(_is_finite(s) and s > 0 for s in self.std), "preprocessing.std", self.std)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One model input: its public name (also its tensor name in the graph), and how a file becomes it, if it does."""

    name: str
    preprocessing: ImagePreprocessing | None = None


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One model output: its public name and how to read it: class labels, softmax first, how many to show."""

    name: str
    labels: tuple[str, ...] = ()
    softmax: bool = False
    top_k: int = 0


@dataclass(frozen=True, slots=True)
class Interface:
    """A model's public face: `inputs` and `outputs` stand in the order of the graph's own inputs and outputs.

    autonomy: with "cloud-required" no request is finished without the cloud, with "full" the edge can do it all.
    max_batch: the largest batch of a request.
    Raises InvalidModel for empty or repeated names and a batch below one.
    """

    name: str
    inputs: tuple[InputSpec, ...]
    outputs: tuple[OutputSpec, ...]
    autonomy: Autonomy = "full"
    max_batch: int = 64

    def __post_init__(self) -> None:
        _check_text(self.name, "model name")
        _check_names(tuple(i.name for i in self.inputs), "input names")
        _check_names(tuple(o.name for o in self.outputs), "output names")
        _check(self.autonomy in ("full", "cloud-required"), "autonomy", self.autonomy)
        _check(_is_count(self.max_batch, 1 << 20), "max_batch", self.max_batch)

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no spaces. `from_json` reads it back equal."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Interface:
        """Read what `to_json` wrote. Raises InvalidModel for anything else."""
        try:
            return _interface(json.loads(text))
        except InvalidModel:
            raise
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise InvalidModel(
                "spec.json", f"is not a model interface: {error}", remedy="import the model anew"
            ) from error


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a user's factory may return: a module with example inputs (batch first, any batch size), and names.

    preprocessing and labels are keyed by input and output name. calibration: one tensor for each input, [items, ...],
    that stand for real traffic; codecs are calibrated and judged on them. calibration_groups: the source of each item
    (the photo that a crop was taken from), where several share one; how sure an accuracy is depends on the sources.
    calibration_truth: the right class of each item for the first output, where that is known. autonomy: as of
    `Interface`.
    """

    module: nn.Module
    example_inputs: tuple[Tensor, ...]
    name: str = ""
    input_names: tuple[str, ...] = ()
    output_names: tuple[str, ...] = ()
    preprocessing: Mapping[str, ImagePreprocessing] = field(default_factory=dict)
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    calibration: tuple[Tensor, ...] = ()
    calibration_groups: tuple[int, ...] = ()
    calibration_truth: tuple[int, ...] = ()
    autonomy: Autonomy = "full"


def _interface(data: Mapping[str, Any]) -> Interface:
    return Interface(
        name=data["name"],
        inputs=tuple(_input(i) for i in data["inputs"]),
        outputs=tuple(_output(o) for o in data["outputs"]),
        autonomy=data["autonomy"],
        max_batch=data["max_batch"],
    )


def _input(data: Mapping[str, Any]) -> InputSpec:
    given = data["preprocessing"]
    if given is None:
        return InputSpec(data["name"])
    lists = {"mean": tuple(given["mean"]), "std": tuple(given["std"])}
    return InputSpec(data["name"], ImagePreprocessing(**{**given, **lists}))


def _output(data: Mapping[str, Any]) -> OutputSpec:
    labels = tuple(data["labels"])
    _check(all(isinstance(label, str) for label in labels), f"labels of {data['name']!r}", None)
    _check(isinstance(data["softmax"], bool), "softmax", data["softmax"])
    _check(isinstance(data["top_k"], int) and data["top_k"] >= 0, "top_k", data["top_k"])
    return OutputSpec(data["name"], labels, data["softmax"], data["top_k"])


def _is_count(value: object, limit: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= limit


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _check_names(names: tuple[str, ...], what: str) -> None:
    for name in names:
        _check_text(name, what)
    _check(len(set(names)) == len(names), what, names)


def _check_text(value: object, what: str) -> None:
    _check(isinstance(value, str) and 0 < len(value) <= 256 and value.isprintable(), what, value)


def _check(holds: bool, what: str, value: object) -> None:
    if not holds:
        raise InvalidModel(what, "is not valid", value=value, remedy="correct the model's spec")

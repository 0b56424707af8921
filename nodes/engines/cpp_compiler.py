"""The C++ compiler that Inductor generates code for, and the processor that the code then runs on."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
from pathlib import Path

import torch

from isthmus.errors import InvalidConfiguration

__all__ = ["check_compiler", "processor_id"]


def check_compiler(engine: str) -> None:
    """Raise InvalidConfiguration with the remedy where there is no C++ compiler: `CXX`, else g++ (clang++ on macOS)."""
    named = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(named) is None:
        remedy = "install one (apt-get install g++), set CXX to yours, or use engine: onnxruntime or eager"
        raise InvalidConfiguration(
            "engine", f"needs a C++ compiler, and {named} is not here", value=engine, remedy=remedy
        )


def processor_id() -> str:
    """What code compiled with -march=native holds for: architecture, vector width, model and features."""
    cpuinfo = Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else platform.processor()
    found = sorted(set(re.findall(r"^(?:model name|flags|Features|CPU part)\s*:.*$", text, re.MULTILINE)) or {text})
    features = hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()} {features}"

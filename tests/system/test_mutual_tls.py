"""Both sides as processes with mutual TLS on every port, from the files that `isthmus certs` makes."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from isthmus.client import Client
from isthmus.errors import CloudUnavailable
from isthmus.zoo import demo_photos
from nodes.tls_files import TlsFiles
from tests.system.launched import HANGS_S

MODEL = "efficientnet-lite0"


def isthmus(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "isthmus", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=HANGS_S, check=False)


def test_a_photo_gets_its_class_through_the_cloud_with_mutual_tls(
    run_up: Callable[..., contextlib.AbstractContextManager[Any]], tmp_path: Path
) -> None:
    made = isthmus("certs", str(tmp_path))
    assert made.returncode == 0, made.stderr
    authority = str(tmp_path / "authority.pem")
    sides = {
        side: {
            "certificate": str(tmp_path / f"{side}.pem"),
            "key": str(tmp_path / f"{side}.key"),
            "authority": authority,
            "require_clients": True,
        }
        for side in ("edge", "cloud")
    }
    with run_up(
        edge={"runtime": "process", "listen": "127.0.0.1:0", "tls": sides["edge"]},
        cloud={"runtime": "process", "registry_listen": "127.0.0.1:0", "tls": sides["cloud"]},
        link={"bandwidth": "200mbps", "rtt": "5ms"},
    ) as running:
        shown = TlsFiles(authority, str(tmp_path / "client.pem"), str(tmp_path / "client.key"))
        with Client(running.address, shown) as client:
            result = client.infer(MODEL, {"image": demo_photos()[1]}, policy="cloud-only", timeout_s=60)
        assert result.parameters["isthmus_finished_by"] == "cloud"
        for tls in (None, TlsFiles(authority)):
            with Client(running.address, tls) as stranger, pytest.raises(CloudUnavailable):
                stranger.infer(MODEL, {"image": demo_photos()[1]}, timeout_s=10)
        options = ["--tls-authority", authority, "--tls-certificate", shown.certificate, "--tls-key", shown.key]
        said = isthmus("status", "--server", running.address, *options)
        assert (said.returncode, said.stdout.strip()) == (0, f"{running.address}: ready")

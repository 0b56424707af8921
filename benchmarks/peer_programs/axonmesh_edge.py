"""axonmesh's edge, slowed as Isthmus's is: a photo's path and a way by line on standard input, what it took on output.

python -m benchmarks.peer_programs.axonmesh_edge '{"SERVER": [HOST, PORT, CUT], ...}' SLOWDOWN

A way is a server's name for a split there, or "frame": the model-sized picture as JPEG, which the cloud runs whole.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from axonmesh.edge import EdgeClient
from axonmesh.measure import to_input_tensor
from axonmesh.protocol import Kind, pack_tensors

from benchmarks.peer_programs.axonmesh_model import axonmesh_model, set_up
from benchmarks.peer_programs.ready import say_ready
from nodes.engines.slowdown import run_slowed
from nodes.preprocessing import picture
from partitioner.spec import ImagePreprocessing

QUALITY = 85  # its own default


class Edge:
    """One connection, and what `EdgeClient.infer_features` and `infer_frame` do for detectors, for a classifier."""

    def __init__(self, client: Any, how: ImagePreprocessing, slowdown: float) -> None:
        self._client, self._how, self._slowdown = client, how, slowdown

    def features(self, file: bytes) -> bytes:
        wire = self._client.runner.edge(to_input_tensor(self._picture(file), self._how.width))
        payload: bytes = pack_tensors(wire)
        return payload

    def frame(self, file: bytes) -> bytes:
        _, encoded = cv2.imencode(".jpg", self._picture(file), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        payload: bytes = encoded.tobytes()
        return payload

    def ask(self, path: Path, kind: Any, prepare: Callable[[bytes], bytes]) -> dict[str, float | int]:
        started_s = time.perf_counter()
        payload = run_slowed(self._slowdown, prepare, path.read_bytes())
        answer, sent_bytes = self._client._roundtrip(kind, payload, 0, Kind.RESULT)
        best = int(np.frombuffer(answer, np.float32).argmax())
        seconds = time.perf_counter() - started_s
        return {"seconds": seconds, "payload_bytes": sent_bytes + len(answer), "best": best}

    def _picture(self, file: bytes) -> Any:
        return np.ascontiguousarray(picture(file, self._how)[:, :, ::-1])


def main() -> None:
    set_up()
    model, how = axonmesh_model()
    edges = {}
    for name, (host, port, cut) in json.loads(sys.argv[1]).items():
        edges[name] = Edge(EdgeClient(host, port, model, cut=cut, imgsz=how.width), how, float(sys.argv[2]))
    say_ready({})
    for line in sys.stdin:
        asked = json.loads(line)
        way, path = asked["way"], Path(asked["photo"])
        if way == "frame":
            edge = next(iter(edges.values()))
            told = edge.ask(path, Kind.FRAME, edge.frame)
        else:
            told = edges[way].ask(path, Kind.FEATURES, edges[way].features)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()

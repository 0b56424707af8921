"""axonmesh's cloud servers, one for each cut: features or a JPEG frame in, the logits' bytes out.

python -m benchmarks.peer_programs.axonmesh_cloud LINK_MBPS...
"""

from __future__ import annotations

import sys
import threading

import axonmesh
import torch
from axonmesh.server import CloudServer

from benchmarks.peer_programs.axonmesh_model import axonmesh_cuts, axonmesh_model, set_up
from benchmarks.peer_programs.ready import end_with_the_benchmark, say_ready


def _bytes_of(logits: torch.Tensor) -> bytes:
    data: bytes = logits.detach().numpy().tobytes()
    return data


def main() -> None:
    end_with_the_benchmark()
    set_up()
    model, how = axonmesh_model()
    cuts = axonmesh_cuts(model, how.width, [float(given) for given in sys.argv[1:]])
    ports = {}
    for cut in sorted(set(cuts.values())):
        server = CloudServer(model, cut=cut, imgsz=how.width, postprocess=_bytes_of, host="127.0.0.1", port=0)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ports[cut] = server.port
    endpoints = {way: ("127.0.0.1", ports[cut]) for way, cut in cuts.items()}
    say_ready(endpoints, version=axonmesh.__version__, cuts=cuts)
    threading.Event().wait()


if __name__ == "__main__":
    main()

"""Whether torchslicer can answer a request at all: what its workers send back, and what a sliced model can be asked.

python -m benchmarks.peer_programs.torchslicer_facts
"""

from __future__ import annotations

import torchslicer
from torchslicer.transport.grpc.worker import worker_service_pb2

from benchmarks.peer_programs.ready import say_ready


def main() -> None:
    service = worker_service_pb2.DESCRIPTOR.services_by_name["WorkerService"]
    answer = service.methods_by_name["forward"].output_type
    asked = [name for name in vars(torchslicer.SlicedModel) if not name.startswith("_")]
    say_ready({}, version=torchslicer.__version__, answered=[field.name for field in answer.fields], methods=asked)


if __name__ == "__main__":
    main()

# Everything a newcomer, a developer or CI needs. Each target makes what it is missing.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed
PROTO_STAMP := .venv-proto/installed
PROTO_OUT ?= $(CURDIR)

.PHONY: demo test check proto clean

demo: $(STAMP)
	$(BIN)/isthmus demo

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# torch first and alone: asked for by another package's open range, pip would pull gigabytes of CUDA.
# silero-vad (a TorchScript model for the tests) without its dependencies: torchaudio has no CPU build. ultralytics, never
# imported, for two photos of the codec tournament.
$(STAMP): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet "torch>=2.6,<2.14"
	$(BIN)/python -m pip install --quiet --editable ".[zoo,dev]"
	$(BIN)/python -m pip install --quiet --no-deps silero-vad ultralytics
	touch $(STAMP)

# The stubs: made in their own environment, because grpcio-tools wants protobuf 6 and its output runs on 6 and 7.
proto: $(PROTO_STAMP)
	cd proto && ../.venv-proto/bin/python -m grpc_tools.protoc -I . \
		--plugin=protoc-gen-mypy=../.venv-proto/bin/protoc-gen-mypy \
		--plugin=protoc-gen-mypy_grpc=../.venv-proto/bin/protoc-gen-mypy_grpc \
		--python_out=$(PROTO_OUT) --grpc_python_out=$(PROTO_OUT) --mypy_out=$(PROTO_OUT) --mypy_grpc_out=$(PROTO_OUT) \
		isthmus/v1/segment.proto isthmus/v1/fleet.proto isthmus/v1/operator.proto isthmus/oip/open_inference.proto \
		isthmus/oip/model_config.proto

$(PROTO_STAMP):
	test -x .venv-proto/bin/python || $(PYTHON) -m venv .venv-proto
	.venv-proto/bin/python -m pip install --quiet "grpcio-tools==1.76.0" "mypy-protobuf==5.1.0"
	touch $(PROTO_STAMP)

clean:
	rm -rf .venv .venv-proto demo-output build dist

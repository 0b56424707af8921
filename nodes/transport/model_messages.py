"""A model as messages: its metadata, configuration, statistics and place in the index."""

from __future__ import annotations

from collections.abc import Mapping

from isthmus.oip import model_config_pb2 as configuration
from isthmus.oip import open_inference_pb2 as oip
from nodes.datatypes import datatype_of_dtype
from nodes.gateway import ModelDescription, ModelState, TensorDescription
from nodes.model_statistics import BatchStatistics, Duration, ModelStatistics

__all__ = ["index_message", "metadata_message", "model_config_message", "statistics_message"]

PLATFORM = "isthmus"


def metadata_message(described: ModelDescription) -> oip.ModelMetadataResponse:
    """Inputs and outputs with the batch dimension as -1."""
    return oip.ModelMetadataResponse(
        name=described.name,
        versions=[described.version],
        platform=PLATFORM,
        inputs=[_metadata(tensor) for tensor in described.inputs],
        outputs=[_metadata(tensor) for tensor in described.outputs],
    )


def _metadata(tensor: TensorDescription) -> oip.ModelMetadataResponse.TensorMetadata:
    return oip.ModelMetadataResponse.TensorMetadata(
        name=tensor.name, datatype=datatype_of_dtype(tensor.dtype).name, shape=tensor.shape
    )


def model_config_message(described: ModelDescription) -> configuration.ModelConfig:
    """The model in the words of Triton's configuration. dims leave the batch dimension out.

    A model whose batch is not the first dimension of every tensor cannot be told so: its max_batch_size is 0 and its
    dims are whole, with -1 for the batch.
    """
    tensors = (*described.inputs, *described.outputs)
    skip = 1 if all(tensor.shape[:1] == (-1,) for tensor in tensors) else 0
    config = configuration.ModelConfig(
        name=described.name,
        platform=PLATFORM,
        backend=PLATFORM,
        max_batch_size=described.max_batch if skip else 0,
        input=[
            configuration.ModelInput(name=tensor.name, data_type=_data_type(tensor), dims=tensor.shape[skip:])
            for tensor in described.inputs
        ],
        output=[
            configuration.ModelOutput(name=tensor.name, data_type=_data_type(tensor), dims=tensor.shape[skip:])
            for tensor in described.outputs
        ],
        version_policy=configuration.ModelVersionPolicy(latest=configuration.ModelVersionPolicy.Latest(num_versions=1)),
        model_transaction_policy=configuration.ModelTransactionPolicy(decoupled=False),
    )
    for name in (tensor.name for tensor in described.inputs if tensor.accepts_files):
        config.parameters[f"isthmus_image_files:{name}"].string_value = "BYTES"
    return config


def _data_type(tensor: TensorDescription) -> configuration.DataType.ValueType:
    return configuration.DataType.Value(f"TYPE_{datatype_of_dtype(tensor.dtype).name}")


def statistics_message(described: ModelDescription, counted: ModelStatistics) -> oip.ModelStatistics:
    """What a model's requests came to."""
    every = _batch_fields(counted.every_batch)
    return oip.ModelStatistics(
        name=described.name,
        version=described.version,
        last_inference=counted.last_inference_ms,
        inference_count=counted.inference_count,
        execution_count=counted.execution_count,
        inference_stats=oip.InferStatistics(
            success=_duration(counted.success), fail=_duration(counted.fail), queue=_duration(counted.queue), **every
        ),
        batch_stats=[
            oip.InferBatchStatistics(batch_size=size, **_batch_fields(counted.batches[size]))
            for size in sorted(counted.batches)
        ],
    )


def _batch_fields(batch: BatchStatistics) -> Mapping[str, oip.StatisticDuration]:
    return {
        "compute_input": _duration(batch.compute_input),
        "compute_infer": _duration(batch.compute_infer),
        "compute_output": _duration(batch.compute_output),
    }


def _duration(duration: Duration) -> oip.StatisticDuration:
    return oip.StatisticDuration(count=duration.count, ns=duration.ns)


def index_message(model: ModelState) -> oip.RepositoryIndexResponse.ModelIndex:
    """A configured model and what has become of it."""
    return oip.RepositoryIndexResponse.ModelIndex(
        name=model.name, version=model.version, state=model.state, reason=model.reason
    )

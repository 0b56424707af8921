"""The eager engine: what a segment returns, on the CPU and, where there is one, on a GPU."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import fx

from isthmus.errors import ComputeFailed, DeviceUnavailable, InvalidConfiguration, InvalidRequest, NotFound
from nodes.engines.eager import EagerEngine
from nodes.engines.factory import engine_for

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def twice(value: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (value * 2,)


def linear_segment() -> fx.GraphModule:
    """x @ w + arange(4), with the CPU named in the graph as an exported model does."""
    graph = fx.Graph()
    x = graph.placeholder("x")
    product = graph.call_function(torch.matmul, (x, graph.get_attr("w")))
    positions = graph.call_function(torch.arange, (4,), {"device": torch.device("cpu")})
    graph.output((graph.call_function(torch.add, (product, positions)),))
    return fx.GraphModule({"w": torch.eye(4)}, graph)


def test_a_runner_returns_a_tuple_of_tensors() -> None:
    (output,) = EagerEngine().load(twice)(torch.ones(3))
    assert output.tolist() == [2.0, 2.0, 2.0]


def test_segments_run_without_gradients() -> None:
    (output,) = EagerEngine().load(twice)(torch.ones(3, requires_grad=True))
    assert not output.requires_grad


def test_a_cpu_segment_is_not_copied() -> None:
    segment = linear_segment()
    runner = EagerEngine().load(segment)
    segment.get_buffer("w").zero_()
    assert torch.equal(runner(torch.ones(1, 4))[0], torch.arange(4.0).unsqueeze(0))


def test_a_failing_segment_raises_compute_failed_in_one_line() -> None:
    with pytest.raises(ComputeFailed, match="RuntimeError") as caught:
        EagerEngine().load(lambda a: (a @ a,))(torch.ones(2, 3))
    assert "\n" not in str(caught.value)


def test_our_own_errors_pass_through() -> None:
    def refuse(_: torch.Tensor) -> tuple[torch.Tensor, ...]:
        raise InvalidRequest("x", "is not welcome")

    with pytest.raises(InvalidRequest):
        EagerEngine().load(refuse)(torch.ones(1))


def test_a_slowdown_stretches_a_run() -> None:
    def busy(value: torch.Tensor) -> tuple[torch.Tensor, ...]:
        until = time.perf_counter() + 0.005
        while time.perf_counter() < until:
            pass
        return (value,)

    runner = EagerEngine(slowdown=4.0).load(busy)
    started = time.perf_counter()
    runner(torch.ones(1))
    assert time.perf_counter() - started >= 0.02


@pytest.mark.parametrize("slowdown", [0.5, 0.0, -1.0, float("nan"), float("inf")])
def test_a_slowdown_below_one_is_refused(slowdown: float) -> None:
    with pytest.raises(InvalidConfiguration, match="slowdown"):
        EagerEngine(slowdown=slowdown)


def test_no_threads_are_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="threads"):
        engine_for(threads=0)


def test_an_unknown_engine_names_the_known_ones() -> None:
    with pytest.raises(NotFound, match="eager"):
        engine_for("warp")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(InvalidConfiguration, match="device"):
        engine_for(device="tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_refused_with_a_remedy() -> None:
    with pytest.raises(DeviceUnavailable, match="device: cpu"):
        engine_for(device="cuda")


def test_auto_takes_what_is_there() -> None:
    assert engine_for(device="auto").device == ("cuda" if torch.cuda.is_available() else "cpu")


@needs_gpu
def test_a_gpu_segment_returns_host_tensors() -> None:
    (output,) = engine_for(device="cuda").load(linear_segment())(torch.ones(1, 4))
    assert output.device.type == "cpu"
    assert output.tolist() == [[1.0, 2.0, 3.0, 4.0]]


@needs_gpu
def test_gpu_segments_leave_the_models_weights_where_they_are() -> None:
    segment = linear_segment()
    engine_for(device="cuda").load(segment)
    assert segment.get_buffer("w").device.type == "cpu"


@needs_gpu
def test_a_gpu_runs_any_layout_as_it_did_by_plain_copies_and_answers_in_pinned_memory() -> None:
    dense = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    layouts = (dense, dense.permute(2, 0, 1), dense[:, ::2], dense[:1].expand(3, 4, 5), dense.pin_memory()[:, 1:])

    def as_it_came(value: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return value, value.transpose(0, 1), value[..., ::2]

    runner = engine_for(device="cuda").load(as_it_came)
    for given in layouts:
        for output, plain in zip(runner(given), as_it_came(given.to("cuda")), strict=True):
            assert torch.equal(output, plain.cpu())
            assert output.stride() == plain.cpu().stride()
            assert output.is_pinned()


@needs_gpu
def test_a_gpu_run_is_complete_when_it_returns_and_waits_for_no_other_stream() -> None:
    engine = engine_for(device="cuda")
    runner = engine.load(lambda value: (value @ value,))
    given = torch.ones(2048, 2048)
    runner(given)
    torch.cuda._sleep(2_000_000_000)  # type: ignore[no-untyped-call]  # about a second, of the default stream
    (output,) = runner(given)
    assert not torch.cuda.default_stream().query()
    assert output.eq(2048.0).all()
    torch.cuda.synchronize()


@needs_gpu
def test_threads_may_share_a_gpu_runner() -> None:
    runner = engine_for(device="cuda").load(twice)
    given = [torch.full((500_000,), float(number)) for number in range(32)]
    with ThreadPoolExecutor(4) as pool:
        outputs = list(pool.map(runner, given))
    assert all(torch.equal(output, value * 2) for (output,), value in zip(outputs, given, strict=True))


@needs_gpu
def test_a_gpu_segment_that_raises_leaves_the_engine_usable() -> None:
    engine = engine_for(device="cuda")
    with pytest.raises(ComputeFailed):
        engine.load(lambda a: (a @ a,))(torch.ones(2, 3))
    assert engine.load(twice)(torch.ones(2))[0].tolist() == [2.0, 2.0]

"""Inductor and AOTInductor: the answers of eager within a tolerance, for any batch, without compiling twice."""

from __future__ import annotations

import gc
import shutil
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef

from isthmus import zoo
from isthmus.errors import InvalidConfiguration, InvalidModel
from nodes.engines.aot import AotEngine
from nodes.engines.base import Engine
from nodes.engines.eager import EagerEngine
from nodes.engines.factory import engine_for
from nodes.engines.inductor import _COMPILING, InductorEngine
from partitioner.front_end import model_from_module
from partitioner.segments import Segments
from partitioner.torch_model import TorchModel
from tests.nodes.engines.networks import Pictures, Sentences, pictures, sentences

Make = Callable[..., Engine]
BOTH = pytest.mark.parametrize("engine_class", [InductorEngine, AotEngine])


class Tiny(nn.Module):
    """(batch, 4) to (batch, 3) and (batch, 4): an output made early, one late, two boundary tensors between."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        early = (x * 2).sigmoid()
        return self.linear(early + x).tanh(), early


@pytest.fixture(scope="module")
def tiny() -> TorchModel:
    torch.manual_seed(0)
    return model_from_module(Tiny().eval(), (torch.randn(2, 4),))


def cut(model: TorchModel, count: int) -> Segments:
    return model.split([op.name for op in model.graph.ops[:count]])


def check(
    model: TorchModel, segments: Segments, engines: tuple[Engine, Engine], inputs: Sequence[tuple[Tensor, ...]]
) -> None:
    """Prefix on the first, suffix on the second, within 1e-4 of the whole on eager."""
    prefix, suffix = engines[0].load(segments.prefix), engines[1].load(segments.suffix)
    for given in inputs:
        torch.testing.assert_close(suffix(*prefix(*given)), model(*given), rtol=1e-4, atol=1e-4)


@BOTH
def test_a_cut_agrees_with_eager_at_every_batch(tiny: TorchModel, engine_class: Make, compiled: Path) -> None:
    engine, segments = engine_class(folder=compiled), cut(tiny, 2)
    assert len(segments.boundary) == 2
    assert segments.kept
    inputs = [(torch.randn(batch, 4),) for batch in (1, 2, 7)]
    check(tiny, segments, (engine, engine), inputs)
    check(tiny, segments, (EagerEngine(), engine), inputs)


@BOTH
def test_tensors_may_lie_in_memory_as_they_like(tiny: TorchModel, engine_class: Make, compiled: Path) -> None:
    engine, given = engine_class(folder=compiled), torch.randn(4, 3).t()
    check(tiny, cut(tiny, 2), (engine, engine), [(given,)])


@BOTH
def test_an_engine_that_goes_leaves_nothing_of_its_model(engine_class: Make, compiled: Path) -> None:
    torch.manual_seed(0)
    model = model_from_module(Tiny().eval(), (torch.randn(2, 4),))
    storages = (weight.untyped_storage() for weight in model.weights.values())
    gone, memory = weakref.ref(model), [StorageWeakRef(one) for one in storages]  # type: ignore[no-untyped-call]
    engine_class(folder=compiled).load(model.whole)(torch.randn(3, 4))
    del model
    gc.collect()
    assert gone() is None
    assert all(one.expired() for one in memory)  # type: ignore[no-untyped-call]


@BOTH
def test_an_engine_lets_go_of_the_code_that_was_used_longest_ago(
    tiny: TorchModel, engine_class: Make, compiled: Path
) -> None:
    torch.manual_seed(0)
    model = model_from_module(Tiny().eval(), (torch.randn(2, 4),))
    engine, gone = engine_class(folder=compiled, most_slices=1), weakref.ref(model)
    engine.load(model.whole)
    del model
    gc.collect()
    assert gone() is not None
    engine.load(cut(tiny, 2).prefix)
    gc.collect()
    assert gone() is None


@BOTH
def test_what_was_prepared_is_loaded_without_compiling(tiny: TorchModel, engine_class: Make, compiled: Path) -> None:
    engine, segments = engine_class(folder=compiled), cut(tiny, 2)
    both = (segments.prefix, segments.suffix)
    took_s = engine.prepare(both)
    started = time.perf_counter()
    for segment in (*both, segments.cloud):
        engine.load(segment)
    assert time.perf_counter() - started < 0.5 * took_s
    assert engine.prepare(both) == took_s > 0
    # While another model is compiled: requests wait where plans are loaded, and must not wait for that, too.
    again = AotEngine(folder=compiled) if isinstance(engine, AotEngine) else engine
    with ThreadPoolExecutor() as beside, again._lock if isinstance(again, AotEngine) else _COMPILING:
        beside.submit(again.load, segments.suffix).result(timeout=30.0)


def test_a_restart_finds_packages_where_no_compiler_is(
    tiny: TorchModel, compiled: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    AotEngine(folder=compiled).prepare([cut(tiny, 2).prefix])
    monkeypatch.setenv("CXX", "no-such-compiler")
    AotEngine(folder=compiled).load(cut(tiny, 2).prefix)
    with pytest.raises(InvalidConfiguration, match=r"no-such-compiler.*CXX.*eager"):
        AotEngine(folder=compiled).load(cut(tiny, 3).prefix)


def test_inductor_without_a_compiler_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InvalidConfiguration, match=r"no-such-compiler.*onnxruntime"):
        InductorEngine(folder=tmp_path)


def test_a_package_is_for_one_thread_budget(tiny: TorchModel, compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    AotEngine(folder=compiled).prepare([cut(tiny, 2).prefix])
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InvalidConfiguration):
        AotEngine(threads=2, folder=compiled).load(cut(tiny, 2).prefix)


def test_weights_are_not_copied(tiny: TorchModel, compiled: Path) -> None:
    suffix, weight = cut(tiny, 2).suffix, tiny.weights["p_linear_weight"]
    runner, before = AotEngine(folder=compiled).load(suffix), weight.clone()
    boundary = cut(tiny, 2).prefix(torch.randn(2, 4))
    weight.zero_()
    changed = runner(*boundary)
    weight.copy_(before)
    assert not torch.allclose(changed[0], runner(*boundary)[0])


def test_a_compiler_that_fails_is_told_in_one_line(
    tiny: TorchModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", shutil.which("false") or "false")
    with pytest.raises(InvalidModel, match="cannot be compiled") as caught:
        AotEngine(folder=tmp_path).load(tiny.whole)
    assert "\n" not in str(caught.value)


@BOTH
def test_it_runs_on_the_cpu_only(engine_class: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    name: str = engine_class.name  # type: ignore[attr-defined]
    assert engine_for(name, device="auto").device == "cpu"


@BOTH
@pytest.mark.slow
@pytest.mark.parametrize(("network", "inputs"), [(Pictures, pictures), (Sentences, sentences)])
def test_networks_agree_with_eager(
    engine_class: Make, network: type[nn.Module], inputs: Callable[[int], tuple[Tensor, ...]], compiled: Path
) -> None:
    torch.manual_seed(0)
    model, engine = model_from_module(network().eval(), inputs(2)), engine_class(folder=compiled)
    segments = cut(model, len(model.graph.ops) // 2)
    check(model, segments, (engine, engine), [inputs(1), inputs(3)])


@BOTH
@pytest.mark.slow
def test_efficientnet_agrees_with_eager(engine_class: Make, compiled: Path) -> None:
    model, engine = model_from_module(zoo.efficientnet_lite0()), engine_class(folder=compiled)
    check(model, cut(model, 50), (engine, engine), [pictures(1, 224), pictures(3, 224)])


@BOTH
@pytest.mark.slow
def test_minilm_agrees_with_eager(engine_class: Make, compiled: Path) -> None:
    model, engine = model_from_module(zoo.minilm()), engine_class(folder=compiled)
    check(model, cut(model, 73), (engine, engine), [sentences(1, 64, 20_000), sentences(3, 64, 20_000)])

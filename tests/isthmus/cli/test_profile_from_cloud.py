"""`isthmus profile --from`: what a running cloud measured of itself, as a file to plan with."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from isthmus.certificates import issue_certificates
from isthmus.cli.cloud_profile import cloud_profile
from isthmus.cli.main import app, main
from isthmus.errors import InvalidInput
from nodes.cloud_connection import ReplicaDescription
from nodes.cloud_node import CloudNode
from nodes.fleet import Endpoint, Replica
from nodes.measure.codec_rates import RATED_CODEC_NAMES
from nodes.tls_files import TlsFiles
from nodes.transport.registry_server import RegistryServer
from nodes.transport.segment_server import SegmentService
from partitioner.artifact import save_artifact
from partitioner.measurements import CodecRate, Measurement, OpTimes, Power
from partitioner.model import Model
from partitioner.plan import Plan
from partitioner.plan_table import FARTHEST, EngineDifference
from partitioner.profiles import DeviceProfile
from scheduler.fleet_registry import FleetRegistry
from tests.nodes.sites import Cloud, profile, small_model

served = functools.cache(small_model)


RATED = dict.fromkeys(set(RATED_CODEC_NAMES) - {"raw", "zstd"}, CodecRate(1.0, 0.0, 1.0, 0.0))


class Rated(CloudNode):
    """Has timed all codecs but two that are quickly timed."""

    def __init__(self, *parts: Any, **limits: Any) -> None:
        super().__init__(*parts, **limits)
        self._profile = replace(self._profile, codec_rates=RATED)


class Untimed(CloudNode):
    """Times no codecs, which takes seconds."""

    async def rate_codecs(self) -> None:
        pass


class Silent(Untimed):
    """Says of itself what is no profile."""

    def describe(self) -> ReplicaDescription:
        return replace(super().describe(), device_profile_json="")


class Astray(Untimed):
    """Runs an engine whose answers become infinite."""

    def describe(self) -> ReplicaDescription:
        far = EngineDifference(FARTHEST, cosine=0.5, top1_agreement=0.5, n=2, calibrated=True)
        made = replace(measured(), engine="onnxruntime").with_engine_difference(served().digest, far)
        return replace(super().describe(), device_profile_json=made.to_json())


class Measured(Untimed):
    """Has measured what it serves."""

    def describe(self) -> ReplicaDescription:
        return replace(super().describe(), device_profile_json=measured().to_json())


def measured() -> DeviceProfile:
    """10 ms an op."""
    times = {op.name: Measurement(0.01, 0.0, 9) for op in served().graph.ops}
    whole = Measurement(0.01 * len(times), 0.0, 9)
    return profile().with_op_times(OpTimes(served().digest, "eager", 1, 1, times, whole))


async def asked(address: str, tls: TlsFiles | None = None, model: Model | None = None) -> DeviceProfile:
    """From a thread without a loop, as the command is."""
    return await asyncio.to_thread(cloud_profile, address, tls, model)


async def called(*words: str) -> str:
    done = await asyncio.to_thread(CliRunner().invoke, app, words)
    if done.exception is not None:
        raise done.exception
    return done.stdout


async def started(kind: type[CloudNode] = Measured) -> Cloud:
    return await Cloud.start([served()], "replica-0", kind)


async def test_a_replica_tells_its_profile() -> None:
    cloud = await started()
    try:
        assert await asked(cloud.target, model=served()) == measured()
    finally:
        await cloud.stop()


async def test_a_replica_that_is_asked_times_the_codecs_that_it_has_not_timed_yet_once() -> None:
    cloud = await started(Rated)
    try:
        rates = (await asked(cloud.target)).codec_rates
        assert set(rates) == set(RATED_CODEC_NAMES)
        assert {name for name, rate in rates.items() if rate != RATED.get(name)} == {"raw", "zstd"}
        assert (await asked(cloud.target)).codec_rates == rates
    finally:
        await cloud.stop()


async def test_a_registry_leads_to_a_replica_that_answers() -> None:
    cloud, registry = await started(), await RegistryServer.start(FleetRegistry(), "127.0.0.1:0")
    try:
        with pytest.raises(InvalidInput, match="no replica is registered"):
            await asked(registry.address)
        await registry.stop()
        book = FleetRegistry()
        for name, target in (("a-gone", "127.0.0.1:1"), ("replica-0", cloud.target)):
            book.register(Replica(name, Endpoint(target)), asyncio.get_running_loop().time())
        registry = await RegistryServer.start(book, "127.0.0.1:0")
        assert await asked(registry.address) == measured()
    finally:
        await registry.stop()
        await cloud.stop()


async def test_what_the_cloud_measured_is_planned_with(tmp_path: Path) -> None:
    save_artifact(served(), tmp_path / "model")
    (tmp_path / "edge.json").write_text(profile().to_json())
    edge, file = (str(tmp_path / name) for name in ("edge.json", "cloud.json"))
    cloud = await started()
    try:
        said = await called("profile", str(tmp_path / "model"), "--from", cloud.target, "-o", file)
    finally:
        await cloud.stop()
    assert said.startswith(f"{file}: test, 10.0 GFLOP/s float32")
    _, _, missing = said.partition("not measured:")
    assert all(f"small: {what}" in missing for what in ("memory", "both halves of any cut", "batches above 1"))
    assert "nothing that this command measures" not in missing
    assert "--against" not in missing
    await called("partition", str(tmp_path / "model"), "--edge", edge, "--cloud", file, "-o", str(tmp_path / "p.json"))
    plan = Plan.from_json((tmp_path / "p.json").read_text())
    assert "measured op times" in plan.provenance["cloud"]


async def test_an_engine_whose_answers_become_infinite_is_said_to_be_without_a_number(tmp_path: Path) -> None:
    cloud = await started(Astray)
    try:
        said = await called("profile", "--from", cloud.target, "-o", str(tmp_path / "cloud.json"))
    finally:
        await cloud.stop()
    assert "onnxruntime: differs from eager by what is not finite on one side only, cosine 0.5" in said


async def test_what_was_declared_in_the_file_stays(tmp_path: Path) -> None:
    declared = replace(profile(), power=Power(5.0, 1.0, 0.0, "declared"))
    (tmp_path / "cloud.json").write_text(declared.to_json())
    cloud = await started()
    try:
        await called("profile", "--from", cloud.target, "-o", str(tmp_path / "cloud.json"))
    finally:
        await cloud.stop()
    known = DeviceProfile.from_json((tmp_path / "cloud.json").read_text())
    assert known == replace(measured(), power=declared.power)


@pytest.mark.parametrize(("kind", "seed"), [(Silent, 0), (Measured, 1)])
async def test_what_is_no_profile_of_the_model_is_refused_by_the_options_name(kind: type[CloudNode], seed: int) -> None:
    cloud = await started(kind)
    try:
        with pytest.raises(InvalidInput, match="--from: replica replica-0") as refused:
            await asked(cloud.target, model=served(seed))
        assert refused.value.remedy
    finally:
        await cloud.stop()


async def test_a_cloud_that_asks_for_certificates_is_shown_one(tmp_path: Path) -> None:
    issue_certificates(tmp_path, ["127.0.0.1"], 30)

    def files(role: str) -> TlsFiles:
        return TlsFiles(*(str(tmp_path / name) for name in ("authority.pem", f"{role}.pem", f"{role}.key")))

    cloud = await started()
    server = SegmentService(cloud.node).server()
    address = await server.start("127.0.0.1:0", "cloud.listen", files("cloud"), require_clients=True)
    try:
        shown = files("client")
        words = ("--tls-authority", shown.authority, "--tls-certificate", shown.certificate, "--tls-key", shown.key)
        await called("profile", "--from", address, "-o", str(tmp_path / "cloud.json"), *words)
        with pytest.raises(InvalidInput, match="--from: no profile comes from there"):
            await asked(address)
    finally:
        await server.stop(0)
        await cloud.stop()


@pytest.fixture
def failed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs the command; its exit code and its one line."""

    def run(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["isthmus", "profile", "-o", str(tmp_path / "cloud.json"), *words])
        with pytest.raises(SystemExit) as ended:
            main()
        (line,) = capsys.readouterr().err.splitlines()
        return int(ended.value.code or 0), line

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "127.0.0.1:1"), "--from: no profile comes from there"),
        (("--from", "nowhere"), "--from: is not an address"),
        (("--from", "127.0.0.1:1", "--like", "cloud.json"), "--from: is another profile than --like's"),
        (("--peak", "500gflops"), "--peak: is what a profile is scaled to (got '500gflops'); give --like"),
        (("--memory", "50GB/s"), "--memory: is what a profile is scaled to (got '50GB/s'); give --like"),
        (("--from", "127.0.0.1:1", "--peak", "500gflops"), "--peak: is what a profile is scaled to"),
        (("--from", "127.0.0.1:1", "--tls-authority", "/none.pem"), "tls.authority: cannot be read"),
        (
            ("--from", "127.0.0.1:1", "--budget", "10s", "--threads", "2", "--device", "cpu", "--engine", "eager"),
            "--budget, --threads, --device, --engine: changes nothing beside --from, which measures nothing; leave it",
        ),
        (
            ("--like", "cloud.json", "--engine", "aot"),
            "--engine: changes nothing beside --like, which measures nothing",
        ),
        (
            ("--like", "cloud.json", "--tls-authority", "a.pem", "--tls-certificate", "c.pem", "--tls-key", "k.pem"),
            "--tls-authority, --tls-certificate, --tls-key: is for asking a cloud; give --from, or leave it out",
        ),
        (("--tls-key", "k.pem"), "--tls-key: is for asking a cloud"),
        (("--example", "1x3"), "--example: is for inputs of a MODEL; give MODEL, or leave it out"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(
    failed: Callable[..., tuple[int, str]], words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    code, line = failed(*words)
    assert code == 2
    assert line.startswith(f"error: {said}")
    assert not (tmp_path / "cloud.json").exists()
